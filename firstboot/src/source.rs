//! Where a join file may lie, and in which order the places are asked.
//!
//! | # | place | which file |
//! |---|---|---|
//! | 1 | the EFI system partition, mounted at `/efi` | the first of [`FILES`] |
//! | 2 | a USB stick labelled `SKERRY-JOIN` | `join-SERIAL.toml`, `join-MAC.toml` for this machine, else the first of [`FILES`] |
//! | 3 | the service's credentials (systemd.exec(5), "Credentials") | `skerry.join` |
//! | 4 | the URL on the kernel command line (see [`https`]) | |
//!
//! The first place that holds a file wins, whatever the file says: a file that cannot be used is somebody's mistake that
//! must be seen. Only a file that this machine has already joined by gives way to one that it has not ([`Rank`]): a file
//! that stays where it is must not hide the next one. A place that cannot be read is told, on the console, and passed
//! over.

pub mod https;
pub mod mounts;

mod credential;
pub(crate) mod efi_partition;
mod file;
pub(crate) mod usb_stick;

pub use file::FileError;
pub(crate) use file::is_erased;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::control_plane::ApiError;
use crate::device::Device;
use crate::digest::Digest;
use crate::join_config::{MAX_BYTES, shown};

use https::{Fetch, HttpsError};
use mounts::Mounts;

/// What a join file may be called, in the order in which the names are tried.
pub const FILES: [&str; 5] = ["join.toml", "join.yaml", "join.json", "join.txt", "kubeadm-join.txt"];

/// What [`find`] looks at, in words.
pub const PLACES: &str = "join.toml on the EFI partition, a USB stick labelled SKERRY-JOIN, the credential skerry.join, \
                          skerry.join-url on the kernel command line";

/// The machine that is searched.
#[derive(Debug, Clone)]
pub struct Place {
    /// The top folder: `/` on a machine.
    pub root: PathBuf,
    /// The service's folder of credentials.
    pub credentials: Option<PathBuf>,
}

/// A place that holds a join file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Source {
    /// The EFI system partition.
    EfiPartition {
        /// The file.
        path: PathBuf,
    },
    /// A USB stick.
    UsbStick {
        /// The file's name on it.
        file: String,
    },
    /// A credential of the service.
    Credential,
    /// A web server.
    Https {
        /// What was asked for.
        url: String,
    },
}

/// Which file was found where: what remains of it when its content is forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// Where.
    pub source: Source,
    /// Digest of its content.
    pub digest: Digest,
}

/// What a join file says; overwritten when it goes.
pub type Content = Zeroizing<Vec<u8>>;

/// A join file that was found.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    /// Which and where.
    pub trace: Trace,
    /// What it says; at most [`MAX_BYTES`].
    pub content: Content,
}

/// What came of looking.
#[derive(Debug, Default)]
pub struct Search {
    /// The first join file.
    pub found: Option<Found>,
    /// Places that could not be looked at.
    pub troubles: Vec<SourceError>,
}

/// A place that cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file on it cannot be used.
    #[error("{place}: {name} cannot be used")]
    File {
        /// Where.
        place: &'static str,
        /// Which.
        name: String,
        /// Why.
        #[source]
        source: FileError,
    },
    /// The stick cannot be mounted.
    #[error("the USB stick labelled SKERRY-JOIN cannot be mounted")]
    Mount(#[source] io::Error),
    /// The stick cannot be let go of.
    #[error("the USB stick labelled SKERRY-JOIN cannot be unmounted")]
    Unmount(#[source] io::Error),
    /// The kernel command line is wrong.
    #[error("the kernel command line has a word that cannot be used")]
    Cmdline(#[source] HttpsError),
    /// The server's answer is no join file.
    #[error("the answer from {} has more than {MAX_BYTES} bytes", shown(url))]
    TooLarge {
        /// What was asked for.
        url: String,
    },
    /// The server does not give it. Not all words of the failure are told: they are about control planes.
    #[error("{} cannot be read: {}", shown(url), failure.detail)]
    Fetch {
        /// What was asked for.
        url: String,
        /// Why.
        failure: ApiError,
    },
}

impl SourceError {
    /// What a person can do about it.
    pub fn advice(&self) -> &str {
        match self {
            Self::File { source, .. } => source.advice(),
            Self::Mount(_) => "format the stick with FAT (or ext4) and copy the join file onto it again",
            Self::Unmount(_) => "pull the stick out and plug it in again",
            Self::Cmdline(error) => error.advice(),
            Self::TooLarge { .. } => "let the server answer with the join file alone",
            Self::Fetch { failure, .. } => &failure.advice,
        }
    }
}

impl Found {
    fn new(source: Source, content: Content) -> Self {
        let digest = Digest::of(&content);
        Self {
            trace: Trace { source, digest },
            content,
        }
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found")
            .field("trace", &self.trace)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EfiPartition { path } => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                write!(f, "{name} on the EFI partition")
            }
            Self::UsbStick { file } => write!(f, "{file} on the USB stick labelled SKERRY-JOIN"),
            Self::Credential => f.write_str("the credential skerry.join"),
            Self::Https { url } => f.write_str(&shown(url)),
        }
    }
}

/// How much a file matters to this machine: the first of the highest rank is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// It has joined by it, and the file stays where it is.
    Stays,
    /// It has joined by it, and the file is to be erased.
    ToErase,
    /// It has not joined by it.
    New,
}

/// Tells a file's rank.
pub type Ranking<'a> = &'a dyn Fn(&Digest) -> Rank;

/// Looks at the places on the machine itself.
pub fn find_local(place: &Place, device: &Device, mounts: &impl Mounts, rank: Ranking<'_>) -> Search {
    let mut search = Search::default();
    let outcome = efi_partition::find(&place.root);
    if search.settles(outcome, rank) {
        return search;
    }
    let outcome = usb_stick::find(&place.root, device, mounts);
    if search.settles(outcome, rank) {
        return search;
    }
    let outcome = place.credentials.as_deref().map_or(Ok(None), credential::find);
    search.settles(outcome, rank);
    search
}

/// Looks at all places.
pub async fn find(
    place: &Place,
    device: &Device,
    mounts: &impl Mounts,
    fetch: &impl Fetch,
    rank: Ranking<'_>,
) -> Search {
    let mut search = find_local(place, device, mounts, rank);
    let cmdline = std::fs::read_to_string(place.root.join("proc/cmdline")).unwrap_or_default();
    search
        .troubles
        .extend(https::exposed_secret(&cmdline).map(SourceError::Cmdline));
    if search.rank(rank) < Some(Rank::New) {
        let outcome = https::find(&cmdline, device, fetch).await;
        search.settles(outcome, rank);
    }
    search
}

impl Search {
    /// Takes over what one place had to say; true if nothing later can be better.
    fn settles(&mut self, outcome: Result<Option<Found>, SourceError>, rank: Ranking<'_>) -> bool {
        match outcome {
            Ok(Some(found)) if Some(rank(&found.trace.digest)) > self.rank(rank) => self.found = Some(found),
            Ok(_) => {}
            Err(trouble) => self.troubles.push(trouble),
        }
        self.rank(rank) == Some(Rank::New)
    }

    fn rank(&self, rank: Ranking<'_>) -> Option<Rank> {
        self.found.as_ref().map(|found| rank(&found.trace.digest))
    }
}

/// The first of `names` in `folder` that is there.
fn first_of(folder: &Path, names: &[String], place: &'static str) -> Result<Option<(String, Content)>, SourceError> {
    for name in names {
        let content = file::read(&folder.join(name)).map_err(|source| SourceError::File {
            place,
            name: shown(name),
            source,
        })?;
        if let Some(content) = content {
            return Ok(Some((name.clone(), content)));
        }
    }
    Ok(None)
}

/// The names that do not depend on the machine.
fn usual_names() -> Vec<String> {
    FILES.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests;
