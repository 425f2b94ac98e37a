//! Reads the partition table of a file or device, of either kind.

use std::io::{Read, Seek, SeekFrom};

use crate::gpt::read::{self, Copy, GptReadError, ReadTable};
use crate::gpt::{GptEntry, PartitionFlags, SECTOR_BYTES};
use crate::mbr::{self, MbrRecord, MbrTable};
use crate::partition_id::{DiskId, PartitionId, PartitionType};

/// A disk as its partition table describes it.
#[derive(Debug)]
pub struct FoundDisk {
    /// Its id.
    pub id: DiskId,
    /// Its size in bytes, in whole sectors.
    pub len_bytes: u64,
    /// Its partitions, by number.
    pub partitions: Vec<FoundPartition>,
    /// If one of the two copies of a GPT is damaged: which one was taken, and what is wrong with the other.
    pub fault: Option<(Copy, GptReadError)>,
}

/// A partition as its record describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPartition {
    /// Its number, from 1.
    pub number: usize,
    /// What it is for.
    pub type_id: PartitionType,
    /// Its own id, the PARTUUID.
    pub id: PartitionId,
    /// Its label; empty on an MBR disk.
    pub label: String,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its size in bytes.
    pub len_bytes: u64,
    /// Its attribute bits.
    pub flags: PartitionFlags,
}

/// Reads the table of `disk`: an MBR with the partitions of an image of ours, or a GPT. The error is that of the GPT.
pub fn read_table<R: Read + Seek>(disk: &mut R) -> Result<FoundDisk, GptReadError> {
    if let Some(found) = read_mbr(disk) {
        return Ok(found);
    }
    let ReadTable {
        table,
        copy,
        other_fault,
    } = read::read(disk)?;
    Ok(FoundDisk {
        id: DiskId::Gpt(table.disk_id),
        len_bytes: table.total_sectors * SECTOR_BYTES,
        partitions: table.partitions.iter().zip(1..).map(gpt_partition).collect(),
        fault: other_fault.map(|fault| (copy, fault)),
    })
}

fn gpt_partition((entry, number): (&GptEntry, usize)) -> FoundPartition {
    FoundPartition {
        number,
        type_id: PartitionType::Gpt(entry.type_id),
        id: PartitionId::Gpt(entry.id),
        label: entry.label.clone(),
        offset: entry.first_sector * SECTOR_BYTES,
        len_bytes: entry.sectors * SECTOR_BYTES,
        flags: entry.flags,
    }
}

/// None for any other disk: FAT first, then two slots.
fn read_mbr<R: Read + Seek>(disk: &mut R) -> Option<FoundDisk> {
    let mut sector = [0; SECTOR_BYTES as usize];
    disk.seek(SeekFrom::Start(0)).ok()?;
    disk.read_exact(&mut sector).ok()?;
    let table = MbrTable::parse(&sector)?;
    let [boot, slots @ ..] = table.partitions.as_slice() else {
        return None;
    };
    let has_slots = slots.len() >= 2 && slots[..2].iter().all(|slot| slot.kind == mbr::LINUX);
    if !boot.is_fat() || !has_slots {
        return None;
    }
    let sectors = disk.seek(SeekFrom::End(0)).ok()? / SECTOR_BYTES;
    let numbered = table.partitions.iter().zip(1_u8..);
    let used = numbered.filter(|(record, _)| record.kind != 0);
    Some(FoundDisk {
        id: DiskId::Mbr(table.signature),
        len_bytes: sectors * SECTOR_BYTES,
        partitions: used.map(|used| mbr_partition(table.signature, used)).collect(),
        fault: None,
    })
}

fn mbr_partition(signature: u32, (record, number): (&MbrRecord, u8)) -> FoundPartition {
    FoundPartition {
        number: number.into(),
        type_id: PartitionType::Mbr(record.kind),
        id: PartitionId::Mbr { signature, number },
        label: String::new(),
        offset: record.offset(),
        len_bytes: record.len_bytes(),
        flags: PartitionFlags::NONE,
    }
}
