//! A flashed machine becomes a Ready node of a real control plane and runs a pod, by whatever it was handed.
//!
//! All tests of joined machines are one program, so that the ten minutes of [`link`] pass beside the others.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests: what would repeat a failure is printed, a surprise is a failure"
)]

#[path = "join/fleet.rs"]
mod fleet;
#[path = "join/link.rs"]
mod link;
#[path = "join/power_cut.rs"]
mod power_cut;
#[path = "join/rotation.rs"]
mod rotation;
#[path = "join/slots.rs"]
mod slots;
#[path = "join/wifi.rs"]
mod wifi;

use serde_json::Value;
use skerry_builder::qemu::machine::DiskBus;
use skerry_qemu_tests::control_plane::{ControlPlane, Joiners};
use skerry_qemu_tests::image::Image;
use skerry_qemu_tests::join_file::{self, Token};
use skerry_qemu_tests::node::Start;
use skerry_qemu_tests::registry::Registry;
use skerry_qemu_tests::scene::Scene;
use skerry_qemu_tests::workload::{self, PAGE, PRELOADED, REGISTRY};

/// Reasons of events that kubelet reports when it fetches an image.
const PULLING: &str = "Pulling";

fn pulled_images(cluster: &ControlPlane) -> Vec<String> {
    let events = cluster.get(&["events", "--all-namespaces"]);
    let of_pulls = |event: &&Value| event["reason"] == PULLING;
    let messages = events["items"].as_array().unwrap().iter().filter(of_pulls);
    messages.map(|event| event["message"].to_string()).collect()
}

fn joins_and_runs_a_preloaded_pod(name: &str, memory_mib: u64, start: Start) {
    let cluster = ControlPlane::start(name, Joiners::Guests);
    let mut scene = Scene::with(name, workload::image(), cluster, start);
    scene.node.hardware().memory_mib = memory_mib;
    let (file, token) = join_file::skerry(&scene.cluster);
    scene.node.seed(&file);
    assert!(scene.node.disk_holds(&token.secret), "the scan finds no token");
    scene.join();
    scene.run(&workload::page_pod(PRELOADED));
    scene.expect_page();
    assert_eq!(pulled_images(&scene.cluster), Vec::<String>::new());
    let logs = scene.cluster.kubectl(&["logs", "page"]);
    assert!(logs.contains("the page is served"), "{logs}");
    let said = scene.cluster.kubectl(&["exec", "page", "--", "cat", "/www/index.html"]);
    assert!(said.contains(PAGE), "{said}");
    assert_eq!(scene.cluster.client_requests(), 1);
    forgets(&mut scene, &token);
}

/// Whatever held the token, a machine that was switched off holds it nowhere.
fn forgets(scene: &mut Scene, token: &Token) {
    scene.node.power_off();
    assert!(!scene.node.disk_holds(&token.secret), "the token is still on the disk");
}

#[test]
fn with_512_mib_a_node_is_ready_and_its_preloaded_pod_answers() {
    joins_and_runs_a_preloaded_pod("join-512", 512, Start::Direct);
}

#[test]
fn with_256_mib_and_firmware_a_node_is_ready_and_its_preloaded_pod_answers() {
    joins_and_runs_a_preloaded_pod("join-256", 256, Start::Firmware);
}

#[test]
fn kubeadms_line_on_a_flashed_usb_disk_joins_and_is_forgotten() {
    let mut scene = Scene::set("join-kubeadm", Image::edge());
    let (line, token) = join_file::kubeadm_line(&scene.cluster);
    scene.node.flash(Image::edge(), Some(&line));
    scene.node.hardware().disk_bus = DiskBus::Usb;
    scene.join();
    forgets(&mut scene, &token);
}

#[test]
fn a_bootstrap_kubeconfig_on_the_efi_partition_joins_and_is_forgotten() {
    let mut scene = Scene::set("join-kubeconfig", Image::edge());
    let token = Token::create(&scene.cluster);
    scene
        .node
        .seed(&join_file::bootstrap_kubeconfig(&scene.cluster, &token));
    scene.join();
    forgets(&mut scene, &token);
}

#[test]
fn a_credential_joins_and_an_image_is_pulled_through_the_mirror_that_it_names() {
    let mut scene = Scene::set("join-credential", Image::edge());
    let registry = Registry::start("join-credential");
    let archive = workload::pack(&skerry_qemu_tests::image::work_folder("join-credential"));
    registry.push(&archive, "page", "1");
    let (file, token) = join_file::skerry(&scene.cluster);
    let mirror = format!(
        "\n[[registries]]\nhost = \"{REGISTRY}\"\nmirrors = [\"{}\"]\n",
        registry.url_for_guests()
    );
    scene.node.give_credential(&(file + &mirror));
    scene.join();
    assert_eq!(registry.pulls(), Vec::<String>::new());
    scene.run(&workload::page_pod(&format!("{REGISTRY}/page:1")));
    scene.expect_page();
    assert_ne!(registry.pulls(), Vec::<String>::new());
    assert_eq!(pulled_images(&scene.cluster).len(), 1);
    forgets(&mut scene, &token);
}
