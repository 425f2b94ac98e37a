//! Reads a finished image without mounting it.
//!
//! In: a raw disk image, or the folder of a build with its manifest. Out: what is in it, as data ([`Inspection`]) and as text
//! ([`render`]). The image may come from anywhere: each part is read with bounds, and what cannot be read or contradicts the
//! rest becomes a finding; only a file without a partition table is an error.
//!
//! Packages and their sizes are the manifest's, from the folder or from beside the raw image, if its root hash is that of the
//! image. Deliberately unsupported: compressed images, checking the verity tree.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::arch::Arch;
use crate::artifacts::manifest::{self, Manifest, PackageSize};
use crate::artifacts::{ArtifactError, ArtifactKind};
use crate::digest::Sha256;
use crate::failure::Diagnose;
use crate::gpt::read::GptReadError;
use crate::gpt::{Guid, PartitionFlags};

mod pe;
mod raw;
mod render;
mod squashfs;
mod verity;

#[cfg(test)]
mod tests;

pub use render::render;
pub use squashfs::RootSuperblock;
pub use verity::VeritySuperblock;

/// The version of [`Inspection`] as JSON. 1: the first.
pub const VERSION: u64 = 1;
/// The longest manifest that is read; real ones have some 100 KB.
const MAX_MANIFEST_BYTES: u64 = 16 << 20;

/// What is in an image. Texts from the image are as they were found: they may hold control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// [`VERSION`].
    pub version: u64,
    /// The raw image's file name.
    pub file: String,
    /// Its length in bytes.
    pub len_bytes: u64,
    /// The disk's id.
    pub disk_id: Guid,
    /// The partitions, by number.
    pub partitions: Vec<InspectedPartition>,
    /// The files of the EFI system partition, by path.
    pub esp_files: Vec<EspFile>,
    /// The unified kernel image.
    pub uki: Option<InspectedUki>,
    /// The root file system.
    pub root: Option<RootSuperblock>,
    /// The verity data of the root file system.
    pub verity: Option<VeritySuperblock>,
    /// What the manifest says about the build.
    pub build: Option<InspectedBuild>,
    /// What is wrong or could not be read.
    pub findings: Vec<String>,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InspectedPartition {
    /// Its number, from 1.
    pub number: usize,
    /// Its label.
    pub label: String,
    /// Its type.
    pub type_id: Guid,
    /// The type's name, if it is known.
    pub type_name: Option<&'static str>,
    /// Its own id, the PARTUUID.
    pub id: Guid,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its size in bytes.
    pub len_bytes: u64,
    /// Its attribute bits.
    pub flags: PartitionFlags,
}

/// A file of the EFI system partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EspFile {
    /// Its path.
    pub path: String,
    /// Its length in bytes.
    pub len_bytes: u64,
}

/// The unified kernel image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InspectedUki {
    /// Its path on the EFI system partition.
    pub path: String,
    /// Its length in bytes.
    pub len_bytes: u64,
    /// The kernel's release (`.uname`).
    pub kernel: Option<String>,
    /// The kernel command line (`.cmdline`).
    pub command_line: Option<String>,
    /// The root hash that the command line names.
    pub root_hash: Option<Sha256>,
    /// The operating system's name (`PRETTY_NAME` in `.osrel`).
    pub os_name: Option<String>,
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

/// Why an image cannot be inspected.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The image cannot be opened.
    #[error("cannot open the image `{}`", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a compressed image.
    #[error("`{}` is compressed", path.display())]
    Compressed {
        /// The file.
        path: PathBuf,
    },
    /// It has no partition table.
    #[error("`{}` is no disk image with a GUID partition table", path.display())]
    NoTable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: GptReadError,
    },
    /// A folder without a manifest.
    #[error("`{}` holds no manifest", folder.display())]
    NoManifest {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The manifest is not one.
    #[error("cannot use the manifest `{}`", path.display())]
    BadManifest {
        /// The manifest.
        path: PathBuf,
        /// Why.
        source: ArtifactError,
    },
    /// The manifest names no raw image, or one elsewhere.
    #[error("the manifest `{}` names no raw image in its folder", path.display())]
    NoRaw {
        /// The manifest.
        path: PathBuf,
    },
}

impl Diagnose for InspectError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Compressed { path } => vec![format!("decompress it first: `zstd -d {}`", path.display())],
            Self::NoManifest { .. } => vec!["name a raw image, or the folder that `skerry build` wrote".to_owned()],
            Self::BadManifest { source, .. } => source.hints(),
            _ => Vec::new(),
        }
    }
}

/// Inspects the raw image at `path`, or the one in the build folder at `path`.
pub fn inspect(path: &Path) -> Result<Inspection, InspectError> {
    if path.is_dir() {
        let manifest_path = path.join(manifest::FILE_NAME);
        let manifest = read_manifest(&manifest_path)?;
        let raw = raw_path(&manifest_path, &manifest).ok_or(InspectError::NoRaw { path: manifest_path })?;
        return Ok(with_manifest(inspect_raw(&raw)?, manifest));
    }
    let inspection = inspect_raw(path)?;
    let manifest_path = path.with_file_name(manifest::FILE_NAME);
    if !manifest_path.exists() {
        return Ok(inspection);
    }
    // A manifest that happens to lie beside the image need not be about it.
    match read_manifest(&manifest_path) {
        Ok(manifest) if raw_path(&manifest_path, &manifest).is_some_and(|raw| raw == path) => {
            Ok(with_manifest(inspection, manifest))
        }
        _ => Ok(inspection),
    }
}

fn inspect_raw(path: &Path) -> Result<Inspection, InspectError> {
    let opened = |source| InspectError::Open {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(opened)?;
    let mut inspection = raw::inspect(&mut file).map_err(|source| {
        let mut magic = [0; 4];
        let is_zstd = io::Seek::rewind(&mut file)
            .and_then(|()| file.read_exact(&mut magic))
            .is_ok()
            && u32::from_le_bytes(magic) == zstd::zstd_safe::MAGICNUMBER;
        match is_zstd {
            true => InspectError::Compressed { path: path.to_owned() },
            false => InspectError::NoTable {
                path: path.to_owned(),
                source,
            },
        }
    })?;
    inspection.file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(inspection)
}

fn read_manifest(path: &Path) -> Result<Manifest, InspectError> {
    let missing = |source| {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        InspectError::NoManifest { folder, source }
    };
    let mut text = String::new();
    let file = File::open(path).map_err(missing)?;
    file.take(MAX_MANIFEST_BYTES)
        .read_to_string(&mut text)
        .map_err(missing)?;
    Manifest::from_json(&text).map_err(|source| InspectError::BadManifest {
        path: path.to_owned(),
        source,
    })
}

/// Where the manifest's raw image is: beside it, under a plain name.
fn raw_path(manifest_path: &Path, manifest: &Manifest) -> Option<PathBuf> {
    let raw = manifest
        .artifacts
        .iter()
        .find(|artifact| artifact.kind == ArtifactKind::Raw)?;
    let is_plain = Path::new(&raw.file)
        .file_name()
        .is_some_and(|name| name == raw.file.as_str());
    is_plain.then(|| manifest_path.with_file_name(&raw.file))
}

/// Adds what the manifest knows, unless it is about another image.
fn with_manifest(mut inspection: Inspection, manifest: Manifest) -> Inspection {
    let found = inspection.uki.as_ref().and_then(|uki| uki.root_hash);
    if found.is_some_and(|hash| hash != manifest.root_hash) {
        let finding = "the manifest is about another image: its root hash is not that of the kernel command line";
        inspection.findings.push(finding.to_owned());
        return inspection;
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
    inspection
}
