//! Reading a GUID partition table (UEFI 2.10 §5.3) from a disk that may hold anything.
//!
//! Flows in: a way to read ranges of the disk, its block size and length. Flows out: the used entries, in the order of
//! their numbers. The primary header is tried first, then the backup at the last block. Both checksums are verified and
//! every size is bounded before anything is allocated. Deliberately not supported: MBR tables ([`super::mbr`]), and mending a table.

use std::io;

use super::ids::Guid;

/// More than any tool makes; the specification's minimum is 16 KiB of entries, which is 128 of them.
const ENTRIES_MAX_BYTES: u32 = 128 * 1024;
const ENTRY_MIN_BYTES: u32 = 128;
const HEADER_MIN_BYTES: usize = 92;

/// A disk as the reader needs it.
pub trait Disk {
    /// Fills `buffer` from `offset` (bytes) on.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// Logical block size in bytes.
    fn block_bytes(&self) -> u32;
    /// Length in blocks of that size.
    fn blocks(&self) -> u64;
}

/// A used entry of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Counted from 1, as the kernel counts.
    pub number: u32,
    /// What it is for.
    pub kind: Guid,
    /// Its own id.
    pub id: Guid,
    /// First block.
    pub first_block: u64,
    /// Last block; part of the partition.
    pub last_block: u64,
    /// Its name.
    pub label: String,
}

/// Why a disk's table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GptError {
    /// The disk does not answer.
    #[error("cannot read {len_bytes} bytes at {offset}")]
    Read {
        /// Where, in bytes.
        offset: u64,
        /// How much.
        len_bytes: usize,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The disk is too small or its block size is out of the ordinary.
    #[error("{blocks} blocks of {block_bytes} bytes hold no partition table")]
    Geometry {
        /// How many.
        blocks: u64,
        /// How large.
        block_bytes: u32,
    },
    /// The header does not begin with `EFI PART`.
    #[error("block {block} holds no GPT header")]
    NoHeader {
        /// Where it was looked for.
        block: u64,
    },
    /// A field of the header makes no sense.
    #[error("the GPT header in block {block} has a bad {field}")]
    BadField {
        /// Where the header is.
        block: u64,
        /// Which field.
        field: &'static str,
    },
    /// A checksum does not fit.
    #[error("the checksum of the GPT {part} (header in block {block}) is wrong")]
    Checksum {
        /// Where the header is.
        block: u64,
        /// `header` or `entries`.
        part: &'static str,
    },
}

/// Reads the table; the error is that of the primary header if neither is good.
pub fn read(disk: &impl Disk) -> Result<Vec<Partition>, GptError> {
    let (blocks, block_bytes) = (disk.blocks(), disk.block_bytes());
    if !(512..=65536).contains(&block_bytes) || !block_bytes.is_power_of_two() || blocks < 6 {
        return Err(GptError::Geometry { blocks, block_bytes });
    }
    read_from(disk, 1).or_else(|primary| read_from(disk, blocks - 1).map_err(|_| primary))
}

fn read_from(disk: &impl Disk, block: u64) -> Result<Vec<Partition>, GptError> {
    let block_bytes = disk.block_bytes();
    let bytes = read_range(disk, block, block_bytes as usize)?;
    let header = Header::parse(&bytes, block)?;
    let len_blocks = u64::from(header.entries_bytes.div_ceil(block_bytes));
    let inside = header
        .entries_block
        .checked_add(len_blocks)
        .is_some_and(|end| end <= disk.blocks());
    if header.entries_block < 2 || !inside {
        let field = "place of the entries";
        return Err(GptError::BadField { block, field });
    }
    let entries = read_range(disk, header.entries_block, header.entries_bytes as usize)?;
    if crc32(&[&entries]) != header.entries_crc {
        return Err(GptError::Checksum { block, part: "entries" });
    }
    Ok(entries
        .chunks_exact(header.entry_bytes as usize)
        .zip(1..)
        .filter_map(|(entry, number)| partition(entry, number))
        .collect())
}

fn read_range(disk: &impl Disk, block: u64, len_bytes: usize) -> Result<Vec<u8>, GptError> {
    let offset = block.saturating_mul(u64::from(disk.block_bytes()));
    let mut bytes = vec![0; len_bytes];
    let read = disk.read_at(offset, &mut bytes);
    read.map(|()| bytes).map_err(|source| GptError::Read {
        offset,
        len_bytes,
        source,
    })
}

struct Header {
    entries_block: u64,
    entries_bytes: u32,
    entry_bytes: u32,
    entries_crc: u32,
}

impl Header {
    /// `bytes` is one whole block, so at least 512 bytes.
    fn parse(bytes: &[u8], block: u64) -> Result<Self, GptError> {
        if !bytes.starts_with(b"EFI PART") {
            return Err(GptError::NoHeader { block });
        }
        let bad = |field| GptError::BadField { block, field };
        let header_bytes = u32_at(bytes, 12) as usize;
        if !(HEADER_MIN_BYTES..=bytes.len()).contains(&header_bytes) {
            return Err(bad("header size"));
        }
        // The checksum counts its own field as zeros.
        if crc32(&[&bytes[..16], &[0; 4], &bytes[20..header_bytes]]) != u32_at(bytes, 16) {
            return Err(GptError::Checksum { block, part: "header" });
        }
        if u64_at(bytes, 24) != block {
            return Err(bad("own block number"));
        }
        let (count, entry_bytes) = (u32_at(bytes, 80), u32_at(bytes, 84));
        // "128 x 2^n" (§5.3.2).
        if entry_bytes < ENTRY_MIN_BYTES || !entry_bytes.is_power_of_two() {
            return Err(bad("entry size"));
        }
        let entries_bytes = count.checked_mul(entry_bytes).filter(|len| *len <= ENTRIES_MAX_BYTES);
        Ok(Self {
            entries_block: u64_at(bytes, 72),
            entries_bytes: entries_bytes.ok_or_else(|| bad("number of entries"))?,
            entry_bytes,
            entries_crc: u32_at(bytes, 88),
        })
    }
}

/// `entry` has at least 128 bytes. Unused and impossible entries give nothing.
fn partition(entry: &[u8], number: u32) -> Option<Partition> {
    let guid = |at: usize| entry[at..at + 16].try_into().map(Guid::from_disk).ok();
    let (kind, id) = (guid(0)?, guid(16)?);
    let (first_block, last_block) = (u64_at(entry, 32), u64_at(entry, 40));
    if kind.is_nil() || last_block < first_block {
        return None;
    }
    let units = entry[56..128]
        .chunks_exact(2)
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    let label = char::decode_utf16(units.take_while(|unit| *unit != 0)).map(|unit| unit.unwrap_or('\u{fffd}'));
    Some(Partition {
        number,
        kind,
        id,
        first_block,
        last_block,
        label: label.collect(),
    })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(field)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(field)
}

/// CRC-32 of ISO 3309 over the parts one after the other. Bit by bit: 16 KiB once per boot need no table.
fn crc32(parts: &[&[u8]]) -> u32 {
    let mut crc = u32::MAX;
    for byte in parts.iter().copied().flatten() {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 * (crc & 1));
        }
    }
    !crc
}

#[cfg(test)]
mod tests;
