//! The header of a partition table (UEFI 2.10 §5.3.2).

use std::ops::Range;

use super::entry::{guid_at, u64_at};
use super::guid::Guid;
use super::{SECTOR_BYTES, crc32};

const SIGNATURE: &[u8; 8] = b"EFI PART";
/// Version 1.0, in use since 2000.
const REVISION: u32 = 0x0001_0000;
/// Bytes that the checksum covers.
const HEADER_BYTES: usize = 92;
/// Where the header's own checksum is.
const CRC_OFFSET: usize = 16;
/// The most entries that the reader takes; real tables have 128.
const MAX_ENTRIES: u32 = 1_024;
/// The longest entries that the reader takes.
const MAX_ENTRY_BYTES: u32 = 1_024;

/// A table's header; both copies have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its own sector.
    pub own_sector: u64,
    /// The other header's sector.
    pub other_sector: u64,
    /// The sectors that partitions may use.
    pub usable: Range<u64>,
    /// The disk's id.
    pub disk_id: Guid,
    /// Where this copy's entries begin.
    pub array_sector: u64,
    /// How many entries there are, used or not.
    pub entry_count: u32,
    /// Bytes from one entry to the next.
    pub entry_bytes: u32,
    /// The checksum of all entries.
    pub array_crc32: u32,
}

/// Which field of a header is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the header's {field} is {value:#x}")]
pub struct BadHeader {
    /// The field, as the specification names it.
    pub field: &'static str,
    /// What it holds.
    pub value: u64,
}

impl Header {
    /// The sector's bytes.
    pub fn to_bytes(&self) -> [u8; SECTOR_BYTES as usize] {
        let mut bytes = [0; SECTOR_BYTES as usize];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, SIGNATURE);
        put(8, &REVISION.to_le_bytes());
        put(12, &(HEADER_BYTES as u32).to_le_bytes());
        put(24, &self.own_sector.to_le_bytes());
        put(32, &self.other_sector.to_le_bytes());
        put(40, &self.usable.start.to_le_bytes());
        put(48, &self.usable.end.saturating_sub(1).to_le_bytes());
        put(56, &self.disk_id.to_disk());
        put(72, &self.array_sector.to_le_bytes());
        put(80, &self.entry_count.to_le_bytes());
        put(84, &self.entry_bytes.to_le_bytes());
        put(88, &self.array_crc32.to_le_bytes());
        let crc = crc32::of(&bytes[..HEADER_BYTES]);
        bytes[CRC_OFFSET..CRC_OFFSET + 4].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header that was found in `own_sector` of a disk of `total_sectors`, with the checks that the specification
    /// lists for a valid one (§5.3.2, "Software must …"), short of the checksum of the entries.
    pub fn parse(bytes: &[u8; SECTOR_BYTES as usize], own_sector: u64, total_sectors: u64) -> Result<Self, BadHeader> {
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let check = |holds: bool, field: &'static str, value: u64| match holds {
            true => Ok(()),
            false => Err(BadHeader { field, value }),
        };
        check(bytes[..8] == *SIGNATURE, "Signature", u64_at(bytes, 0))?;
        check(u32_at(8) == REVISION, "Revision", u32_at(8).into())?;
        let header_bytes = u32_at(12) as usize;
        check(
            (HEADER_BYTES..=bytes.len()).contains(&header_bytes),
            "HeaderSize",
            u32_at(12).into(),
        )?;
        let mut unsummed = *bytes;
        unsummed[CRC_OFFSET..CRC_OFFSET + 4].fill(0);
        check(
            crc32::of(&unsummed[..header_bytes]) == u32_at(CRC_OFFSET),
            "HeaderCRC32",
            u32_at(CRC_OFFSET).into(),
        )?;
        check(u64_at(bytes, 24) == own_sector, "MyLBA", u64_at(bytes, 24))?;
        let (first_usable, last_usable) = (u64_at(bytes, 40), u64_at(bytes, 48));
        check(last_usable < total_sectors, "LastUsableLBA", last_usable)?;
        check(first_usable <= last_usable + 1, "FirstUsableLBA", first_usable)?;
        let (count, size) = (u32_at(80), u32_at(84));
        check(count <= MAX_ENTRIES, "NumberOfPartitionEntries", count.into())?;
        let size_fits = (128..=MAX_ENTRY_BYTES).contains(&size) && size.is_power_of_two();
        check(size_fits, "SizeOfPartitionEntry", size.into())?;
        let array_sectors = (u64::from(count) * u64::from(size)).div_ceil(SECTOR_BYTES);
        let array_end = u64_at(bytes, 72).checked_add(array_sectors);
        check(
            array_end.is_some_and(|end| end <= total_sectors),
            "PartitionEntryLBA",
            u64_at(bytes, 72),
        )?;
        Ok(Self {
            own_sector,
            other_sector: u64_at(bytes, 32),
            usable: first_usable..last_usable + 1,
            disk_id: guid_at(bytes, 56),
            array_sector: u64_at(bytes, 72),
            entry_count: count,
            entry_bytes: size,
            array_crc32: u32_at(88),
        })
    }
}
