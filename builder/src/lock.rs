//! The lock: every input of a build by version, size and SHA-256.
//!
//! In: what `skerry lock` has resolved. Out: `images/NAME.lock`, and from then on every build's list of inputs. The text
//! is canonical: equal locks have equal bytes, a change of one package is a change of one line, nothing is said twice.

mod diff;
mod error;
mod read;
mod write;

use crate::apt::version::DebVersion;
use crate::digest::Sha256;

pub use diff::{Change, LockDiff};
pub use error::LockError;

/// The version of the format.
///
/// * 1: the first.
pub const LOCK_VERSION: u32 = 1;

/// All inputs of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The version of the format, [`LOCK_VERSION`].
    pub version: u32,
    /// Digest of the part of the definition that decides the lock; another one means that the lock is stale.
    pub spec_digest: Sha256,
    /// Date of the newest Release file, UNIX seconds: the time of everything in the image.
    pub timestamp: u64,
    /// The suites that were resolved against, in the order of the definition.
    pub archives: Vec<LockedArchive>,
    /// Debian packages, sorted by name.
    pub packages: Vec<LockedPackage>,
    /// Programs from elsewhere, sorted by name.
    pub components: Vec<LockedComponent>,
}

/// One suite of a Debian archive as it was at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedArchive {
    /// The archive's folder below the mirror: `debian` or `debian-security`.
    pub archive: String,
    /// Suite, such as `trixie-updates`.
    pub suite: String,
    /// Components, such as `main`.
    pub components: Vec<String>,
    /// Date of its Release file, UNIX seconds.
    pub date: u64,
    /// Digest of its `InRelease` file.
    pub inrelease_sha256: Sha256,
}

/// One .deb file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedPackage {
    /// Package name.
    pub name: String,
    /// Version.
    pub version: DebVersion,
    /// Debian architecture, or `all`.
    pub architecture: String,
    /// Source package; with its version in parentheses, `linux-signed-amd64 (6.12.117+1)`, if that differs.
    pub source: String,
    /// The archive's folder below the mirror.
    pub archive: String,
    /// Path below the archive's folder, `pool/…`; relative, without `..`.
    pub path: String,
    /// Size in bytes.
    pub len_bytes: u64,
    /// Digest.
    pub sha256: Sha256,
}

/// One program that does not come from Debian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedComponent {
    /// Its name in the definition.
    pub name: String,
    /// Digest of how it is made.
    pub recipe: Sha256,
    /// Version.
    pub version: String,
    /// What making it gives, sorted by name.
    pub files: Vec<LockedFile>,
}

/// One file of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedFile {
    /// Path below the component's folder; relative, without `..`.
    pub name: String,
    /// Size in bytes.
    pub len_bytes: u64,
    /// Digest.
    pub sha256: Sha256,
}

impl Lock {
    /// Reads a lock. `path` is the file's name, for errors.
    pub fn parse(path: &str, text: &str) -> Result<Self, LockError> {
        read::parse(path, text)
    }

    /// The canonical text.
    pub fn to_toml(&self) -> String {
        write::to_toml(self)
    }

    /// The digest of the canonical text; seeds of a build derive from it.
    pub fn digest(&self) -> Sha256 {
        Sha256::of(self.to_toml().as_bytes())
    }

    /// What changes from `old` to this lock.
    pub fn changes_since(&self, old: &Self) -> LockDiff {
        LockDiff::between(old, self)
    }
}

#[cfg(test)]
mod tests;
