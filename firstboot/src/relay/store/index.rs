//! What is kept, and where: the part of the store that is in memory.

use std::collections::BTreeMap;

use super::record::Key;
use super::seal::OVERHEAD;
use crate::digest::Digest;

/// Where each object is.
#[derive(Default)]
pub(super) struct Index {
    collections: BTreeMap<String, BTreeMap<String, Entry>>,
    live: u64,
}

/// An object.
pub(super) struct Entry {
    pub(super) substance: Digest,
    pub(super) value_len: usize,
    pub(super) place: Place,
}

/// Where an object's value is.
pub(super) enum Place {
    /// In the record at this offset of the log.
    Log(u64),
    /// Not written yet.
    Staged(Vec<u8>),
}

impl Entry {
    /// Bytes of its record.
    pub(super) fn record_len(&self, key: Key<'_>) -> u64 {
        (OVERHEAD + key.put_len(self.value_len)) as u64
    }
}

impl Index {
    /// Bytes of all records that are needed.
    pub(super) fn live(&self) -> u64 {
        self.live
    }

    pub(super) fn get(&self, key: Key<'_>) -> Option<&Entry> {
        self.collections.get(key.collection)?.get(key.object)
    }

    /// All objects, in an order that only changes of the index change.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key<'_>, &Entry)> {
        self.collections.iter().flat_map(|(collection, objects)| {
            objects
                .iter()
                .map(move |(object, entry)| (Key { collection, object }, entry))
        })
    }

    /// The places of all objects, in the order of [`Index::iter`].
    pub(super) fn places(&mut self) -> impl Iterator<Item = &mut Place> {
        self.collections
            .values_mut()
            .flat_map(|objects| objects.values_mut().map(|entry| &mut entry.place))
    }

    pub(super) fn place(&mut self, key: Key<'_>) -> Option<&mut Place> {
        let entry = self.collections.get_mut(key.collection)?.get_mut(key.object)?;
        Some(&mut entry.place)
    }

    pub(super) fn collections(&self) -> impl Iterator<Item = &str> {
        self.collections.keys().map(String::as_str)
    }

    /// The objects of a collection.
    pub(super) fn objects(&self, collection: &str) -> impl Iterator<Item = (&str, &Entry)> {
        self.collections
            .get(collection)
            .into_iter()
            .flatten()
            .map(|(object, entry)| (object.as_str(), entry))
    }

    pub(super) fn put(&mut self, key: Key<'_>, entry: Entry) {
        self.remove(key);
        self.live += entry.record_len(key);
        self.collections
            .entry(key.collection.to_owned())
            .or_default()
            .insert(key.object.to_owned(), entry);
    }

    pub(super) fn remove(&mut self, key: Key<'_>) -> Option<Entry> {
        let objects = self.collections.get_mut(key.collection)?;
        let entry = objects.remove(key.object)?;
        if objects.is_empty() {
            self.collections.remove(key.collection);
        }
        self.live -= entry.record_len(key);
        Some(entry)
    }

    /// Drops a collection; tells whether there was one.
    pub(super) fn forget(&mut self, collection: &str) -> bool {
        let Some(objects) = self.collections.remove(collection) else {
            return false;
        };
        for (object, entry) in &objects {
            self.live -= entry.record_len(Key { collection, object });
        }
        true
    }
}
