//! Debian packages: reading them without running anything of theirs.
//!
//! A `.deb` flows in, its control data, maintainer scripts (as text) and entries with their contents flow out.
//! Format: deb(5) 2.0. [`ar`] reads the outer archive, [`archive`] finds and decompresses the two inner ones, [`tar`]
//! reads those, [`control`] the control file, and [`unpack`] keeps all of it in one cache file.
//! Deliberately unsupported: source packages, the pre-1994 format, members compressed by bzip2 or lzma.

pub mod ar;
pub mod archive;
pub mod control;
pub mod tar;
pub mod unpack;

use std::io;
use std::path::PathBuf;

use crate::deb::ar::ArError;
use crate::deb::control::ControlError;
use crate::deb::tar::TarError;
use crate::failure::{Diagnose, FailureKind};
use crate::tree::TreePath;

pub use unpack::{DebEntry, Script, ScriptKind, UnpackedDeb};

/// Why a package cannot be read or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum DebError {
    /// The file cannot be opened.
    #[error("cannot open the package {}", package.display())]
    Open {
        /// Which file.
        package: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The outer archive is damaged or cut off.
    #[error("cannot read the package {}", package.display())]
    Ar {
        /// Which file.
        package: PathBuf,
        /// What is wrong and at which offset.
        #[source]
        source: ArError,
    },
    /// The members are not those of a binary package.
    #[error("{} is no Debian binary package: {problem}", package.display())]
    Format {
        /// Which file.
        package: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A member is compressed in a way that is not read.
    #[error("the member `{member}` of {} is compressed in an unknown way (known: gz, xz, zst)", package.display())]
    Compression {
        /// Which file.
        package: PathBuf,
        /// Which member.
        member: String,
    },
    /// A member decompresses to more than its size allows.
    #[error("the member `{member}` of {} grows beyond {limit_bytes} bytes when it is decompressed", package.display())]
    TooLarge {
        /// Which file.
        package: PathBuf,
        /// Which member.
        member: String,
        /// The limit that was exceeded.
        limit_bytes: u64,
    },
    /// Decompression failed.
    #[error("the member `{member}` of {} is damaged or cut off after {offset} decompressed bytes", package.display())]
    Decode {
        /// Which file.
        package: PathBuf,
        /// Which member.
        member: String,
        /// How far it went, in decompressed bytes.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An inner archive is malformed.
    #[error("cannot read the member `{member}` of {}", package.display())]
    Tar {
        /// Which file.
        package: PathBuf,
        /// Which member.
        member: String,
        /// What is wrong and at which offset.
        #[source]
        source: TarError,
    },
    /// An entry contradicts an earlier one.
    #[error("the entry {path} of {} {problem}", package.display())]
    Entry {
        /// Which file.
        package: PathBuf,
        /// Which entry.
        path: TreePath,
        /// What is wrong.
        problem: &'static str,
    },
    /// A file of the control archive is missing, too long or no text.
    #[error("the control file `{file}` of {} {problem}", package.display())]
    ControlFile {
        /// Which package file.
        package: PathBuf,
        /// Which control file.
        file: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The `control` file itself is malformed.
    #[error("cannot read the control file of {}", package.display())]
    Control {
        /// Which file.
        package: PathBuf,
        /// What is wrong and where.
        #[source]
        source: ControlError,
    },
    /// The cache entry cannot be read or written.
    #[error("cannot {action} the cache entry for {}", package.display())]
    Cache {
        /// Which package.
        package: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Diagnose for DebError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Open { .. } | Self::Cache { .. } => FailureKind::Request,
            _ => FailureKind::Verification,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Open { .. } => return Vec::new(),
            Self::Cache { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "make room, for example with `skerry cache prune`, and run the build again".to_owned()
            }
            Self::Cache { .. } => return Vec::new(),
            Self::Compression { .. } => "repack it with `dpkg-deb --build -Zxz` or `-Zzstd`".to_owned(),
            Self::Ar { package, .. }
            | Self::Format { package, .. }
            | Self::TooLarge { package, .. }
            | Self::Decode { package, .. }
            | Self::Tar { package, .. }
            | Self::Entry { package, .. }
            | Self::ControlFile { package, .. }
            | Self::Control { package, .. } => format!(
                "`dpkg-deb --contents {}` shows what dpkg makes of it; a damaged package has to be built or published anew",
                package.display()
            ),
        };
        vec![hint]
    }
}
