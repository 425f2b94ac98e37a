//! Walks through a raw image: partition table, EFI system partition, UKI, root, verity.

use std::error::Error;
use std::io::{Read, Seek, SeekFrom};

use super::{EspFile, InspectedPartition, InspectedUki, Inspection, RootSuperblock, VERSION, VeritySuperblock, pe};
use crate::arch::Arch;
use crate::digest::Sha256;
use crate::fat::read::{FatEntry, FatKind, FatReadError, FatReader};
use crate::gpt::read::{self, Copy, GptReadError, ReadTable};
use crate::gpt::{GptEntry, Guid, SECTOR_BYTES, guid};

/// Where the boot loader looks for unified kernel images (UAPI Boot Loader Specification, type 2).
const UKI_FOLDER: &str = "efi/linux/";
/// Before the root hash on the kernel command line.
const ROOT_HASH_KEY: &str = "roothash=";

/// All that a raw image tells; the caller fills in the file's name.
pub(super) fn inspect<R: Read + Seek>(disk: &mut R) -> Result<Inspection, GptReadError> {
    let ReadTable {
        table,
        copy,
        other_fault,
    } = read::read(disk)?;
    let mut inspection = Inspection {
        version: VERSION,
        file: String::new(),
        len_bytes: table.total_sectors * SECTOR_BYTES,
        disk_id: table.disk_id,
        partitions: table.partitions.iter().zip(1..).map(partition).collect(),
        esp_files: Vec::new(),
        uki: None,
        root: None,
        verity: None,
        build: None,
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
            if let Err(fault) = inspect_esp(disk, esp, &mut inspection) {
                inspection
                    .findings
                    .push(finding("the EFI system partition cannot be read", &fault));
            }
        }
    }
    inspect_slot(disk, &table.partitions, &mut inspection);
    Ok(inspection)
}

/// An error with all its causes as one line.
fn finding(what: &str, fault: &dyn Error) -> String {
    let mut line = format!("{what}: {fault}");
    let mut cause = fault.source();
    while let Some(inner) = cause {
        line = format!("{line}: {inner}");
        cause = inner.source();
    }
    line
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

fn inspect_esp<R: Read + Seek>(disk: &mut R, esp: &GptEntry, inspection: &mut Inspection) -> Result<(), FatReadError> {
    let mut volume = FatReader::open(disk, esp.first_sector * SECTOR_BYTES, esp.sectors * SECTOR_BYTES)?;
    let mut files = volume.list()?;
    files.retain(|entry| entry.kind == FatKind::File);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    inspection.esp_files = files
        .iter()
        .map(|entry| EspFile {
            path: entry.path.clone(),
            len_bytes: entry.len_bytes,
        })
        .collect();
    let is_uki = |path: &str| {
        let path = path.to_ascii_lowercase();
        path.starts_with(UKI_FOLDER) && path.ends_with(".efi")
    };
    let ukis: Vec<&FatEntry> = files.iter().filter(|entry| is_uki(&entry.path)).collect();
    match ukis.as_slice() {
        [] => inspection
            .findings
            .push("there is no unified kernel image in EFI/Linux".to_owned()),
        [.., last] => {
            if ukis.len() > 1 {
                let finding = format!(
                    "there are {} unified kernel images; shown is the last by name",
                    ukis.len()
                );
                inspection.findings.push(finding);
            }
            match uki(&mut volume, last) {
                Ok(uki) => inspection.uki = Some(uki),
                Err(fault) => inspection
                    .findings
                    .push(finding("the unified kernel image cannot be read", &fault)),
            }
        }
    }
    Ok(())
}

fn uki<R: Read + Seek>(volume: &mut FatReader<R>, entry: &FatEntry) -> Result<InspectedUki, pe::PeError> {
    let mut read = |offset, len_bytes| volume.read_range(entry, offset, len_bytes);
    let sections = pe::sections(&mut read)?;
    let mut text = |name| -> Result<Option<String>, pe::PeError> {
        let bytes = sections.get(name).map(|section| section.read(&mut read)).transpose()?;
        Ok(bytes.map(|bytes| {
            String::from_utf8_lossy(&bytes)
                .trim_end_matches(['\0', '\n', ' '])
                .to_owned()
        }))
    };
    let command_line = text(".cmdline")?;
    let os_release = text(".osrel")?;
    Ok(InspectedUki {
        path: entry.path.clone(),
        len_bytes: entry.len_bytes,
        kernel: text(".uname")?,
        root_hash: command_line.as_deref().and_then(root_hash),
        command_line,
        os_name: os_release.as_deref().and_then(pretty_name),
    })
}

fn root_hash(command_line: &str) -> Option<Sha256> {
    command_line
        .split_ascii_whitespace()
        .find_map(|word| word.strip_prefix(ROOT_HASH_KEY))?
        .parse()
        .ok()
}

/// `PRETTY_NAME` of an os-release(5) text, without its quotes.
fn pretty_name(os_release: &str) -> Option<String> {
    let value = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}

/// Reads the slot that the kernel command line names, or the first one where it names none.
fn inspect_slot<R: Read + Seek>(disk: &mut R, entries: &[GptEntry], inspection: &mut Inspection) {
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
            .filter(|entry| Arch::ALL.iter().any(|arch| type_of(*arch) == entry.type_id));
        let chosen = match halves {
            Some(halves) => of_kind.find(|entry| entry.id == halves[kind]),
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
    if let Some(entry) = root {
        inspection.root = start(entry).and_then(|sector| RootSuperblock::parse(&sector));
        if inspection.root.is_none() {
            inspection
                .findings
                .push("the root partition holds no squashfs".to_owned());
        }
    }
    if let Some(entry) = verity {
        inspection.verity = start(entry).and_then(|sector| VeritySuperblock::parse(&sector));
        if inspection.verity.is_none() {
            inspection
                .findings
                .push("the verity partition has no verity superblock".to_owned());
        }
    }
}
