//! A machine whose only way out is a radio.

use skerry_firstboot::node::state::NodeState;
use skerry_qemu_tests::access_point::{self, PASSPHRASE, Security};
use skerry_qemu_tests::join_file;
use skerry_qemu_tests::scene::Scene;

#[test]
fn a_machine_with_nothing_but_wifi_joins_and_is_ready_again_after_a_power_cut() {
    let mut scene = Scene::set("wifi", &access_point::image("wifi", Security::Wpa2));
    let (file, token) = join_file::skerry(&scene.cluster);
    scene.node.seed(&(file + &access_point::profile(PASSPHRASE)));
    let name = scene.join();
    scene.node.power_off();
    assert!(!scene.node.disk_holds(&token.secret), "the token is still on the disk");
    assert_eq!(scene.join(), name, "the network was not kept");
    assert_eq!(scene.cluster.client_requests(), 1, "it asked for another certificate");
}

#[test]
fn wpa3_lets_a_machine_in_that_knows_the_passphrase_and_no_other() {
    let mut scene = Scene::set("wifi-wpa3", &access_point::image("wifi-wpa3", Security::Wpa3));
    let (file, _) = join_file::skerry(&scene.cluster);
    let with = |passphrase: &str| format!("{file}{}", access_point::profile(passphrase));
    scene.node.seed(&with("a wrong passphrase"));
    scene.node.power_on();
    scene.node.expect_unless("no connection", &NodeState::Joined.line(""));
    scene.node.power_off();
    scene.node.seed(&with(PASSPHRASE));
    scene.join();
}
