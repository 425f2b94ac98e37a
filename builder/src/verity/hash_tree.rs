//! The levels of a hash tree. A hash block holds the digests of up to 128 blocks of the level below, in order, and zeros
//! behind them; the digest of the topmost block is the root hash. A single data block needs no level at all.

use rayon::prelude::*;
use sha2::Digest as _;

use crate::squashfs::ReadAt;

use super::superblock::Superblock;
use super::{BLOCK_LEN, RootHash, VerityError};

const DIGEST_LEN: usize = 32;
const DIGESTS_PER_BLOCK: usize = BLOCK_LEN / DIGEST_LEN;
/// The data that one hash block covers, read at once.
const CHUNK_LEN: usize = DIGESTS_PER_BLOCK * BLOCK_LEN;

/// A whole tree in memory.
pub(super) struct HashTree {
    pub root: RootHash,
    /// From the level above the data to the topmost one, each a multiple of [`BLOCK_LEN`] long.
    pub levels: Vec<Vec<u8>>,
}

/// SHA-256 that has already taken in the salt.
#[derive(Clone)]
struct Salted(sha2::Sha256);

impl Salted {
    fn new(salt: &[u8; 32]) -> Self {
        Self(sha2::Sha256::new_with_prefix(salt))
    }

    fn digest(&self, block: &[u8]) -> [u8; DIGEST_LEN] {
        self.0.clone().chain_update(block).finalize().into()
    }

    /// Puts the digests of `blocks` into the hash block above them.
    fn fill(&self, hash_block: &mut [u8], blocks: &[u8]) {
        for (digest, block) in hash_block.chunks_exact_mut(DIGEST_LEN).zip(blocks.chunks(BLOCK_LEN)) {
            digest.copy_from_slice(&self.digest(block));
        }
    }
}

/// How many hash blocks each level has, from the data upwards.
pub(super) fn level_lens(data_blocks: u64) -> Vec<u64> {
    let mut lens = Vec::new();
    let mut below = data_blocks;
    while below > 1 {
        below = below.div_ceil(DIGESTS_PER_BLOCK as u64);
        lens.push(below);
    }
    lens
}

/// Reads the `index`-th chunk of the data; the last one may be shorter.
fn read_chunk<'b>(
    data: &(impl ReadAt + ?Sized),
    data_blocks: u64,
    index: usize,
    buffer: &'b mut Vec<u8>,
) -> Result<&'b [u8], VerityError> {
    let offset = index as u64 * CHUNK_LEN as u64;
    let len = (data_blocks * BLOCK_LEN as u64 - offset).min(CHUNK_LEN as u64) as usize;
    buffer.resize(CHUNK_LEN, 0);
    let chunk = &mut buffer[..len];
    data.read_at(chunk, offset)
        .map_err(|source| VerityError::ReadData { offset, source })?;
    Ok(chunk)
}

impl HashTree {
    pub(super) fn of(data: &(impl ReadAt + ?Sized), superblock: &Superblock) -> Result<Self, VerityError> {
        let salted = Salted::new(&superblock.salt);
        let mut levels: Vec<Vec<u8>> = Vec::new();
        for len in level_lens(superblock.data_blocks) {
            let mut level = vec![0; len as usize * BLOCK_LEN];
            let blocks = level.par_chunks_exact_mut(BLOCK_LEN);
            match levels.last() {
                None => blocks
                    .enumerate()
                    .try_for_each_init(Vec::new, |buffer, (index, block)| {
                        let chunk = read_chunk(data, superblock.data_blocks, index, buffer)?;
                        salted.fill(block, chunk);
                        Ok(())
                    })?,
                Some(below) => blocks
                    .zip(below.par_chunks(CHUNK_LEN))
                    .for_each(|(block, below)| salted.fill(block, below)),
            }
            levels.push(level);
        }
        let root = match levels.last() {
            Some(top) => salted.digest(top),
            None => salted.digest(read_chunk(data, superblock.data_blocks, 0, &mut Vec::new())?),
        };
        Ok(Self {
            root: RootHash::from_bytes(root),
            levels,
        })
    }
}

/// Checks the tree from the top down, then the data; gives the length of superblock and tree.
pub(super) fn verify(
    data: &(impl ReadAt + ?Sized),
    hash: &(impl ReadAt + ?Sized),
    superblock: &Superblock,
    root_hash: &RootHash,
) -> Result<u64, VerityError> {
    let lens = level_lens(superblock.data_blocks);
    let needed_bytes = (1 + lens.iter().sum::<u64>()) * BLOCK_LEN as u64;
    if needed_bytes > hash.len_bytes() {
        return Err(VerityError::TreeTooShort {
            data_blocks: superblock.data_blocks,
            needed_bytes,
            len_bytes: hash.len_bytes(),
        });
    }
    let salted = Salted::new(&superblock.salt);
    let mut digests = root_hash.as_bytes().to_vec();
    let mut first_block = 1;
    for (level, len) in lens.iter().enumerate().rev() {
        let offset = first_block * BLOCK_LEN as u64;
        let mut blocks = vec![0; *len as usize * BLOCK_LEN];
        hash.read_at(&mut blocks, offset)
            .map_err(|source| VerityError::ReadTree { offset, source })?;
        if let Some(bad) = first_difference(&salted, &blocks, &digests) {
            let block = first_block + bad as u64;
            return Err(VerityError::TreeBlock { block, level });
        }
        digests = blocks;
        first_block += len;
    }
    verify_data(data, superblock, &salted, &digests)?;
    Ok(needed_bytes)
}

fn verify_data(
    data: &(impl ReadAt + ?Sized),
    superblock: &Superblock,
    salted: &Salted,
    digests: &[u8],
) -> Result<(), VerityError> {
    let checked = digests
        .par_chunks(BLOCK_LEN)
        .enumerate()
        .map_init(Vec::new, |buffer, (index, digests)| {
            let chunk = read_chunk(data, superblock.data_blocks, index, buffer)?;
            match first_difference(salted, chunk, digests) {
                None => Ok(()),
                Some(bad) => {
                    let block = (index * DIGESTS_PER_BLOCK + bad) as u64;
                    let offset = block * BLOCK_LEN as u64;
                    Err(VerityError::DataBlock { block, offset })
                }
            }
        });
    // The first in order, not the first that a thread met.
    checked.find_first(Result::is_err).unwrap_or(Ok(()))
}

fn first_difference(salted: &Salted, blocks: &[u8], digests: &[u8]) -> Option<usize> {
    blocks
        .chunks(BLOCK_LEN)
        .zip(digests.chunks(DIGEST_LEN))
        .position(|(block, digest)| salted.digest(block) != digest)
}
