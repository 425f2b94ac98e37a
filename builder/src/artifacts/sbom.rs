//! The software bill of materials, in the two formats that people ask for.
//!
//! In: packages and components, in types of this module. Out: the same text each time: its date is the lock's, and its
//! name comes from a digest. Deliberately unsupported: lists of files.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Sha256;

pub mod cyclonedx;
pub mod go_modules;
pub mod licence;
pub mod purl;
pub mod spdx;

#[cfg(test)]
mod tests;

pub use go_modules::GoModule;

/// Where a package is from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SbomOrigin {
    /// Debian's archive.
    Deb {
        /// The number of Debian's release, such as `13`.
        release: Option<String>,
    },
    /// Built from a Go module.
    Go {
        /// The module's path, such as `k8s.io/kubernetes`.
        module: String,
    },
    /// A container image that is brought along.
    Oci {
        /// Registry and repository, such as `docker.io/library/busybox`.
        repository: String,
    },
    /// A file: an upstream release, or one that the user gave.
    File,
}

/// A package or component in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SbomPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture, as its origin names it.
    pub arch: String,
    /// The source package it is built from; with its version in parentheses, if that differs.
    pub source: Option<String>,
    /// The digest of the package or file.
    pub sha256: Sha256,
    /// Its licences; empty if they are not known. Names that SPDX does not list are kept as they are.
    pub licences: Vec<String>,
    /// Where it is from.
    pub origin: SbomOrigin,
    /// Its path in the archive, or its URL; never a path on the host.
    pub download: Option<String>,
    /// What is linked into it, if it is a Go program, in any order.
    pub modules: Vec<GoModule>,
}

/// What the document describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SbomInput {
    /// The image's name.
    pub image: String,
    /// The image's version.
    pub image_version: String,
    /// The lock's time, in seconds since 1970.
    pub timestamp: u64,
    /// What decides the content of the image, such as the lock's digest; names the document.
    pub digest: Sha256,
    /// What is in the image, in any order.
    pub packages: Vec<SbomPackage>,
}

/// What SPDX has for what is not known.
const NOASSERTION: &str = "NOASSERTION";

/// The packages in the order in which both formats have them.
fn sorted(input: &SbomInput) -> Vec<&SbomPackage> {
    let mut sorted: Vec<&SbomPackage> = input.packages.iter().collect();
    sorted.sort_by_key(|package| {
        (
            &package.origin,
            &package.name,
            &package.version,
            &package.arch,
            package.sha256,
        )
    });
    sorted
}

/// Every Go module that is linked into one of `packages`, once, with the id that `ids` gives it.
fn modules<'a>(packages: &[&'a SbomPackage], ids: &mut Ids, prefix: &str) -> BTreeMap<&'a GoModule, String> {
    let all: BTreeSet<&GoModule> = packages.iter().flat_map(|package| &package.modules).collect();
    let named = |module: &'a GoModule| (module, ids.give(prefix, &format!("{}-{}", module.path, module.version)));
    all.into_iter().map(named).collect()
}

/// The ids given out so far.
#[derive(Debug, Default)]
struct Ids(BTreeSet<String>);

impl Ids {
    /// An id for `name`: letters, digits, `.` and `-` stay (SPDX 2.3 §7.2), and a number keeps apart what is equal then. It
    /// depends on little else than the name, so that two documents compare well.
    fn give(&mut self, prefix: &str, name: &str) -> String {
        let plain = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' });
        let base = format!("{prefix}-{}", plain.collect::<String>());
        let numbered = (2_u32..).map(|number| format!("{base}-{number}"));
        let id = std::iter::once(base.clone())
            .chain(numbered)
            .find(|id| !self.0.contains(id))
            .expect("numbers do not run out");
        self.0.insert(id.clone());
        id
    }
}
