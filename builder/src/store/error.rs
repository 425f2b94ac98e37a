//! What can go wrong in the store.

use std::io;
use std::path::{Path, PathBuf};

use super::Shelf;
use crate::digest::Sha256;
use crate::failure::{Diagnose, FailureKind};

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Neither a cache folder nor a home folder is known.
    #[error("there is no folder for the cache: neither `SKERRY_CACHE_DIR` nor `XDG_CACHE_HOME` nor `HOME` is set")]
    NoHome,
    /// A file or folder could not be made.
    #[error("cannot create `{path}`")]
    Create {
        /// Which.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write `{path}`")]
    Write {
        /// Which.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file or folder could not be read.
    #[error("cannot read `{path}`")]
    Read {
        /// Which.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file or folder could not be flushed to the disk.
    #[error("cannot flush `{path}` to the disk")]
    Sync {
        /// Which.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A whole file could not get its name.
    #[error("cannot put a file at `{path}`")]
    Publish {
        /// The name.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file could not be removed.
    #[error("cannot remove `{path}`")]
    Remove {
        /// Which.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file system refused a lock.
    #[error("cannot lock `{path}`")]
    Lock {
        /// Which file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Content was to be stored under another content's digest.
    #[error("content of {len_bytes} bytes for `{}` has sha256 {actual}, expected {expected}", shelf.name())]
    WrongContent {
        /// Where it should have gone.
        shelf: Shelf,
        /// The key.
        expected: Sha256,
        /// The content's digest.
        actual: Sha256,
        /// The content's length.
        len_bytes: u64,
    },
    /// Somebody else has the store open.
    #[error("the cache `{root}` is in use by another process")]
    Busy {
        /// The store's folder.
        root: PathBuf,
    },
}

impl StoreError {
    pub(super) fn create(path: &Path, source: io::Error) -> Self {
        Self::Create {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn sync(path: &Path, source: io::Error) -> Self {
        Self::Sync {
            path: path.to_owned(),
            source,
        }
    }

    /// The operating system's reason, if it has one.
    pub fn io(&self) -> Option<&io::Error> {
        match self {
            Self::Create { source, .. }
            | Self::Write { source, .. }
            | Self::Read { source, .. }
            | Self::Sync { source, .. }
            | Self::Publish { source, .. }
            | Self::Remove { source, .. }
            | Self::Lock { source, .. } => Some(source),
            Self::NoHome | Self::WrongContent { .. } | Self::Busy { .. } => None,
        }
    }
}

impl Diagnose for StoreError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::WrongContent { .. } => FailureKind::Verification,
            _ => FailureKind::Request,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match (self, self.io().map(io::Error::kind)) {
            (Self::NoHome, _) => "set `SKERRY_CACHE_DIR` to a folder on a disk with a few gigabytes free",
            (Self::Busy { .. }, _) => "wait until the other `skerry` has ended, then try again",
            (_, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)) => {
                "make room with `skerry cache prune`, or set `SKERRY_CACHE_DIR` to a folder on another disk"
            }
            (_, Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)) => {
                "set `SKERRY_CACHE_DIR` to a folder that you can write to"
            }
            _ => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}
