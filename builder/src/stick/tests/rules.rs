//! Each rule of `skerry flash` holds for a stick, on facts alone; [`crate::device`] tests what the rules are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::device::guard::LARGE_BYTES;
use crate::device::{Bus, Changes, DiskFacts, Kind, Override, Target, Use};
use crate::failure::{Diagnose as _, FailureKind};
use crate::stick::{StickError, device};

const ALL: [Override; 2] = [Override::FixedDisk, Override::LargeDisk];

fn check_target(target: Target, allowed: &[Override]) -> Result<DiskFacts, StickError> {
    let allowed: BTreeSet<Override> = allowed.iter().copied().collect();
    device::check(target, Path::new("/dev/sdb"), &allowed)
}

fn check(change: impl FnOnce(&mut DiskFacts), allowed: &[Override]) -> Result<DiskFacts, StickError> {
    let mut facts = DiskFacts {
        name: "sdb".to_owned(),
        path: PathBuf::from("/dev/sdb"),
        number: "8:16".to_owned(),
        len_bytes: 32_000_000_000,
        sector_bytes: 512,
        kind: Kind::Removable,
        changes: Changes::Allowed,
        bus: Bus::Usb,
        model: None,
        serial: None,
        uses: Vec::new(),
    };
    change(&mut facts);
    check_target(Target::Disk(Box::new(facts)), allowed)
}

/// Refused for safety, and these are the words.
fn assert_refused(outcome: Result<DiskFacts, StickError>, reason: &str, hint: &str) {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Safety);
    assert_eq!(error.to_string(), format!("`/dev/sdb` is not made a stick: {reason}"));
    assert_eq!(error.hints().len(), 1, "{error:?}");
    assert!(error.hints()[0].contains(hint), "{error:?}: {:?}", error.hints());
}

fn mounted(at: &str) -> Use {
    Use::Mounted {
        device: "sdb1".to_owned(),
        at: at.to_owned(),
    }
}

#[test]
fn a_stick_that_nobody_uses_may_be_written_to() {
    assert_eq!(check(|_| (), &[]).unwrap().name, "sdb");
}

#[test]
fn a_mounted_device_is_no_stick() {
    let outcome = check(|disk| disk.uses = vec![mounted("/mnt")], &ALL);
    assert_refused(outcome, "it is mounted at /mnt", "sudo umount /mnt");
}

#[test]
fn the_disk_of_the_running_system_is_no_stick() {
    let outcome = check(|disk| disk.uses = vec![mounted("/")], &ALL);
    assert_refused(outcome, "the running system is on it (/)", "no flag overrides this");
    let swap = Use::Swap {
        device: "sdb2".to_owned(),
    };
    let outcome = check(|disk| disk.uses = vec![swap], &ALL);
    assert_refused(outcome, "the running system is on it (swap)", "no flag overrides this");
}

#[test]
fn a_device_that_something_is_made_from_is_no_stick() {
    let holder = Use::Holder {
        device: "sdb1".to_owned(),
        holder: "md0".to_owned(),
        release: "mdadm --stop /dev/md0".to_owned(),
    };
    let outcome = check(|disk| disk.uses = vec![holder], &ALL);
    assert_refused(outcome, "md0 is made from it", "mdadm --stop /dev/md0");
}

#[test]
fn a_read_only_device_is_no_stick() {
    let outcome = check(|disk| disk.changes = Changes::Forbidden, &ALL);
    assert_refused(outcome, "it is read-only", "lock");
}

#[test]
fn an_empty_reader_is_no_stick() {
    let outcome = check(|disk| disk.len_bytes = 0, &ALL);
    assert_refused(outcome, "there is no medium in it", "put a card");
}

#[test]
fn a_device_with_large_sectors_is_no_stick() {
    let outcome = check(|disk| disk.sector_bytes = 4096, &ALL);
    let reason = "its sectors have 4096 bytes, and the new partition table counts in 512";
    assert_refused(outcome, reason, "sectors of 512 bytes");
}

#[test]
fn a_partition_is_no_stick_and_its_disk_is_named() {
    let target = Target::Partition {
        path: PathBuf::from("/dev/sdb1"),
        disk: PathBuf::from("/dev/sdb"),
    };
    let outcome = check_target(target, &ALL);
    assert_refused(outcome, "it is a partition, not a whole disk", "`/dev/sdb`");
}

#[test]
fn a_fixed_disk_is_a_stick_with_its_own_flag_only() {
    let fixed = |disk: &mut DiskFacts| disk.kind = Kind::Fixed;
    let outcome = check(fixed, &[Override::LargeDisk]);
    assert_refused(outcome, "it is not a removable medium", "--allow-fixed-disk");
    assert!(check(fixed, &[Override::FixedDisk]).is_ok());
}

#[test]
fn a_large_disk_is_a_stick_with_its_own_flag_only() {
    let large = |disk: &mut DiskFacts| disk.len_bytes = LARGE_BYTES + 512;
    let error = check(large, &[Override::FixedDisk]).unwrap_err();
    assert_eq!(error.kind(), FailureKind::Safety);
    assert!(error.hints()[0].contains("--allow-large-disk"), "{error:?}");
    assert!(check(large, &[Override::LargeDisk]).is_ok());
}
