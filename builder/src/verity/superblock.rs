//! The superblock of a hash tree (`struct verity_sb` of cryptsetup, version 1): 512 bytes, little endian.

use super::BLOCK_LEN;

/// Length of the fields; on disk a whole block belongs to them.
pub(super) const LEN: usize = 512;

const SIGNATURE: [u8; 8] = *b"verity\0\0";
const VERSION: u32 = 1;
/// Salt before the block; type 0 is Chrome OS' older form.
const HASH_TYPE: u32 = 1;
const ALGORITHM: [u8; 32] = {
    let mut name = [0; 32];
    name.first_chunk_mut::<6>()
        .expect("32 bytes")
        .copy_from_slice(b"sha256");
    name
};
const SALT_LEN: u16 = 32;
const SALT_AT: usize = 88;

/// What distinguishes one tree's superblock from another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Superblock {
    /// Identifies the hash tree; its bytes in the order of the text.
    pub uuid: [u8; 16],
    /// Hashed before every block.
    pub salt: [u8; 32],
    /// Length of the data in blocks of 4096 bytes.
    pub data_blocks: u64,
}

impl Superblock {
    /// As it is on disk, with zeros up to the end of its block.
    pub fn to_bytes(&self) -> [u8; BLOCK_LEN] {
        let mut bytes = Vec::with_capacity(BLOCK_LEN);
        bytes.extend(SIGNATURE);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(HASH_TYPE.to_le_bytes());
        bytes.extend(self.uuid);
        bytes.extend(ALGORITHM);
        for block_len in [BLOCK_LEN as u32; 2] {
            bytes.extend(block_len.to_le_bytes());
        }
        bytes.extend(self.data_blocks.to_le_bytes());
        bytes.extend(SALT_LEN.to_le_bytes());
        bytes.extend([0; 6]);
        debug_assert_eq!(bytes.len(), SALT_AT);
        bytes.extend(self.salt);
        bytes.resize(BLOCK_LEN, 0);
        bytes.try_into().expect("resized to a block")
    }

    /// Reads what [`Superblock::to_bytes`] wrote; the error says what is wrong.
    pub fn from_bytes(bytes: &[u8; LEN]) -> Result<Self, &'static str> {
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if bytes[..8] != SIGNATURE {
            return Err("no dm-verity signature");
        }
        if u32_at(8) != VERSION || u32_at(12) != HASH_TYPE {
            return Err("a version or hash type other than 1");
        }
        if bytes[32..64] != ALGORITHM {
            return Err("another hash algorithm than sha256");
        }
        if u32_at(64) != BLOCK_LEN as u32 || u32_at(68) != BLOCK_LEN as u32 {
            return Err("a block size other than 4096");
        }
        let data_blocks = u64_at(72);
        if data_blocks == 0 {
            return Err("no data blocks");
        }
        if u16::from_le_bytes([bytes[80], bytes[81]]) != SALT_LEN {
            return Err("a salt that is not 32 bytes long");
        }
        let copy = |range: std::ops::Range<usize>| bytes[range].iter().copied();
        let mut superblock = Self {
            uuid: [0; 16],
            salt: [0; 32],
            data_blocks,
        };
        superblock
            .uuid
            .iter_mut()
            .zip(copy(16..32))
            .for_each(|(to, from)| *to = from);
        let salt = copy(SALT_AT..SALT_AT + usize::from(SALT_LEN));
        superblock.salt.iter_mut().zip(salt).for_each(|(to, from)| *to = from);
        Ok(superblock)
    }
}
