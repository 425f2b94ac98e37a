//! The rules by which a disk is refused, on facts alone.

use std::collections::BTreeSet;

use super::*;
use crate::device::guard::{LARGE_BYTES, refusals};

const IMAGE: u64 = 100 << 20;

fn good() -> DiskFacts {
    DiskFacts {
        name: "sdb".to_owned(),
        path: PathBuf::from("/dev/sdb"),
        number: "8:16".to_owned(),
        len_bytes: 32_000_000_000,
        sector_bytes: 512,
        kind: Kind::Removable,
        changes: Changes::Allowed,
        bus: Bus::Usb,
        model: Some("Ultra Fit".to_owned()),
        serial: Some("4C530001".to_owned()),
        uses: Vec::new(),
    }
}

fn check(change: impl FnOnce(&mut DiskFacts), allowed: &[Override]) -> Vec<Refusal> {
    let mut facts = good();
    change(&mut facts);
    let allowed: BTreeSet<Override> = allowed.iter().copied().collect();
    refusals(&Target::Disk(Box::new(facts)), IMAGE, &allowed)
}

const ALL: [Override; 2] = [Override::FixedDisk, Override::LargeDisk];

/// Refused by one rule, which no flag sets aside; its words are `text`.
fn refused_for_good(change: impl Fn(&mut DiskFacts), text: &str) {
    for allowed in [&[][..], &ALL] {
        let found = check(&change, allowed);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].to_string(), text);
        assert!(!found[0].hint().unwrap().contains("--allow"), "{found:?}");
    }
}

fn mounted(at: &str) -> Use {
    Use::Mounted {
        device: "sdb1".to_owned(),
        at: at.to_owned(),
    }
}

#[test]
fn a_stick_that_nobody_uses_may_be_overwritten() {
    assert_eq!(check(|_| (), &[]), []);
}

#[test]
fn a_mounted_disk_is_refused() {
    let text = "it is mounted at /media/a stick, /mnt";
    refused_for_good(
        |disk| disk.uses = vec![mounted("/media/a stick"), mounted("/mnt")],
        text,
    );
    let hint = check(|disk| disk.uses = vec![mounted("/media/a stick")], &[])[0].hint();
    assert_eq!(hint.unwrap(), "unmount it first: `sudo umount '/media/a stick'`");
}

#[test]
fn a_disk_with_the_running_system_is_refused() {
    for at in ["/", "/boot", "/boot/efi", "/usr", "/var", "/home"] {
        let text = format!("the running system is on it ({at})");
        refused_for_good(|disk| disk.uses = vec![mounted("/mnt"), mounted(at)], &text);
    }
}

#[test]
fn a_disk_with_swap_is_refused() {
    let swap = || Use::Swap {
        device: "sdb2".to_owned(),
    };
    refused_for_good(|disk| disk.uses = vec![swap()], "the running system is on it (swap)");
}

#[test]
fn a_disk_that_something_is_made_from_is_refused() {
    let holder = || Use::Holder {
        device: "sdb1".to_owned(),
        holder: "md0".to_owned(),
        release: "mdadm --stop /dev/md0".to_owned(),
    };
    refused_for_good(|disk| disk.uses = vec![holder()], "md0 is made from it");
    let hint = check(|disk| disk.uses = vec![holder()], &[])[0].hint();
    assert_eq!(hint.unwrap(), "let go of it first: `sudo mdadm --stop /dev/md0`");
}

#[test]
fn a_read_only_disk_is_refused() {
    refused_for_good(|disk| disk.changes = Changes::Forbidden, "it is read-only");
}

#[test]
fn an_empty_reader_is_refused() {
    refused_for_good(|disk| disk.len_bytes = 0, "there is no medium in it");
}

#[test]
fn a_disk_smaller_than_the_image_is_refused() {
    let text = "it has 104857599 bytes, and the image needs 104857600";
    refused_for_good(|disk| disk.len_bytes = IMAGE - 1, text);
    assert_eq!(check(|disk| disk.len_bytes = IMAGE, &[]), []);
}

#[test]
fn a_disk_with_large_sectors_is_refused() {
    let text = "its sectors have 4096 bytes, and the new partition table counts in 512";
    refused_for_good(|disk| disk.sector_bytes = 4096, text);
}

#[test]
fn a_fixed_disk_is_refused_without_its_own_flag() {
    let fixed = |disk: &mut DiskFacts| disk.kind = Kind::Fixed;
    let found = check(fixed, &[Override::LargeDisk]);
    assert_eq!(found, [Refusal::Fixed]);
    assert!(found[0].hint().unwrap().ends_with("add `--allow-fixed-disk`"));
    assert_eq!(check(fixed, &[Override::FixedDisk]), []);
}

#[test]
fn a_large_disk_is_refused_without_its_own_flag() {
    let large = |disk: &mut DiskFacts| disk.len_bytes = LARGE_BYTES + 512;
    let found = check(large, &[Override::FixedDisk]);
    assert_eq!(
        found,
        [Refusal::Large {
            len_bytes: LARGE_BYTES + 512
        }]
    );
    assert!(found[0].hint().unwrap().ends_with("add `--allow-large-disk`"));
    assert_eq!(check(large, &[Override::LargeDisk]), []);
    assert_eq!(check(|disk| disk.len_bytes = LARGE_BYTES, &[]), []);
}

#[test]
fn a_partition_is_refused_and_its_disk_is_named() {
    let (path, disk) = (PathBuf::from("/dev/sdb1"), PathBuf::from("/dev/sdb"));
    let found = refusals(
        &Target::Partition {
            path,
            disk: disk.clone(),
        },
        IMAGE,
        &BTreeSet::from(ALL),
    );
    assert_eq!(found, [Refusal::Partition { disk }]);
    assert_eq!(found[0].hint().unwrap(), "name the whole disk: `/dev/sdb`");
}

#[test]
fn what_is_no_block_device_is_refused() {
    let path = PathBuf::from("disk.img");
    let found = refusals(&Target::Other { path }, IMAGE, &BTreeSet::from(ALL));
    assert_eq!(found, [Refusal::NoBlockDevice]);
}

#[test]
fn all_reasons_are_told_at_once() {
    let found = check(
        |disk| {
            disk.kind = Kind::Fixed;
            disk.len_bytes = LARGE_BYTES + 1;
            disk.changes = Changes::Forbidden;
        },
        &[],
    );
    assert_eq!(found.len(), 3, "{found:?}");
}
