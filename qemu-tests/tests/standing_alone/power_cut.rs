//! The power fails at any moment, with and without a control plane: the pods come back, always.

use std::time::Duration;

use skerry_firstboot::join::retry::{Jitter, Random as _};
use skerry_qemu_tests::control_plane::gate::Way;
use skerry_qemu_tests::outpost::{Crew, Outpost};

/// When, after power-on, the power fails at the latest: an emulated machine's pods are back by then.
const LATEST: Duration = Duration::from_secs(90);
/// After so many cuts the machine is left alone until its pods are back.
const LOOK_EVERY: u64 = 3;

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |text| text.parse().expect("a number"))
}

/// What the machine finds next time where its control plane should be; most of the time it is there.
fn draw_way(random: &mut Jitter) -> Way {
    match random.next() {
        ..0.5 => Way::Open,
        ..0.75 => Way::Refused,
        _ => Way::Silent,
    }
}

#[test]
fn power_cuts_at_random_moments_online_and_offline_never_cost_a_pod() {
    let cuts = number("SKERRY_LONELY_CUTS", 0);
    if cuts == 0 {
        println!("skipped: only `./just soak` asks for power cuts of a joined machine");
        return;
    }
    let seed = number("SKERRY_SEED", 1);
    println!("{cuts} cuts, SKERRY_SEED={seed}");
    let mut random = Jitter::seeded(seed);
    let mut outpost = Outpost::man("standing-alone-cuts", 512, Crew::Full, None);
    for cut in 1..=cuts {
        let (way, after) = (draw_way(&mut random), LATEST.mul_f64(random.next()));
        println!("cut {cut}: {way:?}, after {:.1} s", after.as_secs_f64());
        outpost.scene.node.power_off();
        outpost.scene.cluster.set_way(way);
        outpost.scene.node.power_on();
        outpost.scene.node.run_for(after);
        if cut % LOOK_EVERY == 0 || cut == cuts {
            outpost.scene.cluster.set_way(Way::Refused);
            let (answers, alone) = outpost.cold_boot();
            super::started_once(&answers);
            super::say("alone", alone);
        }
    }
    let boot = outpost.expect_answers()[0].boot().to_owned();
    outpost.scene.cluster.set_way(Way::Open);
    outpost.expect_ready(&boot);
}
