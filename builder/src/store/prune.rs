//! How much the store holds, and making it hold less.

use std::collections::BTreeMap;
use std::fs::{self, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Shelf, Store, StoreError};

/// What one shelf holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// Number of entries.
    pub entries: u64,
    /// Their files' lengths.
    pub bytes: u64,
}

/// What may stay; `None` sets no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// Entries used within this time.
    pub max_age: Option<Duration>,
    /// As many of the last used ones as fit.
    pub max_bytes: Option<u64>,
}

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Pruned {
    /// Number of entries and unfinished downloads.
    pub entries: u64,
    /// Their files' lengths.
    pub bytes: u64,
}

/// A file that could go.
#[derive(Debug)]
struct Found {
    path: PathBuf,
    len_bytes: u64,
    last_use: SystemTime,
}

impl Store {
    /// What each shelf holds, in the order of [`Shelf`].
    pub fn info(&self) -> Result<BTreeMap<Shelf, Usage>, StoreError> {
        Shelf::ALL
            .into_iter()
            .map(|shelf| {
                let mut found = Vec::new();
                self.list_shelf(shelf, &mut found)?;
                let usage = Usage {
                    entries: found.len() as u64,
                    bytes: found.iter().map(|file| file.len_bytes).sum(),
                };
                Ok((shelf, usage))
            })
            .collect()
    }

    /// Removes what need not be kept, that least recently used first; exact to the hour. Refused while other processes
    /// have the store open, since they may be about to read what would go; this process must not build meanwhile.
    pub fn prune(&self, keep: Keep) -> Result<Pruned, StoreError> {
        self.without_others(|| {
            let mut found = Vec::new();
            for shelf in Shelf::ALL {
                self.list_shelf(shelf, &mut found)?;
            }
            list_folder(&self.inner.root.join("partial"), &mut found)?;
            let mut pruned = Pruned::default();
            for file in choose(found, keep, SystemTime::now()) {
                match fs::remove_file(&file.path) {
                    Err(source) if source.kind() != io::ErrorKind::NotFound => {
                        let path = file.path;
                        return Err(StoreError::Remove { path, source });
                    }
                    _ => {}
                }
                pruned.entries += 1;
                pruned.bytes += file.len_bytes;
            }
            Ok(pruned)
        })
    }

    /// Swaps this store's shared lock for the exclusive one and back. `flock(2)` drops the shared lock when the swap
    /// fails; taking it again waits for whoever prunes.
    fn without_others<T>(&self, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let lock_error = |source| StoreError::Lock {
            path: self.inner.root.join("lock"),
            source,
        };
        let result = match self.inner.users.try_lock() {
            Ok(()) => work(),
            Err(TryLockError::WouldBlock) => Err(StoreError::Busy {
                root: self.inner.root.clone(),
            }),
            Err(TryLockError::Error(source)) => Err(lock_error(source)),
        };
        self.inner.users.lock_shared().map_err(lock_error)?;
        result
    }

    fn list_shelf(&self, shelf: Shelf, found: &mut Vec<Found>) -> Result<(), StoreError> {
        let path = self.inner.root.join(shelf.name());
        let read_error = |source| StoreError::read(&path, source);
        for folder in fs::read_dir(&path).map_err(read_error)? {
            let folder = folder.map_err(read_error)?.path();
            if folder.is_dir() {
                list_folder(&folder, found)?;
            }
        }
        Ok(())
    }
}

fn list_folder(path: &Path, found: &mut Vec<Found>) -> Result<(), StoreError> {
    let read_error = |source| StoreError::read(path, source);
    for file in fs::read_dir(path).map_err(read_error)? {
        let file = file.map_err(read_error)?;
        let is_entry = file.file_name().to_str().is_some_and(|name| name.len() == 64);
        // Gone since the folder was read: nothing to report.
        let Ok(metadata) = file.metadata() else { continue };
        if is_entry && metadata.is_file() {
            found.push(Found {
                path: file.path(),
                len_bytes: metadata.len(),
                last_use: metadata.modified().map_err(read_error)?,
            });
        }
    }
    Ok(())
}

/// The files that must go.
fn choose(mut found: Vec<Found>, keep: Keep, now: SystemTime) -> Vec<Found> {
    found.sort_by(|a, b| a.last_use.cmp(&b.last_use).then_with(|| a.path.cmp(&b.path)));
    let mut held: u64 = found.iter().map(|file| file.len_bytes).sum();
    let mut must_go = |file: &Found| {
        let age = now.duration_since(file.last_use).unwrap_or_default();
        let goes = keep.max_age.is_some_and(|max_age| age > max_age)
            || keep.max_bytes.is_some_and(|max_bytes| held > max_bytes);
        if goes {
            held -= file.len_bytes;
        }
        goes
    };
    found.retain(|file| must_go(file));
    found
}
