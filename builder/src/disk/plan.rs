//! Gives partitions and boot loaders their places.

use std::ops::Range;

use super::{
    ALIGNMENT_BYTES, ALIGNMENT_SECTORS, BLOCK_BYTES, DiskError, DiskInput, DiskLayout, Loader, Partition,
    PartitionSource, SlotInput, SourceFile, Table, TableKind,
};
use crate::digest::Sha256;
use crate::gpt::{self, GptEntry, GptTable, Guid, PartitionFlags, SECTOR_BYTES, guid};
use crate::mbr::{self, MbrTable};
use crate::partition_id::{PartitionId, PartitionType};

/// A partition that has no place yet.
struct Wanted {
    type_id: PartitionType,
    id: PartitionId,
    label: String,
    source: PartitionSource,
    len_bytes: u64,
}

pub(super) fn plan(input: DiskInput) -> Result<DiskLayout, DiskError> {
    let (kind, seed, first_partition) = (input.table, input.seed, input.first_partition);
    let loaders = place_loaders(input.loaders.clone(), table_bytes(kind)..first_partition)?;
    let wanted = match kind {
        TableKind::Gpt => gpt_partitions(input)?,
        TableKind::Mbr => mbr_partitions(input)?,
    };
    let (partitions, end) = place(wanted, first_partition);
    let total_sectors = match kind {
        TableKind::Gpt => (end + gpt::BACKUP_SECTORS).next_multiple_of(ALIGNMENT_SECTORS),
        TableKind::Mbr => end,
    };
    let table = match kind {
        TableKind::Gpt => Table::Gpt(gpt_table(&seed, &partitions, total_sectors)?),
        TableKind::Mbr => Table::Mbr(mbr_table(&seed, &partitions)?),
    };
    Ok(DiskLayout {
        table,
        partitions,
        loaders,
        total_sectors,
    })
}

/// How many bytes at the start of the disk the table takes.
const fn table_bytes(kind: TableKind) -> u64 {
    match kind {
        TableKind::Gpt => gpt::PRIMARY_SECTORS * SECTOR_BYTES,
        TableKind::Mbr => SECTOR_BYTES,
    }
}

fn place_loaders(mut loaders: Vec<Loader>, room: Range<u64>) -> Result<Vec<Loader>, DiskError> {
    loaders.sort_by_key(|loader| loader.offset);
    for loader in &loaders {
        let range = loader.range();
        if range.start < room.start || range.end > room.end || !range.start.is_multiple_of(SECTOR_BYTES) {
            let name = loader.name.clone();
            return Err(DiskError::LoaderPlace { name, range, room });
        }
    }
    for pair in loaders.windows(2) {
        if pair[0].range().end > pair[1].offset {
            return Err(DiskError::LoaderOverlap {
                name: pair[0].name.clone(),
                other: pair[1].name.clone(),
                offset: pair[1].offset,
            });
        }
    }
    Ok(loaders)
}

fn gpt_partitions(input: DiskInput) -> Result<Vec<Wanted>, DiskError> {
    let [root_id, verity_id] = Guid::halves_of(&input.root_hash);
    let slot = |what, type_id, id, label: String, slot: SlotInput| {
        let len_bytes = slot.slot_bytes;
        Ok::<_, DiskError>(Wanted {
            type_id: PartitionType::Gpt(type_id),
            id: PartitionId::Gpt(id),
            label,
            source: PartitionSource::Files(vec![checked(what, slot)?]),
            len_bytes,
        })
    };
    let verity_label = format!("{}_verity", input.label);
    Ok(vec![
        Wanted {
            type_id: PartitionType::Gpt(guid::ESP),
            id: PartitionId::Gpt(Guid::derive(&input.seed, "esp")),
            label: "esp".to_owned(),
            len_bytes: input.esp.volume_bytes(),
            source: PartitionSource::Fat(Box::new(input.esp)),
        },
        slot(
            "the root file system",
            Guid::root_type(input.arch),
            root_id,
            input.label,
            input.root,
        )?,
        slot(
            "the verity data",
            Guid::root_verity_type(input.arch),
            verity_id,
            verity_label,
            input.verity,
        )?,
    ])
}

/// Slot B is there from the start: the table is written whole, and only var's size depends on the disk.
fn mbr_partitions(input: DiskInput) -> Result<Vec<Wanted>, DiskError> {
    let signature = signature(&input.seed);
    let partition = |number, kind, label: String, source, len_bytes| Wanted {
        type_id: PartitionType::Mbr(kind),
        id: PartitionId::Mbr { signature, number },
        label,
        source,
        len_bytes,
    };
    let slot_bytes = input.root.slot_bytes.next_multiple_of(BLOCK_BYTES) + input.verity.slot_bytes;
    let root = checked("the root file system", input.root)?;
    let verity = checked("the verity data", input.verity)?;
    let esp_bytes = input.esp.volume_bytes();
    let esp = PartitionSource::Fat(Box::new(input.esp));
    let slot = PartitionSource::Files(vec![root, verity]);
    let empty = PartitionSource::Files(Vec::new());
    Ok(vec![
        partition(1, mbr::FAT32_LBA, "esp".to_owned(), esp, esp_bytes),
        partition(2, mbr::LINUX, input.label, slot, slot_bytes),
        partition(3, mbr::LINUX, "_empty".to_owned(), empty, slot_bytes),
    ])
}

fn checked(what: &'static str, slot: SlotInput) -> Result<SourceFile, DiskError> {
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
    Ok(SourceFile { path, len_bytes })
}

/// The partitions one after the other, and the sector behind the last one.
fn place(wanted: Vec<Wanted>, first_partition: u64) -> (Vec<Partition>, u64) {
    let mut next_sector = first_partition.next_multiple_of(ALIGNMENT_BYTES) / SECTOR_BYTES;
    let partition = |wanted: Wanted| {
        let first_sector = next_sector;
        let sectors = wanted.len_bytes.next_multiple_of(ALIGNMENT_BYTES) / SECTOR_BYTES;
        next_sector += sectors;
        let flags = match wanted.source {
            PartitionSource::Fat(_) => PartitionFlags::NONE,
            PartitionSource::Files(_) => PartitionFlags::READ_ONLY,
        };
        Partition {
            type_id: wanted.type_id,
            id: wanted.id,
            label: wanted.label,
            first_sector,
            sectors,
            flags,
            source: wanted.source,
        }
    };
    let partitions = wanted.into_iter().map(partition).collect();
    (partitions, next_sector)
}

fn gpt_table(seed: &Sha256, partitions: &[Partition], total_sectors: u64) -> Result<GptTable, DiskError> {
    let entry = |partition: &Partition| {
        let (PartitionType::Gpt(type_id), PartitionId::Gpt(id)) = (partition.type_id, partition.id) else {
            return None;
        };
        Some(GptEntry {
            type_id,
            id,
            first_sector: partition.first_sector,
            sectors: partition.sectors,
            flags: partition.flags,
            label: partition.label.clone(),
        })
    };
    let table = GptTable {
        disk_id: Guid::derive(seed, "disk"),
        total_sectors,
        partitions: partitions.iter().filter_map(entry).collect(),
    };
    table.check().map_err(|source| DiskError::Table { source })?;
    Ok(table)
}

fn mbr_table(seed: &Sha256, partitions: &[Partition]) -> Result<MbrTable, DiskError> {
    let record = |partition: &Partition| match partition.type_id {
        PartitionType::Mbr(kind) => Some((kind, partition.first_sector, partition.sectors)),
        PartitionType::Gpt(_) => None,
    };
    let records: Vec<_> = partitions.iter().filter_map(record).collect();
    MbrTable::new(signature(seed), &records).map_err(|source| DiskError::Mbr { source })
}

/// The disk's number; 0 would mean that it has none.
fn signature(seed: &Sha256) -> u32 {
    let digest = Sha256::of_fields([b"mbr".as_slice(), seed.as_bytes()]);
    let [a, b, c, d, ..] = *digest.as_bytes();
    u32::from_le_bytes([a, b, c, d]).max(1)
}
