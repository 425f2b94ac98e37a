//! Another version starts from the other slot, and the first one again: the machine stays the node that it was.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use skerry_builder::gpt::{self, Guid, SECTOR_BYTES};
use skerry_qemu_tests::image::Image;
use skerry_qemu_tests::join_file;
use skerry_qemu_tests::scene::Scene;
use skerry_qemu_tests::{wait, workload};

/// What repart calls the partitions of the slot that the image does not come with.
const FREE: &str = "_empty";
/// How long an emulated machine may take to say what it runs.
const PATIENCE: Duration = Duration::from_secs(1200);

/// Puts root and verity of `image` into the free slot, as an update would.
fn fill_free_slot(disk: &Path, image: &Image) {
    let mut disk = File::options().read(true).write(true).open(disk).unwrap();
    let mut table = gpt::read::read(&mut disk).unwrap().table;
    let root_hash = image.manifest()["root_hash"].as_str().unwrap().parse().unwrap();
    let free = table.partitions.iter_mut().filter(|partition| partition.label == FREE);
    let parts = Guid::halves_of(&root_hash).into_iter().zip(["root", "verity"]);
    let mut filled = 0;
    for (partition, (id, ending)) in free.zip(parts) {
        let bytes = fs::read(image.artifact(ending)).unwrap();
        assert!(
            bytes.len() as u64 <= partition.sectors * SECTOR_BYTES,
            "the slot is too small"
        );
        disk.write_all_at(&bytes, partition.first_sector * SECTOR_BYTES)
            .unwrap();
        (partition.id, partition.label) = (id, format!("{}_{ending}", image.name));
        filled += 1;
    }
    assert_eq!(filled, 2, "{:?}", table.partitions);
    let (primary, backup) = (table.primary().unwrap(), table.backup().unwrap());
    let end = table.total_sectors * SECTOR_BYTES;
    disk.write_all_at(&primary, 0).unwrap();
    disk.write_all_at(&backup, end - backup.len() as u64).unwrap();
}

/// Switches the machine on with the kernel of `image`, waits until the node says that it runs that, and returns its machine id.
fn boot(scene: &mut Scene, image: &Image, name: &str) -> String {
    scene.node.power_off();
    scene.node.start_by(image);
    assert_eq!(scene.join(), name);
    assert_eq!(scene.cluster.client_requests(), 1, "it asked for another certificate");
    wait::until("the node's word of its new system", PATIENCE, || {
        let node = scene.cluster.try_get(&["node", name])?;
        let text = |key: &str| node["status"]["nodeInfo"][key].as_str().unwrap_or_default().to_owned();
        let system = text("osImage");
        let is_new = system.split_whitespace().any(|word| word == image.name);
        is_new.then(|| text("machineID")).ok_or(system)
    })
}

#[test]
fn an_update_into_the_other_slot_and_its_roll_back_keep_the_nodes_identity() {
    let (old, new) = (Image::edge(), workload::image());
    let mut scene = Scene::set("join-slots", old);
    let (file, _) = join_file::skerry(&scene.cluster);
    scene.node.seed(&file);
    let name = scene.join();
    scene.node.power_off();
    fill_free_slot(scene.node.disk(), new);
    let [updated, rolled_back] = [new, old].map(|image| boot(&mut scene, image, &name));
    assert_eq!(updated, rolled_back);
    assert_eq!(scene.cluster.nodes(), [name]);
}
