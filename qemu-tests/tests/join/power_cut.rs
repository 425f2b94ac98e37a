//! The power fails at any moment of a first boot: the machine ends up joined, once, and holds no token.

use std::time::Duration;

use skerry_firstboot::node::state::NodeState;
use skerry_qemu_tests::image::Image;
use skerry_qemu_tests::join_file::{self, Token};
use skerry_qemu_tests::scene::Scene;

/// Cuts in an ordinary run; `./just soak` asks for more.
const CUTS: u32 = 3;
/// When, after power-on, the power fails: an emulated machine that is left alone asks for its certificate in between.
const WINDOW_MS: std::ops::Range<u64> = 5_000..40_000;

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |text| text.parse().expect("a number"))
}

/// SplitMix64: the same cuts for the same seed.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A machine that was never switched on, with a join file.
fn renew(scene: &mut Scene) -> Token {
    for kind in ["nodes", "certificatesigningrequests"] {
        scene.cluster.kubectl(&["delete", kind, "--all"]);
    }
    scene.node.renew_disk(Image::edge());
    let (file, token) = join_file::skerry(&scene.cluster);
    scene.node.seed(&file);
    token
}

/// Left alone, the machine joins; and whatever happened before, it asked once and forgot the token.
fn finish(scene: &mut Scene, token: &Token) {
    let name = scene.join();
    assert_eq!(scene.cluster.nodes(), [name]);
    assert_eq!(scene.cluster.client_requests(), 1, "signing requests");
    scene.node.power_off();
    assert!(!scene.node.disk_holds(&token.secret), "the token is still on the disk");
}

#[test]
fn power_cuts_at_random_moments_end_in_one_joined_node_without_a_token() {
    let (cuts, mut seed) = (number("SKERRY_CUTS", CUTS.into()), number("SKERRY_SEED", 1));
    println!("{cuts} cuts, SKERRY_SEED={seed}");
    let mut scene = Scene::set("power-cut", Image::edge());
    let mut token = renew(&mut scene);
    for cut in 1..=cuts {
        let after = WINDOW_MS.start + next(&mut seed) % (WINDOW_MS.end - WINDOW_MS.start);
        scene.node.power_on();
        scene.node.run_for(Duration::from_millis(after));
        let mut states = scene.node.console().lines().filter_map(NodeState::from_line);
        let state = states.next_back().map_or(NodeState::Starting, |(state, _)| state);
        scene.node.power_off();
        println!("cut {cut}: after {after} ms, {state}");
        if state.reaches(NodeState::Joined) {
            finish(&mut scene, &token);
            token = renew(&mut scene);
        }
    }
    finish(&mut scene, &token);
}
