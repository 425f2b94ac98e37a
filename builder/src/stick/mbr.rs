//! The MBR of a stick (UEFI 2.10 §5.2.1, "Legacy Master Boot Record").

use std::ops::Range;

use crate::gpt::SECTOR_BYTES;

/// Where the disk's own number is.
const SIGNATURE_AT: usize = 440;
/// Where the first of the four partition records is.
const RECORDS_AT: usize = 446;
/// The length of a record.
const RECORD_BYTES: usize = 16;
/// FAT32, addressed by block numbers.
const FAT32_LBA: u8 = 0x0c;
/// The types of partitions that hold FAT: by block numbers or not, hidden ones not among them.
const FAT_TYPES: [u8; 5] = [0x04, 0x06, 0x0b, FAT32_LBA, 0x0e];
/// A block number that cylinders, heads and sectors cannot express.
const BEYOND: [u8; 3] = [0xfe, 0xff, 0xff];

/// The sector for a disk with one partition, in sectors. `number` tells it from other disks.
pub(super) fn to_bytes(partition: &Range<u32>, number: u32) -> [u8; SECTOR_BYTES as usize] {
    let mut record = [0; RECORD_BYTES];
    record[1..4].copy_from_slice(&BEYOND);
    record[4] = FAT32_LBA;
    record[5..8].copy_from_slice(&BEYOND);
    record[8..12].copy_from_slice(&partition.start.to_le_bytes());
    record[12..].copy_from_slice(&(partition.end - partition.start).to_le_bytes());
    let mut bytes = [0; SECTOR_BYTES as usize];
    bytes[SIGNATURE_AT..SIGNATURE_AT + 4].copy_from_slice(&number.to_le_bytes());
    bytes[RECORDS_AT..RECORDS_AT + RECORD_BYTES].copy_from_slice(&record);
    bytes[510..].copy_from_slice(&[0x55, 0xaa]);
    bytes
}

/// The partitions with FAT, in bytes; none if it is no MBR.
pub(super) fn fat_partitions(sector: &[u8; SECTOR_BYTES as usize]) -> Vec<Range<u64>> {
    if sector[510..] != [0x55, 0xaa] {
        return Vec::new();
    }
    let records = sector[RECORDS_AT..510].as_chunks::<RECORD_BYTES>().0.iter();
    let number = |record: &[u8; RECORD_BYTES], at: usize| {
        u64::from(u32::from_le_bytes([
            record[at],
            record[at + 1],
            record[at + 2],
            record[at + 3],
        ]))
    };
    let partitions = records.filter(|record| FAT_TYPES.contains(&record[4])).map(|record| {
        let start = number(record, 8) * SECTOR_BYTES;
        start..start + number(record, 12) * SECTOR_BYTES
    });
    partitions
        .filter(|range| range.start > 0 && !range.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_is_found_again_and_the_bytes_are_those_of_the_specification() {
        let sector = to_bytes(&(2048..81_920), 0x1234_abcd);
        assert_eq!(sector[..440], [0; 440]);
        assert_eq!(sector[440..446], [0xcd, 0xab, 0x34, 0x12, 0, 0]);
        let record = [0, 0xfe, 0xff, 0xff, 0x0c, 0xfe, 0xff, 0xff, 0, 8, 0, 0, 0, 0x38, 1, 0];
        assert_eq!(sector[446..462], record);
        let found = fat_partitions(&sector);
        assert_eq!((found.len(), found[0].clone()), (1, 1 << 20..40 << 20));
    }

    #[test]
    fn records_of_other_kinds_and_other_sectors_hold_no_fat() {
        let mut sector = to_bytes(&(2048..81_920), 1);
        sector[450] = 0xee;
        assert!(fat_partitions(&sector).is_empty());
        assert!(fat_partitions(&[0; 512]).is_empty());
        let huge = to_bytes(&(u32::MAX - 1..u32::MAX), 1);
        assert_eq!(fat_partitions(&huge)[0].end, u64::from(u32::MAX) * 512);
    }
}
