//! What can be wrong with a lock file.

use super::LOCK_VERSION;
use crate::failure::{Diagnose, FailureKind};

/// A lock file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// Larger than any lock.
    #[error("{path} is larger than {max_bytes} bytes")]
    TooLarge {
        /// The file.
        path: String,
        /// The bound.
        max_bytes: usize,
    },
    /// It is no TOML, a key is missing or unknown, or a value is none of the allowed.
    #[error("{path}:{line}:{column}: {message}")]
    Text {
        /// The file.
        path: String,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong.
        message: String,
        /// The line and a caret.
        excerpt: String,
    },
    /// A newer Skerry wrote it.
    #[error("{path} has version {version}, and this Skerry reads up to version {LOCK_VERSION}")]
    Newer {
        /// The file.
        path: String,
        /// Its version.
        version: u32,
    },
}

impl Diagnose for LockError {
    fn kind(&self) -> FailureKind {
        FailureKind::Request
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Newer { .. } => vec!["update Skerry, or make the lock anew with `skerry lock --update`".to_owned()],
            Self::TooLarge { .. } | Self::Text { .. } => {
                vec!["restore the file from version control, or make it anew with `skerry lock --update`".to_owned()]
            }
        }
    }

    fn excerpt(&self) -> Option<String> {
        match self {
            Self::Text { excerpt, .. } => Some(excerpt.clone()),
            _ => None,
        }
    }
}
