//! The power fails at any moment of a first boot: the machine ends up joined, once, and holds no token.

use std::time::{Duration, Instant};

use skerry_firstboot::join::retry::{Jitter, Random as _};
use skerry_firstboot::node::state::NodeState;
use skerry_qemu_tests::image::Image;
use skerry_qemu_tests::join_file::{self, Token};
use skerry_qemu_tests::node::Node;
use skerry_qemu_tests::scene::Scene;

/// Cuts in an ordinary run; `./just soak` asks for more.
const CUTS: u32 = 3;
/// When the power fails at the earliest, as a part of the time that such a machine last took from power-on to Ready:
/// before, it has written nothing.
const EARLIEST: f64 = 0.1;
/// How long, as a part of the same time, a machine may have the power that has found its join file: most that can be torn
/// is written between that and Ready, within a few seconds.
const JOIN: f64 = 0.4;

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |text| text.parse().expect("a number"))
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

/// Left alone, the machine joins, and returns how long it took; whatever happened before, it asked once and forgot the
/// token.
fn finish(scene: &mut Scene, token: &Token) -> Duration {
    let start = Instant::now();
    let name = scene.join();
    let taken = start.elapsed();
    assert_eq!(scene.cluster.nodes(), [name]);
    assert_eq!(scene.cluster.client_requests(), 1, "signing requests");
    scene.node.power_off();
    assert!(!scene.node.disk_holds(&token.secret), "the token is still on the disk");
    println!("joined after {:.1} s", taken.as_secs_f64());
    taken
}

/// Switches the machine on and off again: one time of two at any moment, the other while it joins. `whole` is how long it
/// takes to Ready. Returns when that was and what the machine had said of its state.
fn cut(node: &mut Node, whole: Duration, random: &mut Jitter) -> (Duration, NodeState) {
    let start = Instant::now();
    node.power_on();
    if random.next() < 0.5 {
        node.run_for(whole.mul_f64(EARLIEST + (1.0 - EARLIEST) * random.next()));
    } else {
        let (joining, joined) = (NodeState::Joining.line(""), NodeState::Joined.line(""));
        node.expect_one_of(&[&joining, &joined], &mut |_| {});
        node.run_for(whole.mul_f64(JOIN * random.next()));
    }
    let mut states = node.console().lines().filter_map(NodeState::from_line);
    let state = states.next_back().map_or(NodeState::Starting, |(state, _)| state);
    node.power_off();
    (start.elapsed(), state)
}

#[test]
fn power_cuts_at_random_moments_end_in_one_joined_node_without_a_token() {
    let (cuts, seed) = (number("SKERRY_CUTS", CUTS.into()), number("SKERRY_SEED", 1));
    println!("{cuts} cuts, SKERRY_SEED={seed}");
    let mut random = Jitter::seeded(seed);
    let mut scene = Scene::set("power-cut", Image::edge());
    // The first machine is left alone: how long a join takes is a matter of the machine that emulates it.
    let mut token = renew(&mut scene);
    let mut whole = finish(&mut scene, &token);
    token = renew(&mut scene);
    for count in 1..=cuts {
        let (after, state) = cut(&mut scene.node, whole, &mut random);
        println!("cut {count}: after {:.1} s, {state}", after.as_secs_f64());
        if state.reaches(NodeState::Joined) || count == cuts {
            whole = finish(&mut scene, &token);
            token = renew(&mut scene);
        }
    }
}
