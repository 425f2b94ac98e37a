//! A machine loses its power while its control plane cannot be reached, and its pods come back all the same.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests: what was measured is printed, a surprise is a failure"
)]

#[path = "standing_alone/attacks.rs"]
mod attacks;
#[path = "standing_alone/power_cut.rs"]
mod power_cut;
#[path = "standing_alone/reunion.rs"]
mod reunion;
#[path = "standing_alone/transparency.rs"]
mod transparency;

use std::time::Duration;

use skerry_builder::qemu::tpm::Interface;
use skerry_qemu_tests::control_plane::gate::Way;
use skerry_qemu_tests::outpost::{Crew, Outpost};
use skerry_qemu_tests::tpm::Tpm;
use skerry_qemu_tests::witness::Witness;
use skerry_qemu_tests::workload::dependants::{GREETING, Given, PASSWORD};

const MEMORY_GOAL_KIB: u64 = 8 << 10;
/// With an Ethernet cable, and once more without.
const OFFLINE_CYCLES: usize = 2;

/// A cold boot has started each pod's container anew, and once: nothing runs twice.
fn started_once(answers: &[Given]) {
    for given in answers {
        let of_this_boot = given.starts().iter().filter(|boot| **boot == given.boot()).count();
        assert_eq!(of_this_boot, 1, "{given:?}");
    }
}

fn say(what: &str, time: Duration) {
    println!("{what}: the pods answered {:.0} s after power-on", time.as_secs_f64());
}

fn the_store_is_roots_alone(witness: &Witness) {
    let text = witness.store();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("directory 700 0 0"), "{text}");
    let files: Vec<&str> = lines.collect();
    assert!(files.len() >= 2, "no key or no log: {text}");
    assert!(files.iter().all(|file| *file == "regular file 600 0 0"), "{text}");
}

fn the_relay_is_small(witness: &Witness) {
    let kib = witness.relay_memory_kib();
    println!("the relay has {kib} KiB in memory");
    assert!(kib <= MEMORY_GOAL_KIB, "{kib} KiB");
}

/// What pods read from the store is on the disk, but nobody reads it there.
fn keeps_its_secrets(outpost: &mut Outpost) {
    outpost.scene.node.power_off();
    assert!(outpost.scene.node.disk_holds(GREETING), "the scan finds nothing");
    assert!(
        !outpost.scene.node.disk_holds(PASSWORD),
        "the Secret is on the disk in the clear"
    );
}

// One test, because every boot of an emulated machine takes a minute.
#[test]
fn with_512_mib_pods_come_back_again_and_again_and_the_node_makes_up_with_its_control_plane() {
    let mut outpost = Outpost::man("standing-alone", 512, Crew::Full, None);
    reunion::run_what_will_be_deleted(&outpost);
    transparency::answers_have_the_same_bytes(&outpost);
    attacks::strangers_are_refused(&outpost);
    let witness = Witness::call(&outpost.scene);
    the_store_is_roots_alone(&witness);
    the_relay_is_small(&witness);

    let (answers, online) = outpost.cold_boot();
    started_once(&answers);
    say("with a control plane", online);
    outpost.scene.cluster.stop();
    for cycle in 1..=OFFLINE_CYCLES {
        let (answers, alone) = outpost.cold_boot();
        started_once(&answers);
        assert!(
            outpost.scene.node.listen().contains("skerry-relay: alone: "),
            "the console does not say so"
        );
        say(&format!("alone, power cut {cycle}"), alone);
    }
    let unplugged = outpost.cold_boot_without_a_cable();
    say("alone and without a cable", unplugged);
    started_once(&outpost.expect_answers());

    reunion::make_up(&mut outpost);
    keeps_its_secrets(&mut outpost);
}

/// Years after the machine was last heard of, and nobody has told it the way to a control plane since.
fn comes_back_with_an_expired_certificate(outpost: &mut Outpost) {
    outpost.scene.cluster.stop();
    let clock = ["-rtc", "base=2040-01-01T00:00:00"].map(str::to_owned);
    outpost.scene.node.hardware().extra.extend(clock);
    let (answers, expired) = outpost.cold_boot();
    started_once(&answers);
    say("alone with an expired certificate", expired);
    let console = outpost.scene.node.listen();
    assert!(console.contains("days ago: bring a join file"), "{console}");
}

#[test]
fn with_256_mib_a_pod_comes_back_while_packets_vanish_and_after_the_certificate_has_expired() {
    let tpm = Tpm::new(Interface::Crb);
    let has_tpm = tpm.is_some();
    let mut outpost = Outpost::man("standing-alone-256", 256, Crew::Small, tpm);
    outpost.scene.cluster.stop();
    outpost.scene.cluster.set_way(Way::Silent);
    let (answers, alone) = outpost.cold_boot();
    started_once(&answers);
    say("alone with 256 MiB", alone);
    outpost.scene.cluster.start_again();
    outpost.scene.cluster.set_way(Way::Open);
    outpost.expect_ready(answers[0].boot());
    outpost.scene.node.power_off();
    let sealed = outpost.scene.node.disk_holds("sealed-by = \"TPM 2.0\"");
    assert_eq!(sealed, has_tpm, "the store's key is sealed if the machine can");
    comes_back_with_an_expired_certificate(&mut outpost);
}
