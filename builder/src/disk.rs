//! The disk image: layout and writing.
//!
//! In: a planned EFI system partition, the root file system and its verity data as files, and the root hash. Out: a GPT disk
//! with the partitions ESP, root A and verity A, as the UAPI Discoverable Partitions Specification names them. Slot B and var
//! are made on the device, where systemd-repart also moves the backup table to the end of the real disk.
//!
//! Planning is pure: all that decides the image is in [`DiskInput`]. Deliberately unsupported: MBR disks, images without
//! verity.

use std::ops::Range;
use std::path::PathBuf;

use crate::arch::Arch;
use crate::digest::Sha256;
use crate::failure::Diagnose;
use crate::fat::{FatError, FatVolume};
use crate::gpt::{self, GptEntry, GptError, GptTable, Guid, PartitionFlags, SECTOR_BYTES};

pub mod sparse;
pub mod staged;
pub mod staged_folder;
mod write;

#[cfg(test)]
mod tests;

pub use write::write;

/// Partitions begin and end at multiples of 1 MiB, which suits every erase block and is what partitioning tools do.
pub const ALIGNMENT_BYTES: u64 = 1 << 20;
/// The same in sectors.
const ALIGNMENT_SECTORS: u64 = ALIGNMENT_BYTES / SECTOR_BYTES;

/// What fills a slot, and how large the slot is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotInput {
    /// The host file with the content.
    pub path: PathBuf,
    /// The content's length in bytes.
    pub len_bytes: u64,
    /// The partition's size in bytes, rounded up to 1 MiB; larger than the content where future versions need room.
    pub slot_bytes: u64,
}

/// All that decides a disk image.
#[derive(Debug, Clone)]
pub struct DiskInput {
    /// The architecture, for the partition types.
    pub arch: Arch,
    /// What the ids of the disk and of the ESP are derived from.
    pub seed: Sha256,
    /// The root partition's label, such as `edge-x86_64_1.0`; the verity partition's has `_verity` after it.
    pub label: String,
    /// The EFI system partition.
    pub esp: FatVolume,
    /// The root file system.
    pub root: SlotInput,
    /// Its verity data.
    pub verity: SlotInput,
    /// Its root hash, whose halves become the ids of the partitions root and verity.
    pub root_hash: Sha256,
}

/// What a partition is filled with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionSource {
    /// A FAT volume.
    Fat(Box<FatVolume>),
    /// A host file.
    File {
        /// The file.
        path: PathBuf,
        /// How much of it.
        len_bytes: u64,
    },
}

/// A partition with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// What it is for.
    pub type_id: Guid,
    /// Its own id, the PARTUUID.
    pub id: Guid,
    /// Its label, at most 36 UTF-16 units.
    pub label: String,
    /// Its first sector, of 512 bytes.
    pub first_sector: u64,
    /// Its length in sectors.
    pub sectors: u64,
    /// Its attribute bits.
    pub flags: PartitionFlags,
    /// What fills it.
    pub source: PartitionSource,
}

impl Partition {
    /// Where it begins, in bytes.
    pub const fn offset(&self) -> u64 {
        self.first_sector * SECTOR_BYTES
    }

    /// Its size in bytes.
    pub const fn len_bytes(&self) -> u64 {
        self.sectors * SECTOR_BYTES
    }

    /// Which bytes of the disk its content takes.
    pub fn data_range(&self) -> Range<u64> {
        let within = match &self.source {
            PartitionSource::Fat(volume) => volume.data_range(),
            // Whole sectors, since nothing else can be written to a disk.
            PartitionSource::File { len_bytes, .. } => 0..len_bytes.next_multiple_of(SECTOR_BYTES),
        };
        self.offset() + within.start..self.offset() + within.end
    }

    fn entry(&self) -> GptEntry {
        GptEntry {
            type_id: self.type_id,
            id: self.id,
            first_sector: self.first_sector,
            sectors: self.sectors,
            flags: self.flags,
            label: self.label.clone(),
        }
    }
}

/// A planned disk image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskLayout {
    /// The disk's id.
    pub disk_id: Guid,
    /// The partitions, by number and place.
    pub partitions: Vec<Partition>,
    /// The image's size in sectors.
    pub total_sectors: u64,
}

/// Why a disk image cannot be planned or written.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The content is larger than its slot.
    #[error("{what} has {len_bytes} bytes, but its partition is planned with {slot_bytes} bytes")]
    SlotTooSmall {
        /// Which content.
        what: &'static str,
        /// Its length.
        len_bytes: u64,
        /// The size of the slot.
        slot_bytes: u64,
    },
    /// The partition table cannot hold it.
    #[error("the partition table cannot describe the image")]
    Table {
        /// Why.
        source: GptError,
    },
    /// The ESP cannot be written.
    #[error("the EFI system partition cannot be written")]
    Esp {
        /// Why.
        source: FatError,
    },
    /// A content file cannot be read.
    #[error("cannot read `{}` for partition `{label}`", path.display())]
    ReadSource {
        /// The partition's label.
        label: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A content file is shorter than planned.
    #[error("`{}` ended after {found_bytes} of the {expected_bytes} bytes planned for partition `{label}`", path.display())]
    ShortSource {
        /// The partition's label.
        label: String,
        /// The file.
        path: PathBuf,
        /// The planned length.
        expected_bytes: u64,
        /// What was there.
        found_bytes: u64,
    },
    /// The image cannot be written.
    #[error("cannot write {what} of the disk image `{}`", path.display())]
    Write {
        /// Which part.
        what: String,
        /// The image.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Diagnose for DiskError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::SlotTooSmall { what, len_bytes, .. } => vec![format!(
                "plan at least {} MiB for {what}, with room for future versions",
                len_bytes.div_ceil(1 << 20)
            )],
            Self::Table { source } => source.hints(),
            Self::Esp { source } => source.hints(),
            Self::ShortSource { path, .. } => {
                vec![format!("`{}` changed during the build; build again", path.display())]
            }
            Self::Write { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                vec!["free some space, or choose another folder with `--out`".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}

impl DiskLayout {
    /// Gives every partition its place.
    pub fn plan(input: DiskInput) -> Result<Self, DiskError> {
        let [root_id, verity_id] = Guid::halves_of(&input.root_hash);
        let disk_id = Guid::derive(&input.seed, "disk");
        let verity_label = format!("{}_verity", input.label);
        let mut next_sector = ALIGNMENT_SECTORS;
        let mut partition = |type_id, id, label, (source, slot_bytes): (PartitionSource, u64)| {
            let first_sector = next_sector;
            let sectors = slot_bytes.next_multiple_of(ALIGNMENT_BYTES) / SECTOR_BYTES;
            next_sector += sectors;
            let flags = match source {
                PartitionSource::Fat(_) => PartitionFlags::NONE,
                PartitionSource::File { .. } => PartitionFlags::READ_ONLY,
            };
            Partition {
                type_id,
                id,
                label,
                first_sector,
                sectors,
                flags,
                source,
            }
        };
        let esp_bytes = input.esp.volume_bytes();
        let esp = (PartitionSource::Fat(Box::new(input.esp)), esp_bytes);
        let esp_id = Guid::derive(&input.seed, "esp");
        let root = slot_source("the root file system", input.root)?;
        let verity = slot_source("the verity data", input.verity)?;
        let partitions = vec![
            partition(gpt::guid::ESP, esp_id, "esp".to_owned(), esp),
            partition(Guid::root_type(input.arch), root_id, input.label, root),
            partition(Guid::root_verity_type(input.arch), verity_id, verity_label, verity),
        ];
        let layout = Self {
            disk_id,
            partitions,
            total_sectors: (next_sector + gpt::BACKUP_SECTORS).next_multiple_of(ALIGNMENT_SECTORS),
        };
        layout.table().check().map_err(|source| DiskError::Table { source })?;
        Ok(layout)
    }

    /// The image's size in bytes.
    pub const fn len_bytes(&self) -> u64 {
        self.total_sectors * SECTOR_BYTES
    }

    /// The partition table.
    pub fn table(&self) -> GptTable {
        GptTable {
            disk_id: self.disk_id,
            total_sectors: self.total_sectors,
            partitions: self.partitions.iter().map(Partition::entry).collect(),
        }
    }

    /// What a copy of the image has to carry, in bytes, ordered and without overlap: the first MiB with the partition table,
    /// the content of the partitions and the backup table. Zeros in it count, since a disk may hold something else there.
    pub fn ranges(&self) -> Vec<Range<u64>> {
        let backup_start = (self.total_sectors - gpt::BACKUP_SECTORS) * SECTOR_BYTES;
        let contents = self.partitions.iter().map(Partition::data_range);
        let mut ranges: Vec<Range<u64>> = Vec::new();
        let first = std::iter::once(0..ALIGNMENT_BYTES);
        let all = first
            .chain(contents)
            .chain(std::iter::once(backup_start..self.len_bytes()));
        for range in all.filter(|range| !range.is_empty()) {
            match ranges.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => ranges.push(range),
            }
        }
        ranges
    }
}

fn slot_source(what: &'static str, slot: SlotInput) -> Result<(PartitionSource, u64), DiskError> {
    let SlotInput {
        path,
        len_bytes,
        slot_bytes,
    } = slot;
    if len_bytes > slot_bytes {
        return Err(DiskError::SlotTooSmall {
            what,
            len_bytes,
            slot_bytes,
        });
    }
    Ok((PartitionSource::File { path, len_bytes }, slot_bytes))
}
