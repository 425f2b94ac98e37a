//! Why two images cannot be compared.

use std::io;

use crate::failure::{Diagnose, FailureKind};
use crate::squashfs::read::ReadError;

/// A failed comparison.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// A root file system cannot be read.
    #[error("cannot read the root file system of `{file}`")]
    Root {
        /// The image's file name.
        file: String,
        /// Why.
        source: ReadError,
    },
    /// A file of a root file system cannot be read.
    #[error("cannot read {path} in the root file system of `{file}`")]
    File {
        /// The image's file name.
        file: String,
        /// The path in the image.
        path: String,
        /// Why.
        source: ReadError,
    },
    /// A part of the disk cannot be read.
    #[error("cannot read the {part} of `{file}` at byte {offset} of it")]
    Part {
        /// What it is, such as `root partition`.
        part: &'static str,
        /// The image's file name.
        file: String,
        /// Where in the part.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// More content than any honest image has.
    #[error("`{file}` describes an absurd amount of file content")]
    TooMuch {
        /// The image's file name.
        file: String,
    },
}

impl Diagnose for DiffError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Root { source, .. } | Self::File { source, .. } => source.kind(),
            Self::Part { .. } => FailureKind::Request,
            Self::TooMuch { .. } => FailureKind::Verification,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Root { file, .. } | Self::File { file, .. } => {
                vec![format!("`skerry inspect` tells whether `{file}` is as it was built")]
            }
            _ => Vec::new(),
        }
    }
}
