//! From a root partition and its hashes to one device that checks each block as it is read.
//!
//! The hashes begin with cryptsetup's verity superblock, version 1 (512 bytes); the hash tree follows in the next block.
//! They have a partition of their own, or lie behind the file system in its partition ([`HashArea`]). Nothing of the superblock is trusted beyond plausibility: a wrong value makes the root hash not fit.
//! Deliberately not supported: other digests than SHA-256, forward error correction, signatures, hash type 0.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use super::device_mapper::{Control, Mapped, Table};
use super::failure::BootError;
use super::ids::RootHash;
use super::root_disk::{HashArea, RootDisk};
use crate::hex::write_hex;

/// Length of the superblock.
pub const SUPERBLOCK_BYTES: usize = 512;

/// The name below `/dev/mapper`.
pub const NAME: &str = "root";

/// What a verity superblock says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// Id of the tree, as written.
    pub uuid: [u8; 16],
    /// Bytes of data that one hash covers.
    pub data_block_bytes: u32,
    /// Bytes of a block of hashes.
    pub hash_block_bytes: u32,
    /// How many blocks of data there are.
    pub data_blocks: u64,
    /// Hashed before each block; up to 256 bytes.
    pub salt: Vec<u8>,
}

/// Why a hash partition is not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SuperblockError {
    /// It does not begin with `verity`.
    #[error("it does not begin with a verity superblock")]
    NoMagic,
    /// A field has a value that is not supported.
    #[error("its verity superblock has {field} {value}, which is not supported")]
    Field {
        /// Which.
        field: &'static str,
        /// The value.
        value: u64,
    },
    /// Another digest than SHA-256.
    #[error("its digest is `{0}`, not sha256")]
    Algorithm(String),
}

impl Superblock {
    /// Reads and checks a superblock.
    pub fn parse(bytes: &[u8; SUPERBLOCK_BYTES]) -> Result<Self, SuperblockError> {
        if !bytes.starts_with(b"verity\0\0") {
            return Err(SuperblockError::NoMagic);
        }
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let bad = |field, value| SuperblockError::Field { field, value };
        for (field, at) in [("version", 8), ("hash type", 12)] {
            if number(at) != 1 {
                return Err(bad(field, number(at).into()));
            }
        }
        let algorithm = bytes[32..64].split(|byte| *byte == 0).next().unwrap_or_default();
        if algorithm != b"sha256" {
            return Err(SuperblockError::Algorithm(algorithm.escape_ascii().to_string()));
        }
        let (data_block_bytes, hash_block_bytes) = (number(64), number(68));
        for (field, value) in [
            ("data block size", data_block_bytes),
            ("hash block size", hash_block_bytes),
        ] {
            // The device mapper takes no block larger than a page.
            if !(512..=4096).contains(&value) || !value.is_power_of_two() {
                return Err(bad(field, value.into()));
            }
        }
        let data_blocks = u64::from(number(72)) | u64::from(number(76)) << 32;
        if data_blocks == 0 || data_blocks > u64::MAX / u64::from(data_block_bytes) {
            return Err(bad("number of blocks", data_blocks));
        }
        let salt_bytes = u16::from_le_bytes([bytes[80], bytes[81]]);
        let salt = bytes[88..344].get(..usize::from(salt_bytes)).map(<[u8]>::to_vec);
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&bytes[16..32]);
        Ok(Self {
            uuid,
            data_block_bytes,
            hash_block_bytes,
            data_blocks,
            salt: salt.ok_or_else(|| bad("salt size", salt_bytes.into()))?,
        })
    }

    /// Length of the data.
    pub fn data_bytes(&self) -> u64 {
        self.data_blocks * u64::from(self.data_block_bytes)
    }

    /// The parameters of a `verity` target (kernel: Documentation/admin-guide/device-mapper/verity.rst); the device with
    /// the data is given as `MAJOR:MINOR`.
    ///
    /// `restart_on_corruption`: a root that lies is worse than no root; the boot counter then picks the other slot.
    /// Not `check_at_most_once`: a block is read again after it was dropped from memory, and may have changed by then.
    pub fn target_parameters(&self, data_device: &str, hashes: &HashArea, root_hash: &RootHash) -> String {
        let mut salt = String::new();
        // Writing into a string cannot fail.
        let _ = write_hex(&mut salt, &self.salt);
        if salt.is_empty() {
            salt.push('-');
        }
        // The superblock takes the first hash block.
        let first_hash_block = hashes.offset_bytes / u64::from(self.hash_block_bytes) + 1;
        format!(
            "1 {data_device} {} {} {} {} {first_hash_block} sha256 {root_hash} {salt} 1 restart_on_corruption",
            hashes.device.number, self.data_block_bytes, self.hash_block_bytes, self.data_blocks
        )
    }

    /// The id of the mapped device, in the form that veritysetup gives it and systemd's tools expect.
    fn device_uuid(&self) -> String {
        let mut text = String::from("CRYPT-VERITY-");
        let _ = write_hex(&mut text, &self.uuid);
        text + "-" + NAME
    }
}

/// Sets up `/dev/mapper/root`.
pub fn open(disk: &RootDisk, root_hash: &RootHash) -> Result<Mapped, BootError> {
    let superblock = read_superblock(&disk.hashes)?;
    let root = &disk.root;
    if superblock.data_bytes() > root.len_bytes {
        return Err(BootError::RootTooSmall {
            device: root.node(),
            needed_bytes: superblock.data_bytes(),
            len_bytes: root.len_bytes,
        });
    }
    let table = Table {
        target: "verity",
        sectors: superblock.data_bytes() / 512,
        parameters: superblock.target_parameters(&root.number, &disk.hashes, root_hash),
    };
    let mapped = Control::open()?.map_read_only(NAME, &superblock.device_uuid(), &table)?;
    Ok(mapped)
}

fn read_superblock(hashes: &HashArea) -> Result<Superblock, BootError> {
    let path = hashes.device.node();
    let mut bytes = [0; SUPERBLOCK_BYTES];
    File::open(&path)
        .and_then(|file| file.read_exact_at(&mut bytes, hashes.offset_bytes))
        .map_err(|source| BootError::Read {
            path: path.clone(),
            source,
        })?;
    Superblock::parse(&bytes).map_err(|source| BootError::Superblock { device: path, source })
}

#[cfg(test)]
mod tests;
