//! The MBR that keeps old tools from taking the disk for empty (UEFI 2.10 §5.2.3).

use super::SECTOR_BYTES;

/// Partition type "GPT protective".
const PROTECTIVE: u8 = 0xee;
/// Where the first of the four partition records is.
const FIRST_RECORD: usize = 446;

/// The sector for a disk of `total_sectors`.
pub fn to_bytes(total_sectors: u64) -> [u8; SECTOR_BYTES as usize] {
    // "Set to 0xFFFFFFFF if the size of the disk is too large to be represented in this field."
    let sectors = u32::try_from(total_sectors - 1).unwrap_or(u32::MAX);
    let mut record = [0; 16];
    record[1..4].copy_from_slice(&[0x00, 0x02, 0x00]); // sector 1 in cylinders, heads, sectors
    record[4] = PROTECTIVE;
    record[5..8].copy_from_slice(&[0xff, 0xff, 0xff]); // beyond what these can express
    record[8..12].copy_from_slice(&1_u32.to_le_bytes());
    record[12..].copy_from_slice(&sectors.to_le_bytes());
    let mut bytes = [0; SECTOR_BYTES as usize];
    bytes[FIRST_RECORD..FIRST_RECORD + 16].copy_from_slice(&record);
    bytes[510..].copy_from_slice(&[0x55, 0xaa]);
    bytes
}
