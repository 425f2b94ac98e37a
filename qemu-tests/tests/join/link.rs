//! The line to the control plane is cut while pods run.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use skerry_builder::qemu::process::die_with_parent;
use skerry_qemu_tests::monitor::{Link, Monitor};
use skerry_qemu_tests::scene::Scene;
use skerry_qemu_tests::sockets::reachable;
use skerry_qemu_tests::workload::{self, PRELOADED};
use skerry_qemu_tests::{join_file, wait};

/// How long the control plane and an emulated machine may take to agree again.
const PATIENCE: Duration = Duration::from_secs(1200);

#[test]
fn a_cable_can_be_cut_pulled_and_mended_in_any_order() {
    let monitor = Monitor::new();
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-S", "-machine", "q35", "-nodefaults", "-display", "none"]);
    command.args([
        "-netdev",
        "user,id=net",
        "-device",
        "virtio-net-pci,netdev=net,romfile=",
    ]);
    command.args(monitor.arguments()).stdin(Stdio::null());
    die_with_parent(&mut command);
    let mut qemu = command.spawn().unwrap();
    let states = [
        Link::Up,
        Link::Silent,
        Link::Unplugged,
        Link::Up,
        Link::Unplugged,
        Link::Silent,
        Link::Up,
    ];
    for pair in states.windows(2) {
        monitor.change_link(pair[0], pair[1]);
    }
    qemu.kill().unwrap();
    qemu.wait().unwrap();
}

/// How long the line is dead: longer than the API server waits for a node (50 s) and than pods are tolerated on one
/// that is not there (300 s).
const CUT: Duration = Duration::from_secs(600);
/// When, during the cut, a container crashes and kubelet is killed.
const CRASH_AFTER_SECS: u32 = 100;
const KILL_AFTER_SECS: u32 = 300;

fn restarts(pod: &Value) -> u64 {
    pod["status"]["containerStatuses"][0]["restartCount"].as_u64().unwrap()
}

fn container(pod: &Value) -> String {
    pod["status"]["containerStatuses"][0]["containerID"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// kubelet's process id, as soon as it answers.
fn kubelet(scene: &Scene) -> String {
    wait::until("kubelet", PATIENCE, || {
        scene.cluster.try_kubectl(&["exec", "killer", "--", "pidof", "kubelet"])
    })
}

/// Runs what will be disturbed and what disturbs, and returns the page's pod.
fn run_pods(scene: &Scene) -> Value {
    let crash = format!("sleep {CRASH_AFTER_SECS}; exit 1");
    let kill = format!("sleep {KILL_AFTER_SECS}; killall kubelet; sleep 100000");
    scene.run(&workload::powerful_pod("killer", PRELOADED, &kill));
    scene.run(&workload::shell_pod("crasher", PRELOADED, &crash));
    scene.run(&workload::page_pod(PRELOADED))
}

/// Where the API server reaches kubelet, for logs and exec: the only door of a joined machine.
const KUBELET_PORT: u16 = 10250;

fn nothing_but_kubelet_listens(scene: &Scene) {
    // Process 1 is in the node's network.
    let tables = ["tcp", "tcp6", "udp", "udp6"].map(|table| format!("/proc/1/net/{table}"));
    let mut arguments = vec!["exec", "killer", "--", "cat"];
    arguments.extend(tables.iter().map(String::as_str));
    let found = reachable(&scene.cluster.kubectl(&arguments));
    let ports: Vec<u16> = found.iter().map(|(port, _)| *port).collect();
    assert_eq!(ports, [KUBELET_PORT], "{found:?}");
}

#[test]
fn pods_outlive_ten_minutes_without_a_line_and_a_power_cut_after_it() {
    let mut scene = Scene::set("link", workload::image());
    let (file, _) = join_file::skerry(&scene.cluster);
    scene.node.seed(&file);
    let name = scene.join();
    let before = run_pods(&scene);
    scene.expect_page();
    let first_kubelet = kubelet(&scene);
    nothing_but_kubelet_listens(&scene);

    let start = Instant::now();
    scene.node.set_link(Link::Silent);
    wait::until("the node to be missed", CUT, || {
        let node = scene.cluster.try_get(&["node", &name])?;
        let taints = node["spec"]["taints"].to_string();
        taints
            .contains("node.kubernetes.io/unreachable")
            .then_some(())
            .ok_or(taints)
    });
    wait::pass(CUT.saturating_sub(start.elapsed()));
    scene.node.set_link(Link::Up);

    scene.cluster.wait_for_node(&name);
    scene.expect_page();
    let after = scene.cluster.wait_for_pod("page");
    assert_eq!(
        container(&after),
        container(&before),
        "the page's container was replaced"
    );
    wait::until("the crashed container's return", PATIENCE, || {
        let crasher = scene.cluster.try_get(&["pod", "crasher"])?;
        (restarts(&crasher) > 0)
            .then_some(())
            .ok_or_else(|| crasher["status"].to_string())
    });
    assert_ne!(kubelet(&scene), first_kubelet, "kubelet was not restarted");

    scene.node.power_off();
    scene.node.power_on();
    wait::until("the pods' return", PATIENCE, || {
        let page = scene.cluster.try_get(&["pod", "page"])?;
        let returned = container(&page) != container(&before);
        returned.then_some(()).ok_or_else(|| page["status"].to_string())
    });
    scene.cluster.wait_for_node(&name);
    scene.expect_page();
    assert_eq!(scene.cluster.nodes(), [name]);
}
