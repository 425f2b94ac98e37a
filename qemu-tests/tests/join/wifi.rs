//! A machine whose only way out is a radio.

use skerry_firstboot::node::state::NodeState;
use skerry_qemu_tests::access_point::{self, Conduct, LET_IN, REFUSED};
use skerry_qemu_tests::join_file;
use skerry_qemu_tests::scene::Scene;

#[test]
fn a_machine_with_nothing_but_wifi_joins_and_is_ready_again_after_a_power_cut() {
    let mut scene = Scene::set("wifi", &access_point::image("wifi", Conduct::Wpa2));
    let (file, token) = join_file::skerry(&scene.cluster);
    scene.node.seed(&(file + &access_point::profile()));
    let name = scene.join();
    scene.node.power_off();
    assert!(!scene.node.disk_holds(&token.secret), "the token is still on the disk");
    assert_eq!(scene.join(), name, "the network was not kept");
    assert_eq!(scene.cluster.client_requests(), 1, "it asked for another certificate");
}

#[test]
fn a_machine_that_was_refused_says_so_and_joins_by_wpa3_when_the_access_point_lets_it_in() {
    let mut scene = Scene::set(
        "wifi-lost",
        &access_point::image("wifi-lost", Conduct::RefusingThenWpa3),
    );
    let (file, _) = join_file::skerry(&scene.cluster);
    scene.node.seed(&(file + &access_point::profile()));
    scene.node.power_on();
    scene.node.expect(LET_IN);
    for said in ["not in the Wi-Fi network `shop: north`", REFUSED] {
        assert!(scene.node.console().contains(said), "{said}: {}", scene.node.console());
    }
    scene.node.expect(&NodeState::Ready.line(""));
}
