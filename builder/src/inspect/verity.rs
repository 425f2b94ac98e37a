//! The superblock before a verity hash tree (cryptsetup's on-disk format, version 1).

use serde::Serialize;

use crate::gpt::{Guid, SECTOR_BYTES};

const SIGNATURE: &[u8; 8] = b"verity\0\0";
/// Bytes that the superblock has for the salt.
const MAX_SALT_BYTES: usize = 256;

/// What a verity superblock says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VeritySuperblock {
    /// The id of the verity device.
    pub id: Guid,
    /// The hash algorithm.
    pub algorithm: String,
    /// Bytes in a block of data.
    pub data_block_bytes: u32,
    /// Bytes in a block of hashes.
    pub hash_block_bytes: u32,
    /// Blocks of data.
    pub data_blocks: u64,
    /// The salt in hex.
    pub salt: String,
}

impl VeritySuperblock {
    /// Reads a superblock; `None` if it is none, or of another version.
    pub(super) fn parse(bytes: &[u8; SECTOR_BYTES as usize]) -> Option<Self> {
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let (version, hash_type) = (u32_at(8), u32_at(12));
        if bytes[..8] != *SIGNATURE || version != 1 || hash_type != 1 {
            return None;
        }
        let salt_bytes = usize::from(u16::from_le_bytes([bytes[80], bytes[81]]));
        if salt_bytes > MAX_SALT_BYTES {
            return None;
        }
        let algorithm = bytes[32..64].split(|byte| *byte == 0).next()?;
        Some(Self {
            id: Guid::from_bytes(*bytes[16..].first_chunk()?),
            algorithm: String::from_utf8_lossy(algorithm).into_owned(),
            data_block_bytes: u32_at(64),
            hash_block_bytes: u32_at(68),
            data_blocks: u64::from_le_bytes(*bytes[72..].first_chunk()?),
            salt: bytes[88..88 + salt_bytes]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        })
    }
}
