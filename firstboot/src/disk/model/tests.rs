use std::collections::BTreeSet;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::disk::{Kind, RealDisk, is_temporary};

const SEEDS: std::ops::Range<u64> = 0..200;

fn path(text: &str) -> &Path {
    Path::new(text)
}

/// A disk with the file `/f`, which holds `old` for certain.
fn settled() -> ModelDisk {
    let disk = ModelDisk::new();
    disk.persist(path("/f"), b"old", 0o600).unwrap();
    disk
}

/// All that `/f` may hold after a power cut at this moment.
fn outcomes(disk: &ModelDisk) -> BTreeSet<Option<Vec<u8>>> {
    SEEDS.map(|seed| disk.reboot(seed).read(path("/f")).ok()).collect()
}

#[test]
fn a_file_that_is_not_synced_comes_back_old_new_empty_short_or_zero() {
    let disk = settled();
    disk.create(path("/f"), b"changed", 0o600).unwrap();
    let found = outcomes(&disk);
    for expected in [&b"old"[..], b"changed", b"", b"chan", &[0; 7]] {
        assert!(found.contains(&Some(expected.to_vec())), "{expected:?} of {found:?}");
    }
}

#[test]
fn a_synced_file_without_a_synced_folder_may_be_gone_but_is_never_torn() {
    let disk = ModelDisk::new();
    disk.create(path("/f"), b"whole", 0o600).unwrap();
    disk.sync(path("/f")).unwrap();
    assert_eq!(outcomes(&disk), BTreeSet::from([None, Some(b"whole".to_vec())]));
    disk.sync_folder(path("/")).unwrap();
    assert_eq!(outcomes(&disk), BTreeSet::from([Some(b"whole".to_vec())]));
}

#[test]
fn replacing_a_file_without_syncing_it_first_can_lose_both_contents() {
    let disk = settled();
    disk.create(path("/new"), b"content", 0o600).unwrap();
    disk.rename(path("/new"), path("/f")).unwrap();
    disk.sync_folder(path("/")).unwrap();
    let found = outcomes(&disk);
    assert!(found.contains(&Some(Vec::new())) && !found.contains(&Some(b"old".to_vec())));
}

#[test]
fn persist_leaves_the_old_or_the_new_content_wherever_the_power_is_cut() {
    let whole = BTreeSet::from([Some(b"old".to_vec()), Some(b"new".to_vec())]);
    let mut seen = BTreeSet::new();
    for cut in 1..=4 {
        let disk = settled();
        disk.cut_power_at(cut);
        let error = disk.persist(path("/f"), b"new", 0o600).unwrap_err();
        assert_eq!(error.get_ref().unwrap().downcast_ref(), Some(&PowerIsGone));
        assert!(disk.is_dead() && disk.read(path("/f")).is_err());
        seen.extend(outcomes(&disk));
    }
    assert_eq!(seen, whole);
    let disk = settled();
    disk.persist(path("/f"), b"new", 0o600).unwrap();
    assert_eq!(outcomes(&disk), BTreeSet::from([Some(b"new".to_vec())]));
}

#[test]
fn a_replaced_link_leads_to_its_old_or_its_new_target_wherever_the_power_is_cut() {
    let mut seen = BTreeSet::new();
    for cut in 1..=5 {
        let disk = ModelDisk::new();
        disk.persist_link(path("old"), path("/link")).unwrap();
        disk.cut_power_at(cut);
        assert_eq!(disk.persist_link(path("new"), path("/link")).is_ok(), cut == 5);
        for seed in SEEDS {
            let after = disk.reboot(seed);
            let Kind::Link(target) = after.metadata(path("/link")).unwrap().kind else {
                panic!("no link after a cut at {cut}");
            };
            seen.insert((cut == 5, target));
            // What was left behind is no obstacle.
            after.persist_link(path("again"), path("/link")).unwrap();
        }
    }
    let expected = [(false, "new"), (false, "old"), (true, "new")].map(|(done, target)| (done, PathBuf::from(target)));
    assert_eq!(seen, BTreeSet::from(expected));
}

#[test]
fn a_folder_that_was_not_synced_into_its_parent_may_be_lost_with_all_it_holds() {
    let disk = ModelDisk::new();
    disk.make_folder(path("/d"), 0o700).unwrap();
    disk.persist(path("/d/f"), b"x", 0o600).unwrap();
    assert!(disk.reboot(0).read(path("/d/f")).is_err());
    assert!(disk.reboot(1).read(path("/d/f")).is_ok());
    disk.sync_folder(path("/")).unwrap();
    assert_eq!(disk.reboot(0).read(path("/d/f")).unwrap(), b"x");
}

#[test]
fn after_a_failed_sync_the_next_one_says_yes_and_writes_nothing() {
    let disk = settled();
    disk.create(path("/f"), b"new", 0o600).unwrap();
    disk.fail_once(1, Errno::EIO);
    assert_eq!(
        disk.sync(path("/f")).unwrap_err().raw_os_error(),
        Some(Errno::EIO as i32)
    );
    disk.sync(path("/f")).unwrap();
    assert_eq!(disk.reboot(0).read(path("/f")).unwrap(), b"old");
}

#[test]
fn what_is_appended_may_be_lost_kept_torn_or_have_holes_but_what_was_synced_before_is_safe() {
    let disk = settled();
    disk.append(path("/f"), &[b'n'; 64]).unwrap();
    let (mut lost, mut kept, mut torn, mut holes) = (0, 0, 0, 0);
    for found in outcomes(&disk) {
        let found = found.unwrap();
        assert!(found.starts_with(b"old"), "{found:?}");
        let new = &found[3..];
        let zeros = new.iter().filter(|byte| **byte == 0).count();
        match (new.len(), zeros) {
            (0, _) => lost += 1,
            (64, 0) => kept += 1,
            (64, _) => holes += 1,
            _ => torn += 1,
        }
    }
    assert!(
        lost == 1 && kept == 1 && torn > 5 && holes > 5,
        "{lost} {kept} {torn} {holes}"
    );
    disk.sync(path("/f")).unwrap();
    assert_eq!(outcomes(&disk).len(), 1);
}

#[test]
fn a_file_that_was_cut_off_may_come_back_long_until_it_is_synced() {
    let disk = settled();
    disk.truncate(path("/f"), 1).unwrap();
    let found = outcomes(&disk);
    assert_eq!(found, BTreeSet::from([Some(b"old".to_vec()), Some(b"o".to_vec())]));
    disk.sync(path("/f")).unwrap();
    assert_eq!(outcomes(&disk), BTreeSet::from([Some(b"o".to_vec())]));
}

#[test]
fn what_is_appended_after_a_failed_sync_does_not_last_either() {
    let disk = settled();
    disk.append(path("/f"), b" new").unwrap();
    disk.fail_once(1, Errno::EIO);
    disk.sync(path("/f")).unwrap_err();
    disk.append(path("/f"), b" newer").unwrap();
    disk.sync(path("/f")).unwrap();
    assert_eq!(disk.reboot(0).read(path("/f")).unwrap(), b"old");
    // Once the lost part is cut off, the rest is as good as ever.
    disk.truncate(path("/f"), 3).unwrap();
    disk.append(path("/f"), b" newest").unwrap();
    disk.sync(path("/f")).unwrap();
    assert_eq!(disk.reboot(0).read(path("/f")).unwrap(), b"old newest");
}

#[test]
fn a_full_disk_fails_until_it_is_mended_and_persist_leaves_nothing_beside_the_old_content() {
    for errno in [Errno::ENOSPC, Errno::EROFS, Errno::EIO] {
        for n in 1..=3 {
            let disk = settled();
            disk.fail_once(n, errno);
            let error = disk.persist(path("/f"), b"new", 0o600).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(errno as i32), "change {n}");
            assert_eq!(disk.read(path("/f")).unwrap(), b"old");
            assert_eq!(disk.list(path("/")).unwrap(), ["f"]);
        }
    }
    let disk = settled();
    disk.fail_from(1, Errno::ENOSPC);
    assert!(disk.persist(path("/f"), b"new", 0o600).is_err());
    assert!(disk.persist(path("/f"), b"new", 0o600).is_err());
    disk.mend();
    disk.persist(path("/f"), b"new", 0o600).unwrap();
}

#[test]
fn everything_that_was_ever_written_can_be_looked_through() {
    let disk = settled();
    disk.unlink(path("/f")).unwrap();
    let after = disk.reboot(1);
    assert!(after.list(path("/")).unwrap().is_empty());
    assert!(after.ever_written().ends_with(b"old"));
}

const PATHS: [&str; 5] = ["/a", "/b", "/d", "/d/a", "/d/.b.new"];
const FOLDER: u8 = 2;

/// Does one operation on two of the paths and tells whether it succeeded.
fn apply(disk: &impl Disk, operation: (u8, u8, u8)) -> bool {
    let one = path(PATHS[usize::from(operation.1)]);
    let other = path(PATHS[usize::from(operation.2)]);
    let done = match operation.0 {
        0 => disk.create(one, &[operation.2], 0o600),
        1 => disk.rename(one, other),
        2 => disk.symlink(other, one),
        3 => disk.unlink(one),
        4 => disk.make_folder(one, 0o700),
        5 => disk.persist(one, &[operation.2; 3], 0o640),
        6 => disk.persist_link(other, one),
        7 => disk.append(one, &[operation.2; 2]),
        8 => disk.truncate(one, u64::from(operation.2)),
        _ => disk.remove_if_there(one),
    };
    done.is_ok()
}

fn listing(disk: &impl Disk) -> Vec<String> {
    let mut all = Vec::new();
    for folder in ["/", "/d"] {
        for name in disk.list(path(folder)).unwrap_or_default() {
            let place = path(folder).join(&name);
            let found = disk.metadata(&place).unwrap();
            // A link's mode differs between kernels.
            let mode = if let Kind::Link(_) = found.kind { 0 } else { found.mode };
            let content = disk.read(&place).ok();
            let mut part = [0; 2];
            let part = disk.read_at(&place, 1, &mut part).ok().map(|()| part);
            all.push(format!(
                "{place:?} {:?} {mode:o} {content:?} {part:?} {}",
                found.kind,
                is_temporary(&name)
            ));
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn while_the_power_is_on_the_model_is_a_file_system_like_the_real_one(
        operations in prop::collection::vec((0u8..10, 0u8..5, 0u8..5), 1..30),
    ) {
        let root = tempfile::tempdir().unwrap();
        let (real, model) = (RealDisk::new(root.path()), ModelDisk::new());
        for operation in operations {
            // The join makes folders where nothing is, and never renames one.
            let operation = match operation {
                (4, _, other) => (4, FOLDER, other),
                (1, one, other) => (1, one % FOLDER, other % FOLDER),
                (kind, FOLDER, other) => (kind, 0, other),
                other => other,
            };
            prop_assert_eq!(apply(&real, operation), apply(&model, operation), "{:?}", operation);
            prop_assert_eq!(listing(&real), listing(&model), "{:?}", operation);
        }
    }
}
