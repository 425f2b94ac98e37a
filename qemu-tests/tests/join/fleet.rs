//! One image and one list make many devices, each with a name and an address of its own.

use std::fs;

use skerry_qemu_tests::image::{run_skerry, work_folder};
use skerry_qemu_tests::join_file;
use skerry_qemu_tests::no_dhcp::NoDhcp;
use skerry_qemu_tests::scene::Scene;
use skerry_qemu_tests::workload::{self, PRELOADED};

const NAME: &str = "till-7";
/// In QEMU's user network.
const ADDRESS: &str = "10.0.2.77";
/// Its router.
const GATEWAY: &str = "10.0.2.2";

#[test]
fn a_device_of_a_fleet_has_its_own_name_and_address_where_nobody_gives_any() {
    let mut scene = Scene::set("join-fleet", workload::image());
    let folder = work_folder("join-fleet");
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (template, _) = join_file::skerry(&scene.cluster);
    fs::write(path("template.toml"), template).unwrap();
    let list = format!(
        "name,address,gateway,labels\ntill-6,10.0.2.76/24,{GATEWAY},\n{NAME},{ADDRESS}/24,{GATEWAY},skerry.test/shop=7\n"
    );
    fs::write(path("devices.csv"), list).unwrap();
    let image = workload::image().artifact("raw");
    let made = run_skerry(&[
        "seed",
        image.to_str().unwrap(),
        "--fleet",
        &path("devices.csv"),
        "--join",
        &path("template.toml"),
        "--out",
        &path("devices"),
        "--force",
    ]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    scene.node.insert(&folder.join("devices").join(format!("{NAME}.raw")));
    let no_dhcp = NoDhcp::new();
    scene.node.hardware().extra.extend(no_dhcp.arguments());

    assert_eq!(scene.join(), NAME);
    let node = scene.cluster.get(&["node", NAME]);
    assert_eq!(node["status"]["addresses"][0]["address"], ADDRESS, "{node}");
    assert_eq!(node["metadata"]["labels"]["skerry.test/shop"], "7", "{node}");
    scene.run(&workload::page_pod(PRELOADED));
    // Until it has read its join file, a machine asks as all do; the address of its line needs no answer.
    println!("asked {} times for an address, in vain", no_dhcp.asked());
}
