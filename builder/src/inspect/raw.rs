//! Walks through a raw image: partition table, EFI system partition, UKI, root, verity.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::foreign::Foreign;
use super::loaders;
use super::{
    Boot, InspectError, InspectedPartition, Inspection, RootSuperblock, Source, VERSION, VeritySuperblock, esp, finding,
};
use crate::arch::Arch;
use crate::disk::read::{self, FoundDisk, FoundPartition};
use crate::gpt::header::BadHeader;
use crate::gpt::read::{Copy, GptReadError};
use crate::gpt::{Guid, SECTOR_BYTES};
use crate::partition_id::{DiskId, PartitionId, PartitionType};
use crate::verity;

/// Where on the disk a partition of the slot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    /// The partition's number, from 1.
    pub number: usize,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its size in bytes.
    pub len_bytes: u64,
}

/// All that a raw image tells but what is in its root; the caller fills in what the file is. And where root and verity are.
pub(super) fn inspect<R: Read + Seek>(disk: &mut R) -> Result<(Inspection, [Option<Slot>; 2]), GptReadError> {
    let found = read::read_table(disk)?;
    let mut inspection = Inspection {
        version: VERSION,
        file: String::new(),
        source: Source::Raw,
        len_bytes: found.len_bytes,
        disk_id: found.id,
        partitions: found.partitions.iter().map(partition).collect(),
        loaders: loaders::find(disk, first_partition(&found)),
        esp_files: Vec::new(),
        boot: Boot::default(),
        uki: None,
        direct: None,
        root: None,
        verity: None,
        contents: None,
        medium: Vec::new(),
        build: None,
        checks: Vec::new(),
        findings: Vec::new(),
    };
    if let Some((copy, fault)) = &found.fault {
        let which = match copy {
            Copy::Primary => "the backup partition table is not usable",
            Copy::Backup => "the partition table is not usable, the backup was taken",
        };
        inspection.findings.push(finding(which, fault));
    }
    match found.partitions.iter().find(|entry| entry.type_id.is_esp()) {
        None => inspection.findings.push("there is no EFI system partition".to_owned()),
        Some(esp) => {
            if let Err(fault) = esp::inspect(disk, esp, &mut inspection) {
                inspection
                    .findings
                    .push(finding("the EFI system partition cannot be read", &fault));
            }
        }
    }
    let slots = inspect_slots(disk, &found, &mut inspection);
    Ok((inspection, slots))
}

/// Why a file without a usable partition table is no image: it is cut off, or something else.
pub(super) fn no_image(path: &Path, disk: &File, source: GptReadError) -> InspectError {
    let path = path.to_owned();
    if let GptReadError::Header {
        source: BadHeader {
            field: "LastUsableLBA",
            value,
        },
        ..
    } = &source
        && let Ok(len_bytes) = (&mut &*disk).seek(SeekFrom::End(0))
    {
        return InspectError::Short {
            path,
            len_bytes,
            needed_bytes: value.saturating_add(1).saturating_mul(SECTOR_BYTES),
        };
    }
    InspectError::NoTable {
        foreign: Foreign::of(disk),
        path,
        source,
    }
}

/// Where the first partition begins, in bytes.
fn first_partition(found: &FoundDisk) -> u64 {
    let starts = found.partitions.iter().map(|partition| partition.offset);
    starts.min().unwrap_or_default()
}

fn partition(found: &FoundPartition) -> InspectedPartition {
    InspectedPartition {
        number: found.number,
        label: found.label.clone(),
        type_id: found.type_id,
        type_name: found.type_id.type_name(),
        id: found.id,
        offset: found.offset,
        len_bytes: found.len_bytes,
        flags: found.flags,
    }
}

/// Reads the slot that the kernel command line names, or the first one where it names none.
fn inspect_slots<R: Read + Seek>(disk: &mut R, found: &FoundDisk, inspection: &mut Inspection) -> [Option<Slot>; 2] {
    let slots = match found.id {
        DiskId::Gpt(_) => gpt_slots(&found.partitions, inspection),
        DiskId::Mbr(_) => mbr_slots(disk, &found.partitions, inspection),
    };
    let mut start = |slot: &Slot| sector_at(disk, slot.offset);
    if let Some(slot) = &slots[0] {
        inspection.root = start(slot).and_then(|sector| RootSuperblock::parse(&sector));
        if inspection.root.is_none() {
            inspection
                .findings
                .push("the root partition holds no squashfs".to_owned());
        }
    }
    if let Some(slot) = &slots[1] {
        inspection.verity = start(slot).and_then(|sector| VeritySuperblock::parse(&sector));
        if inspection.verity.is_none() {
            inspection
                .findings
                .push("the verity partition has no verity superblock".to_owned());
        }
    }
    slots
}

fn sector_at<R: Read + Seek>(disk: &mut R, offset: u64) -> Option<[u8; SECTOR_BYTES as usize]> {
    let mut sector = [0; SECTOR_BYTES as usize];
    disk.seek(SeekFrom::Start(offset)).ok()?;
    disk.read_exact(&mut sector).ok()?;
    Some(sector)
}

/// The partitions whose ids are the halves of the root hash.
fn gpt_slots(partitions: &[FoundPartition], inspection: &mut Inspection) -> [Option<Slot>; 2] {
    let root_hash = inspection.root_hash();
    let halves = root_hash.map(|hash| Guid::halves_of(&hash));
    let kinds = [
        (Guid::root_type as fn(Arch) -> Guid, "root"),
        (Guid::root_verity_type, "verity"),
    ];
    [0, 1].map(|kind| {
        let (type_of, name) = kinds[kind];
        let mut of_kind = partitions.iter().filter(|found| {
            let mut types = Arch::ALL.iter().map(|arch| PartitionType::Gpt(type_of(*arch)));
            types.any(|type_id| type_id == found.type_id)
        });
        let chosen = match halves {
            Some(halves) => of_kind.find(|found| found.id == PartitionId::Gpt(halves[kind])),
            None => of_kind.next(),
        };
        if chosen.is_none() {
            let finding = format!("no {name} partition has the id that the kernel command line asks for");
            inspection.findings.push(finding);
        }
        chosen.map(|found| Slot {
            number: found.number,
            offset: found.offset,
            len_bytes: found.len_bytes,
        })
    })
}

/// The first of the two slots in which verity data follows the root file system. Which one the root hash belongs to, the
/// verification tells.
fn mbr_slots<R: Read + Seek>(
    disk: &mut R,
    partitions: &[FoundPartition],
    inspection: &mut Inspection,
) -> [Option<Slot>; 2] {
    for found in partitions.iter().filter(|found| (2..=3).contains(&found.number)) {
        let root = sector_at(disk, found.offset).and_then(|sector| RootSuperblock::parse(&sector));
        let data_bytes = root.and_then(|root| root.used_bytes.checked_next_multiple_of(verity::BLOCK_LEN as u64));
        let Some(data_bytes) = data_bytes.filter(|bytes| *bytes < found.len_bytes) else {
            continue;
        };
        let number = found.number;
        let slot = |offset, len_bytes| Slot {
            number,
            offset,
            len_bytes,
        };
        return [
            Some(slot(found.offset, data_bytes)),
            Some(slot(found.offset + data_bytes, found.len_bytes - data_bytes)),
        ];
    }
    inspection
        .findings
        .push("no slot holds a root file system with its verity data".to_owned());
    [None, None]
}
