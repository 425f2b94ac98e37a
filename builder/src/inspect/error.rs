//! Why a target cannot be inspected at all. What is wrong inside of an image is a finding or a failed check instead.

use std::io;
use std::path::PathBuf;

use super::foreign::Foreign;
use crate::artifacts::ArtifactError;
use crate::failure::{Diagnose, FailureKind};
use crate::gpt::read::GptReadError;

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
    /// Neither a file, a folder nor a block device.
    #[error("`{}` is no file, folder or disk", path.display())]
    NoFile {
        /// What was named.
        path: PathBuf,
    },
    /// A compressed image is damaged.
    #[error("cannot decompress `{}` at byte {offset}, after {unpacked_bytes} bytes of the image", path.display())]
    Unpack {
        /// The compressed file.
        path: PathBuf,
        /// How much of it was read.
        offset: u64,
        /// How much of the image came of it.
        unpacked_bytes: u64,
        /// Why.
        source: io::Error,
    },
    /// A compressed image ends too early.
    #[error("`{}` is cut off: it ends at byte {offset}, after {unpacked_bytes} bytes of the image, in the middle of a zstd frame", path.display())]
    CutOff {
        /// The compressed file.
        path: PathBuf,
        /// Its length.
        offset: u64,
        /// How much of the image came of it.
        unpacked_bytes: u64,
    },
    /// A compressed image is larger than any disk image.
    #[error("`{}` unpacks to more than {max_bytes} bytes", path.display())]
    TooLarge {
        /// The compressed file.
        path: PathBuf,
        /// The limit.
        max_bytes: u64,
    },
    /// There is no room for the unpacked image.
    #[error("cannot write the unpacked image to a temporary file in `{}`", folder.display())]
    Scratch {
        /// The folder for temporary files.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An image ends before its partitions do.
    #[error("`{}` is cut off: it has {len_bytes} bytes, and its partition table is for at least {needed_bytes}", path.display())]
    Short {
        /// The file.
        path: PathBuf,
        /// The length of the image.
        len_bytes: u64,
        /// Where the last partition may end.
        needed_bytes: u64,
    },
    /// It has no partition table.
    #[error("`{}` is no disk image with a GUID partition table", path.display())]
    NoTable {
        /// The file.
        path: PathBuf,
        /// What it seems to be instead.
        foreign: Option<Foreign>,
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
    /// The manifest names no image, or one elsewhere.
    #[error("the manifest `{}` names no disk image in its folder", path.display())]
    NoRaw {
        /// The manifest.
        path: PathBuf,
    },
    /// A file of the folder cannot be checked.
    #[error("cannot check `{}`", path.display())]
    Check {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Diagnose for InspectError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Unpack { .. } | Self::CutOff { .. } | Self::Short { .. } => FailureKind::Verification,
            _ => FailureKind::Request,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Unpack { .. } | Self::CutOff { .. } | Self::Short { .. } => {
                vec!["take a fresh copy: `sha256sum --check SHA256SUMS` tells whether it is whole".to_owned()]
            }
            Self::Scratch { .. } => {
                vec![
                    "`TMPDIR` names another folder; it needs room for what the image holds, not for its length"
                        .to_owned(),
                ]
            }
            Self::Open { source, path } if source.kind() == io::ErrorKind::PermissionDenied => {
                vec![format!(
                    "reading a disk needs rights: `sudo skerry inspect {}`",
                    path.display()
                )]
            }
            Self::NoTable {
                foreign: Some(foreign), ..
            } => vec![foreign.hint().to_owned()],
            Self::NoFile { .. } | Self::NoManifest { .. } => {
                vec![
                    "name a disk image (`.raw` or `.raw.zst`), a disk, or the folder that `skerry build` wrote"
                        .to_owned(),
                ]
            }
            Self::BadManifest { source, .. } => source.hints(),
            _ => Vec::new(),
        }
    }
}
