//! The way to the control plane opens again, and what has been done there meanwhile is carried out.

use std::time::{Duration, Instant};

use skerry_firstboot::relay::chores::OUTAGE;
use skerry_qemu_tests::control_plane::gate::Way;
use skerry_qemu_tests::outpost::Outpost;
use skerry_qemu_tests::wait;
use skerry_qemu_tests::workload::{PRELOADED, page_pod, shell_pod};

/// Within this time of the way being open the node is Ready and a new pod runs.
const GOAL: Duration = Duration::from_secs(60);
/// kubelet brings changed volumes up to date once in a minute and a half at the latest.
const PATIENCE: Duration = Duration::from_secs(180);
const CHANGED: &str = "greeting-that-was-changed-meanwhile";

/// Starts a pod for each way in which one can be deleted: with its node's consent, and without.
pub fn run_what_will_be_deleted(outpost: &Outpost) {
    outpost
        .scene
        .run(&shell_pod("deleted", PRELOADED, "exec sleep 1000000"));
    outpost.scene.run(&page_pod(PRELOADED));
    outpost.scene.expect_page();
}

/// Starts the control plane, changes things there while the machine cannot see it, and lets it see.
pub fn make_up(outpost: &mut Outpost) {
    let before = outpost.expect_answers();
    let cluster = &mut outpost.scene.cluster;
    cluster.start_again();
    cluster.kubectl(&["delete", "pod", "deleted", "--wait=false"]);
    cluster.kubectl(&["delete", "pod", "page", "--force"]);
    cluster.apply(&shell_pod("new", PRELOADED, "exec sleep 1000000").to_string());
    outpost.scene.expect_page();
    assert_eq!(
        outpost.answers(),
        Ok(before.clone()),
        "something has changed before anybody was told"
    );
    outpost.change_greeting(CHANGED);

    outpost.scene.cluster.set_way(Way::Open);
    let start = Instant::now();
    let took = |what: &str| {
        println!("{what} {:.0} s after the way was open", start.elapsed().as_secs_f64());
        start.elapsed()
    };
    outpost.expect_ready(before[0].boot());
    let ready = took("Ready");
    outpost.scene.cluster.wait_for_pod("new");
    let new = took("a new pod ran");
    wait::until("the deleted pods' end", PATIENCE, || {
        let left = outpost.scene.cluster.try_kubectl(&["get", "pods", "-o", "name"])?;
        let answers = outpost.scene.page().is_ok_and(|answer| !answer.is_empty());
        let gone = !left.contains("pod/deleted") && !answers;
        gone.then_some(()).ok_or(left)
    });
    took("deleted pods had ended");
    let after = outpost.expect_answers();
    took("a changed ConfigMap had arrived");
    let outage = wait::until("a word of the outage", PATIENCE, || {
        let node = outpost.scene.cluster.try_get(&["node", &outpost.name])?;
        let text = node["metadata"]["annotations"][OUTAGE].as_str().map(str::to_owned);
        text.ok_or_else(|| node["metadata"]["annotations"].to_string())
    });
    println!("the node tells of an outage, {outage}");
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.container(), after.container(), "a container was replaced");
        assert_eq!(before.starts(), after.starts(), "a container was started again");
        assert_ne!(after.first_greeting(), CHANGED, "a pod was set up anew");
    }
    assert!(ready <= GOAL && new <= GOAL, "later than {} s", GOAL.as_secs());
}
