//! The disk image: layout and writing.
//!
//! In: a planned EFI system partition, the root file system and its verity data as files, and the root hash. Out, by
//! [`TableKind`]:
//!
//! * GPT: the partitions ESP, root A and verity A, as the UAPI Discoverable Partitions Specification names them. Slot B and
//!   var are made on the device, where systemd-repart also moves the backup table to the end of the real disk.
//! * MBR, for boards whose ROM knows nothing else: ESP, slot A and slot B, each slot with the verity data behind the root
//!   file system. There is no place for ids, so the root is found by its hash. var is made on the device.
//!
//! Boot loaders that a ROM reads outside of partitions lie before the first one.
//!
//! Planning is pure: all that decides the image is in [`DiskInput`]. Deliberately unsupported: images without verity.

use std::ops::Range;
use std::path::PathBuf;

use crate::arch::Arch;
use crate::digest::Sha256;
use crate::fat::FatVolume;
use crate::gpt::{self, GptTable, PartitionFlags, SECTOR_BYTES};
use crate::mbr::MbrTable;
use crate::partition_id::{DiskId, PartitionId, PartitionType};
use crate::tree::FileData;

mod error;
mod plan;
pub mod read;
pub mod sparse;
pub mod staged;
pub mod staged_folder;
mod write;

#[cfg(test)]
mod tests;

pub use error::DiskError;
pub use write::write;

/// Partitions begin and end at multiples of 1 MiB, which suits every erase block and is what partitioning tools do.
pub const ALIGNMENT_BYTES: u64 = 1 << 20;
/// The same in sectors.
const ALIGNMENT_SECTORS: u64 = ALIGNMENT_BYTES / SECTOR_BYTES;
/// Files that share a partition begin at multiples of this: a block of squashfs' padding and of dm-verity.
const BLOCK_BYTES: u64 = 4096;

/// How the partitions are described.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TableKind {
    /// GUID partition table (UEFI 2.10 §5.3).
    #[default]
    Gpt,
    /// Master boot record, for boot ROMs that know nothing else.
    Mbr,
}

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
    /// Its root hash, whose halves become the ids of the partitions root and verity where there are ids.
    pub root_hash: Sha256,
    /// How the partitions are described.
    pub table: TableKind,
    /// Where the first partition begins, in bytes: a multiple of 1 MiB behind all boot loaders.
    pub first_partition: u64,
    /// What the boot ROM reads, in any order.
    pub loaders: Vec<Loader>,
}

/// A boot loader outside of partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loader {
    /// Its name, such as `idbloader.img`.
    pub name: String,
    /// Where it begins, in bytes; a whole number of sectors.
    pub offset: u64,
    /// It.
    pub data: FileData,
}

impl Loader {
    /// Which bytes of the disk it takes, in whole sectors.
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.data.len_bytes.next_multiple_of(SECTOR_BYTES)
    }
}

/// A host file in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The file.
    pub path: PathBuf,
    /// How much of it.
    pub len_bytes: u64,
}

/// What a partition is filled with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionSource {
    /// A FAT volume.
    Fat(Box<FatVolume>),
    /// Host files, each at the next multiple of 4096 bytes; nothing where there are none.
    Files(Vec<SourceFile>),
}

/// A partition with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// What it is for.
    pub type_id: PartitionType,
    /// Its own id, the PARTUUID.
    pub id: PartitionId,
    /// Its label, at most 36 UTF-16 units; an MBR does not hold it.
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
            PartitionSource::Files(files) => 0..places(files).1.next_multiple_of(SECTOR_BYTES),
        };
        self.offset() + within.start..self.offset() + within.end
    }
}

/// Where in a partition each of its files begins, and where the last one ends, in bytes.
fn places(files: &[SourceFile]) -> (Vec<u64>, u64) {
    let mut end = 0;
    let place = |file: &SourceFile| {
        let start = u64::next_multiple_of(end, BLOCK_BYTES);
        end = start + file.len_bytes;
        start
    };
    (files.iter().map(place).collect(), end)
}

/// A partition table of either kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Table {
    /// At both ends of the disk.
    Gpt(GptTable),
    /// In its first sector.
    Mbr(MbrTable),
}

/// A planned disk image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskLayout {
    /// The partition table.
    pub table: Table,
    /// The partitions, by number and place.
    pub partitions: Vec<Partition>,
    /// Boot loaders outside of partitions, by place.
    pub loaders: Vec<Loader>,
    /// The image's size in sectors.
    pub total_sectors: u64,
}

impl DiskLayout {
    /// Gives every partition its place.
    pub fn plan(input: DiskInput) -> Result<Self, DiskError> {
        plan::plan(input)
    }

    /// The image's size in bytes.
    pub const fn len_bytes(&self) -> u64 {
        self.total_sectors * SECTOR_BYTES
    }

    /// The disk's id.
    pub const fn disk_id(&self) -> DiskId {
        match &self.table {
            Table::Gpt(table) => DiskId::Gpt(table.disk_id),
            Table::Mbr(table) => DiskId::Mbr(table.signature),
        }
    }

    /// Which bytes at the end of the disk the backup table takes.
    fn backup_range(&self) -> Range<u64> {
        let sectors = match self.table {
            Table::Gpt(_) => gpt::BACKUP_SECTORS,
            Table::Mbr(_) => 0,
        };
        (self.total_sectors - sectors) * SECTOR_BYTES..self.len_bytes()
    }

    /// What a copy of the image has to carry, in bytes, ordered and without overlap: the first MiB with the partition table,
    /// boot loaders, the content of the partitions and the backup table. Zeros in it count, since a disk may hold something
    /// else there.
    pub fn ranges(&self) -> Vec<Range<u64>> {
        let first = std::iter::once(0..ALIGNMENT_BYTES);
        let loaders = self.loaders.iter().map(Loader::range);
        let contents = self.partitions.iter().map(Partition::data_range);
        let all = first.chain(loaders).chain(contents);
        let all = all.chain(std::iter::once(self.backup_range()));
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for range in all.filter(|range| !range.is_empty()) {
            match ranges.last_mut() {
                Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
                _ => ranges.push(range),
            }
        }
        ranges
    }
}
