//! The log on the disk: written behind its end, or replaced as a whole.

use std::io;
use std::path::Path;

use super::LOG;
use super::record::Change;
use super::seal::{HEAD_LEN, LogKey, TAG_LEN, Tag, last_tag};
use crate::disk::{Disk, beside};
use crate::relay::store_key::StoreKey;

/// Bytes that are collected before they are written to a new log.
const PIECE: usize = 256 << 10;

/// The log of a store.
pub(super) struct Log<D> {
    pub(super) disk: D,
    pub(super) store_key: StoreKey,
    open: Option<Open>,
    trust: Trust,
    written: u64,
}

/// A log that can be read and written behind its end.
pub(super) struct Open {
    pub(super) key: LogKey,
    /// Bytes that are good.
    pub(super) end: u64,
    /// The tag of the last record.
    pub(super) last: Tag,
    /// Bytes that a commit is about.
    pub(super) committed: u64,
    /// Bytes that are synced for certain.
    pub(super) synced: u64,
}

/// Whether a log may be written behind its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    Whole,
    /// There is none, or it is damaged, or the disk failed so that nobody knows what will be found after a power cut:
    /// after a failed sync the kernel forgets what it could not write, and the next sync says that all is well. Only a
    /// new file helps.
    Doubtful,
}

/// Sealed records that are not written yet.
pub(super) struct Batch {
    begin: u64,
    last: Tag,
    committed: u64,
    synced: u64,
    bytes: Vec<u8>,
}

impl Batch {
    /// Where the next record will be.
    fn end(&self) -> u64 {
        self.begin + self.bytes.len() as u64
    }

    /// Adds a record; returns its offset in the log.
    pub(super) fn add(&mut self, key: &LogKey, change: &Change<'_>) -> io::Result<u64> {
        let offset = self.end();
        self.last = key.seal(offset, &self.last, change, &mut self.bytes)?;
        Ok(offset)
    }

    /// Says that all records since the last commit hold together. A second one behind it, written after a sync, says that
    /// the first was synced.
    pub(super) fn commit(&mut self, key: &LogKey) -> io::Result<()> {
        self.add(key, &Change::Commit { synced: self.synced })?;
        self.committed = self.end();
        Ok(())
    }
}

/// A log that is to take the place of the one that is there.
pub(super) struct Draft<'a, D> {
    disk: &'a D,
    path: &'a Path,
    key: LogKey,
    batch: Batch,
    written: u64,
}

impl<D: Disk> Draft<'_, D> {
    /// Adds a record; returns its offset.
    pub(super) fn add(&mut self, change: &Change<'_>) -> io::Result<u64> {
        if self.batch.bytes.len() >= PIECE {
            self.write_out()?;
        }
        self.batch.add(&self.key, change)
    }

    fn write_out(&mut self) -> io::Result<()> {
        self.disk.append(self.path, &self.batch.bytes)?;
        self.written += self.batch.bytes.len() as u64;
        self.batch.begin = self.batch.end();
        self.batch.bytes.clear();
        Ok(())
    }

    fn conclude(&mut self) -> io::Result<()> {
        self.batch.commit(&self.key)?;
        // All of it is synced when it gets its name.
        self.batch.synced = self.batch.end();
        self.batch.commit(&self.key)?;
        self.write_out()?;
        self.disk.sync(self.path)?;
        self.disk.rename(self.path, Path::new(LOG))
    }
}

impl<D: Disk> Log<D> {
    /// The log `open`, or none yet.
    pub(super) fn new(disk: D, store_key: StoreKey, open: Option<Open>) -> Self {
        let trust = if open.is_some() { Trust::Whole } else { Trust::Doubtful };
        Self {
            disk,
            store_key,
            open,
            trust,
            written: 0,
        }
    }

    /// Bytes that were given to the disk.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Bytes that no commit follows yet.
    pub(super) fn uncommitted(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.end - open.committed)
    }

    /// Bytes of the log.
    pub(super) fn len(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.end)
    }

    /// Does not let anything be written before the log was replaced.
    pub(super) fn doubt(&mut self) {
        self.trust = Trust::Doubtful;
    }

    /// Drops what is behind the end.
    pub(super) fn cut_off(&mut self) -> io::Result<()> {
        let end = self.open.as_ref().map_or(0, |open| open.end);
        let cut = self.disk.truncate(Path::new(LOG), end);
        if cut.is_err() {
            self.trust = Trust::Doubtful;
        }
        cut
    }

    /// What may be written behind; none if the log has to be replaced first.
    pub(super) fn open(&self) -> Option<&Open> {
        self.open.as_ref().filter(|_| self.trust == Trust::Whole)
    }

    /// Writes records behind the end; the disk may lose them until [`Log::sync`]. They are there whole or not at all as
    /// far as this program can see.
    pub(super) fn append(&mut self, batch: &Batch) -> io::Result<()> {
        let Some(open) = self.open.as_mut() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if let Err(error) = self.disk.append(Path::new(LOG), &batch.bytes) {
            // A part may have been written. If that cannot be cut off either, it is the first error that matters.
            let _ = self.cut_off();
            return Err(error);
        }
        open.end = batch.end();
        open.last = batch.last;
        open.committed = batch.committed;
        self.written += batch.bytes.len() as u64;
        Ok(())
    }

    /// Makes the log last.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let synced = self.disk.sync(Path::new(LOG));
        match self.open.as_mut() {
            Some(open) if synced.is_ok() => open.synced = open.end,
            _ => self.trust = Trust::Doubtful,
        }
        synced
    }

    /// The value of the record at `offset` with this length.
    pub(super) fn value(&self, offset: u64, record_len: u64) -> io::Result<Vec<u8>> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "it is not what was written");
        let open = self.open.as_ref().ok_or_else(wrong)?;
        let len = usize::try_from(record_len).map_err(|_| wrong())? + TAG_LEN;
        let begin = offset.checked_sub(TAG_LEN as u64).ok_or_else(wrong)?;
        let mut record = vec![0; len];
        self.disk.read_at(Path::new(LOG), begin, &mut record)?;
        let Some(Change::Put { value, .. }) = open.key.open(offset, &mut record) else {
            return Err(wrong());
        };
        let (value_len, end) = (value.len(), len - TAG_LEN);
        record.truncate(end);
        record.drain(..end - value_len);
        Ok(record)
    }

    /// Replaces the log by one with what `fill` adds, which after a power cut is there whole, or the old one is. If it was
    /// replaced, tells what `fill` told, and whether that will last.
    pub(super) fn replace<T>(
        &mut self,
        fill: impl FnOnce(&Self, &mut Draft<'_, D>) -> io::Result<T>,
    ) -> io::Result<(T, io::Result<()>)> {
        let (folder, path) = beside(Path::new(LOG))?;
        let (key, head) = LogKey::begin(&self.store_key)?;
        let mut draft = Draft {
            disk: &self.disk,
            path: &path,
            key,
            batch: Batch {
                begin: HEAD_LEN as u64,
                last: last_tag(&head),
                committed: HEAD_LEN as u64,
                synced: HEAD_LEN as u64,
                bytes: Vec::new(),
            },
            written: HEAD_LEN as u64,
        };
        let filled = draft
            .disk
            .create(&path, &head, 0o600)
            .and_then(|()| fill(self, &mut draft))
            .and_then(|filled| draft.conclude().map(|()| filled));
        let Draft {
            key, batch, written, ..
        } = draft;
        if filled.is_err() {
            // What is left of it only takes room; the error that matters is the first one.
            let _ = self.disk.remove_if_there(&path);
        }
        self.written += written;
        let filled = filled?;
        self.open = Some(Open {
            key,
            end: batch.end(),
            last: batch.last,
            committed: batch.committed,
            synced: batch.end(),
        });
        let settled = self.disk.sync_folder(folder);
        self.trust = match settled {
            Ok(()) => Trust::Whole,
            // Nobody knows which of the two a power cut will leave.
            Err(_) => Trust::Doubtful,
        };
        Ok((filled, settled))
    }
}

impl Open {
    /// Nothing yet, to be written behind the end.
    pub(super) fn batch(&self) -> Batch {
        Batch {
            begin: self.end,
            last: self.last,
            committed: self.committed,
            synced: self.synced,
            bytes: Vec::new(),
        }
    }
}
