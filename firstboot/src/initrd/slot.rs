//! Recognises a slot of a disk with an MBR: one partition with the root file system and, behind it, its hashes.
//!
//! ```text
//! 0             squashfs, padded to a multiple of 4096
//! end of it     verity superblock, in a block of its own
//! next block    the hash tree, the topmost block first (hash type 1)
//! ```
//!
//! Flows in: a way to read ranges of the partition, and the root hash. Flows out: where the hashes begin, if this is the
//! slot that the hash pins.
//!
//! A slot is known by its content, because an MBR has no ids that could bear the halves of a root hash. The kernel
//! command line could name slot and offset instead, but then a kernel image would fit one of the slots only: an update
//! would need another one for the same root, and a slot that was written elsewhere would not be found. By content the
//! command line is the same on every disk and says `roothash=` alone, and one block of hashes proves the choice: whoever
//! makes that block fit has found a collision of SHA-256. dm-verity checks everything below it, as it does anywhere.
//!
//! Specifications: squashfs 4.0 (`fs/squashfs/squashfs_fs.h` of Linux), cryptsetup's verity superblock version 1.
//! Deliberately not supported: a root of a single block, which has no tree.

use std::io;

use sha2::{Digest as _, Sha256};

use super::ids::RootHash;
use super::verity::{SUPERBLOCK_BYTES, Superblock, SuperblockError};

/// The file system is padded to these, and so the hashes begin at a multiple of them.
const BLOCK_BYTES: u64 = 4096;
/// As much of squashfs' superblock as is of interest.
const SQUASHFS_BYTES: usize = 48;
const SQUASHFS_MAGIC: &[u8] = b"hsqs";
/// Offset of `bytes_used`.
const BYTES_USED_AT: usize = 40;
/// The largest hash block that [`Superblock::parse`] lets pass.
const HASH_BLOCK_MAX_BYTES: usize = 4096;

/// A partition as this module needs it.
pub trait Slot {
    /// Fills `buffer` from `offset` (bytes) on.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// Its length.
    fn len_bytes(&self) -> u64;
}

/// Why a partition is not the slot that is looked for.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// The disk does not answer.
    #[error("it cannot be read at {offset}")]
    Read {
        /// Where, in bytes.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It begins with something else, or with nothing yet.
    #[error("it holds no squashfs")]
    NoSquashfs,
    /// It says that it is longer than the partition, or leaves no room for hashes.
    #[error("its squashfs of {bytes_used} bytes leaves no room for hashes in {len_bytes} bytes")]
    NoRoom {
        /// What the file system says.
        bytes_used: u64,
        /// What there is.
        len_bytes: u64,
    },
    /// There are no hashes behind it.
    #[error("the hashes at {offset} cannot be used")]
    Superblock {
        /// Where they should begin.
        offset: u64,
        /// Why.
        #[source]
        source: SuperblockError,
    },
    /// The hashes cover more than lies before them.
    #[error("its hashes cover {data_bytes} bytes, but begin at {offset}")]
    Covers {
        /// What they cover.
        data_bytes: u64,
        /// Where they begin.
        offset: u64,
    },
    /// Everything is there, of another version.
    #[error("it holds another image")]
    OtherRoot,
}

/// Where the hashes begin, in bytes, if this slot holds the root of that hash. Reads a few KiB at most.
pub fn hash_area(slot: &impl Slot, root_hash: &RootHash) -> Result<u64, SlotError> {
    let offset = end_of_squashfs(slot)?;
    let superblock =
        Superblock::parse(&read(slot, offset)?).map_err(|source| SlotError::Superblock { offset, source })?;
    let data_bytes = superblock.data_bytes();
    if data_bytes > offset {
        return Err(SlotError::Covers { data_bytes, offset });
    }
    match RootHash::from_bytes(top_hash(slot, offset, &superblock)?) == *root_hash {
        true => Ok(offset),
        false => Err(SlotError::OtherRoot),
    }
}

/// The padded length of the file system, of which superblock and one block of hashes still lie in the partition.
fn end_of_squashfs(slot: &impl Slot) -> Result<u64, SlotError> {
    let bytes: [u8; SQUASHFS_BYTES] = read(slot, 0)?;
    if !bytes.starts_with(SQUASHFS_MAGIC) {
        return Err(SlotError::NoSquashfs);
    }
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[BYTES_USED_AT..]);
    let bytes_used = u64::from_le_bytes(field);
    let len_bytes = slot.len_bytes();
    bytes_used
        .checked_next_multiple_of(BLOCK_BYTES)
        .filter(|end| end.checked_add(2 * BLOCK_BYTES).is_some_and(|end| end <= len_bytes))
        .ok_or(SlotError::NoRoom { bytes_used, len_bytes })
}

/// The hash of the topmost block, which is the root hash.
fn top_hash(slot: &impl Slot, offset: u64, superblock: &Superblock) -> Result<[u8; 32], SlotError> {
    let mut buffer = [0; HASH_BLOCK_MAX_BYTES];
    let len = usize::try_from(superblock.hash_block_bytes).map_or(HASH_BLOCK_MAX_BYTES, |len| len.min(buffer.len()));
    let block = &mut buffer[..len];
    // The superblock takes the first hash block.
    let offset = offset + len as u64;
    slot.read_at(offset, block)
        .map_err(|source| SlotError::Read { offset, source })?;
    Ok(Sha256::new_with_prefix(&superblock.salt)
        .chain_update(&*block)
        .finalize()
        .into())
}

fn read<const N: usize>(slot: &impl Slot, offset: u64) -> Result<[u8; N], SlotError> {
    let mut bytes = [0; N];
    let read = slot.read_at(offset, &mut bytes);
    read.map(|()| bytes)
        .map_err(|source| SlotError::Read { offset, source })
}

const _: () = assert!(SUPERBLOCK_BYTES as u64 <= BLOCK_BYTES);

#[cfg(test)]
mod tests;
