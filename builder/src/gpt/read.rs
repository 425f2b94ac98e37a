//! Reads the partition table of a file or device, which may hold anything.

use std::io::{self, Read, Seek, SeekFrom};

use super::entry::{ENTRY_BYTES, GptEntry};
use super::header::{BadHeader, Header};
use super::{GptError, GptTable, SECTOR_BYTES, check_places, crc32};

/// Which of the two tables was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copy {
    /// The one at the disk's start.
    Primary,
    /// The one at its end.
    Backup,
}

/// A table that was read.
#[derive(Debug)]
pub struct ReadTable {
    /// The table; its size in sectors is that of the file or device.
    pub table: GptTable,
    /// Where it is from.
    pub copy: Copy,
    /// What is wrong with the other copy, if anything is. On a disk larger than its image, the backup is not at the end.
    pub other_fault: Option<GptReadError>,
}

/// Why a table cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum GptReadError {
    /// Reading failed.
    #[error("cannot read {what} at byte {offset}")]
    Read {
        /// Which part.
        what: &'static str,
        /// Where in the file or device.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// Less than a table needs.
    #[error("{len_bytes} bytes are too few for a disk with a partition table")]
    TooShort {
        /// The length of the file or device.
        len_bytes: u64,
    },
    /// There is none, or it is damaged.
    #[error("sector {sector} holds no valid partition table header")]
    Header {
        /// Where a header was expected.
        sector: u64,
        /// What is wrong.
        source: BadHeader,
    },
    /// The entries are damaged.
    #[error("the partition entries at sector {sector} do not match their checksum")]
    ArrayChecksum {
        /// Where they begin.
        sector: u64,
    },
    /// The entries contradict each other or the disk.
    #[error("the partition entries at sector {sector} contradict each other")]
    Entries {
        /// Where they begin.
        sector: u64,
        /// What is wrong.
        source: GptError,
    },
}

/// Reads the primary table of `disk`, or the backup in its last sectors where the primary is damaged; if both are, the error
/// is the primary's.
pub fn read<R: Read + Seek>(disk: &mut R) -> Result<ReadTable, GptReadError> {
    let len_bytes = disk.seek(SeekFrom::End(0)).map_err(|source| GptReadError::Read {
        what: "the disk's size",
        offset: 0,
        source,
    })?;
    let total_sectors = len_bytes / SECTOR_BYTES;
    if total_sectors < 3 {
        return Err(GptReadError::TooShort { len_bytes });
    }
    let backup = read_copy(disk, total_sectors - 1, total_sectors);
    match (read_copy(disk, 1, total_sectors), backup) {
        (Ok(table), backup) => Ok(ReadTable {
            table,
            copy: Copy::Primary,
            other_fault: backup.err(),
        }),
        (Err(fault), Ok(table)) => Ok(ReadTable {
            table,
            copy: Copy::Backup,
            other_fault: Some(fault),
        }),
        (Err(fault), Err(_)) => Err(fault),
    }
}

fn read_copy<R: Read + Seek>(disk: &mut R, sector: u64, total_sectors: u64) -> Result<GptTable, GptReadError> {
    let mut bytes = [0; SECTOR_BYTES as usize];
    read_at(disk, sector * SECTOR_BYTES, &mut bytes, "the partition table header")?;
    let header =
        Header::parse(&bytes, sector, total_sectors).map_err(|source| GptReadError::Header { sector, source })?;
    let sector = header.array_sector;
    // At most 1 MiB: the header's parser bounds both factors.
    let mut array = vec![0; header.entry_count as usize * header.entry_bytes as usize];
    read_at(disk, sector * SECTOR_BYTES, &mut array, "the partition entries")?;
    if crc32::of(&array) != header.array_crc32 {
        return Err(GptReadError::ArrayChecksum { sector });
    }
    let partitions: Vec<GptEntry> = array
        .chunks_exact(header.entry_bytes as usize)
        .filter_map(|entry| entry.first_chunk::<ENTRY_BYTES>().and_then(GptEntry::parse))
        .collect();
    check_places(&partitions, &header.usable).map_err(|source| GptReadError::Entries { sector, source })?;
    Ok(GptTable {
        disk_id: header.disk_id,
        total_sectors,
        partitions,
    })
}

fn read_at<R: Read + Seek>(
    disk: &mut R,
    offset: u64,
    bytes: &mut [u8],
    what: &'static str,
) -> Result<(), GptReadError> {
    disk.seek(SeekFrom::Start(offset))
        .and_then(|_| disk.read_exact(bytes))
        .map_err(|source| GptReadError::Read { what, offset, source })
}
