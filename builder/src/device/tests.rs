use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::*;

mod rules;

/// A machine of which only files below a folder are known.
struct Fake(tempfile::TempDir);

impl Fake {
    fn new() -> Self {
        let fake = Self(tempfile::tempdir().unwrap());
        fake.write("proc/self/mountinfo", "");
        fake.write("proc/swaps", "Filename Type Size Used Priority\n");
        fake
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn link(&self, link: &str, to: &str) {
        let link = self.0.path().join(link);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(self.0.path().join(to), link).unwrap();
    }

    /// A disk at `place` below `sys/devices`, with these files beside the usual ones.
    fn disk(&self, place: &str, number: &str, files: &[(&str, &str)]) {
        let place = format!("sys/devices/{place}");
        let name = place.rsplit('/').next().unwrap().to_owned();
        let usual = [("dev", number), ("size", "62333952"), ("ro", "0"), ("removable", "0")];
        for (file, text) in usual.iter().chain(files) {
            self.write(&format!("{place}/{file}"), &format!("{text}\n"));
        }
        self.link(&format!("sys/block/{name}"), &place);
        self.link(&format!("sys/class/block/{name}"), &place);
    }

    /// A partition of it, and what was made from that.
    fn partition(&self, disk: &str, name: &str, number: &str, holder: Option<&str>) {
        let place = format!("sys/devices/{disk}/{name}");
        self.write(&format!("{place}/dev"), number);
        self.write(&format!("{place}/partition"), "1");
        self.link(&format!("sys/class/block/{name}"), &place);
        if let Some(holder) = holder {
            self.link(
                &format!("{place}/holders/{holder}"),
                &format!("sys/class/block/{holder}"),
            );
        }
    }

    fn facts(&self, name: &str) -> DiskFacts {
        Host::at(self.0.path()).disk(name).unwrap()
    }
}

const STICK: &str = "pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host6/target6:0:0/6:0:0:0/block/sdb";

fn stick(fake: &Fake) {
    let model = [
        ("removable", "1"),
        ("device/vendor", "SanDisk "),
        ("device/model", "Ultra Fit       "),
    ];
    fake.disk(STICK, "8:16", &model);
    fake.write("sys/devices/pci0000:00/0000:00:14.0/usb1/1-2/idVendor", "0781");
    fake.write("sys/devices/pci0000:00/0000:00:14.0/usb1/1-2/serial", "4C530001\n");
    fake.write("sys/devices/pci0000:00/0000:00:14.0/usb1/idVendor", "1d6b");
    fake.write("sys/devices/pci0000:00/0000:00:14.0/usb1/serial", "0000:00:14.0\n");
}

#[test]
fn a_usb_stick_is_known_by_model_and_serial_number() {
    let fake = Fake::new();
    stick(&fake);
    let facts = fake.facts("sdb");
    assert_eq!(facts.model.as_deref(), Some("SanDisk Ultra Fit"));
    assert_eq!(facts.serial.as_deref(), Some("4C530001"));
    assert_eq!(
        (facts.bus, facts.kind, facts.changes),
        (Bus::Usb, Kind::Removable, Changes::Allowed)
    );
    assert_eq!((facts.len_bytes, facts.sector_bytes), (62_333_952 * 512, 512));
    assert_eq!(
        (facts.confirmation(), facts.to_type()),
        ("4C530001".to_owned(), "SanDisk Ultra Fit".to_owned())
    );
    assert!(facts.uses.is_empty());
}

#[test]
fn an_sd_card_is_removable_and_emmc_is_not() {
    let fake = Fake::new();
    let place = |name: &str| format!("platform/soc/3f202000.mmc/mmc_host/mmc0/mmc0:aaaa/block/{name}");
    let card = [
        ("device/type", "SD"),
        ("device/name", "SC32G"),
        ("device/serial", "0x1b2c3d4e"),
    ];
    fake.disk(&place("mmcblk0"), "179:0", &card);
    fake.disk(
        &place("mmcblk1"),
        "179:8",
        &[("device/type", "MMC"), ("device/name", "DG4016")],
    );
    let card = fake.facts("mmcblk0");
    assert_eq!((card.bus, card.kind), (Bus::Mmc, Kind::Removable));
    assert_eq!(
        (card.confirmation(), card.to_type()),
        ("0x1b2c3d4e".to_owned(), "SC32G".to_owned())
    );
    let soldered = fake.facts("mmcblk1");
    assert_eq!(
        (soldered.kind, soldered.confirmation()),
        (Kind::Fixed, "DG4016".to_owned())
    );
}

#[test]
fn a_disk_without_any_name_is_confirmed_by_kernel_name_and_size() {
    let fake = Fake::new();
    fake.disk("virtual/block/loop3", "7:3", &[("size", "8")]);
    fake.disk("pci0000:00/0000:00:02.0/virtio1/block/vda", "254:0", &[]);
    let facts = fake.facts("loop3");
    assert_eq!((facts.bus, facts.kind), (Bus::Loop, Kind::Fixed));
    assert_eq!(
        (facts.confirmation(), facts.to_type()),
        ("loop3:4096".to_owned(), "loop3:4096".to_owned())
    );
    assert_eq!(fake.facts("vda").bus, Bus::Virtio);
}

#[test]
fn mounts_and_swap_are_found_through_partitions_and_mapped_devices() {
    let fake = Fake::new();
    let disk = "pci0000:00/0000:01:00.0/nvme/nvme0/nvme0n1";
    fake.disk(
        disk,
        "259:0",
        &[
            ("device/model", "SSD 980"),
            ("device/serial", "S64DNX"),
            ("device/vendor", "0x144d"),
        ],
    );
    fake.disk(
        "virtual/block/dm-0",
        "253:0",
        &[("dm/name", "luks-root"), ("dm/uuid", "CRYPT-LUKS2-1")],
    );
    fake.disk(
        "virtual/block/dm-1",
        "253:1",
        &[("dm/name", "my--vg-root"), ("dm/uuid", "LVM-abc")],
    );
    fake.link("sys/devices/virtual/block/dm-0/holders/dm-1", "sys/class/block/dm-1");
    fake.partition(disk, "nvme0n1p1", "259:1", None);
    fake.partition(disk, "nvme0n1p2", "259:2", Some("dm-0"));
    fake.partition(disk, "nvme0n1p3", "259:3", None);
    fake.write(
        "proc/self/mountinfo",
        "22 1 253:1 / / rw shared:1 - ext4 /dev/mapper/my--vg-root rw\n\
         30 22 259:1 / /boot/efi rw - vfat /dev/nvme0n1p1 rw\n\
         31 22 0:44 / /data rw - btrfs /dev/nvme0n1p3 rw\n\
         32 22 8:1 / /mnt rw - ext4 /dev/sda1 rw\n",
    );
    fake.write(
        "proc/swaps",
        "Filename Type Size Used Priority\n/dev/nvme0n1p1 partition 1 0 -2\n",
    );
    let facts = fake.facts("nvme0n1");
    assert_eq!((facts.bus, facts.model.as_deref()), (Bus::Nvme, Some("SSD 980")));
    assert_eq!(facts.mounts(), ["/", "/boot/efi", "/data"]);
    let swap = Use::Swap {
        device: "nvme0n1p1".to_owned(),
    };
    assert!(facts.uses.contains(&swap), "{:?}", facts.uses);
    let releases: Vec<&str> = facts
        .uses
        .iter()
        .filter_map(|found| match found {
            Use::Holder { release, .. } => Some(release.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(releases, ["cryptsetup close luks-root", "vgchange --activate n my-vg"]);
}

#[test]
fn memory_and_empty_readers_are_not_listed() {
    let fake = Fake::new();
    stick(&fake);
    for (place, number) in [("virtual/block/zram0", "252:0"), ("virtual/block/ram0", "1:0")] {
        fake.disk(place, number, &[]);
    }
    fake.disk("virtual/block/loop0", "7:0", &[("size", "0")]);
    let names: Vec<String> = Host::at(fake.0.path())
        .disks()
        .into_iter()
        .map(|disk| disk.name)
        .collect();
    assert_eq!(names, ["sdb"]);
}

#[test]
fn a_plain_file_is_no_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    fs::write(&path, "").unwrap();
    assert_eq!(Host::default().target(&path).unwrap(), Target::Other { path });
    assert!(Host::default().target(Path::new("no-such-disk")).is_err());
}
