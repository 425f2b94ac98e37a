//! The file allocation table: which cluster follows which (FAT specification, "FAT Data Structure").

use std::ops::Range;

use super::boot_sector::SECTOR_BYTES;

/// The first cluster of the data area; the two entries before it have other uses.
pub const FIRST_CLUSTER: u32 = 2;
/// Ends a chain.
pub(super) const END_OF_CHAIN: u32 = 0x0fff_ffff;
/// Entry 0: the media byte of the boot sector, the rest ones.
const MEDIA: u32 = 0x0fff_fff8;
/// Entry 1: "volume was cleanly dismounted" and "no read/write errors" are set.
const CLEAN: u32 = 0x0fff_ffff;
/// The upper four bits of an entry belong to nobody.
pub(super) const ENTRY_MASK: u32 = 0x0fff_ffff;

/// What an entry says about its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// It is not in use.
    Free,
    /// The chain goes on there.
    Next(u32),
    /// It cannot be used.
    Bad,
    /// The chain ends here.
    End,
}

impl Link {
    /// The meaning of a raw entry.
    pub const fn from_raw(raw: u32) -> Self {
        match raw & ENTRY_MASK {
            0 => Self::Free,
            0x0fff_fff7 => Self::Bad,
            0x0fff_fff8.. => Self::End,
            next => Self::Next(next),
        }
    }
}

/// The beginning of a table in which each of `chains` is a run of clusters; whole sectors, all after them is free.
///
/// The chains follow one another without gaps from cluster 2 on.
pub fn of_runs(chains: &[Range<u32>]) -> Vec<u8> {
    let mut entries = vec![MEDIA, CLEAN];
    for chain in chains {
        debug_assert_eq!(entries.len(), chain.start as usize);
        entries.extend(chain.clone().skip(1));
        entries.push(END_OF_CHAIN);
    }
    let mut bytes: Vec<u8> = entries.iter().flat_map(|entry| entry.to_le_bytes()).collect();
    bytes.resize(bytes.len().next_multiple_of(SECTOR_BYTES as usize), 0);
    bytes
}
