//! Files on their way into the store.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::session::is_at;
use super::{Keeping, Shelf, Store, StoreError, trailer_of};
use crate::digest::{HashingWriter, Sha256};

/// A file that is being written. It becomes an entry by [`Pending::commit`] and by nothing else.
#[derive(Debug)]
pub struct Pending {
    store: Store,
    shelf: Shelf,
    key: Sha256,
    file: File,
    path: PathBuf,
    /// Digest and length so far; `None` once the writer has jumped, then the file is read again before it is committed.
    streamed: Option<HashingWriter<io::Sink>>,
    when_dropped: WhenDropped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WhenDropped {
    Remove,
    Keep,
}

impl Pending {
    pub(super) fn create(store: &Store, shelf: Shelf, key: &Sha256) -> Result<Self, StoreError> {
        let path = store.fresh_name();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|source| StoreError::create(&path, source))?;
        Ok(Self {
            store: store.clone(),
            shelf,
            key: *key,
            file,
            path,
            streamed: Some(HashingWriter::new(io::sink())),
            when_dropped: WhenDropped::Remove,
        })
    }

    pub(super) fn resume(store: &Store, key: &Sha256) -> Result<Option<Self>, StoreError> {
        let path = store.inner.root.join("partial").join(key.to_string());
        let Some(mut file) = open_locked(&path)? else {
            return Ok(None);
        };
        let mut streamed = HashingWriter::new(io::sink());
        io::copy(&mut file, &mut streamed).map_err(|source| StoreError::read(&path, source))?;
        Ok(Some(Self {
            store: store.clone(),
            shelf: Shelf::Inputs,
            key: *key,
            file,
            path,
            streamed: Some(streamed),
            when_dropped: WhenDropped::Keep,
        }))
    }

    /// How many bytes are in it.
    pub fn len_bytes(&self) -> Result<u64, StoreError> {
        let metadata = self.file.metadata();
        Ok(metadata.map_err(|source| StoreError::read(&self.path, source))?.len())
    }

    /// Drops what was written so far and starts again.
    pub fn restart(&mut self) -> Result<(), StoreError> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
        emptied.map_err(|source| self.write_error(source))?;
        self.streamed = Some(HashingWriter::new(io::sink()));
        Ok(())
    }

    /// Removes the file now instead of leaving it for a later attempt.
    pub fn discard(mut self) {
        self.when_dropped = WhenDropped::Remove;
    }

    /// What an error of its [`Write`] means. A full disk also gives up what could have been resumed: it would stay full.
    pub fn write_error(&mut self, source: io::Error) -> StoreError {
        if source.kind() == io::ErrorKind::StorageFull {
            self.when_dropped = WhenDropped::Remove;
        }
        StoreError::Write {
            path: self.path.clone(),
            source,
        }
    }

    /// Makes it an entry and tells where. Content under another content's digest is refused.
    pub fn commit(mut self) -> Result<PathBuf, StoreError> {
        let kept = match self.shelf.keeping() {
            Keeping::ByContent => {
                self.check_content()?;
                self.file.sync_all()
            }
            Keeping::Derived => self.append_trailer(),
            Keeping::SelfChecked => Ok(()),
        };
        kept.map_err(|source| self.write_error(source))?;
        let path = self.store.publish(&self.path, self.shelf, &self.key)?;
        // The old name is gone, and nobody else can have taken it: names are used once, or locked until we close.
        self.when_dropped = WhenDropped::Keep;
        Ok(path)
    }

    fn check_content(&mut self) -> Result<(), StoreError> {
        let streamed = match self.streamed.take() {
            Some(streamed) => streamed,
            None => self.read_again()?,
        };
        let (_, actual, len_bytes) = streamed.finish();
        if actual == self.key {
            return Ok(());
        }
        self.when_dropped = WhenDropped::Remove;
        Err(StoreError::WrongContent {
            shelf: self.shelf,
            expected: self.key,
            actual,
            len_bytes,
        })
    }

    fn read_again(&mut self) -> Result<HashingWriter<io::Sink>, StoreError> {
        let mut hasher = HashingWriter::new(io::sink());
        self.file
            .rewind()
            .and_then(|()| io::copy(&mut self.file, &mut hasher))
            .map_err(|source| StoreError::read(&self.path, source))?;
        Ok(hasher)
    }

    fn append_trailer(&mut self) -> io::Result<()> {
        let len_bytes = self.file.seek(SeekFrom::End(0))?;
        self.file.write_all(&trailer_of(len_bytes))
    }
}

impl Write for Pending {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.file.write(buffer)?;
        // Only shelves by content need the digest.
        if let (Keeping::ByContent, Some(streamed)) = (self.shelf.keeping(), &mut self.streamed) {
            streamed.write_all(&buffer[..count])?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Pending {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.streamed = None;
        self.file.read(buffer)
    }
}

impl Seek for Pending {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.streamed = None;
        self.file.seek(to)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.when_dropped == WhenDropped::Remove {
            // Should it fail, the file lies in a session folder that is swept, or is found wrong and restarted.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Opens and locks a file that others may finish and rename at any moment; `None` while somebody else has it.
fn open_locked(path: &Path) -> Result<Option<File>, StoreError> {
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|source| StoreError::create(path, source))?;
        match file.try_lock() {
            Ok(()) if is_at(&file, path) => return Ok(Some(file)),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(source)) => {
                let path = path.to_owned();
                return Err(StoreError::Lock { path, source });
            }
        }
    }
}
