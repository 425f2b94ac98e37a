//! The power fails at any moment of a first boot: the machine ends up joined, once, and holds no token.

use std::time::Duration;

use skerry_firstboot::split_mix::SplitMix64;
use skerry_qemu_tests::image::Image;
use skerry_qemu_tests::join_file;
use skerry_qemu_tests::scene::Scene;

/// Cuts in an ordinary run; `./just soak` asks for more.
const CUTS: u32 = 3;
/// The time from power-on within which the power fails: an emulated machine has joined by then if it was left alone.
const WINDOW_MS: u64 = 50_000;

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |text| text.parse().expect("a number"))
}

#[test]
fn power_cuts_at_random_moments_end_in_one_joined_node_without_a_token() {
    let (cuts, seed) = (number("SKERRY_CUTS", CUTS.into()), number("SKERRY_SEED", 1));
    println!("{cuts} cuts, SKERRY_SEED={seed}");
    let mut moments = SplitMix64::new(seed);
    let mut scene = Scene::set("power-cut", Image::edge());
    let (file, token) = join_file::skerry(&scene.cluster);
    scene.node.seed(&file);
    for cut in 1..=cuts {
        let after = Duration::from_millis(moments.draw() % WINDOW_MS);
        println!("cut {cut}: after {:.1} s", after.as_secs_f64());
        scene.node.power_on();
        scene.node.run_for(after);
        scene.node.power_off();
    }
    let name = scene.join();
    assert_eq!(scene.cluster.nodes(), [name]);
    assert_eq!(scene.cluster.client_requests(), 1, "signing requests");
    scene.node.power_off();
    assert!(!scene.node.disk_holds(&token.secret), "the token is still on the disk");
}
