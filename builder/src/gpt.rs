//! GUID partition tables (UEFI specification 2.10, §5), on sectors of 512 bytes.
//!
//! In: a disk's id, its size and its partitions. Out: the sectors at both of its ends, the same bytes each time. The reader
//! takes a table from anywhere, checks all that the specification asks for, and falls back to the backup.
//!
//! Deliberately unsupported: sectors of 4096 bytes, hybrid MBRs, changing a table in place.

use std::ops::Range;

use crate::failure::Diagnose;

pub mod crc32;
pub mod entry;
pub mod guid;
pub mod header;
pub mod protective_mbr;
pub mod read;

#[cfg(test)]
mod tests;

pub use entry::{GptEntry, PartitionFlags};
pub use guid::Guid;
use header::Header;

/// Bytes in a sector.
pub const SECTOR_BYTES: u64 = 512;
/// Entries in a table; 128 are the least that the specification allows for.
pub const ENTRY_COUNT: u32 = 128;
/// Sectors of the entries.
const ARRAY_SECTORS: u64 = ENTRY_COUNT as u64 * entry::ENTRY_BYTES as u64 / SECTOR_BYTES;
/// Sectors at a disk's start: protective MBR, header, entries.
pub const PRIMARY_SECTORS: u64 = 2 + ARRAY_SECTORS;
/// Sectors at a disk's end: entries, header.
pub const BACKUP_SECTORS: u64 = ARRAY_SECTORS + 1;

/// A disk's partition table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GptTable {
    /// The disk's id.
    pub disk_id: Guid,
    /// The disk's size in sectors.
    pub total_sectors: u64,
    /// The partitions, in the order of their numbers; number 1 is the first.
    pub partitions: Vec<GptEntry>,
}

/// What is wrong with a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GptError {
    /// More partitions than entries.
    #[error("{count} partitions are more than the {ENTRY_COUNT} that the partition table holds")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// A label beyond 36 UTF-16 units.
    #[error("the partition label `{label}` is longer than 36 UTF-16 units")]
    LabelTooLong {
        /// The label.
        label: String,
    },
    /// A partition that is empty or not between the two copies of the table.
    #[error("partition `{label}` (sectors {first_sector} + {sectors}) is not within the usable sectors of the disk")]
    OutOfBounds {
        /// The partition's label.
        label: String,
        /// Its first sector.
        first_sector: u64,
        /// Its length in sectors.
        sectors: u64,
    },
    /// Two partitions share sectors.
    #[error("partitions `{label}` and `{other}` overlap at sector {sector}")]
    Overlap {
        /// The later partition's label.
        label: String,
        /// The earlier partition's label.
        other: String,
        /// The first shared sector.
        sector: u64,
    },
    /// Two partitions with one id.
    #[error("partitions `{label}` and `{other}` have the same id {id}")]
    SameId {
        /// The later partition's label.
        label: String,
        /// The earlier partition's label.
        other: String,
        /// Their id.
        id: Guid,
    },
}

impl Diagnose for GptError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::LabelTooLong { .. } => vec!["use a shorter image name or version".to_owned()],
            _ => Vec::new(),
        }
    }
}

impl GptTable {
    /// Checks that the table can be written: the labels, the bounds and that nothing overlaps.
    pub fn check(&self) -> Result<(), GptError> {
        if self.partitions.len() > ENTRY_COUNT as usize {
            return Err(GptError::TooMany {
                count: self.partitions.len(),
            });
        }
        if let Some(long) = self.partitions.iter().find(|entry| !entry::label_fits(&entry.label)) {
            return Err(GptError::LabelTooLong {
                label: long.label.clone(),
            });
        }
        check_places(&self.partitions, &self.usable())?;
        for (index, entry) in self.partitions.iter().enumerate() {
            if let Some(other) = self.partitions[..index].iter().find(|other| other.id == entry.id) {
                let (label, other) = (entry.label.clone(), other.label.clone());
                return Err(GptError::SameId {
                    label,
                    other,
                    id: entry.id,
                });
            }
        }
        Ok(())
    }

    /// The sectors that partitions may use.
    fn usable(&self) -> Range<u64> {
        PRIMARY_SECTORS..self.total_sectors.saturating_sub(BACKUP_SECTORS)
    }

    /// The first [`PRIMARY_SECTORS`] of the disk.
    pub fn primary(&self) -> Result<Vec<u8>, GptError> {
        let array = self.array()?;
        let mut bytes = protective_mbr::to_bytes(self.total_sectors).to_vec();
        bytes.extend(self.header(1, self.total_sectors - 1, 2, &array).to_bytes());
        bytes.extend(array);
        Ok(bytes)
    }

    /// The last [`BACKUP_SECTORS`] of the disk.
    pub fn backup(&self) -> Result<Vec<u8>, GptError> {
        let array = self.array()?;
        let last = self.total_sectors - 1;
        let header = self.header(last, 1, last - ARRAY_SECTORS, &array);
        let mut bytes = array;
        bytes.extend(header.to_bytes());
        Ok(bytes)
    }

    fn array(&self) -> Result<Vec<u8>, GptError> {
        self.check()?;
        let mut bytes: Vec<u8> = self.partitions.iter().flat_map(GptEntry::to_bytes).collect();
        bytes.resize((ARRAY_SECTORS * SECTOR_BYTES) as usize, 0);
        Ok(bytes)
    }

    fn header(&self, own_sector: u64, other_sector: u64, array_sector: u64, array: &[u8]) -> Header {
        Header {
            own_sector,
            other_sector,
            usable: self.usable(),
            disk_id: self.disk_id,
            array_sector,
            entry_count: ENTRY_COUNT,
            entry_bytes: entry::ENTRY_BYTES as u32,
            array_crc32: crc32::of(array),
        }
    }
}

/// Checks that each partition lies within `usable` and that no two share a sector.
fn check_places(partitions: &[GptEntry], usable: &Range<u64>) -> Result<(), GptError> {
    let mut by_place: Vec<&GptEntry> = partitions.iter().collect();
    by_place.sort_by_key(|entry| entry.first_sector);
    let mut earlier: Option<&GptEntry> = None;
    for entry in by_place {
        let end = entry.first_sector.checked_add(entry.sectors);
        if entry.sectors == 0 || entry.first_sector < usable.start || end.is_none_or(|end| end > usable.end) {
            let GptEntry {
                label,
                first_sector,
                sectors,
                ..
            } = entry.clone();
            return Err(GptError::OutOfBounds {
                label,
                first_sector,
                sectors,
            });
        }
        if let Some(other) = earlier.filter(|other| other.first_sector + other.sectors > entry.first_sector) {
            let (label, other) = (entry.label.clone(), other.label.clone());
            return Err(GptError::Overlap {
                label,
                other,
                sector: entry.first_sector,
            });
        }
        earlier = Some(entry);
    }
    Ok(())
}
