//! kubelet changes its certificate again and again, through the relay, and nobody notices.

use std::time::Duration;

use serde_json::Value;
use skerry_qemu_tests::control_plane::ControlPlane;
use skerry_qemu_tests::node::Start;
use skerry_qemu_tests::scene::Scene;
use skerry_qemu_tests::workload::{self, PRELOADED};
use skerry_qemu_tests::{join_file, wait};

/// kubelet asks for the next certificate when between 70 and 90 % of this have passed (client-go, `util/certificate`). An
/// emulated machine must start kubelet within it.
const LIFETIME: Duration = Duration::from_secs(180);
/// The certificate of the join, then these.
const ROTATIONS: usize = 3;
/// How long a rotation may take, on a machine that is short of time.
const PATIENCE: Duration = LIFETIME.saturating_mul(3);

/// When the node last said that it lives, as text that changes.
fn sign_of_life(scene: &Scene, name: &str) -> Result<String, String> {
    let lease = scene.cluster.try_get(&["lease", name, "--namespace=kube-node-lease"])?;
    Ok(lease["spec"]["renewTime"].to_string())
}

/// The node is Ready, and not because nobody has looked since the old certificate expired.
fn lives(scene: &Scene, name: &str) {
    let before = sign_of_life(scene, name).unwrap();
    wait::until("the next sign of life", PATIENCE, || {
        let now = sign_of_life(scene, name)?;
        (now != before).then_some(()).ok_or(now)
    });
    scene.cluster.wait_for_node(name);
}

/// Since when the node is Ready, or is not.
fn ready_since(scene: &Scene, name: &str) -> Value {
    let node = scene.cluster.get(&["node", name]);
    let conditions = node["status"]["conditions"].as_array().unwrap();
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready");
    ready.unwrap()["lastTransitionTime"].clone()
}

#[test]
fn three_certificates_later_the_node_has_been_ready_all_the_time_and_boots_by_the_last() {
    let cluster = ControlPlane::start_signing_for("rotation", LIFETIME);
    let mut scene = Scene::with("rotation", workload::image(), cluster, Start::Direct);
    let (file, _) = join_file::skerry(&scene.cluster);
    scene.node.seed(&file);
    let name = scene.join();
    scene.run(&workload::page_pod(PRELOADED));
    scene.expect_page();
    let ready = ready_since(&scene, &name);
    for rotation in 1..=ROTATIONS {
        wait::until(&format!("certificate {}", rotation + 1), PATIENCE, || {
            scene.node.listen();
            let asked = scene.cluster.client_requests();
            (asked > rotation)
                .then_some(())
                .ok_or_else(|| format!("{asked} requests"))
        });
    }
    // By now the first two have expired.
    lives(&scene, &name);
    assert_eq!(ready_since(&scene, &name), ready, "the node was not Ready for a while");
    scene.run(&workload::shell_pod("late", PRELOADED, "exec sleep 1000000"));
    let logs = scene.cluster.kubectl(&["logs", "page"]);
    assert!(logs.contains("the page is served"), "{logs}");

    scene.node.power_off();
    scene.node.power_on();
    let back = scene.cluster.get(&["node", &name])["status"]["nodeInfo"]["bootID"].clone();
    wait::until("the node's next boot", PATIENCE, || {
        scene.node.listen();
        let node = scene.cluster.try_get(&["node", &name])?;
        let boot = &node["status"]["nodeInfo"]["bootID"];
        (*boot != back).then_some(()).ok_or_else(|| boot.to_string())
    });
    scene.cluster.wait_for_node(&name);
    scene.expect_page();
    assert_eq!(scene.cluster.nodes(), [name]);
}
