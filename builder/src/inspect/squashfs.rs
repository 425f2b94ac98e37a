//! The superblock of a squashfs (version 4.0, kernel documentation `filesystems/squashfs`).

use serde::Serialize;

use crate::gpt::SECTOR_BYTES;

/// The compressors by their number in the superblock, from 1.
const COMPRESSORS: [&str; 6] = ["gzip", "lzma", "lzo", "xz", "lz4", "zstd"];

/// What the superblock of the root file system says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RootSuperblock {
    /// The compressor.
    pub compressor: &'static str,
    /// Bytes in a block of data.
    pub block_bytes: u32,
    /// How many inodes there are.
    pub inodes: u32,
    /// The length of the file system in bytes, without padding.
    pub used_bytes: u64,
}

impl RootSuperblock {
    /// Reads a superblock; `None` if it is none, or of another version.
    pub(super) fn parse(bytes: &[u8; SECTOR_BYTES as usize]) -> Option<Self> {
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        if bytes[..4] != *b"hsqs" || (u16_at(28), u16_at(30)) != (4, 0) {
            return None;
        }
        Some(Self {
            compressor: COMPRESSORS.get(usize::from(u16_at(20)).checked_sub(1)?)?,
            block_bytes: u32_at(12),
            inodes: u32_at(4),
            used_bytes: u64::from_le_bytes(*bytes[40..].first_chunk()?),
        })
    }
}
