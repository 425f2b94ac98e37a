//! Where compressed blocks outlive a build.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::digest::Sha256;

/// Keeps batches of compressed blocks, about 2 MiB of file data each. Keys are computed from file digests, never from
/// content, so a build with a full cache reads no file. Values carry their own digest: a torn or altered value is taken
/// for a miss and put again. Both methods are called from many threads; failing to keep a value is no error.
pub trait BlockCache: Sync {
    /// The value of `key`, if it is there.
    fn get(&self, key: &Sha256) -> Option<Vec<u8>>;

    /// Keeps `value`; equal keys always have equal values.
    fn put(&self, key: &Sha256, value: &[u8]);
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCache;

impl BlockCache for NoCache {
    fn get(&self, _key: &Sha256) -> Option<Vec<u8>> {
        None
    }

    fn put(&self, _key: &Sha256, _value: &[u8]) {}
}

/// Keeps everything in memory.
#[derive(Debug, Default)]
pub struct MemoryCache {
    values: Mutex<BTreeMap<Sha256, Vec<u8>>>,
}

impl BlockCache for MemoryCache {
    fn get(&self, key: &Sha256) -> Option<Vec<u8>> {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.get(key).cloned()
    }

    fn put(&self, key: &Sha256, value: &[u8]) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.insert(*key, value.to_vec());
    }
}
