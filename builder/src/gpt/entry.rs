//! One entry of a partition table (UEFI 2.10 §5.3.3).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::guid::Guid;

/// Bytes of an entry.
pub const ENTRY_BYTES: usize = 128;
/// UTF-16 units of a label.
pub const LABEL_UNITS: usize = 36;
/// Where the label begins.
const LABEL_OFFSET: usize = 56;

/// The attribute bits of a partition; 59 to 63 as the UAPI Discoverable Partitions Specification defines them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartitionFlags(pub u64);

impl PartitionFlags {
    /// No bit.
    pub const NONE: Self = Self(0);
    /// Bit 59: grow the file system to the partition's size at boot.
    pub const GROW_FILE_SYSTEM: Self = Self(1 << 59);
    /// Bit 60: never mounted writable.
    pub const READ_ONLY: Self = Self(1 << 60);
    /// Bit 63: not mounted by itself.
    pub const NO_AUTO: Self = Self(1 << 63);

    /// Both sets of bits.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl fmt::Display for PartitionFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = [
            (Self::GROW_FILE_SYSTEM, "grow-file-system"),
            (Self::READ_ONLY, "read-only"),
            (Self::NO_AUTO, "no-auto"),
        ];
        let rest = known.iter().fold(self.0, |rest, (flag, _)| rest & !flag.0);
        let names = known
            .iter()
            .filter(|(flag, _)| self.contains(*flag))
            .map(|(_, name)| (*name).to_owned());
        let rest = (rest != 0).then(|| format!("{rest:#x}"));
        f.write_str(&names.chain(rest).collect::<Vec<_>>().join(","))
    }
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GptEntry {
    /// What it is for.
    pub type_id: Guid,
    /// Its own id, the PARTUUID.
    pub id: Guid,
    /// Its first sector.
    pub first_sector: u64,
    /// Its length in sectors.
    pub sectors: u64,
    /// Its attribute bits.
    pub flags: PartitionFlags,
    /// Its label, at most 36 UTF-16 units.
    pub label: String,
}

/// Whether `label` fits into an entry and can be read back from it.
pub fn label_fits(label: &str) -> bool {
    label.encode_utf16().count() <= LABEL_UNITS && !label.contains('\0')
}

impl GptEntry {
    /// The entry's bytes; a label that does not fit is cut.
    pub fn to_bytes(&self) -> [u8; ENTRY_BYTES] {
        let last_sector = self.first_sector + self.sectors.saturating_sub(1);
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..16].copy_from_slice(&self.type_id.to_disk());
        bytes[16..32].copy_from_slice(&self.id.to_disk());
        bytes[32..40].copy_from_slice(&self.first_sector.to_le_bytes());
        bytes[40..48].copy_from_slice(&last_sector.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.flags.0.to_le_bytes());
        let places = bytes[LABEL_OFFSET..].as_chunks_mut::<2>().0;
        for (place, unit) in places.iter_mut().zip(self.label.encode_utf16()) {
            *place = unit.to_le_bytes();
        }
        bytes
    }

    /// The partition that `bytes` describe; `None` for an unused entry. One that ends before it begins has no sectors.
    pub fn parse(bytes: &[u8; ENTRY_BYTES]) -> Option<Self> {
        let type_id = guid_at(bytes, 0);
        if type_id == Guid::NIL {
            return None;
        }
        let first_sector = u64_at(bytes, 32);
        let last_sector = u64_at(bytes, 40);
        let units: Vec<u16> = bytes[LABEL_OFFSET..]
            .as_chunks::<2>()
            .0
            .iter()
            .map(|unit| u16::from_le_bytes(*unit))
            .collect();
        let label = units.split(|unit| *unit == 0).next().unwrap_or_default();
        Some(Self {
            type_id,
            id: guid_at(bytes, 16),
            first_sector,
            sectors: last_sector
                .checked_sub(first_sector)
                .map_or(0, |span| span.saturating_add(1)),
            flags: PartitionFlags(u64_at(bytes, 48)),
            label: String::from_utf16_lossy(label),
        })
    }
}

pub(super) fn guid_at(bytes: &[u8], at: usize) -> Guid {
    let mut field = [0; 16];
    field.copy_from_slice(&bytes[at..at + 16]);
    Guid::from_disk(field)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(field)
}
