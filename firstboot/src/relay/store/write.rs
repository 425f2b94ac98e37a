//! What makes changes last.

use std::collections::BTreeSet;
use std::io;

use super::index::Place;
use super::open::failed;
use super::record::{Change, Key};
use super::seal::HEAD_LEN;
use super::{Finding, Store};
use crate::disk::Disk;

/// Bytes of values that wait in memory at most, but for one object. What comes on top is written without being synced.
const STAGED_LIMIT: usize = 256 << 10;
/// A log that is shorter is not replaced: it costs nobody anything.
const REPLACED_FROM: u64 = 256 << 10;
/// From this length on a flush is followed by a second commit, by which a reader knows that the first was synced: one
/// block more is little then, and damage to a single object costs only that one.
const SEALED_FROM: u64 = 64 << 10;

/// What changed since it was last written.
#[derive(Debug, Default)]
pub(super) struct Staged {
    /// Collections that were dropped; those that came again since have objects that changed.
    forgotten: BTreeSet<String>,
    /// Objects, by collection and name.
    changed: BTreeSet<(String, String)>,
    /// Bytes of values, some of them perhaps replaced since.
    bytes: usize,
    /// The log is not replaced again before it has this length: the disk had no room for a second one.
    replace_from: u64,
}

/// What follows the changes that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// More of them: they do not hold yet.
    Open,
    /// They hold.
    Commit,
}

impl Staged {
    pub(super) fn change(&mut self, key: Key<'_>, bytes: usize) {
        self.changed.insert((key.collection.to_owned(), key.object.to_owned()));
        self.bytes += bytes;
    }

    pub(super) fn forget(&mut self, collection: &str) {
        self.changed.retain(|(changed, _)| changed != collection);
        self.forgotten.insert(collection.to_owned());
    }

    fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.forgotten.is_empty()
    }

    fn clear(&mut self) {
        self.changed.clear();
        self.forgotten.clear();
        self.bytes = 0;
    }
}

impl<D: Disk> Store<D> {
    /// Makes everything last that was changed. Returns how many bytes were written for it: none if nothing changed.
    ///
    /// After an error the changes are still there, in memory, and the next flush tries again.
    pub fn flush(&mut self) -> io::Result<u64> {
        let before = self.log.written();
        if self.log.open().is_none() {
            self.rewrite()?;
        } else if !self.staged.is_empty() || self.log.uncommitted() > 0 {
            let begin = self.log.len() - self.log.uncommitted();
            self.write_behind(End::Commit)?;
            self.log.sync()?;
            if self.log.len() - begin >= SEALED_FROM
                && let Err(error) = self.write_behind(End::Commit)
            {
                self.findings.push(failed("write behind its end", &error));
            }
            self.replace_if_due();
        }
        Ok(self.log.written() - before)
    }

    /// Writes what waits, if `more` bytes would be too much to wait in memory. It holds with the next flush, as all that
    /// was changed since the last one; but for when the disk has failed, or so much was changed that it has to hold now.
    pub(super) fn write_early(&mut self, more: usize) -> io::Result<()> {
        if self.staged.bytes + more > STAGED_LIMIT && !self.staged.is_empty() {
            if self.log.open().is_none() {
                self.rewrite()?;
            } else {
                self.write_behind(End::Open)?;
            }
        }
        // Whoever never flushes does not fill the disk.
        if self.log.uncommitted() > self.limits.total_bytes {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what waits behind the end of the log. After an error all of it still waits.
    pub(super) fn write_behind(&mut self, end: End) -> io::Result<()> {
        let open = self.log.open().ok_or(io::ErrorKind::NotFound)?;
        let mut batch = open.batch();
        for collection in &self.staged.forgotten {
            batch.add(&open.key, &Change::Forget(collection))?;
        }
        let mut offsets = Vec::new();
        for (collection, object) in &self.staged.changed {
            let key = Key { collection, object };
            let change = match self.index.get(key).map(|entry| (entry.substance, &entry.place)) {
                Some((substance, Place::Staged(value))) => Change::Put { key, substance, value },
                // What is written does not wait.
                Some((_, Place::Log(_))) => continue,
                None => Change::Remove(key),
            };
            offsets.push((key, batch.add(&open.key, &change)?));
        }
        if end == End::Commit {
            batch.commit(&open.key)?;
        }
        self.log.append(&batch)?;
        for (key, offset) in offsets {
            if let Some(place) = self.index.place(key) {
                *place = Place::Log(offset);
            }
        }
        self.staged.clear();
        Ok(())
    }

    /// Replaces the log when more than half of it is of no use.
    fn replace_if_due(&mut self) {
        let len = self.log.len();
        let useless = len.saturating_sub(HEAD_LEN as u64 + self.index.live());
        if len <= REPLACED_FROM.max(self.staged.replace_from) || useless <= len / 2 {
            return;
        }
        if let Err(error) = self.rewrite() {
            self.staged.replace_from = len + len / 2;
            self.findings.push(failed("write it anew", &error));
        }
    }

    /// Replaces the log by one with everything that is kept, also what waits to be written.
    pub(super) fn rewrite(&mut self) -> io::Result<()> {
        let index = &self.index;
        let (places, settled) = self.log.replace(|log, draft| {
            let mut places = Vec::new();
            for (key, entry) in index.iter() {
                let read;
                let value = match &entry.place {
                    Place::Staged(value) => value,
                    Place::Log(offset) => match log.value(*offset, entry.record_len(key)) {
                        Ok(value) => {
                            read = value;
                            &read
                        }
                        Err(_) => {
                            places.push(None);
                            continue;
                        }
                    },
                };
                let substance = entry.substance;
                places.push(Some(draft.add(&Change::Put { key, substance, value })?));
            }
            Ok(places)
        })?;
        self.staged = Staged::default();
        self.move_to(&places);
        settled
    }

    /// Says where everything is in a new log; what could not be read is dropped.
    fn move_to(&mut self, places: &[Option<u64>]) {
        let mut lost = Vec::new();
        for ((key, _), place) in self.index.iter().zip(places) {
            if place.is_none() {
                lost.push((key.collection.to_owned(), key.object.to_owned()));
            }
        }
        for (place, offset) in self.index.places().zip(places) {
            if let Some(offset) = offset {
                *place = Place::Log(*offset);
            }
        }
        for (collection, object) in lost {
            self.index.remove(Key {
                collection: &collection,
                object: &object,
            });
            self.findings.push(Finding::Lost { collection, object });
        }
    }
}
