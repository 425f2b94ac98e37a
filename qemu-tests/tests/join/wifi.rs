//! A machine whose only way out is a radio.

use skerry_qemu_tests::access_point;
use skerry_qemu_tests::join_file;
use skerry_qemu_tests::scene::Scene;

#[test]
fn a_machine_with_nothing_but_wifi_joins_and_is_ready_again_after_a_power_cut() {
    let mut scene = Scene::set("wifi", &access_point::image("wifi"));
    let (file, token) = join_file::skerry(&scene.cluster);
    scene.node.seed(&(file + &access_point::profile()));
    let name = scene.join();
    scene.node.power_off();
    assert!(!scene.node.disk_holds(&token.secret), "the token is still on the disk");
    assert_eq!(scene.join(), name, "the network was not kept");
    assert_eq!(scene.cluster.client_requests(), 1, "it asked for another certificate");
}
