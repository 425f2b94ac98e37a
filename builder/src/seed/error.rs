//! Why an image was not seeded.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use skerry_firstboot::join_config::JoinConfigError;
use skerry_firstboot::node_files::PlanError;

use crate::failure::{Diagnose, FailureKind};
use crate::fat::update::FatUpdateError;
use crate::gpt::read::GptReadError;
use crate::oci::layer::Compression;

/// An image that was not seeded. Nothing in here tells a secret.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The join file cannot be used.
    #[error("the join file cannot be used")]
    JoinFile(#[source] Box<JoinConfigError>),
    /// A setting of it is well written and cannot be carried out.
    #[error("the join file has a setting that cannot be carried out")]
    Setting(#[source] PlanError),
    /// The target cannot be opened for writing.
    #[error("cannot open `{}` for writing", path.display())]
    Open {
        /// The target.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The target is a folder, a socket or another thing that holds no image.
    #[error("`{}` is neither a file nor a block device", path.display())]
    NoDisk {
        /// The target.
        path: PathBuf,
    },
    /// The device is in use.
    #[error("`{}` is in use{}", path.display(), at(.mounts))]
    InUse {
        /// The target.
        path: PathBuf,
        /// Where it or one of its partitions is mounted.
        mounts: Vec<String>,
    },
    /// The target has no partition table.
    #[error("`{}` has no partition table", path.display())]
    NoTable {
        /// The target.
        path: PathBuf,
        /// Why.
        #[source]
        source: GptReadError,
    },
    /// The target is a compressed image.
    #[error("`{}` is compressed", path.display())]
    Compressed {
        /// The target.
        path: PathBuf,
    },
    /// The target holds something else than a Skerry image.
    #[error("`{}` is no Skerry image: {reason}", path.display())]
    NotOurs {
        /// The target.
        path: PathBuf,
        /// By what this was seen.
        reason: &'static str,
    },
    /// The EFI system partition cannot be read or changed.
    #[error("cannot change the EFI system partition of `{}`", path.display())]
    Volume {
        /// The target.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<FatUpdateError>,
    },
}

impl SeedError {
    /// No partition table: or is it a compressed image?
    pub(super) fn no_table(path: &Path, disk: &File, source: GptReadError) -> Self {
        let mut start = [0; 4];
        let count = disk.read_at(&mut start, 0).unwrap_or(0);
        let path = path.to_owned();
        match Compression::of_content(&start[..count]) {
            Compression::None => Self::NoTable { path, source },
            _ => Self::Compressed { path },
        }
    }
}

fn at(mounts: &[String]) -> String {
    match mounts {
        [] => String::new(),
        mounts => format!(": mounted at {}", mounts.join(", ")),
    }
}

impl Diagnose for SeedError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::InUse { .. } => FailureKind::Safety,
            _ => FailureKind::Request,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::JoinFile(source) => vec![source.advice()],
            Self::Setting(source) => vec![format!("correct `{}` in the join file", source.key)],
            Self::Open { path, source } if source.kind() == io::ErrorKind::PermissionDenied => {
                vec![format!(
                    "run the same line with sudo: `sudo skerry seed {} …`",
                    path.display()
                )]
            }
            Self::NoDisk { path } if path.is_dir() => {
                vec![format!("name the image in it: `{}/NAME.raw`", path.display())]
            }
            Self::InUse { path, mounts } => match mounts.as_slice() {
                [] => vec![format!(
                    "let go of it first; `lsblk {}` shows by what it is used",
                    path.display()
                )],
                mounts => vec![format!("unmount it first: `umount {}`", mounts.join(" "))],
            },
            Self::Compressed { path } => vec![format!("decompress it first: `zstd -d {}`", path.display())],
            Self::NoTable { .. } | Self::NotOurs { .. } => {
                vec!["name the raw image that `skerry build` wrote, or the whole disk that it was copied to".to_owned()]
            }
            Self::Volume { source, .. } => source.hints(),
            Self::Open { .. } | Self::NoDisk { .. } => Vec::new(),
        }
    }

    fn excerpt(&self) -> Option<String> {
        match self {
            Self::JoinFile(source) => source.excerpt().map(str::to_owned),
            _ => None,
        }
    }
}
