mod damage;
mod failing_disk;
mod keeping;
mod limits;
mod power_cut;

use std::collections::BTreeMap;
use std::path::Path;

use super::{Finding, LOG, Limits, Store};
use crate::digest::Digest;
use crate::disk::{Disk, ModelDisk};
use crate::relay::store_key::StoreKey;

const PODS: &str = "/api/v1/pods?fieldSelector=spec.nodeName=pole-7";
const SERVICES: &str = "/api/v1/services";

/// All that a store holds: collection and object, and the value.
type Content = BTreeMap<(String, String), Vec<u8>>;

fn key() -> StoreKey {
    StoreKey::new([7; 32])
}

fn open(disk: &ModelDisk) -> (Store<ModelDisk>, Vec<Finding>) {
    Store::open(disk.clone(), key(), Limits::default())
}

/// Opens a store that has nothing to say.
fn reopen(disk: &ModelDisk) -> Store<ModelDisk> {
    let (store, findings) = open(disk);
    assert_eq!(findings, []);
    store
}

fn put<D: Disk>(store: &mut Store<D>, collection: &str, object: &str, value: &[u8]) {
    store.put(collection, object, Digest::of(value), value).unwrap();
}

/// A value that is recognised: `seed` all over, and as long.
fn value(seed: u8, len: usize) -> Vec<u8> {
    vec![seed; len]
}

/// Everything, through the doors that the relay uses.
fn content<D: Disk>(store: &Store<D>) -> Content {
    let mut all = Content::new();
    for collection in store.collections() {
        let names = store.entries(collection).map(|(object, len)| (object, Some(len)));
        for (object, len) in names.chain([("", None)]) {
            let Some(value) = store.get(collection, object).unwrap() else {
                assert_eq!(object, "", "an entry without a value");
                continue;
            };
            assert!(len.is_none_or(|len| len == value.len()));
            let substance = store.substance(collection, object).unwrap();
            assert_eq!(substance, Digest::of(&value), "{collection} {object}");
            all.insert((collection.to_owned(), object.to_owned()), value);
        }
    }
    all
}

fn log_of(disk: &ModelDisk) -> Vec<u8> {
    disk.read(Path::new(LOG)).unwrap()
}

/// The same disk with another log.
fn with_log(log: &[u8]) -> ModelDisk {
    let disk = ModelDisk::new();
    drop(open(&disk));
    disk.persist(Path::new(LOG), log, 0o600).unwrap();
    disk
}
