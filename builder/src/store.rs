//! The content-addressed cache on the host. Flows in: bytes under a SHA-256 key. Flows out: files that are whole.
//!
//! ```text
//! ROOT/lock                        shared by every user of the store, exclusive while pruning
//! ROOT/tmp/SESSION/                one locked folder per open store: files being written, scratch folders
//! ROOT/partial/<64 hex>            downloads that can be resumed, locked while one process works on them
//! ROOT/<shelf>/ab/<64 hex>         entries
//! ```
//!
//! An entry appears by `rename(2)` and never changes afterwards, so readers need no lock and two processes that make
//! the same entry at once both succeed. What a killed process leaves behind lies in a folder that nobody holds a lock
//! on; the next [`Store::open`] removes it.
//!
//! Power cuts: `inputs` and `components` cost a download or minutes of compiling, so they are synced before they get
//! their name. The other shelves hold thousands of files that can be made again; a sync for each would cost more than
//! the cache saves. They carry a trailer instead (see [`TRAILER_LEN`]; unpacked packages end in marks of their own that
//! their reader checks), and an entry without a matching one counts as
//! missing.
//!
//! Deliberately unsupported: sharing between users, and file systems without `flock(2)`.

mod error;
mod pending;
mod prune;
mod session;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::digest::{HashingReader, Sha256};

use session::{begin_session, sweep};

pub use error::StoreError;
pub use pending::Pending;
pub use prune::{Keep, Pruned, Usage};

/// Length in bytes of what follows an entry's content on a shelf without syncs: the content's length (u64, little
/// endian) and eight magic bytes. A file that lost its end to a power cut has no such trailer. Content starts at
/// offset 0, so reading by offset needs no correction.
pub const TRAILER_LEN: u64 = 16;

/// Ends each derived entry; changing it empties the caches.
const TRAILER_MAGIC: [u8; 8] = *b"SKRYend1";

/// An entry's modification time is its last use, but only this exactly: a write for each look-up would cost more than
/// it tells.
const USE_RESOLUTION: Duration = Duration::from_secs(3600);

/// A part of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shelf {
    /// Downloaded files; the key is the content's digest.
    Inputs,
    /// Packages after decompression; the key is the package's digest.
    Unpacked,
    /// Built or unpacked programs; the key is the content's digest.
    Components,
    /// Compressed blocks of file systems; the key is the digest of what decided them.
    Blocks,
    /// Results of steps; the key is the digest of the step's inputs.
    Builds,
}

/// How a shelf's entries are kept from being half there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeping {
    /// The key is the content's digest: checked and synced before the entry appears.
    ByContent,
    /// Can be made again: trailer instead of sync.
    Derived,
    /// Can be made again, and whoever reads it checks it by marks of its own.
    SelfChecked,
}

impl Shelf {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 5] = [
        Self::Inputs,
        Self::Unpacked,
        Self::Components,
        Self::Blocks,
        Self::Builds,
    ];

    /// The folder's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inputs => "inputs",
            Self::Unpacked => "unpacked",
            Self::Components => "components",
            Self::Blocks => "blocks",
            Self::Builds => "builds",
        }
    }

    const fn keeping(self) -> Keeping {
        match self {
            Self::Inputs | Self::Components => Keeping::ByContent,
            Self::Unpacked => Keeping::SelfChecked,
            Self::Blocks | Self::Builds => Keeping::Derived,
        }
    }
}

/// An open store; cheap to clone, usable from every thread.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    /// Holds the shared lock on `ROOT/lock`.
    users: File,
    session: PathBuf,
    /// Holds the lock that tells other processes that `session` is in use.
    _session_lock: File,
    next: AtomicU64,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next `open`.
        let _ = fs::remove_dir_all(&self.session);
    }
}

/// A readable entry.
#[derive(Debug)]
pub struct Entry {
    /// Open at offset 0.
    pub file: File,
    /// Where it lies; may be pruned by others once the store is closed.
    pub path: PathBuf,
    /// Length of the content, without a trailer.
    pub len_bytes: u64,
}

impl Entry {
    /// The content, from the file's current position.
    pub fn reader(&self) -> io::Take<&File> {
        (&self.file).take(self.len_bytes)
    }
}

/// A file that was moved into the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Its digest and key.
    pub sha256: Sha256,
    /// Its length.
    pub len_bytes: u64,
    /// Where it lies now.
    pub path: PathBuf,
}

/// A private folder, removed when dropped or, after a kill, by the next [`Store::open`].
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    _store: Store,
}

impl Scratch {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Where the store lies: `SKERRY_CACHE_DIR`, else `skerry` in `XDG_CACHE_HOME` (XDG Base Directory 0.8: absolute, or
/// ignored), else `.cache/skerry` in `HOME`. An empty value is none.
pub fn default_root(
    cache_dir: Option<&OsStr>,
    xdg_cache_home: Option<&OsStr>,
    home: Option<&OsStr>,
) -> Result<PathBuf, StoreError> {
    let given = |value: Option<&OsStr>| value.filter(|text| !text.is_empty()).map(PathBuf::from);
    let xdg = given(xdg_cache_home).filter(|path| path.is_absolute());
    given(cache_dir)
        .or_else(|| xdg.map(|path| path.join("skerry")))
        .or_else(|| given(home).map(|path| path.join(".cache/skerry")))
        .ok_or(StoreError::NoHome)
}

impl Store {
    /// Opens the store below `root`, makes its folders, and removes what dead processes left. Waits while another
    /// process prunes.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let root = std::path::absolute(root).map_err(|source| StoreError::create(root, source))?;
        for folder in Shelf::ALL.map(Shelf::name).into_iter().chain(["tmp", "partial"]) {
            make_folder(&root.join(folder))?;
        }
        let lock = root.join("lock");
        let users = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock)
            .map_err(|source| StoreError::create(&lock, source))?;
        users
            .lock_shared()
            .map_err(|source| StoreError::Lock { path: lock, source })?;
        let tmp = root.join("tmp");
        sweep(&tmp)?;
        let (session, session_lock) = begin_session(&tmp)?;
        let inner = Inner {
            root,
            users,
            session,
            _session_lock: session_lock,
            next: AtomicU64::new(0),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The folder that holds all of it.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// Where the entry lies, if it is there and whole. The file may be longer than the content: see [`TRAILER_LEN`].
    pub fn get(&self, shelf: Shelf, key: &Sha256) -> Option<PathBuf> {
        self.open_entry(shelf, key).map(|entry| entry.path)
    }

    /// The entry, if it is there and whole; one that cannot be read counts as missing, and making it again tells why.
    pub fn open_entry(&self, shelf: Shelf, key: &Sha256) -> Option<Entry> {
        let path = self.entry_path(shelf, key);
        let file = File::open(&path).ok()?;
        let metadata = file.metadata().ok()?;
        let len_bytes = match shelf.keeping() {
            Keeping::ByContent | Keeping::SelfChecked => metadata.len(),
            Keeping::Derived => {
                let Some(len_bytes) = whole_length(&file, metadata.len()) else {
                    // If another process has just replaced it, that one is lost too: it can be made again.
                    let _ = fs::remove_file(&path);
                    return None;
                };
                len_bytes
            }
        };
        note_use(&file, &metadata);
        Some(Entry { file, path, len_bytes })
    }

    /// The entry's content in memory; for small ones.
    pub fn read(&self, shelf: Shelf, key: &Sha256) -> Option<Vec<u8>> {
        let entry = self.open_entry(shelf, key)?;
        let mut content = Vec::new();
        entry.reader().read_to_end(&mut content).ok()?;
        (content.len() as u64 == entry.len_bytes).then_some(content)
    }

    /// A file that becomes the entry when committed, and vanishes otherwise.
    pub fn pending(&self, shelf: Shelf, key: &Sha256) -> Result<Pending, StoreError> {
        Pending::create(self, shelf, key)
    }

    /// The file of a download, with what an earlier attempt left in it, kept when not committed. `None` while another
    /// process or thread works on the same one.
    pub fn resume(&self, key: &Sha256) -> Result<Option<Pending>, StoreError> {
        Pending::resume(self, key)
    }

    /// Forgets an entry.
    pub fn remove(&self, shelf: Shelf, key: &Sha256) -> Result<(), StoreError> {
        let path = self.entry_path(shelf, key);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(StoreError::Remove { path, source }),
            _ => Ok(()),
        }
    }

    /// A private folder on the store's file system.
    pub fn scratch(&self) -> Result<Scratch, StoreError> {
        let path = self.fresh_name();
        fs::create_dir(&path).map_err(|source| StoreError::create(&path, source))?;
        Ok(Scratch {
            path,
            _store: self.clone(),
        })
    }

    /// Moves a file out of a [`Scratch`] folder onto the shelf of components, under its content's digest.
    pub fn import(&self, path: &Path) -> Result<Imported, StoreError> {
        let read_error = |source| StoreError::read(path, source);
        let mut reader = HashingReader::new(File::open(path).map_err(read_error)?);
        io::copy(&mut reader, &mut io::sink()).map_err(read_error)?;
        let (sha256, len_bytes) = reader.finish();
        File::open(path)
            .and_then(|file| file.sync_all())
            .map_err(|source| StoreError::sync(path, source))?;
        let path = self.publish(path, Shelf::Components, &sha256)?;
        Ok(Imported {
            sha256,
            len_bytes,
            path,
        })
    }

    fn entry_path(&self, shelf: Shelf, key: &Sha256) -> PathBuf {
        let name = key.to_string();
        self.inner.root.join(shelf.name()).join(&name[..2]).join(&name)
    }

    fn fresh_name(&self) -> PathBuf {
        let number = self.inner.next.fetch_add(1, Ordering::Relaxed);
        self.inner.session.join(number.to_string())
    }

    /// Gives a whole file its name; on shelves by content the name lasts from here on.
    fn publish(&self, from: &Path, shelf: Shelf, key: &Sha256) -> Result<PathBuf, StoreError> {
        let path = self.entry_path(shelf, key);
        let folder = path.parent().expect("an entry lies in a folder of its shelf");
        if !folder.is_dir() {
            make_folder(folder)?;
            if shelf.keeping() == Keeping::ByContent {
                sync_folder(&self.inner.root.join(shelf.name()))?;
            }
        }
        if let Err(source) = fs::rename(from, &path) {
            return Err(StoreError::Publish { path, source });
        }
        if shelf.keeping() == Keeping::ByContent {
            sync_folder(folder)?;
        }
        Ok(path)
    }
}

fn make_folder(path: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(path).map_err(|source| StoreError::create(path, source))
}

/// Without this a power cut may take the new name, and with it the file, away again (`fsync(2)`).
fn sync_folder(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| StoreError::sync(path, source))
}

/// The content's length, if the trailer is there and agrees with the file's length.
fn whole_length(file: &File, file_len: u64) -> Option<u64> {
    let len_bytes = file_len.checked_sub(TRAILER_LEN)?;
    let mut trailer = [0; TRAILER_LEN as usize];
    file.read_exact_at(&mut trailer, len_bytes).ok()?;
    (trailer == trailer_of(len_bytes)).then_some(len_bytes)
}

fn trailer_of(len_bytes: u64) -> [u8; TRAILER_LEN as usize] {
    let mut trailer = [0; TRAILER_LEN as usize];
    trailer[..8].copy_from_slice(&len_bytes.to_le_bytes());
    trailer[8..].copy_from_slice(&TRAILER_MAGIC);
    trailer
}

fn note_use(file: &File, metadata: &fs::Metadata) {
    let now = SystemTime::now();
    let stale = |last_use| now.duration_since(last_use).is_ok_and(|age| age > USE_RESOLUTION);
    if metadata.modified().is_ok_and(stale) {
        // In a store that cannot be written, the order of pruning does not matter either.
        let _ = file.set_modified(now);
    }
}
