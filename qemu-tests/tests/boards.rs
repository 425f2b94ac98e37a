//! Images for boards whose firmware is no UEFI: what QEMU can boot of them, and what foreign tools say of the rest.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests: what was measured is printed, a surprise is a failure"
)]

use std::time::Instant;

use skerry_builder::arch::Arch;
use skerry_firstboot::node::state::NodeState;
use skerry_qemu_tests::control_plane::{ControlPlane, Joiners};
use skerry_qemu_tests::image::{Image, Project, has_programs_for};
use skerry_qemu_tests::join_file;
use skerry_qemu_tests::node::Start;
use skerry_qemu_tests::raspberry_pi::{KERNEL, Model, RaspberryPi};
use skerry_qemu_tests::scene::Scene;
use skerry_qemu_tests::tools::judge;
use skerry_qemu_tests::workload::{self, PRELOADED};

/// The image for Raspberry Pis, fit for QEMU.
fn image(name: &str) -> Option<Image> {
    has_programs_for(Arch::Aarch64).then(|| {
        let project = Project::copy(name);
        let head = "version = 1\nbase = \"raspberry-pi.toml\"\narchitecture = \"aarch64\"\n";
        project.write("images/raspi.toml", format!("{head}{KERNEL}"));
        project.build_by_lock("raspi", "raspberry-pi")
    })
}

#[test]
fn a_raspberry_pi_3_boots_by_u_boot_and_systemd_boot_makes_var_and_waits_for_a_join_file() {
    const NAME: &str = "raspberry-pi-3";
    let Some(mut pi) = image(NAME).and_then(|image| RaspberryPi::start(NAME, &image, Model::Pi3)) else {
        return;
    };
    let power_on = Instant::now();
    pi.expect("U-Boot");
    pi.expect("EFI stub: Exiting boot services");
    let said = pi.expect(&NodeState::Waiting.line("containerd is up; no join file found"));
    println!("waiting {:.0} s after power-on", power_on.elapsed().as_secs_f64());
    assert!(said.contains("EFI stub: Using DTB from configuration table"), "{said}");
    let card = pi.power_off().to_str().unwrap().to_owned();
    let Some(dump) = judge("sfdisk", &["--dump", &card]) else {
        return;
    };
    let partitions: Vec<_> = dump.lines().filter(|line| line.contains("start=")).collect();
    assert_eq!(partitions.len(), 4, "{dump}");
    assert!(partitions[3].ends_with("type=83"), "{dump}");
}

#[test]
fn a_raspberry_pi_4_boots_as_far_as_its_kernel() {
    const NAME: &str = "raspberry-pi-4";
    let Some(mut pi) = image(NAME).and_then(|image| RaspberryPi::start(NAME, &image, Model::Pi4)) else {
        return;
    };
    pi.expect("EFI stub: Exiting boot services");
}

#[test]
fn a_disk_with_an_mbr_joins_runs_a_pod_and_does_so_again_after_a_power_cut() {
    const NAME: &str = "mbr";
    if !has_programs_for(Arch::Aarch64) {
        return;
    }
    let image = workload::build_on(NAME, Arch::Aarch64, "raspberry-pi");
    let cluster = ControlPlane::start(NAME, Joiners::Guests);
    let mut scene = Scene::with(NAME, &image, cluster, Start::Firmware);
    let (file, token) = join_file::skerry(&scene.cluster);
    scene.node.seed(&file);
    assert!(scene.node.disk_holds(&token.secret), "the scan finds no token");
    let power_on = Instant::now();
    let name = scene.join();
    println!("Ready {:.0} s after power-on", power_on.elapsed().as_secs_f64());
    scene.run(&workload::page_pod(PRELOADED));
    scene.expect_page();
    scene.node.power_off();
    assert!(!scene.node.disk_holds(&token.secret), "the token is still on the disk");
    assert_eq!(scene.join(), name, "var did not outlast the power cut");
    scene.expect_page();
}
