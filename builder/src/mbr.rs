//! Master boot records (UEFI 2.10 §5.2.1, "Legacy Master Boot Record"), on sectors of 512 bytes.
//!
//! In: a disk's signature and up to four partitions. Out: sector 0, the same bytes each time. The reader takes any sector.
//! For boards whose boot ROM knows nothing else, and for sticks.
//!
//! Deliberately unsupported: extended partitions, boot code, cylinders and heads.

use crate::failure::Diagnose;
use crate::gpt::SECTOR_BYTES;

/// FAT32, addressed by block numbers.
pub const FAT32_LBA: u8 = 0x0c;
/// "Linux": any file system that Linux reads.
pub const LINUX: u8 = 0x83;
/// What a disk with a GPT has for old tools (UEFI 2.10 §5.2.3).
const PROTECTIVE: u8 = 0xee;
/// The types of partitions that hold FAT: by block numbers or not, hidden ones not among them; last, an EFI system partition.
const FAT_TYPES: [u8; 6] = [0x04, 0x06, 0x0b, FAT32_LBA, 0x0e, 0xef];
/// Where the disk's own number is.
const SIGNATURE_AT: usize = 440;
/// Where the first of the four partition records is.
const RECORDS_AT: usize = 446;
/// The length of a record.
const RECORD_BYTES: usize = 16;
/// How many records there are.
pub const RECORDS: usize = 4;
/// A block number that cylinders, heads and sectors cannot express.
const BEYOND: [u8; 3] = [0xfe, 0xff, 0xff];

/// The first sector of a disk.
pub type Sector = [u8; SECTOR_BYTES as usize];

/// A disk's partition table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MbrTable {
    /// Tells the disk from others; never 0 on a disk of ours.
    pub signature: u32,
    /// The partitions, by number from 1; unused records at the end are left out, those between are of type 0.
    pub partitions: Vec<MbrRecord>,
}

/// A partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MbrRecord {
    /// What it holds; 0 for an unused record.
    pub kind: u8,
    /// Its first sector.
    pub first_sector: u32,
    /// Its length in sectors.
    pub sectors: u32,
}

/// Why a disk cannot be described by an MBR.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MbrError {
    /// More partitions than records.
    #[error("{0} partitions are more than the {RECORDS} that an MBR holds")]
    TooMany(usize),
    /// A partition beyond 32 bits, or of no length.
    #[error(
        "partition {number} (sectors {first_sector} + {sectors}) cannot be described by an MBR, which ends at 2 TiB"
    )]
    OutOfBounds {
        /// Its number, from 1.
        number: usize,
        /// Its first sector.
        first_sector: u64,
        /// Its length in sectors.
        sectors: u64,
    },
    /// Two partitions share sectors, or one the table's own.
    #[error("partition {number} overlaps what is before it at sector {sector}")]
    Overlap {
        /// The later partition's number, from 1.
        number: usize,
        /// The first shared sector.
        sector: u64,
    },
}

impl Diagnose for MbrError {}

impl MbrTable {
    /// The table for partitions that follow one another: kind, first sector, length in sectors.
    pub fn new(signature: u32, partitions: &[(u8, u64, u64)]) -> Result<Self, MbrError> {
        if partitions.len() > RECORDS {
            return Err(MbrError::TooMany(partitions.len()));
        }
        let mut end = 1;
        let mut records = Vec::new();
        for ((kind, first_sector, sectors), number) in partitions.iter().copied().zip(1..) {
            let bad = || MbrError::OutOfBounds {
                number,
                first_sector,
                sectors,
            };
            if first_sector < end {
                return Err(MbrError::Overlap {
                    number,
                    sector: first_sector,
                });
            }
            end = first_sector.checked_add(sectors).ok_or_else(bad)?;
            let (Ok(first_sector), Ok(sectors), true) = (first_sector.try_into(), sectors.try_into(), sectors > 0)
            else {
                return Err(bad());
            };
            records.push(MbrRecord {
                kind,
                first_sector,
                sectors,
            });
        }
        Ok(Self {
            signature,
            partitions: records,
        })
    }

    /// The disk's first sector.
    pub fn to_bytes(&self) -> Sector {
        let mut bytes = [0; SECTOR_BYTES as usize];
        bytes[SIGNATURE_AT..SIGNATURE_AT + 4].copy_from_slice(&self.signature.to_le_bytes());
        let places = bytes[RECORDS_AT..510].as_chunks_mut::<RECORD_BYTES>().0;
        for (place, record) in places.iter_mut().zip(&self.partitions) {
            *place = record.to_bytes();
        }
        bytes[510..].copy_from_slice(&[0x55, 0xaa]);
        bytes
    }

    /// The table in `sector`; none if it is no MBR, or one that only says that there is a GPT.
    pub fn parse(sector: &Sector) -> Option<Self> {
        if sector[510..] != [0x55, 0xaa] {
            return None;
        }
        let records = sector[RECORDS_AT..510].as_chunks::<RECORD_BYTES>().0;
        let mut partitions: Vec<MbrRecord> = records.iter().map(MbrRecord::parse).collect();
        if partitions.iter().any(|record| record.kind == PROTECTIVE) {
            return None;
        }
        while partitions.pop_if(|record| *record == MbrRecord::default()).is_some() {}
        Some(Self {
            signature: u32_at(sector, SIGNATURE_AT),
            partitions,
        })
    }
}

impl MbrRecord {
    /// Whether it holds a FAT volume.
    pub fn is_fat(&self) -> bool {
        FAT_TYPES.contains(&self.kind)
    }

    /// Where it begins, in bytes.
    pub fn offset(&self) -> u64 {
        u64::from(self.first_sector) * SECTOR_BYTES
    }

    /// Its size in bytes.
    pub fn len_bytes(&self) -> u64 {
        u64::from(self.sectors) * SECTOR_BYTES
    }

    fn to_bytes(self) -> [u8; RECORD_BYTES] {
        let mut record = [0; RECORD_BYTES];
        record[1..4].copy_from_slice(&BEYOND);
        record[4] = self.kind;
        record[5..8].copy_from_slice(&BEYOND);
        record[8..12].copy_from_slice(&self.first_sector.to_le_bytes());
        record[12..].copy_from_slice(&self.sectors.to_le_bytes());
        record
    }

    /// A record without a type, a place or a length is none.
    fn parse(bytes: &[u8; RECORD_BYTES]) -> Self {
        let record = Self {
            kind: bytes[4],
            first_sector: u32_at(bytes, 8),
            sectors: u32_at(bytes, 12),
        };
        match record.kind == 0 || record.first_sector == 0 || record.sectors == 0 {
            true if record.kind != PROTECTIVE => Self::default(),
            _ => record,
        }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(partitions: &[(u8, u64, u64)]) -> MbrTable {
        MbrTable::new(0x1234_abcd, partitions).unwrap()
    }

    #[test]
    fn partitions_are_found_again_and_the_bytes_are_those_of_the_specification() {
        let written = table(&[(FAT32_LBA, 2048, 79_872), (LINUX, 81_920, 4096)]);
        let sector = written.to_bytes();
        assert_eq!(sector[..440], [0; 440]);
        assert_eq!(sector[440..446], [0xcd, 0xab, 0x34, 0x12, 0, 0]);
        let record = [0, 0xfe, 0xff, 0xff, 0x0c, 0xfe, 0xff, 0xff, 0, 8, 0, 0, 0, 0x38, 1, 0];
        assert_eq!(sector[446..462], record);
        assert_eq!(sector[462 + 4], 0x83);
        assert_eq!(MbrTable::parse(&sector), Some(written));
    }

    #[test]
    fn a_gpt_and_other_sectors_are_no_table_of_this_kind() {
        let mut sector = table(&[(FAT32_LBA, 2048, 2048)]).to_bytes();
        sector[450] = PROTECTIVE;
        assert_eq!(MbrTable::parse(&sector), None);
        assert_eq!(MbrTable::parse(&[0; 512]), None);
        // A FAT volume without a table ends alike; its boot code is not taken for partitions of any length.
        let mut volume = [0; 512];
        volume[510..].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(MbrTable::parse(&volume).unwrap().partitions, []);
    }

    #[test]
    fn unused_records_keep_the_numbers_of_those_behind_them() {
        let mut sector = table(&[(FAT32_LBA, 2048, 2048), (LINUX, 4096, 2048), (LINUX, 6144, 8)]).to_bytes();
        sector[462..478].fill(0);
        let read = MbrTable::parse(&sector).unwrap();
        assert_eq!(read.partitions.len(), 3);
        assert_eq!((read.partitions[1].kind, read.partitions[2].sectors), (0, 8));
    }

    #[test]
    fn what_an_mbr_cannot_say_is_refused() {
        let error = |partitions: &[(u8, u64, u64)]| MbrTable::new(1, partitions).unwrap_err();
        let overlap = |number, sector| MbrError::Overlap { number, sector };
        assert_eq!(error(&[(LINUX, 8, 8), (LINUX, 15, 8)]), overlap(2, 15));
        assert_eq!(error(&[(LINUX, 0, 8)]), overlap(1, 0));
        assert_eq!(error(&[(LINUX, 8, 1); 5]), MbrError::TooMany(5));
        for (first_sector, sectors) in [(1 << 32, 8), (8, 1 << 32), (8, 0), (u64::MAX, 2)] {
            let number = 1;
            assert_eq!(
                error(&[(LINUX, first_sector, sectors)]),
                MbrError::OutOfBounds {
                    number,
                    first_sector,
                    sectors
                }
            );
        }
    }
}
