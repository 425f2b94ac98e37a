//! The store as the stages' caches: each asks by a key of its own and knows nothing of the store.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use crate::deb::unpack::{PendingFile, UnpackCache};
use crate::digest::Sha256;
use crate::rootfs::modules::ModuleInfoCache;
use crate::squashfs::BlockCache;
use crate::store::{Pending, Shelf, Store};

/// Whether compressed blocks and other results of computing are kept from build to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockCaching {
    /// Kept, and used.
    On,
    /// Neither kept nor used.
    Off,
}

/// A store, seen as the caches of several stages.
#[derive(Debug, Clone, Copy)]
pub struct StoreCache<'a> {
    store: &'a Store,
    blocks: BlockCaching,
}

impl<'a> StoreCache<'a> {
    /// The caches in `store`.
    pub const fn new(store: &'a Store, blocks: BlockCaching) -> Self {
        Self { store, blocks }
    }

    fn read(&self, shelf: Shelf, key: &Sha256) -> Option<Vec<u8>> {
        match self.blocks {
            BlockCaching::On => self.store.read(shelf, key),
            BlockCaching::Off => None,
        }
    }

    /// A cache that cannot be written costs time, not the build; the full disk that is its usual cause is told when an
    /// artifact meets it.
    fn keep(&self, shelf: Shelf, key: &Sha256, value: &[u8]) {
        if self.blocks == BlockCaching::Off {
            return;
        }
        let kept = self
            .store
            .pending(shelf, key)
            .and_then(|mut pending| match pending.write_all(value) {
                Ok(()) => pending.commit().map(drop),
                Err(source) => Err(pending.write_error(source)),
            });
        if let Err(error) = kept {
            tracing::debug!(%error, "a result was not kept");
        }
    }
}

impl BlockCache for StoreCache<'_> {
    fn get(&self, key: &Sha256) -> Option<Vec<u8>> {
        self.read(Shelf::Blocks, key)
    }

    fn put(&self, key: &Sha256, value: &[u8]) {
        self.keep(Shelf::Blocks, key, value);
    }
}

impl ModuleInfoCache for StoreCache<'_> {
    fn get(&self, key: &Sha256) -> Option<Vec<u8>> {
        self.read(Shelf::Builds, key)
    }

    fn put(&self, key: &Sha256, value: &[u8]) {
        self.keep(Shelf::Builds, key, value);
    }
}

impl UnpackCache for StoreCache<'_> {
    fn open(&self, key: &Sha256) -> io::Result<Option<File>> {
        self.store.get(Shelf::Unpacked, key).map(File::open).transpose()
    }

    fn create(&self, key: &Sha256) -> io::Result<Box<dyn PendingFile>> {
        Ok(Box::new(PendingEntry(
            self.store.pending(Shelf::Unpacked, key).map_err(io::Error::other)?,
        )))
    }
}

/// An entry of the store on its way.
#[derive(Debug)]
struct PendingEntry(Pending);

impl Write for PendingEntry {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Seek for PendingEntry {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.0.seek(position)
    }
}

impl PendingFile for PendingEntry {
    fn commit(self: Box<Self>) -> io::Result<File> {
        File::open(self.0.commit().map_err(io::Error::other)?)
    }
}
