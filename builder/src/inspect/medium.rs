//! Where the bytes went that are on the medium.

use serde::Serialize;

use super::Inspection;
use crate::gpt::{BACKUP_SECTORS, SECTOR_BYTES};
use crate::partition_id::DiskId;
use crate::rootfs::contents::OwnerKind;
use crate::verity;

/// Both copies of a GPT, and the protective MBR (UEFI 2.10 §5.3).
const GPT_SECTORS: u64 = 2 * BACKUP_SECTORS + 1;

/// Which part of the medium it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MediumGroup {
    /// Files and tables of the root file system.
    Root,
    /// The EFI system partition.
    Boot,
    /// The hash tree over the root file system.
    Verity,
    /// The partition tables.
    PartitionTables,
}

/// Something that takes room on the medium.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MediumPart {
    /// Which part it belongs to.
    pub group: MediumGroup,
    /// What it is.
    pub name: String,
    /// The bytes that it takes, as they are on the medium.
    pub len_bytes: u64,
}

/// All that takes room, the largest first.
pub(super) fn parts(inspection: &Inspection) -> Vec<MediumPart> {
    let mut parts = Vec::new();
    let mut add = |group, name: &str, len_bytes| {
        if len_bytes > 0 {
            parts.push(MediumPart {
                group,
                name: name.to_owned(),
                len_bytes,
            });
        }
    };
    if let Some(contents) = &inspection.contents {
        let mut rest = contents.stored_bytes;
        for owner in &contents.packages {
            let name = match owner.kind {
                OwnerKind::Package | OwnerKind::Component => owner.name.clone(),
                OwnerKind::Overlay | OwnerKind::Pass => format!("{} ({})", owner.name, owner.kind.name()),
            };
            add(MediumGroup::Root, &name, owner.stored_bytes);
            rest = rest.saturating_sub(owner.stored_bytes);
        }
        let name = match contents.packages.is_empty() {
            true => "files",
            false => "files of no package",
        };
        add(MediumGroup::Root, name, rest);
        add(MediumGroup::Root, "file system tables", contents.table_bytes);
    } else if let Some(root) = &inspection.root {
        add(MediumGroup::Root, "root file system", root.used_bytes);
    }
    for (name, len_bytes) in boot_parts(inspection) {
        add(MediumGroup::Boot, &name, len_bytes);
    }
    if let Some(verity) = &inspection.verity {
        add(MediumGroup::Verity, "hash tree", verity::tree_bytes(verity.data_blocks));
    }
    let table_sectors = match inspection.disk_id {
        DiskId::Gpt(_) => GPT_SECTORS,
        DiskId::Mbr(_) => 1,
    };
    add(
        MediumGroup::PartitionTables,
        "partition tables",
        table_sectors * SECTOR_BYTES,
    );
    parts.sort_by(|a, b| b.len_bytes.cmp(&a.len_bytes).then_with(|| a.name.cmp(&b.name)));
    parts
}

/// What is for the boot: files, sections of the kernel image, boot loaders outside of partitions.
fn boot_parts(inspection: &Inspection) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    for file in &inspection.esp_files {
        let Some(uki) = inspection.uki.as_ref().filter(|uki| uki.path == file.path) else {
            parts.push((file.path.clone(), file.len_bytes));
            continue;
        };
        let mut rest = file.len_bytes;
        for section in uki.sections.iter().filter(|section| section.len_bytes >= 1 << 16) {
            let name = match section.name.as_str() {
                ".linux" => "kernel",
                ".initrd" => "initrd",
                other => other,
            };
            parts.push((name.to_owned(), section.len_bytes.min(rest)));
            rest = rest.saturating_sub(section.len_bytes);
        }
        parts.push(("kernel image, the rest".to_owned(), rest));
    }
    let loaders = inspection.loaders.iter();
    parts.extend(loaders.map(|loader| (loader.name.clone(), loader.len_bytes.unwrap_or_default())));
    parts
}
