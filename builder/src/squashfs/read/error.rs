//! Why an image cannot be read.

use std::io;

use crate::failure::{Diagnose, FailureKind};

use super::EntryPath;

/// A failed read, or an image that contradicts itself.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The bytes could not be read.
    #[error("cannot read the squashfs image at offset {offset}")]
    Read {
        /// Where in the image.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No squashfs image, or one of another kind.
    #[error("the squashfs superblock has {0}")]
    Superblock(&'static str),
    /// A block that cannot be unpacked.
    #[error("cannot unpack the block at offset {offset} of the squashfs image")]
    Unpack {
        /// Where in the image.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A block with an impossible place or size.
    #[error("the block at offset {offset} of the squashfs image has {what}")]
    Block {
        /// Where in the image.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// An inode that cannot be.
    #[error("the inode at {reference:#x} of the squashfs image has {what}")]
    Inode {
        /// Block position in the inode table, shifted left by 16, and offset in that block.
        reference: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A folder's listing that cannot be.
    #[error("the listing of {path} in the squashfs image has {what}")]
    Listing {
        /// The folder.
        path: EntryPath,
        /// What is wrong.
        what: &'static str,
    },
    /// A set of extended attributes that cannot be.
    #[error("set {set} of the squashfs image's extended attributes has {what}")]
    Xattrs {
        /// Its number.
        set: u32,
        /// What is wrong.
        what: &'static str,
    },
    /// A file that is longer than the caller wants to hold.
    #[error("the file has {len_bytes} bytes, more than the {max_bytes} that may be read")]
    FileTooLong {
        /// Its length.
        len_bytes: u64,
        /// The limit.
        max_bytes: u64,
    },
    /// More than any honest image has.
    #[error("the squashfs image describes an absurd amount of {0}")]
    TooMuch(&'static str),
}

impl Diagnose for ReadError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Read { .. } | Self::FileTooLong { .. } => FailureKind::Request,
            _ => FailureKind::Verification,
        }
    }
}
