//! Reads a finished image without mounting it.
//!
//! In: a raw disk image, a compressed one, a disk, or the folder of a build with its manifest. Out: what is in it, as data
//! ([`Inspection`]), as text ([`render`]) and as a page ([`html`]); and, for `diff`, the image itself ([`Opened`]). The image
//! may come from anywhere: each part is read with bounds, and what cannot be read or contradicts the rest becomes a finding.
//! What can be verified is verified, and is a [`Check`]. Only what is no disk image at all is an error.
//!
//! Packages and their sizes are what the root file system says of itself (`rootfs::contents`). Images that do not say it have
//! those of the manifest, from the folder or from beside the image, if its root hash is that of the image.

use std::error::Error;
use std::fs::File;
use std::path::Path;

use serde::Serialize;

use crate::arch::Arch;
use crate::artifacts::ArtifactKind;
use crate::artifacts::manifest::{Manifest, PackageSize};
use crate::digest::Sha256;
use crate::gpt::PartitionFlags;
use crate::partition_id::{DiskId, PartitionId, PartitionType};
use crate::squashfs::FileRange;
use crate::squashfs::read::{Entry, Image, ReadError};

mod contents;
mod direct;
mod error;
mod esp;
mod foreign;
pub mod html;
mod listeners;
mod loaders;
mod medium;
mod pe;
mod raw;
mod render;
mod root_view;
mod squashfs;
mod target;
pub(crate) mod text;
mod trust;
mod units;
mod unpack;
mod verify;
mod verity;

#[cfg(test)]
mod tests;

use target::Target;

pub use contents::{Counts, FileSize, FolderSize, OwnerSize, RootContents};
pub use direct::DirectKernel;
pub use error::InspectError;
pub use esp::{Boot, BootEntry, BootLoader, EspFile, InspectedUki, UkiSection};
pub use foreign::Foreign;
pub use listeners::{Listener, Reach};
pub use loaders::DiskLoader;
pub use medium::{MediumGroup, MediumPart};
pub use render::render;
pub use squashfs::RootSuperblock;
pub use target::Source;
pub use trust::{KeyFile, TrustedKeys};
pub use units::{Choice, EnabledUnit, Units};
pub use verify::{Check, Outcome};
pub use verity::VeritySuperblock;

/// The version of [`Inspection`] as JSON. 1: the first. Within a version, fields are only added.
pub const VERSION: u64 = 1;

/// What is in an image. Texts from the image are as they were found: they may hold control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// [`VERSION`].
    pub version: u64,
    /// The image's file name.
    pub file: String,
    /// What kind of file it is.
    pub source: Source,
    /// The raw image's length in bytes.
    pub len_bytes: u64,
    /// The disk's id.
    pub disk_id: DiskId,
    /// The partitions, by number.
    pub partitions: Vec<InspectedPartition>,
    /// Boot loaders outside of partitions, by place.
    pub loaders: Vec<DiskLoader>,
    /// The files of the EFI system partition, by path.
    pub esp_files: Vec<EspFile>,
    /// Boot loader and boot entries.
    pub boot: Boot,
    /// The unified kernel image.
    pub uki: Option<InspectedUki>,
    /// The kernel that the firmware starts itself, where there is no boot loader.
    pub direct: Option<DirectKernel>,
    /// The root file system.
    pub root: Option<RootSuperblock>,
    /// The verity data of the root file system.
    pub verity: Option<VeritySuperblock>,
    /// What the root file system holds.
    pub contents: Option<RootContents>,
    /// Where the bytes went that are on the medium, the largest first.
    pub medium: Vec<MediumPart>,
    /// What the manifest says about the build.
    pub build: Option<InspectedBuild>,
    /// What was verified.
    pub checks: Vec<Check>,
    /// What is wrong or could not be read.
    pub findings: Vec<String>,
}

impl Inspection {
    /// The kernel's release.
    pub fn kernel(&self) -> Option<&str> {
        let (uki, direct) = (self.uki.as_ref(), self.direct.as_ref());
        let found = uki.and_then(|uki| uki.kernel.as_deref());
        found.or_else(|| direct?.kernel.as_deref())
    }

    /// The kernel command line.
    pub fn command_line(&self) -> Option<&str> {
        let found = self.uki.as_ref().and_then(|uki| uki.command_line.as_deref());
        found.or_else(|| Some(self.direct.as_ref()?.command_line.as_str()))
    }

    /// The root hash that the kernel command line names.
    pub fn root_hash(&self) -> Option<Sha256> {
        let found = self.uki.as_ref().and_then(|uki| uki.root_hash);
        found.or_else(|| self.direct.as_ref()?.root_hash)
    }
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InspectedPartition {
    /// Its number, from 1.
    pub number: usize,
    /// Its label.
    pub label: String,
    /// Its type.
    pub type_id: PartitionType,
    /// The type's name, if it is known.
    pub type_name: Option<&'static str>,
    /// Its own id, the PARTUUID.
    pub id: PartitionId,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its size in bytes.
    pub len_bytes: u64,
    /// Its attribute bits.
    pub flags: PartitionFlags,
}

/// What the manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InspectedBuild {
    /// The image's name.
    pub image: String,
    /// The image's version.
    pub image_version: String,
    /// The architecture.
    pub arch: Arch,
    /// The lock's time, in seconds since 1970.
    pub timestamp: u64,
    /// What is installed, largest first.
    pub packages: Vec<PackageSize>,
}

/// An inspected image, still open.
#[derive(Debug)]
pub struct Opened {
    /// What is in it.
    pub inspection: Inspection,
    /// Its root file system, if it can be read.
    pub root: Option<OpenedRoot>,
    root_slot: Option<raw::Slot>,
    disk: File,
}

/// A root file system whose tables were read.
#[derive(Debug)]
pub struct OpenedRoot {
    /// All names, by path.
    pub entries: Vec<Entry>,
}

impl Opened {
    /// The bytes of the root partition, if there is one.
    pub fn root_range(&self) -> Option<FileRange<'_>> {
        let slot = self.root_slot?;
        Some(FileRange::new(&self.disk, slot.offset, slot.len_bytes))
    }

    /// The bytes from the first boot loader outside of partitions to the first partition, if there is one.
    pub fn loader_range(&self) -> Option<FileRange<'_>> {
        let start = self.inspection.loaders.iter().map(|loader| loader.offset).min()?;
        let end = self
            .inspection
            .partitions
            .iter()
            .map(|partition| partition.offset)
            .min()?;
        Some(FileRange::new(&self.disk, start, end.checked_sub(start)?))
    }
}

impl Inspection {
    /// The checks that did not hold.
    pub fn failed_checks(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.outcome == Outcome::Failed)
    }
}

/// Inspects the image at `path`, which is a raw image, a compressed one, a disk, or a build's folder; of a folder all files
/// that `SHA256SUMS` and the manifest name are verified.
pub fn inspect(path: &Path) -> Result<Inspection, InspectError> {
    let target = Target::open(path)?;
    let folder = target.folder.clone().zip(target.manifest.clone());
    let mut inspection = read(target)?.inspection;
    if let Some((folder, manifest)) = folder {
        inspection.checks.extend(verify::folder(&folder, &manifest)?);
    }
    Ok(inspection)
}

/// Inspects an image and keeps it open. Of a folder only the image is looked at.
pub fn open(path: &Path) -> Result<Opened, InspectError> {
    read(Target::open(path)?)
}

fn read(mut target: Target) -> Result<Opened, InspectError> {
    let read = raw::inspect(&mut target.disk);
    let (mut inspection, slots) = read.map_err(|source| raw::no_image(&target.path, &target.disk, source))?;
    let name = target.path.file_name().unwrap_or_default();
    inspection.file = name.to_string_lossy().into_owned();
    inspection.source = target.source;
    let root_hash = inspection.root_hash();
    let disk = target.disk;
    inspection.checks.push(verify::root(&disk, &slots, root_hash));
    let root = slots[0].and_then(|slot| read_root(&disk, slot, &mut inspection));
    inspection.medium = medium::parts(&inspection);
    if let Some(manifest) = target.manifest {
        add_manifest(&mut inspection, manifest);
    }
    Ok(Opened {
        inspection,
        root,
        root_slot: slots[0],
        disk,
    })
}

/// Reads the root file system's tables; none if they cannot be read, which is a finding.
fn read_root(disk: &File, slot: raw::Slot, inspection: &mut Inspection) -> Option<OpenedRoot> {
    inspection.root.as_ref()?;
    let range = FileRange::new(disk, slot.offset, slot.len_bytes);
    let read = Image::open(&range).and_then(|image| {
        let entries = image.entries()?;
        let contents = contents::read(&image, &entries, &mut inspection.findings);
        Ok((entries, contents))
    });
    match read {
        Ok((entries, contents)) => {
            inspection.contents = Some(contents);
            Some(OpenedRoot { entries })
        }
        // Another program's squashfs: no fault of the image.
        Err(fault @ ReadError::Superblock(_)) => {
            inspection
                .findings
                .push(finding("the root file system is not read", &fault));
            None
        }
        Err(fault) => {
            let detail = format!(
                "{}; it is in partition {}, at byte {} of the disk",
                finding("it cannot be read", &fault),
                slot.number,
                slot.offset
            );
            inspection
                .checks
                .push(Check::new("root file system (squashfs)", Outcome::Failed, detail));
            None
        }
    }
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

/// Adds what the manifest knows, unless it is about another image.
fn add_manifest(inspection: &mut Inspection, manifest: Manifest) {
    let found = inspection.root_hash();
    if found.is_some_and(|hash| hash != manifest.root_hash) {
        let finding = "the manifest is about another image: its root hash is not that of the kernel command line";
        inspection.findings.push(finding.to_owned());
        return;
    }
    let raw = manifest
        .artifacts
        .iter()
        .find(|artifact| artifact.kind == ArtifactKind::Raw);
    if raw.is_some_and(|raw| raw.len_bytes != inspection.len_bytes) {
        inspection
            .findings
            .push("the raw image has another length than its manifest says".to_owned());
    }
    if !manifest.loaders.is_empty() {
        inspection.loaders = loaders::listed(&manifest);
    }
    let mut packages = manifest.packages;
    packages.sort_by(|a, b| {
        b.installed_bytes
            .cmp(&a.installed_bytes)
            .then_with(|| a.name.cmp(&b.name))
    });
    inspection.build = Some(InspectedBuild {
        image: manifest.image,
        image_version: manifest.image_version,
        arch: manifest.arch,
        timestamp: manifest.timestamp,
        packages,
    });
}
