//! The dm-verity hash tree of a file system image.
//!
//! In: an image whose length is a multiple of 4096, a salt and a UUID. Out: what `veritysetup format` writes for hash
//! type 1, SHA-256 and blocks of 4096 bytes (cryptsetup wiki "DMVerity"; `Documentation/admin-guide/device-mapper/
//! verity.rst` of Linux): the superblock in block 0, then the levels of the tree, the topmost first; and the root hash
//! that pins all of it. [`verify`] checks an image against a root hash the way the kernel would, and names the first
//! block that differs.
//!
//! Not supported, on purpose: other algorithms, block sizes and salt lengths, error correction data, a hash tree that
//! begins elsewhere than right behind the superblock.

mod error;
mod hash_tree;
mod partition_ids;
mod superblock;

use std::fmt;
use std::io::Write;
use std::str::FromStr;

use crate::digest::{BadDigest, Sha256};
use crate::squashfs::ReadAt;

pub use error::VerityError;
pub use partition_ids::{PartitionId, PartitionIds};
pub use superblock::Superblock;

/// Bytes of a data block and of a hash block.
pub const BLOCK_LEN: usize = 4096;
/// Before the root hash on the kernel command line.
const ROOT_HASH_KEY: &str = "roothash=";

/// The digest that pins an image; `Display` is what the kernel command line's `roothash=` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootHash(Sha256);

impl RootHash {
    /// A root hash that was computed elsewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Sha256::from_bytes(bytes))
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The PARTUUIDs by which the root and verity partitions are found.
    pub fn partition_ids(&self) -> PartitionIds {
        PartitionIds::of(self)
    }
}

impl fmt::Display for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for RootHash {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        text.parse().map(Self)
    }
}

/// The root hash that a kernel command line names (`roothash=`, systemd-veritysetup-generator(8)).
pub fn named_root_hash(command_line: &str) -> Option<Sha256> {
    let mut words = command_line.split_ascii_whitespace();
    words.find_map(|word| word.strip_prefix(ROOT_HASH_KEY))?.parse().ok()
}

/// A hash tree: what `dm-verity` needs to be told, and how much room the tree takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verity {
    /// Pins data and tree.
    pub root_hash: RootHash,
    /// Hashed before every block.
    pub salt: [u8; 32],
    /// Identifies the hash tree; no part of the root hash.
    pub uuid: [u8; 16],
    /// Length of the data in blocks of 4096 bytes.
    pub data_blocks: u64,
    /// Length of superblock and tree, a multiple of 4096.
    pub len_bytes: u64,
}

/// Writes superblock and hash tree of `data` to `out`. Data is read in the current rayon pool, half a MiB for each thread
/// at a time; the tree itself, 1/127 of the data, is held in memory, because its last level comes first.
pub fn build(
    data: &(impl ReadAt + ?Sized),
    salt: [u8; 32],
    uuid: [u8; 16],
    out: &mut impl Write,
) -> Result<Verity, VerityError> {
    let len_bytes = data.len_bytes();
    if len_bytes == 0 || !len_bytes.is_multiple_of(BLOCK_LEN as u64) {
        return Err(VerityError::DataLength { len_bytes });
    }
    let superblock = Superblock {
        uuid,
        salt,
        data_blocks: len_bytes / BLOCK_LEN as u64,
    };
    let tree = hash_tree::HashTree::of(data, &superblock)?;
    let mut written = 0;
    let header = superblock.to_bytes();
    for block in std::iter::once(header.as_slice()).chain(tree.levels.iter().rev().map(Vec::as_slice)) {
        out.write_all(block).map_err(|source| VerityError::WriteTree {
            offset: written,
            source,
        })?;
        written += block.len() as u64;
    }
    Ok(Verity {
        root_hash: tree.root,
        salt,
        uuid,
        data_blocks: superblock.data_blocks,
        len_bytes: written,
    })
}

/// Checks that the superblock in `hash` describes `data`, and that every block of tree and data leads up to `root_hash`.
/// The error names the first block that does not: the tree's blocks are checked before the data, from the top down.
pub fn verify(
    data: &(impl ReadAt + ?Sized),
    hash: &(impl ReadAt + ?Sized),
    root_hash: &RootHash,
) -> Result<Verity, VerityError> {
    let superblock = read_superblock(hash)?;
    if superblock.data_blocks > data.len_bytes() / BLOCK_LEN as u64 {
        return Err(VerityError::DataTooShort {
            data_blocks: superblock.data_blocks,
            len_bytes: data.len_bytes(),
        });
    }
    let len_bytes = hash_tree::verify(data, hash, &superblock, root_hash)?;
    Ok(Verity {
        root_hash: *root_hash,
        salt: superblock.salt,
        uuid: superblock.uuid,
        data_blocks: superblock.data_blocks,
        len_bytes,
    })
}

/// What superblock and hash tree of so many data blocks take.
pub fn tree_bytes(data_blocks: u64) -> u64 {
    let blocks: u64 = hash_tree::level_lens(data_blocks).iter().sum();
    (blocks + 1).saturating_mul(BLOCK_LEN as u64)
}

/// Reads the superblock at the start of a hash partition.
pub fn read_superblock(hash: &(impl ReadAt + ?Sized)) -> Result<Superblock, VerityError> {
    let mut bytes = [0; superblock::LEN];
    hash.read_at(&mut bytes, 0)
        .map_err(|source| VerityError::ReadTree { offset: 0, source })?;
    Superblock::from_bytes(&bytes).map_err(VerityError::Superblock)
}

#[cfg(test)]
mod tests;
