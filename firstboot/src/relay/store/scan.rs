//! Reads a log from its beginning to its end, which may be damaged or torn.
//!
//! Changes hold together up to a commit. What no commit follows was being written when the power was cut, and is dropped.
//! The disk writes blocks in any order, so a commit may be there without all that it is about: such changes are dropped
//! too, unless a later commit says that they had been synced: then this is damage, and what can be read of them is used. The
//! next record behind a damaged one is found by its magic and proves itself.

use std::path::Path;

use super::LOG;
use super::index::{Entry, Index, Place};
use super::record::{Change, Key};
use super::seal::{FRAME_LEN, HEAD_LEN, LogKey, RECORD_MAGIC, TAG_LEN, Tag, last_tag, sealed_len};
use crate::disk::Disk;

/// Bytes that are read at a time.
const WINDOW: u64 = 64 << 10;
/// What is passed over when the disk cannot read it.
const BLOCK: u64 = 4 << 10;
/// How often the length of the log may be spent on what only looks like a record. Chance needs none of it.
const PATIENCE: u64 = 2;

/// What a log says.
pub(super) struct Scanned {
    pub(super) index: Index,
    /// Where the last commit that holds ends.
    pub(super) end: u64,
    /// The tag before that.
    pub(super) last: Tag,
    /// Bytes that are not what was written.
    pub(super) damaged: u64,
    /// Bytes behind `end`.
    pub(super) torn: u64,
}

/// A change that no commit was seen for yet. Values stay where they are.
enum Step {
    Put {
        collection: String,
        object: String,
        entry: Entry,
    },
    Remove {
        collection: String,
        object: String,
    },
    Forget(String),
    /// Bytes that are not what was written, up to this offset.
    Damage {
        end: u64,
    },
}

/// Changes and damage, each with its offset, in the order of the log.
type Steps = Vec<(u64, Step)>;

struct Scan<'a, D> {
    key: &'a LogKey,
    window: Window<'a, D>,
    /// Bytes that may still be spent on what only looks like a record.
    patience: u64,
    found: Scanned,
    /// Changes that do not hold yet.
    pending: Steps,
}

/// Reads the log of `len` bytes behind its head.
pub(super) fn scan<D: Disk>(disk: &D, key: &LogKey, head: &[u8; HEAD_LEN], len: u64) -> Scanned {
    let mut scan = Scan {
        key,
        window: Window {
            disk,
            len,
            begin: 0,
            bytes: Vec::new(),
        },
        patience: len.saturating_mul(PATIENCE),
        found: Scanned {
            index: Index::default(),
            end: HEAD_LEN as u64,
            last: last_tag(head),
            damaged: 0,
            torn: 0,
        },
        pending: Steps::new(),
    };
    scan.run();
    let mut found = scan.found;
    found.torn = len.saturating_sub(found.end);
    found
}

impl<D: Disk> Scan<'_, D> {
    fn run(&mut self) {
        // The record that is looked at, behind the tag before it.
        let mut record = Vec::new();
        let mut at = HEAD_LEN as u64;
        while at < self.window.len {
            self.window.record(at, &mut record);
            let (end, tag) = (at + record.len().saturating_sub(TAG_LEN) as u64, last_tag(&record));
            if let Some(change) = self.key.open(at, &mut record) {
                self.take(at, &change, (end, tag));
                at = end;
            } else if let Some(next) = self.next_after(at, &mut record) {
                self.pending.push((at, Step::Damage { end: next }));
                at = next;
            } else {
                return;
            }
        }
    }

    /// Where the next record behind `at` is.
    fn next_after(&mut self, at: u64, record: &mut Vec<u8>) -> Option<u64> {
        let mut at = at + 1;
        loop {
            at = self.window.find_magic(at)?;
            self.window.record(at, record);
            let spent = record.len() as u64;
            if self.key.open(at, record).is_some() {
                return Some(at);
            }
            self.patience = self.patience.checked_sub(spent)?;
            at += 1;
        }
    }

    fn take(&mut self, at: u64, change: &Change<'_>, end: (u64, Tag)) {
        let step = match *change {
            Change::Put { key, substance, value } => Step::Put {
                collection: key.collection.to_owned(),
                object: key.object.to_owned(),
                entry: Entry {
                    substance,
                    value_len: value.len(),
                    place: Place::Log(at),
                },
            },
            Change::Remove(key) => Step::Remove {
                collection: key.collection.to_owned(),
                object: key.object.to_owned(),
            },
            Change::Forget(collection) => Step::Forget(collection.to_owned()),
            Change::Commit { synced } => return self.commit(synced, end),
        };
        self.pending.push((at, step));
    }

    fn commit(&mut self, synced: u64, (end, last): (u64, Tag)) {
        let mut steps = std::mem::take(&mut self.pending);
        let newer = steps.split_off(steps.partition_point(|(at, _)| *at < synced));
        let is_torn = |(_, step): &(u64, Step)| matches!(step, Step::Damage { end } if *end > synced);
        if steps.iter().chain(&newer).any(is_torn) {
            // Until a later commit knows better.
            self.pending = newer;
            self.apply(steps);
        } else {
            self.apply(steps);
            self.apply(newer);
            self.found.end = end;
            self.found.last = last;
        }
    }

    fn apply(&mut self, steps: Steps) {
        let index = &mut self.found.index;
        for (at, step) in steps {
            match step {
                Step::Put {
                    collection,
                    object,
                    entry,
                } => index.put(
                    Key {
                        collection: &collection,
                        object: &object,
                    },
                    entry,
                ),
                Step::Remove { collection, object } => {
                    index.remove(Key {
                        collection: &collection,
                        object: &object,
                    });
                }
                Step::Forget(collection) => {
                    index.forget(&collection);
                }
                Step::Damage { end } => self.found.damaged += end - at,
            }
        }
    }
}

/// The part of the log that is in memory.
struct Window<'a, D> {
    disk: &'a D,
    len: u64,
    begin: u64,
    bytes: Vec<u8>,
}

impl<D: Disk> Window<'_, D> {
    /// Reads what claims to be the record at `at`, with the tag before it, into `record`: empty if there is none.
    fn record(&mut self, at: u64, record: &mut Vec<u8>) {
        record.clear();
        let begin = at.saturating_sub(TAG_LEN as u64);
        let before = TAG_LEN + FRAME_LEN;
        let sealed = self.part(begin, before).and_then(|part| sealed_len(&part[TAG_LEN..]));
        if let Some(part) = sealed.and_then(|sealed| self.part(begin, before + sealed)) {
            record.extend_from_slice(part);
        }
    }

    /// Where the next record may begin, at `at` or behind it.
    fn find_magic(&mut self, mut at: u64) -> Option<u64> {
        let overlap = RECORD_MAGIC.len() - 1;
        while at < self.len {
            let count = usize::try_from((self.len - at).min(BLOCK)).ok()?;
            let Some(part) = self.part(at, count) else {
                // The disk cannot read this.
                at += count as u64;
                continue;
            };
            if let Some(found) = part.windows(RECORD_MAGIC.len()).position(|four| *four == RECORD_MAGIC) {
                return Some(at + found as u64);
            }
            at += count.saturating_sub(overlap).max(1) as u64;
        }
        None
    }

    /// `count` bytes of the log; none if it ends before, or if the disk cannot read them.
    fn part(&mut self, offset: u64, count: usize) -> Option<&[u8]> {
        let end = offset.checked_add(count as u64).filter(|end| *end <= self.len)?;
        let is_there = self.begin <= offset && end <= self.begin + self.bytes.len() as u64;
        // As much as fits, or, where the disk fails, only what is needed.
        if !is_there && !self.fill(offset, (end - offset).max(WINDOW)) && !self.fill(offset, end - offset) {
            return None;
        }
        let begin = usize::try_from(offset - self.begin).ok()?;
        self.bytes.get(begin..begin + count)
    }

    fn fill(&mut self, offset: u64, count: u64) -> bool {
        let count = count.min(self.len - offset);
        self.begin = offset;
        self.bytes.clear();
        self.bytes.resize(usize::try_from(count).unwrap_or(0), 0);
        let filled = self.disk.read_at(Path::new(LOG), offset, &mut self.bytes).is_ok();
        if !filled {
            self.bytes.clear();
        }
        filled
    }
}
