//! The store is bounded: what is in use stays, and the rest goes first.

use super::*;
use crate::relay::store::{Kept, Refusal};

fn small(disk: &ModelDisk) -> Store<ModelDisk> {
    let limits = Limits {
        total_bytes: 10_000,
        object_bytes: 4000,
    };
    let (store, findings) = Store::open(disk.clone(), key(), limits);
    assert_eq!(findings, []);
    store
}

fn evicted(store: &mut Store<ModelDisk>) -> Vec<String> {
    let of = |finding| match finding {
        Finding::Evicted { collection } => collection,
        other => panic!("{other:?}"),
    };
    store.take_findings().into_iter().map(of).collect()
}

#[test]
fn an_object_that_is_too_large_is_refused_and_its_old_value_does_not_stand_in_for_it() {
    let disk = ModelDisk::new();
    let mut store = small(&disk);
    put(&mut store, PODS, "a", &value(1, 4000));
    let large = value(2, 4001);
    let kept = store.put(PODS, "a", Digest::of(&large), &large).unwrap();
    assert_eq!(kept, Kept::Refused(Refusal::TooLarge));
    assert_eq!(store.get(PODS, "a").unwrap(), None);
    let findings = store.take_findings();
    assert!(matches!(&findings[..], [Finding::Refused { object, .. }] if object == "a"));
    assert!(
        findings[0]
            .to_string()
            .ends_with("is not kept, and perhaps others: it is too large")
    );
    let long_name = "n".repeat(70_000);
    let kept = store.put(PODS, &long_name, Digest::of(b""), b"").unwrap();
    assert_eq!(kept, Kept::Refused(Refusal::TooLarge));
}

#[test]
fn the_collection_that_was_not_asked_for_since_the_longest_time_goes_first() {
    let disk = ModelDisk::new();
    let mut store = small(&disk);
    for collection in ["/a", "/b", "/c"] {
        put(&mut store, collection, "x", &value(1, 3000));
    }
    store.touch("/a");
    put(&mut store, "/d", "x", &value(1, 3000));
    assert_eq!(evicted(&mut store), ["/b"]);
    store.flush().unwrap();
    // After a start, nothing was asked for yet but what is put.
    let mut store = small(&disk);
    store.touch("/a");
    put(&mut store, "/e", "x", &value(1, 3000));
    assert_eq!(evicted(&mut store), ["/c"]);
    let collections: Vec<_> = store.collections().collect();
    assert_eq!(collections, ["/a", "/d", "/e"]);
    assert!(store.live_bytes() <= 10_000);
}

#[test]
fn what_is_being_watched_stays_until_the_last_watch_ends() {
    let mut store = small(&ModelDisk::new());
    put(&mut store, "/a", "x", &value(1, 4000));
    put(&mut store, "/b", "x", &value(1, 4000));
    for collection in ["/a", "/a", "/b"] {
        store.hold(collection);
    }
    store.release("/a");
    let new = value(1, 3000);
    let kept = store.put("/c", "x", Digest::of(&new), &new).unwrap();
    assert_eq!(kept, Kept::Refused(Refusal::NoRoom));
    store.take_findings();
    store.release("/a");
    put(&mut store, "/c", "x", &new);
    assert_eq!(evicted(&mut store), ["/a"]);
}

#[test]
fn a_collection_does_not_give_itself_up_for_one_more_object() {
    let mut store = small(&ModelDisk::new());
    for object in ["a", "b"] {
        put(&mut store, PODS, object, &value(1, 4000));
    }
    for object in ["c", "d", "e"] {
        let kept = store.put(PODS, object, Digest::of(b"c"), &value(1, 4000)).unwrap();
        assert_eq!(kept, Kept::Refused(Refusal::NoRoom));
    }
    assert_eq!(store.take_findings().len(), 1, "said once");
    // Another value of the same length has the room of the old one.
    put(&mut store, PODS, "a", &value(2, 4000));
    assert_eq!(store.entries(PODS).count(), 2);
}

#[test]
fn what_nobody_asked_for_since_the_start_is_forgotten_when_told_so() {
    let disk = ModelDisk::new();
    let mut store = small(&disk);
    for collection in ["/a", "/b", "/c"] {
        put(&mut store, collection, "x", b"x");
    }
    assert_eq!(store.forget_unused(), 0);
    store.flush().unwrap();
    let mut store = small(&disk);
    store.touch("/a");
    store.hold("/b");
    assert_eq!(store.forget_unused(), 1);
    store.flush().unwrap();
    assert_eq!(small(&disk).collections().collect::<Vec<_>>(), ["/a", "/b"]);
}

#[test]
fn whoever_never_flushes_does_not_fill_the_disk() {
    let disk = ModelDisk::new();
    let limits = Limits {
        total_bytes: 1 << 20,
        object_bytes: 300_000,
    };
    let (mut store, _) = Store::open(disk.clone(), key(), limits);
    for round in 0..100 {
        put(&mut store, PODS, "a", &value(round, 300_000));
        assert!(log_of(&disk).len() < 3 << 20, "round {round}");
    }
}
