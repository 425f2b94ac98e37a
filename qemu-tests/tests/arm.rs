//! The image for ARM boots through UEFI firmware from its disk image, joins and runs a pod.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests: what was measured is printed, a surprise is a failure"
)]

use std::time::Instant;

use skerry_builder::arch::Arch;
use skerry_qemu_tests::image::has_programs_for;
use skerry_qemu_tests::node::Start;
use skerry_qemu_tests::scene::Scene;
use skerry_qemu_tests::workload::{self, PAGE, PRELOADED};

const NAME: &str = "arm";

#[test]
fn an_arm64_machine_with_uefi_boots_its_disk_image_joins_and_runs_a_preloaded_pod() {
    if !has_programs_for(Arch::Aarch64) {
        return;
    }
    let image = workload::build(NAME, Arch::Aarch64);
    let (mut scene, token) = Scene::seeded(NAME, &image, Start::Firmware);

    let power_on = Instant::now();
    let name = scene.join();
    println!("Ready {:.0} s after power-on", power_on.elapsed().as_secs_f64());
    let node = scene.cluster.get(&["node", &name]);
    assert_eq!(node["status"]["nodeInfo"]["architecture"], "arm64");

    scene.run(&workload::page_pod(PRELOADED));
    scene.expect_page();
    println!(
        "the pod answered {:.0} s after power-on",
        power_on.elapsed().as_secs_f64()
    );
    let said = scene.cluster.kubectl(&["exec", "page", "--", "cat", "/www/index.html"]);
    assert!(said.contains(PAGE), "{said}");
    scene.node.power_off();
    assert!(!scene.node.disk_holds(&token.secret), "the token is still on the disk");
}
