//! One file on its way into the store.

use std::fmt;
use std::time::Duration;

use super::error::{Actual, WrongContent};
use super::{FetchError, MAX_LEN_BYTES, Wanted};
use crate::mirror::without_credentials;
use crate::store::{Pending, Shelf, Store, StoreError};

/// How often to look whether another process has finished the same download.
const POLL: Duration = Duration::from_millis(100);

/// A file on its way, and how far its progress was told.
pub(super) struct Download<'a> {
    pub(super) wanted: &'a Wanted,
    pub(super) store: &'a Store,
    advance: &'a (dyn Fn(u64) + Sync),
    /// Bytes of progress told so far.
    pub(super) told: u64,
}

impl<'a> Download<'a> {
    pub(super) fn new(wanted: &'a Wanted, store: &'a Store, advance: &'a (dyn Fn(u64) + Sync)) -> Self {
        Self {
            wanted,
            store,
            advance,
            told: 0,
        }
    }

    /// Tells progress; what is read a second time after a restart is not told again.
    pub(super) fn reached(&mut self, position: u64) {
        if position > self.told {
            (self.advance)(position - self.told);
            self.told = position;
        }
    }

    /// Compares a whole file's length with the pinned one.
    pub(super) fn check_length(&self, len_bytes: u64) -> Result<(), FetchError> {
        match self.wanted.len_bytes {
            Some(expected) if len_bytes > expected => Err(self.wrong(Actual::LongerThan(expected))),
            Some(expected) if len_bytes < expected => Err(self.wrong(Actual::Length(len_bytes))),
            None if len_bytes > MAX_LEN_BYTES => Err(self.wrong(Actual::LongerThan(MAX_LEN_BYTES))),
            _ => Ok(()),
        }
    }

    /// Makes it visible, if it is the pinned content.
    pub(super) fn commit(&self, pending: Pending) -> Result<(), FetchError> {
        pending.commit().map(drop).map_err(|error| self.explain(error))
    }

    /// What the store's refusal means.
    pub(super) fn explain(&self, error: StoreError) -> FetchError {
        match error {
            StoreError::WrongContent { actual, len_bytes, .. } => self.wrong(Actual::Content {
                sha256: actual,
                len_bytes,
            }),
            error => error.into(),
        }
    }

    /// The error for content that is not the pinned one.
    pub(super) fn wrong(&self, actual: Actual) -> FetchError {
        FetchError::WrongContent(Box::new(WrongContent {
            label: self.wanted.label.clone(),
            url: without_credentials(&self.wanted.url),
            sha256: self.wanted.sha256,
            len_bytes: self.wanted.len_bytes,
            actual,
        }))
    }
}

impl fmt::Debug for Download<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("wanted", &self.wanted)
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}

/// Waits until the download is ours; `None` when somebody else has finished it meanwhile.
pub(super) async fn take_turn(download: &Download<'_>) -> Result<Option<Pending>, FetchError> {
    let key = &download.wanted.sha256;
    loop {
        let pending = download.store.resume(key)?;
        // Looked up after the lock was taken: whoever had it before may have finished in between.
        if download.store.get(Shelf::Inputs, key).is_some() {
            if let Some(pending) = pending {
                pending.discard();
            }
            return Ok(None);
        }
        match pending {
            Some(pending) => return Ok(Some(pending)),
            None => tokio::time::sleep(POLL).await,
        }
    }
}
