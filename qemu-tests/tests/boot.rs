//! The real image boots, on the disks and within the memory that are promised.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests: a skip is printed, a surprise is a failure"
)]

use skerry_builder::gpt::{self, GptEntry};
use skerry_builder::qemu::machine::DiskBus;
use skerry_qemu_tests::image::Image;
use skerry_qemu_tests::node::{Node, Start};
use skerry_qemu_tests::tools::judge;

const WAITING: &str = "skerry-node: waiting: containerd is up";
/// What the initrd says when the root is mounted.
const HANDOVER: &str = "verified on";

/// The sector size that the images are written for.
const SECTOR_BYTES: u64 = 512;

#[test]
fn with_256_mib_firmware_and_a_virtio_disk_the_node_waits_and_var_fills_the_disk() {
    let mut node = Node::new("firmware", Image::edge(), Start::Firmware);
    node.hardware().memory_mib = 256;
    node.power_on();
    node.expect(WAITING);
    assert!(
        !node.console().contains("login:"),
        "a login was offered:\n{}",
        node.console()
    );
    assert_eq!(alarms(&node), [""; 0]);
    // What was written must be on the disk: the id is synced before it gets its name.
    node.power_off();
    let (start, end) = var_partition(&node);
    let disk_len = std::fs::metadata(node.disk()).unwrap().len();
    assert!(disk_len - end < 2 << 20, "var ends at {end} of {disk_len}");
    let (own, free) = (partition(&node, "edge-x86_64"), partition(&node, "_empty"));
    assert_eq!(own.sectors, free.sectors, "slot B is as large as slot A");
    assert_eq!(own.flags, free.flags, "slot B is as read-only as slot A");
    assert!(end - start > 3 << 30, "var is {} bytes of {disk_len}", end - start);
    let first = kept_machine_id(&node, start);

    let mut other = Node::new("second-device", Image::edge(), Start::Direct);
    other.power_on();
    other.expect(WAITING);
    other.power_off();
    let (other_start, _) = var_partition(&other);
    if let (Some(first), Some(second)) = (first, kept_machine_id(&other, other_start)) {
        assert_eq!(first.len(), 32, "{first:?}");
        assert_ne!(first, second, "two devices of one image have one machine id");
        // A power cut later the device is still itself.
        other.power_on();
        other.expect(WAITING);
        assert_eq!(alarms(&other), [""; 0]);
        other.power_off();
        assert_eq!(kept_machine_id(&other, other_start), Some(second));
    }
}

/// Lines of the console that would have somebody look for a fault that is none.
fn alarms(node: &Node) -> Vec<&str> {
    let lines = node.console().lines();
    lines
        .filter(|line| line.contains("Failed to start") || line.contains("did not stop"))
        .collect()
}

/// The partition of the machine's disk whose label begins so.
fn partition(node: &Node, label: &str) -> GptEntry {
    let mut disk = std::fs::File::open(node.disk()).unwrap();
    let read = gpt::read::read(&mut disk).expect("the disk has a valid partition table");
    let found = read
        .table
        .partitions
        .into_iter()
        .find(|partition| partition.label.starts_with(label));
    found.expect("the partition is there")
}

/// First and last byte of the partition `var`.
fn var_partition(node: &Node) -> (u64, u64) {
    let var = partition(node, "var");
    (
        var.first_sector * SECTOR_BYTES,
        (var.first_sector + var.sectors) * SECTOR_BYTES,
    )
}

/// The machine id on var; none if a tool that reads the file system is missing. The power was cut, so the journal is
/// replayed first, on a copy of the partition.
fn kept_machine_id(node: &Node, var: u64) -> Option<String> {
    let copy = node.disk().with_file_name("var.raw");
    let (from, to) = (
        format!("if={}", node.disk().display()),
        format!("of={}", copy.display()),
    );
    judge(
        "dd",
        &[
            &from,
            &to,
            "bs=1M",
            "conv=sparse",
            "status=none",
            &format!("skip={}", var >> 20),
        ],
    )?;
    let copy = copy.display().to_string();
    // It mends what a power cut leaves, and says so by its exit code; what matters is read below.
    let mended = std::process::Command::new("/usr/sbin/e2fsck")
        .args(["-f", "-y", &copy])
        .output();
    println!("{}", String::from_utf8_lossy(&mended.ok()?.stdout));
    Some(
        judge("debugfs", &["-R", "cat /lib/skerry/machine-id", &copy])?
            .trim()
            .to_owned(),
    )
}

/// From a medium that the image was flashed onto.
fn boots_from(name: &str, bus: DiskBus) {
    let mut node = Node::new(name, Image::edge(), Start::Direct);
    node.flash(Image::edge(), None);
    node.hardware().disk_bus = bus;
    node.power_on();
    node.expect(HANDOVER);
}

#[test]
fn it_boots_from_nvme() {
    boots_from("nvme", DiskBus::Nvme);
}

#[test]
fn it_boots_from_ahci() {
    boots_from("ahci", DiskBus::Ahci);
}

#[test]
fn it_boots_from_usb_storage() {
    boots_from("usb", DiskBus::Usb);
}

#[test]
fn it_boots_from_an_sd_card() {
    boots_from("sd", DiskBus::Sd);
}

#[test]
fn a_flipped_byte_in_the_root_partition_restarts_the_machine_instead_of_running() {
    use std::os::unix::fs::FileExt as _;
    let mut node = Node::new("tampered", Image::edge(), Start::Direct);
    let disk = std::fs::File::options()
        .read(true)
        .write(true)
        .open(node.disk())
        .unwrap();
    let root = partition(&node, "edge-x86_64");
    // In the superblock: read by every mount.
    let place = root.first_sector * SECTOR_BYTES + 8;
    let mut byte = [0];
    disk.read_exact_at(&mut byte, place).unwrap();
    disk.write_all_at(&[byte[0] ^ 0x10], place).unwrap();
    node.power_on();
    node.expect_end();
    assert!(!node.console().contains("skerry-node"), "{}", node.console());
    assert!(node.console().contains("verity"), "{}", node.console());
}
