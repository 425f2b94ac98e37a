//! A master boot record: the partition table of boards whose firmware reads no other.
//!
//! Flows in: the disk's first sector. Flows out: the entries of its four primary partitions. Deliberately not supported:
//! logical partitions, addresses by cylinder, and the record that protects a GPT, which is no table of its own.
//!
//! An MBR knows neither ids nor names, so on the disk of an image the number says what a partition is for: 1 is the
//! firmware's, with the loader and the join file; 2 and 3 are the slots; 4 is var, which the machine makes itself.

/// Length of the record, and of the sectors it counts in on every disk that a board boots from.
pub const SECTOR_BYTES: usize = 512;
/// How many primaries there can be.
pub const PRIMARIES: u32 = 4;
/// The firmware's partition.
pub const FIRMWARE: u32 = 1;
/// The data of the machine.
pub const VAR: u32 = 4;
/// "Linux", the type of slots and var.
pub const LINUX: u8 = 0x83;

const ENTRIES_AT: usize = 446;
const ENTRY_BYTES: usize = 16;
const SIGNATURE_AT: usize = 510;
/// The type that a GPT's protective record has; the kernel, too, takes one such entry of the four for the sign.
const PROTECTIVE: u8 = 0xee;
/// "Beyond what cylinders, heads and sectors can say": whoever reads it takes the sector numbers instead.
const NO_CHS: [u8; 3] = [0xfe, 0xff, 0xff];

/// A used entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What it is for.
    pub kind: u8,
    /// Where it begins.
    pub first_sector: u32,
    /// How long it is; not 0.
    pub sectors: u32,
}

/// The table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mbr([Option<Entry>; PRIMARIES as usize]);

/// Why a sector is no such table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MbrError {
    /// It does not end with 55 AA.
    #[error("the first sector does not end with the signature of an MBR")]
    NoSignature,
    /// A GPT follows.
    #[error("the MBR only protects a GPT")]
    Protective,
}

impl Mbr {
    /// Reads the record.
    pub fn parse(sector: &[u8; SECTOR_BYTES]) -> Result<Self, MbrError> {
        if sector[SIGNATURE_AT..] != [0x55, 0xaa] {
            return Err(MbrError::NoSignature);
        }
        let mut entries = [None; PRIMARIES as usize];
        for (entry, bytes) in entries.iter_mut().zip(sector[ENTRIES_AT..].chunks_exact(ENTRY_BYTES)) {
            if bytes[4] == PROTECTIVE {
                return Err(MbrError::Protective);
            }
            *entry = Entry::parse(bytes);
        }
        Ok(Self(entries))
    }

    /// The entry with this number, counted from 1 as the kernel counts.
    pub fn entry(&self, number: u32) -> Option<Entry> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        self.0.get(index).copied().flatten()
    }
}

impl Entry {
    /// `bytes` are 16. Unused and empty entries give nothing, as with the kernel.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let entry = Self {
            kind: bytes[4],
            first_sector: number(8),
            sectors: number(12),
        };
        (entry.kind != 0 && entry.sectors != 0).then_some(entry)
    }

    /// Its bytes in the table.
    pub fn to_bytes(self) -> [u8; ENTRY_BYTES] {
        let [start_a, start_b, start_c] = NO_CHS;
        let [first_a, first_b, first_c, first_d] = self.first_sector.to_le_bytes();
        let [len_a, len_b, len_c, len_d] = self.sectors.to_le_bytes();
        [
            0, start_a, start_b, start_c, self.kind, start_a, start_b, start_c, first_a, first_b, first_c, first_d,
            len_a, len_b, len_c, len_d,
        ]
    }

    /// The first sector behind it; beyond 32 bits for what lies at their end.
    pub fn end(&self) -> u64 {
        u64::from(self.first_sector) + u64::from(self.sectors)
    }
}

/// The record with this entry at place `number`, 1 to 4, and everything else as it was.
pub fn with_entry(sector: &[u8; SECTOR_BYTES], number: u32, entry: Entry) -> [u8; SECTOR_BYTES] {
    let mut sector = *sector;
    let places = sector[ENTRIES_AT..SIGNATURE_AT].chunks_exact_mut(ENTRY_BYTES);
    for (place, _) in places.zip(1..).filter(|(_, of)| *of == number) {
        place.copy_from_slice(&entry.to_bytes());
    }
    sector
}

#[cfg(test)]
pub(crate) mod tests;
