//! Walks through a raw image: partition table, EFI system partition, UKI, root, verity.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::foreign::Foreign;
use super::{
    Boot, InspectError, InspectedPartition, Inspection, RootSuperblock, Source, VERSION, VeritySuperblock, esp, finding,
};
use crate::arch::Arch;
use crate::gpt::header::BadHeader;
use crate::gpt::read::{self, Copy, GptReadError, ReadTable};
use crate::gpt::{GptEntry, Guid, SECTOR_BYTES, guid};

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
    let ReadTable {
        table,
        copy,
        other_fault,
    } = read::read(disk)?;
    let mut inspection = Inspection {
        version: VERSION,
        file: String::new(),
        source: Source::Raw,
        len_bytes: table.total_sectors * SECTOR_BYTES,
        disk_id: table.disk_id,
        partitions: table.partitions.iter().zip(1..).map(partition).collect(),
        esp_files: Vec::new(),
        boot: Boot::default(),
        uki: None,
        root: None,
        verity: None,
        contents: None,
        medium: Vec::new(),
        build: None,
        checks: Vec::new(),
        findings: Vec::new(),
    };
    if let Some(fault) = other_fault {
        let which = match copy {
            Copy::Primary => "the backup partition table is not usable",
            Copy::Backup => "the partition table is not usable, the backup was taken",
        };
        inspection.findings.push(finding(which, &fault));
    }
    match table.partitions.iter().find(|entry| entry.type_id == guid::ESP) {
        None => inspection.findings.push("there is no EFI system partition".to_owned()),
        Some(esp) => {
            if let Err(fault) = esp::inspect(disk, esp, &mut inspection) {
                inspection
                    .findings
                    .push(finding("the EFI system partition cannot be read", &fault));
            }
        }
    }
    let slots = inspect_slot(disk, &table.partitions, &mut inspection);
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

fn partition((entry, number): (&GptEntry, usize)) -> InspectedPartition {
    InspectedPartition {
        number,
        label: entry.label.clone(),
        type_id: entry.type_id,
        type_name: entry.type_id.type_name(),
        id: entry.id,
        offset: entry.first_sector * SECTOR_BYTES,
        len_bytes: entry.sectors * SECTOR_BYTES,
        flags: entry.flags,
    }
}

/// Reads the slot that the kernel command line names, or the first one where it names none.
fn inspect_slot<R: Read + Seek>(disk: &mut R, entries: &[GptEntry], inspection: &mut Inspection) -> [Option<Slot>; 2] {
    let halves = inspection
        .uki
        .as_ref()
        .and_then(|uki| uki.root_hash)
        .map(|hash| Guid::halves_of(&hash));
    let kinds = [
        (Guid::root_type as fn(Arch) -> Guid, "root"),
        (Guid::root_verity_type, "verity"),
    ];
    let [root, verity] = [0, 1].map(|kind| {
        let (type_of, name) = kinds[kind];
        let mut of_kind = entries
            .iter()
            .zip(1..)
            .filter(|(entry, _)| Arch::ALL.iter().any(|arch| type_of(*arch) == entry.type_id));
        let chosen = match halves {
            Some(halves) => of_kind.find(|(entry, _)| entry.id == halves[kind]),
            None => of_kind.next(),
        };
        if chosen.is_none() {
            let finding = format!("no {name} partition has the id that the kernel command line asks for");
            inspection.findings.push(finding);
        }
        chosen
    });
    let mut start = |entry: &GptEntry| {
        let mut sector = [0; SECTOR_BYTES as usize];
        let offset = entry.first_sector * SECTOR_BYTES;
        disk.seek(SeekFrom::Start(offset))
            .and_then(|_| disk.read_exact(&mut sector))
            .map(|()| sector)
            .ok()
    };
    if let Some((entry, _)) = root {
        inspection.root = start(entry).and_then(|sector| RootSuperblock::parse(&sector));
        if inspection.root.is_none() {
            inspection
                .findings
                .push("the root partition holds no squashfs".to_owned());
        }
    }
    if let Some((entry, _)) = verity {
        inspection.verity = start(entry).and_then(|sector| VeritySuperblock::parse(&sector));
        if inspection.verity.is_none() {
            inspection
                .findings
                .push("the verity partition has no verity superblock".to_owned());
        }
    }
    [root, verity].map(|chosen| {
        let (entry, number) = chosen?;
        Some(Slot {
            number,
            offset: entry.first_sector * SECTOR_BYTES,
            len_bytes: entry.sectors * SECTOR_BYTES,
        })
    })
}
