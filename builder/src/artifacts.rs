//! What a build leaves behind beside the disk image: compressed image, manifest, SBOM, checksums.
//!
//! In: the written disk image and what earlier stages know about it, in types of this module. Out: files that appear whole,
//! the same bytes each time. Specs: RFC 8878 (zstd), SPDX 2.3, CycloneDX 1.6, the output of coreutils' `sha256sum`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::digest::{HashingReader, Sha256};
use crate::disk::staged::StagedFile;
use crate::failure::{Diagnose, FailureKind};

pub mod compress;
pub mod manifest;
pub mod ranges;
pub mod sbom;
pub mod sums;

pub use compress::{CompressInput, Compressed, compress};

/// Which file of a build it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArtifactKind {
    /// The disk image (`.raw`).
    Raw,
    /// The disk image, compressed (`.raw.zst`).
    RawZst,
    /// The unified kernel image (`.efi`).
    Uki,
    /// The root file system (`.root`).
    Root,
    /// Its verity data (`.verity`).
    Verity,
    /// The software bill of materials, SPDX (`.spdx.json`).
    Sbom,
    /// The same, CycloneDX (`.cdx.json`).
    SbomCyclonedx,
}

/// One file of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Which one.
    pub kind: ArtifactKind,
    /// Its name in the output folder.
    pub file: String,
    /// Its length in bytes.
    pub len_bytes: u64,
    /// Its digest.
    pub sha256: Sha256,
}

/// A file's digest and length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileDigest {
    /// The digest.
    pub sha256: Sha256,
    /// The length in bytes.
    pub len_bytes: u64,
}

/// Why an artifact cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// zstd refuses.
    #[error("cannot compress `{}` at byte {offset}", path.display())]
    Compress {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// A range goes beyond the end of the image.
    #[error("the range of {len_bytes} bytes at {offset} is not within the image of {image_bytes} bytes")]
    BadRange {
        /// Where it begins.
        offset: u64,
        /// Its length.
        len_bytes: u64,
        /// The image's length.
        image_bytes: u64,
    },
    /// A manifest that is none.
    #[error("the manifest is not valid at line {line}, column {column}")]
    Manifest {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What was expected.
        source: serde_json::Error,
    },
    /// A manifest by a newer Skerry.
    #[error("the manifest has version {found}; this Skerry reads version {known}")]
    ManifestVersion {
        /// Its version.
        found: u64,
        /// The version that is known.
        known: u64,
    },
}

impl Diagnose for ArtifactError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Compress { .. } | Self::BadRange { .. } => FailureKind::Bug,
            _ => FailureKind::Request,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                vec!["free some space, or choose another folder with `--out`".to_owned()]
            }
            Self::ManifestVersion { .. } => vec!["use the Skerry that made the image, or a newer one".to_owned()],
            _ => Vec::new(),
        }
    }
}

/// Writes a small artifact, which appears when it is whole.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<FileDigest, ArtifactError> {
    let failed = |source| ArtifactError::Write {
        path: path.to_owned(),
        source,
    };
    let mut staged = StagedFile::create(path).map_err(failed)?;
    io::Write::write_all(staged.file(), bytes).map_err(failed)?;
    staged.commit().map_err(failed)?;
    Ok(FileDigest {
        sha256: Sha256::of(bytes),
        len_bytes: bytes.len() as u64,
    })
}

/// The digests of several files, computed side by side.
pub fn digest_files(paths: &[PathBuf]) -> Result<Vec<FileDigest>, ArtifactError> {
    paths.par_iter().map(|path| digest_file(path)).collect()
}

fn digest_file(path: &Path) -> Result<FileDigest, ArtifactError> {
    let failed = |source| ArtifactError::Read {
        path: path.to_owned(),
        source,
    };
    let mut reader = HashingReader::new(File::open(path).map_err(failed)?);
    let mut buffer = vec![0; 1 << 20];
    while io::Read::read(&mut reader, &mut buffer).map_err(failed)? > 0 {}
    let (sha256, len_bytes) = reader.finish();
    Ok(FileDigest { sha256, len_bytes })
}
