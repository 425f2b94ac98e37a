//! Why there is no stick.

use std::io;
use std::path::{Path, PathBuf};

use crate::device::Refusal;
use crate::failure::{Diagnose, FailureKind};
use crate::fat::FatError;
use crate::fat::update::FatUpdateError;
use crate::seed::SeedError;

/// A stick that was not made.
#[derive(Debug, thiserror::Error)]
pub enum StickError {
    /// The target cannot be opened, or somebody else uses it.
    #[error(transparent)]
    Target(SeedError),
    /// There is something else on it.
    #[error("`{}` is no stick labelled SKERRY-JOIN, and what is on it would be lost", path.display())]
    Occupied {
        /// The target.
        path: PathBuf,
    },
    /// The rules about devices speak against it.
    #[error("`{}` is not made a stick: {}", path.display(), reasons(refusals))]
    Refused {
        /// The target.
        path: PathBuf,
        /// All that do.
        refusals: Vec<Refusal>,
    },
    /// The kernel tells nothing of the device.
    #[error("cannot look at `{}`", path.display())]
    Unknown {
        /// The target.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Between looking and opening, its name was given to another disk.
    #[error("`{}` is not made a stick: another disk has just got its name", path.display())]
    Replaced {
        /// The target.
        path: PathBuf,
    },
    /// The disk is too small, say.
    #[error("there can be no stick of {disk_bytes} bytes")]
    Plan {
        /// The size of the disk.
        disk_bytes: u64,
        /// Why.
        #[source]
        source: FatError,
    },
    /// The new volume cannot be written.
    #[error("cannot format `{}`", path.display())]
    Format {
        /// The target.
        path: PathBuf,
        /// Why.
        #[source]
        source: FatError,
    },
    /// The volume that is there cannot be changed.
    #[error("cannot change the stick `{}`", path.display())]
    Volume {
        /// The target.
        path: PathBuf,
        /// Why.
        #[source]
        source: FatUpdateError,
    },
    /// Writing failed.
    #[error("cannot write {what} of `{}`", path.display())]
    Write {
        /// Which part.
        what: &'static str,
        /// The target.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl StickError {
    pub(super) fn write(path: &Path, what: &'static str) -> impl Fn(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Write {
            what,
            path: path.clone(),
            source,
        }
    }
}

fn reasons(refusals: &[Refusal]) -> String {
    let reasons: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    reasons.join("; ")
}

impl Diagnose for StickError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Occupied { .. } | Self::Refused { .. } | Self::Replaced { .. } => FailureKind::Safety,
            Self::Target(source) => source.kind(),
            _ => FailureKind::Request,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Target(SeedError::Open { path, source }) if source.kind() == io::ErrorKind::PermissionDenied => {
                vec![format!(
                    "run the same line with sudo: `sudo skerry seed --stick {} …`",
                    path.display()
                )]
            }
            Self::Target(SeedError::NoDisk { path }) => {
                vec![format!(
                    "name a device, or a file to be made: `{}/join.img`",
                    path.display()
                )]
            }
            Self::Target(source) => source.hints(),
            Self::Occupied { path } => vec![
                format!("`lsblk -o NAME,SIZE,MODEL,LABEL {}` shows what it is", path.display()),
                "`--erase` erases all that is on it".to_owned(),
            ],
            Self::Refused { refusals, .. } => refusals.iter().filter_map(Refusal::hint).collect(),
            Self::Unknown { .. } => vec!["`lsblk` lists the disks; containers need `/sys`".to_owned()],
            Self::Replaced { .. } => vec!["look again which disk is the one: `lsblk`".to_owned()],
            Self::Plan { .. } => vec!["use a stick of 64 MB or more".to_owned()],
            Self::Volume {
                source: FatUpdateError::Full { .. } | FatUpdateError::RootFull,
                ..
            } => vec!["remove other files from the stick".to_owned()],
            Self::Volume { .. } => vec!["`fsck.fat` may repair it".to_owned()],
            Self::Format { .. } | Self::Write { .. } => Vec::new(),
        }
    }
}
