//! What is put is kept, and what did not change is not written.

use std::path::PathBuf;

use super::*;
use crate::disk::{Kind, RealDisk};
use crate::relay::store::{FOLDER, HEADER, Kept};

#[test]
fn what_was_flushed_is_there_when_the_store_is_opened_again() {
    let disk = ModelDisk::new();
    let mut store = reopen(&disk);
    put(&mut store, PODS, HEADER, b"header");
    put(&mut store, PODS, "default/web", &value(1, 5000));
    put(&mut store, SERVICES, "default/kubernetes", b"");
    let written = store.flush().unwrap();
    assert!((5000..6000).contains(&written), "{written}");
    let before = content(&store);
    assert_eq!(before.len(), 3);
    let again = reopen(&disk);
    assert_eq!(content(&again), before);
    assert_eq!(again.live_bytes(), store.live_bytes());
    assert_eq!(again.entries(PODS).collect::<Vec<_>>(), [("default/web", 5000)]);
    assert_eq!(again.get(PODS, "default/other").unwrap(), None);
}

#[test]
fn a_change_is_seen_before_it_is_flushed_and_gone_if_it_never_is() {
    let disk = ModelDisk::new();
    let mut store = reopen(&disk);
    put(&mut store, PODS, "a", b"old");
    store.flush().unwrap();
    put(&mut store, PODS, "a", b"new");
    put(&mut store, PODS, "b", b"more");
    assert_eq!(store.get(PODS, "a").unwrap().unwrap(), b"new");
    assert_eq!(store.entries(PODS).count(), 2);
    let again = reopen(&disk);
    assert_eq!(again.get(PODS, "a").unwrap().unwrap(), b"old");
    assert_eq!(again.entries(PODS).count(), 1);
}

#[test]
fn what_has_the_same_substance_is_not_written_and_nothing_is_not_flushed() {
    let disk = ModelDisk::new();
    let mut store = reopen(&disk);
    let substance = Digest::of(b"what matters");
    assert_eq!(store.put(PODS, "a", substance, b"version 1").unwrap(), Kept::Staged);
    store.flush().unwrap();
    let changes = disk.operations().changes;
    assert_eq!(store.put(PODS, "a", substance, b"version 2").unwrap(), Kept::Same);
    store.remove(PODS, "never there");
    store.retain(PODS, |_| true);
    store.forget("/never/there");
    assert_eq!(store.flush().unwrap(), 0);
    assert_eq!(disk.operations().changes, changes);
    assert_eq!(store.get(PODS, "a").unwrap().unwrap(), b"version 1");
}

#[test]
fn a_flush_is_one_write_and_one_sync_however_many_changes_it_holds() {
    let disk = ModelDisk::new();
    let mut store = reopen(&disk);
    put(&mut store, SERVICES, "old", b"x");
    store.flush().unwrap();
    let changes = disk.operations().changes;
    let written = store.bytes_written();
    for round in 0..10 {
        for object in ["a", "b", "c"] {
            put(&mut store, PODS, object, &value(round, 1000));
        }
    }
    store.forget(SERVICES);
    let flushed = store.flush().unwrap();
    assert_eq!(disk.operations().changes, changes + 2);
    // Three objects, not thirty.
    assert!((3000..3600).contains(&flushed), "{flushed}");
    assert_eq!(store.bytes_written(), written + flushed);
}

#[test]
fn one_object_of_four_kibibytes_costs_as_much_as_the_docs_say() {
    let mut store = reopen(&ModelDisk::new());
    put(&mut store, "/api/v1/pods", "x 1", &value(1, 4096));
    assert_eq!(store.flush().unwrap(), 4233);
}

#[test]
fn what_is_removed_forgotten_or_not_retained_stays_away() {
    let disk = ModelDisk::new();
    let mut store = reopen(&disk);
    for object in [HEADER, "a", "b", "c"] {
        put(&mut store, PODS, object, object.as_bytes());
        put(&mut store, SERVICES, object, object.as_bytes());
        put(&mut store, "/third", object, object.as_bytes());
    }
    store.flush().unwrap();
    store.remove(PODS, "a");
    store.retain(SERVICES, |object| object == "b");
    store.forget("/third");
    put(&mut store, "/third", "new", b"new");
    store.flush().unwrap();
    let left: Vec<_> = content(&reopen(&disk)).into_keys().collect();
    let expected = [
        (PODS, HEADER),
        (PODS, "b"),
        (PODS, "c"),
        (SERVICES, HEADER),
        (SERVICES, "b"),
        ("/third", "new"),
    ];
    let mut expected = expected.map(|(collection, object)| (collection.to_owned(), object.to_owned()));
    expected.sort();
    assert_eq!(left, expected);
}

#[test]
fn no_byte_of_a_value_or_name_is_readable_on_the_disk() {
    let disk = ModelDisk::new();
    let mut store = reopen(&disk);
    let secret = b"a password that nobody must know";
    put(&mut store, "/api/v1/secrets", "default/password", secret);
    store.flush().unwrap();
    let written = disk.ever_written();
    let holds = |needle: &[u8]| written.windows(needle.len()).any(|part| part == needle);
    assert!(holds(b"SKERRYLG"), "the scan sees what is written");
    for needle in [
        &secret[..],
        b"password",
        b"/api/v1/secrets",
        Digest::of(secret).as_bytes(),
    ] {
        assert!(!holds(needle), "{needle:?}");
    }
}

#[test]
fn a_list_of_many_megabytes_is_kept_with_little_memory_and_in_one_piece() {
    let disk = ModelDisk::new();
    let mut store = reopen(&disk);
    for object in 0..3000_u32 {
        put(&mut store, SERVICES, &object.to_string(), &value(object as u8, 2000));
    }
    // Without a commit, nothing of it holds.
    assert!(log_of(&disk).len() > 5_000_000);
    assert_eq!(open(&disk.reboot(1)).0.collections().count(), 0);
    store.flush().unwrap();
    let before = content(&store);
    assert_eq!(before.len(), 3000);
    assert_eq!(content(&reopen(&disk)), before);
}

#[test]
fn the_log_is_replaced_when_most_of_it_is_of_no_use() {
    let disk = ModelDisk::new();
    let mut store = reopen(&disk);
    put(&mut store, SERVICES, "stays", &value(9, 40_000));
    let mut longest = 0;
    for round in 0..200 {
        put(&mut store, PODS, "a", &value(round, 20_000));
        store.flush().unwrap();
        longest = longest.max(log_of(&disk).len());
    }
    assert!((200_000..300_000).contains(&longest), "{longest}");
    // Each byte is copied less than once more on the average.
    assert!(store.bytes_written() < 2 * 200 * 20_000, "{}", store.bytes_written());
    let before = content(&store);
    assert_eq!(before.len(), 2);
    assert_eq!(content(&reopen(&disk)), before);
}

#[test]
fn on_a_real_disk_only_root_can_read_the_store() {
    let root = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(root.path());
    let (mut store, findings) = Store::open(disk.clone(), key(), Limits::default());
    assert_eq!(findings, []);
    put(&mut store, PODS, "a", &value(1, 700_000));
    store.flush().unwrap();
    put(&mut store, PODS, "b", b"b");
    store.flush().unwrap();
    let before = content(&store);
    drop(store);
    // A torn write.
    disk.append(Path::new(LOG), &[0; 100]).unwrap();
    let (store, findings) = Store::open(disk.clone(), key(), Limits::default());
    assert_eq!(findings, [Finding::Torn { bytes: 100 }]);
    assert_eq!(content(&store), before);
    let mode = |path: &str| disk.metadata(Path::new(path)).unwrap();
    assert_eq!((mode(FOLDER).kind, mode(FOLDER).mode), (Kind::Folder, 0o700));
    assert_eq!(mode(LOG).mode, 0o600);
    assert_eq!(disk.list(Path::new(FOLDER)).unwrap(), [PathBuf::from("objects.log")]);
}
