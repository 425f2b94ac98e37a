//! What the relay keeps of the control plane's objects, as last seen: crash-safe, encrypted, bounded, and written rarely.
//!
//! [`Store::put`] and its like change memory; [`Store::flush`] makes all of it last, at once: after a power cut the store
//! is as at one flush, and not older than the last one that returned. What has the same substance as before is not written
//! at all.
//!
//! The file is one log ([`LOG`], formats in `record.rs` and `seal.rs`). A flush is one write behind its end and one sync.
//! When more than half of it is of no use any more, it is replaced by a new one. In memory is where each object lies, and
//! what is not written yet; values are read from the log when they are asked for.
//!
//! What the one who holds the disk can do: see how much is kept and when it changes; cut the log off, destroy single
//! objects in it (which is told as damage), or put back an older state of the whole folder (which is not noticed: only a
//! counter in the machine could). Not: read names or values, make them up, exchange or reorder them.
//!
//! # Why no database
//!
//! The need is one table that fits into memory and is written a few times an hour. Of embedded databases in Rust, redb is
//! the one that fits best (safe Rust, no threads, power-cut safe). Measured with redb 4.6: it makes the program 601 KB larger
//! (opt-level z, fat LTO), and one changed object of 4 KiB costs seven writes of 28,992 bytes together, where this log
//! writes 4,233 bytes in one.
//! None encrypts, or can prove that a page is not from an older state, so that the whole of `seal.rs` would be needed all
//! the same, and each would have to be believed about power cuts, where this log is tested at every operation of the disk.

mod finding;
mod index;
mod log;
mod open;
mod record;
mod scan;
mod seal;
#[cfg(test)]
mod tests;
mod uses;
mod write;

use std::fmt;
use std::io;

pub use finding::{Finding, Refusal, Wrong};

use self::index::{Entry, Index, Place};
use self::log::Log;
use self::record::{Key, NAME_LIMIT};
use self::seal::{OVERHEAD, SEALED_LIMIT};
use self::uses::Uses;
use self::write::Staged;
use crate::digest::Digest;
use crate::disk::Disk;

/// Where the relay keeps what it keeps.
pub const FOLDER: &str = "/var/lib/skerry/relay";
/// The store's log.
pub const LOG: &str = "/var/lib/skerry/relay/objects.log";
/// A log that could not be used. There is one at most.
pub const SET_ASIDE: &str = "/var/lib/skerry/relay/objects.log.damaged";

/// The name of a collection's header among its objects.
pub const HEADER: &str = "";

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all that is kept, encrypted. The log is up to twice as long, and there are two while it is replaced.
    pub total_bytes: u64,
    /// Bytes of one object.
    pub object_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total_bytes: 32 << 20,
            object_bytes: 2 << 20,
        }
    }
}

/// What became of an object that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It has the same substance as what is kept: nothing to write.
    Same,
    /// It lasts with the next flush.
    Staged,
    /// It is not kept, nor is what was kept of it before: its collection is not whole.
    Refused(Refusal),
}

/// The objects that are kept, by collection and name.
pub struct Store<D> {
    log: Log<D>,
    index: Index,
    staged: Staged,
    limits: Limits,
    uses: Uses,
    findings: Vec<Finding>,
}

impl<D: Disk> Store<D> {
    /// Keeps an object. The collection's header has the name [`HEADER`].
    ///
    /// An error is that of the disk: the object is not kept, nor is what was kept of it before.
    pub fn put(&mut self, collection: &str, object: &str, substance: Digest, value: &[u8]) -> io::Result<Kept> {
        let key = Key { collection, object };
        if self.index.get(key).is_some_and(|kept| kept.substance == substance) {
            return Ok(Kept::Same);
        }
        if !self.uses.is_used(collection) {
            self.uses.touch(collection);
        }
        let entry = Entry {
            substance,
            value_len: value.len(),
            place: Place::Staged(value.to_vec()),
        };
        if let Err(why) = self.make_room(key, &entry) {
            self.remove(collection, object);
            self.say_refused(key, why);
            return Ok(Kept::Refused(why));
        }
        if let Err(error) = self.write_early(value.len()) {
            self.remove(collection, object);
            return Err(error);
        }
        self.index.put(key, entry);
        self.staged.change(key, value.len());
        Ok(Kept::Staged)
    }

    /// Does not keep an object any more.
    pub fn remove(&mut self, collection: &str, object: &str) {
        let key = Key { collection, object };
        if self.index.remove(key).is_some() {
            self.staged.change(key, 0);
        }
    }

    /// Keeps only those objects of a collection that `keep` names, and its header.
    pub fn retain(&mut self, collection: &str, keep: impl Fn(&str) -> bool) {
        let objects = self.index.objects(collection).map(|(object, _)| object);
        let gone: Vec<String> = objects
            .filter(|object| *object != HEADER && !keep(object))
            .map(str::to_owned)
            .collect();
        for object in gone {
            self.remove(collection, &object);
        }
    }

    /// Does not keep a collection any more.
    pub fn forget(&mut self, collection: &str) {
        if self.index.forget(collection) {
            self.staged.forget(collection);
        }
    }

    /// Says that a collection was asked for now.
    pub fn touch(&mut self, collection: &str) {
        self.uses.touch(collection);
    }

    /// Says that a collection is being watched, once for each watch: it is not given up when there is no room.
    pub fn hold(&mut self, collection: &str) {
        self.uses.hold(collection);
    }

    /// Says that a watch has ended.
    pub fn release(&mut self, collection: &str) {
        self.uses.release(collection);
    }

    /// Does not keep the collections any more that were not asked for since the store was opened; tells how many those
    /// are.
    pub fn forget_unused(&mut self) -> usize {
        let collections = self.index.collections();
        let unused: Vec<String> = collections
            .filter(|collection| !self.uses.is_used(collection))
            .map(str::to_owned)
            .collect();
        for collection in &unused {
            self.forget(collection);
        }
        unused.len()
    }

    /// The value of an object. An error if it is damaged, or if the disk fails.
    pub fn get(&self, collection: &str, object: &str) -> io::Result<Option<Vec<u8>>> {
        let key = Key { collection, object };
        let Some(entry) = self.index.get(key) else {
            return Ok(None);
        };
        match &entry.place {
            Place::Staged(value) => Ok(Some(value.clone())),
            Place::Log(offset) => self.log.value(*offset, entry.record_len(key)).map(Some),
        }
    }

    /// The substance of an object.
    pub fn substance(&self, collection: &str, object: &str) -> Option<Digest> {
        self.index.get(Key { collection, object }).map(|entry| entry.substance)
    }

    /// The objects of a collection without its header, by name, with the length of their values.
    pub fn entries(&self, collection: &str) -> impl Iterator<Item = (&str, usize)> {
        let objects = self.index.objects(collection);
        objects
            .filter(|(object, _)| *object != HEADER)
            .map(|(object, entry)| (object, entry.value_len))
    }

    /// The collections of which anything is kept.
    pub fn collections(&self) -> impl Iterator<Item = &str> {
        self.index.collections()
    }

    /// Bytes that were given to the disk since the store was opened.
    pub fn bytes_written(&self) -> u64 {
        self.log.written()
    }

    /// Bytes of all that is kept, encrypted: what [`Limits::total_bytes`] limits.
    pub fn live_bytes(&self) -> u64 {
        self.index.live()
    }

    /// What there is to be said since this was last called.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    /// Says it once for a collection: there may be thousands.
    fn say_refused(&mut self, key: Key<'_>, why: Refusal) {
        let is_said = |finding: &Finding| matches!(finding, Finding::Refused { collection, why: said, .. } if collection == key.collection && *said == why);
        if !self.findings.iter().any(is_said) {
            self.findings.push(Finding::Refused {
                collection: key.collection.to_owned(),
                object: key.object.to_owned(),
                why,
            });
        }
    }

    /// Gives up collections until there is room for `entry`.
    fn make_room(&mut self, key: Key<'_>, entry: &Entry) -> Result<(), Refusal> {
        let longest_name = key.collection.len().max(key.object.len());
        let record_len = entry.record_len(key);
        if entry.value_len > self.limits.object_bytes
            || longest_name > NAME_LIMIT
            || record_len > (SEALED_LIMIT + OVERHEAD) as u64
        {
            return Err(Refusal::TooLarge);
        }
        loop {
            let before = self.index.get(key).map_or(0, |before| before.record_len(key));
            if self.index.live() - before + record_len <= self.limits.total_bytes {
                return Ok(());
            }
            let others = self.index.collections().filter(|other| *other != key.collection);
            let victim = self.uses.least(others).ok_or(Refusal::NoRoom)?.to_owned();
            self.forget(&victim);
            self.findings.push(Finding::Evicted { collection: victim });
        }
    }
}

impl<D> fmt::Debug for Store<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is kept is nobody's business.
        f.debug_struct("Store")
            .field("limits", &self.limits)
            .field("live_bytes", &self.index.live())
            .finish_non_exhaustive()
    }
}
