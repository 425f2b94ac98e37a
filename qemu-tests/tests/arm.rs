//! The image for ARM boots through UEFI firmware from its disk image, joins and runs a pod.
#![allow(clippy::unwrap_used, reason = "test code")]

use skerry_builder::arch::Arch;
use skerry_qemu_tests::control_plane::{ControlPlane, Joiners};
use skerry_qemu_tests::join_file;
use skerry_qemu_tests::node::Start;
use skerry_qemu_tests::scene::Scene;
use skerry_qemu_tests::workload::{self, PAGE, PRELOADED};

const NAME: &str = "arm";

#[test]
fn an_arm64_machine_with_uefi_boots_its_disk_image_joins_and_runs_a_preloaded_pod() {
    let image = workload::build(NAME, Arch::Aarch64);
    let cluster = ControlPlane::start(NAME, Joiners::Guests);
    let mut scene = Scene::with(NAME, &image, cluster, Start::Firmware);
    let (file, token) = join_file::skerry(&scene.cluster);
    scene.node.seed(&file);
    assert!(scene.node.disk_holds(&token.secret), "the scan finds no token");
    let name = scene.join();
    let said = scene.cluster.get(&["node", &name]);
    assert_eq!(said["status"]["nodeInfo"]["architecture"], "arm64");
    scene.run(&workload::page_pod(PRELOADED));
    scene.expect_page();
    let said = scene.cluster.kubectl(&["exec", "page", "--", "cat", "/www/index.html"]);
    assert!(said.contains(PAGE), "{said}");
    scene.node.power_off();
    assert!(!scene.node.disk_holds(&token.secret), "the token is still on the disk");
}
