//! Where var goes: behind slot B, to the end of the disk.

use crate::initrd::mbr::{self, Entry, Mbr, MbrError, SECTOR_BYTES};

/// The least that var is made with, as on machines with a GPT; below this nothing useful could run.
pub const LEAST_BYTES: u64 = 64 << 20;

/// Partitions begin and end at multiples of 1 MiB, so that no block of flash belongs to two.
const ALIGN_SECTORS: u64 = (1 << 20) / SECTOR_BYTES as u64;
const LEAST_SECTORS: u64 = LEAST_BYTES / SECTOR_BYTES as u64;
/// Behind it an MBR can say nothing, and what it can say there many tools do not understand.
const END_MAX_SECTORS: u64 = 1 << 32;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The partition that is to be made.
    pub var: Entry,
    /// The first sector of the disk with its entry, and all else as it is.
    pub sector: [u8; SECTOR_BYTES],
}

/// Why var cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// It is another table than it was when the machine started.
    #[error("its table cannot be used: flash the image again")]
    NoMbr(#[from] MbrError),
    /// It is not the table of an image.
    #[error("its table has no partition {number}, which every image has: flash the image again")]
    Missing {
        /// Counted from 1.
        number: u32,
    },
    /// The table is made for a larger disk.
    #[error(
        "its var ends at sector {end}, but the disk has {sectors}: the content is of a larger disk, flash the image anew"
    )]
    CutOff {
        /// Where var ends.
        end: u64,
        /// Where the disk ends.
        sectors: u64,
    },
    /// Nothing is left behind slot B.
    #[error(
        "{left_mib} MiB are left behind slot B, and var needs 64: take a disk of at least {needed_mib} MiB, or an image \
         with a smaller `slot-size`"
    )]
    NoRoom {
        /// What is left.
        left_mib: u64,
        /// How large the disk must be.
        needed_mib: u64,
    },
}

/// Plans for a disk of `sectors` of 512 bytes, of which `sector` is the first; none if the table has var.
pub fn plan(sector: &[u8; SECTOR_BYTES], sectors: u64) -> Result<Option<Plan>, PlanError> {
    let table = Mbr::parse(sector)?;
    if let Some(var) = table.entry(mbr::VAR) {
        return match var.end() <= sectors {
            true => Ok(None),
            false => Err(PlanError::CutOff {
                end: var.end(),
                sectors,
            }),
        };
    }
    let mut end_of_others = 0;
    for number in mbr::FIRMWARE..mbr::VAR {
        let entry = table.entry(number).ok_or(PlanError::Missing { number })?;
        end_of_others = entry.end().max(end_of_others);
    }
    let var = behind(end_of_others, sectors)?;
    let sector = mbr::with_entry(sector, mbr::VAR, var);
    Ok(Some(Plan { var, sector }))
}

fn behind(end_of_others: u64, sectors: u64) -> Result<Entry, PlanError> {
    let first = end_of_others.next_multiple_of(ALIGN_SECTORS);
    let end = sectors.min(END_MAX_SECTORS) / ALIGN_SECTORS * ALIGN_SECTORS;
    let left = end.saturating_sub(first);
    // What lies behind the first 2 TiB does not fit, and there is no room for it either.
    match (u32::try_from(first), u32::try_from(left)) {
        (Ok(first_sector), Ok(left_sectors)) if left >= LEAST_SECTORS => Ok(Entry {
            kind: mbr::LINUX,
            first_sector,
            sectors: left_sectors,
        }),
        _ => Err(PlanError::NoRoom {
            left_mib: left / ALIGN_SECTORS,
            needed_mib: (first + LEAST_SECTORS) / ALIGN_SECTORS,
        }),
    }
}

#[cfg(test)]
mod tests;
