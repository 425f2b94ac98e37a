//! The disk is full, fails once, or fails from some moment on: nothing that was flushed is lost by it.

use nix::errno::Errno;

use super::*;

/// Puts and flushes, some of which fail; returns what should be there, and whether anything failed.
fn work(store: &mut Store<ModelDisk>) -> (Content, bool) {
    let (mut expected, mut failed) = (content(store), false);
    for round in 0..6_u8 {
        for (object, len) in [("a", 100), ("b", 90_000), ("c", 90_000), ("d", 90_000)] {
            let key = (PODS.to_owned(), object.to_owned());
            let value = value(round, len);
            match store.put(PODS, object, Digest::of(&value), &value) {
                Ok(_) => expected.insert(key, value),
                Err(_) => {
                    failed = true;
                    expected.remove(&key)
                }
            };
        }
        failed |= store.flush().is_err();
        assert_eq!(content(store), expected, "round {round}");
    }
    (expected, failed)
}

#[test]
fn a_change_that_fails_anywhere_is_made_good_by_the_next_flush() {
    let quiet = ModelDisk::new();
    let mut store = reopen(&quiet);
    let before = quiet.operations().changes;
    work(&mut store);
    let total = quiet.operations().changes - before;
    let mut told = 0;
    for errno in [Errno::EIO, Errno::ENOSPC, Errno::EROFS] {
        for n in 1..=total {
            let disk = ModelDisk::new();
            let mut store = reopen(&disk);
            disk.fail_once(n, errno);
            let (expected, failed) = work(&mut store);
            // A failure that harmed nobody is told all the same.
            told += usize::from(failed || !store.take_findings().is_empty());
            store.flush().unwrap();
            for seed in 0..2 {
                let (after, findings) = open(&disk.reboot(seed));
                assert_eq!(content(&after), expected, "{errno} at {n}, seed {seed}");
                assert!(!findings.iter().any(Finding::is_damage), "{findings:?}");
            }
        }
    }
    // All but a leftover that could not be removed.
    assert!(told * 10 >= total * 3 * 9, "{told} of {}", total * 3);
}

#[test]
fn a_disk_that_stays_full_takes_no_memory_and_what_was_kept_before_stays() {
    let disk = ModelDisk::new();
    let mut store = reopen(&disk);
    put(&mut store, SERVICES, "old", b"old");
    store.flush().unwrap();
    disk.fail_from(1, Errno::ENOSPC);
    let mut refused = 0;
    for object in 0..100_u8 {
        let value = value(object, 10_000);
        let result = store.put(PODS, &object.to_string(), Digest::of(&value), &value);
        refused += usize::from(result.is_err());
    }
    assert!((70..80).contains(&refused), "{refused}");
    assert!(store.flush().is_err() && store.flush().is_err());
    assert_eq!(content(&open(&disk.reboot(0)).0).len(), 1);
    disk.mend();
    store.flush().unwrap();
    let kept = content(&store);
    assert_eq!(kept.len(), 1 + 100 - refused);
    assert_eq!(content(&open(&disk.reboot(0)).0), kept);
}

#[test]
fn a_store_on_a_disk_that_takes_nothing_is_one_in_memory_and_says_so() {
    let disk = ModelDisk::new();
    disk.fail_from(1, Errno::EROFS);
    let (mut store, findings) = open(&disk);
    assert!(findings.iter().all(|finding| matches!(finding, Finding::Disk { .. })));
    assert_eq!(findings.len(), 2, "{findings:?}");
    put(&mut store, PODS, "a", b"a");
    assert!(store.flush().is_err());
    assert_eq!(store.get(PODS, "a").unwrap().unwrap(), b"a");
}

#[test]
fn a_flush_after_a_failed_sync_trusts_nothing_but_a_new_file() {
    let disk = ModelDisk::new();
    let mut store = reopen(&disk);
    put(&mut store, PODS, "a", b"a");
    // The write, then the sync.
    disk.fail_once(2, Errno::EIO);
    store.flush().unwrap_err();
    assert_eq!(content(&open(&disk.reboot(0)).0).len(), 0);
    // There is nothing to write, and still something to do.
    assert!(store.flush().unwrap() > 0);
    assert_eq!(content(&reopen(&disk.reboot(0))).len(), 1);
    assert_eq!(store.flush().unwrap(), 0);
}
