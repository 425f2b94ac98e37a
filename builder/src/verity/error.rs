//! Why a hash tree cannot be made, or does not hold.

use std::io;

use crate::failure::{Diagnose, FailureKind};

/// A failed operation on a hash tree, or a block that differs.
#[derive(Debug, thiserror::Error)]
pub enum VerityError {
    /// dm-verity covers whole blocks.
    #[error("the image has {len_bytes} bytes, which is no positive multiple of 4096")]
    DataLength {
        /// Length of the image.
        len_bytes: u64,
    },
    /// The image could not be read.
    #[error("cannot read the image at offset {offset}")]
    ReadData {
        /// Where in the image.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The tree could not be read.
    #[error("cannot read the hash tree at offset {offset}")]
    ReadTree {
        /// Where in the tree, from its superblock on.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The tree could not be written.
    #[error("cannot write the hash tree at offset {offset}")]
    WriteTree {
        /// Where in the tree, from its superblock on.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No superblock, or one of another kind of tree.
    #[error("the hash tree's superblock has {0}")]
    Superblock(&'static str),
    /// The superblock promises more data than there is.
    #[error("the hash tree is for {data_blocks} blocks of 4096 bytes, but the image has only {len_bytes} bytes")]
    DataTooShort {
        /// Blocks by the superblock.
        data_blocks: u64,
        /// Length of the image.
        len_bytes: u64,
    },
    /// The tree ends too early.
    #[error("the hash tree of {data_blocks} blocks needs {needed_bytes} bytes, but there are only {len_bytes}")]
    TreeTooShort {
        /// Blocks by the superblock.
        data_blocks: u64,
        /// What superblock and tree take.
        needed_bytes: u64,
        /// What there is.
        len_bytes: u64,
    },
    /// A hash block differs from the digest above it.
    #[error("block {block} of the hash tree (level {level}, counted from the data) does not match the digest above it")]
    TreeBlock {
        /// Block of 4096 bytes, counted from the superblock, which is block 0.
        block: u64,
        /// 0 is the level right above the data.
        level: usize,
    },
    /// A data block differs from its digest.
    #[error("block {block} of the image (offset {offset}) does not match its digest in the hash tree")]
    DataBlock {
        /// Block of 4096 bytes.
        block: u64,
        /// Its position in bytes.
        offset: u64,
    },
}

impl Diagnose for VerityError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::DataLength { .. } => FailureKind::Bug,
            Self::ReadData { .. } | Self::ReadTree { .. } | Self::WriteTree { .. } => FailureKind::Request,
            _ => FailureKind::Verification,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::TreeBlock { .. } | Self::DataBlock { .. } => {
                vec!["the image was changed after it was built; take a fresh copy or build it again".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}
