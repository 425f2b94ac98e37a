//! Programs that Debian does not have in the needed version. Flows in: a `[components.NAME]` table of the definition.
//! Flows out: files of the store that are pinned by SHA-256, and where they go in the image.
//!
//! A component is built from a Go module (`go`), fetched as its makers published it (`release`), or lies on this
//! machine (`file`). Whatever the origin, the lock pins the resulting files, and a build that gets others stops.
//!
//! Deliberately unsupported: archives other than `.tar.gz`, and Go programs that need cgo.

mod error;
mod go;
mod recipe;
mod release;
mod table;
mod template;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::arch::Arch;
use crate::digest::Sha256;
use crate::fetch::{Access, FetchOptions, Wanted, fetch};
use crate::progress::Reporter;
use crate::store::{Shelf, Store};

pub use error::{ComponentError, Mismatch};
pub use table::{ComponentTable, OriginKind, SpecError};

/// A validated component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComponentSpec {
    /// Its key in the definition.
    pub name: String,
    /// Version of the program, as upstream writes it.
    pub version: String,
    /// Where it comes from.
    pub origin: Origin,
    /// What is built or packed (a Go package below the module, a member of an archive, or any name for a single file),
    /// and its absolute path in the image.
    pub install: BTreeMap<String, String>,
}

/// Where a component comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Built from source.
    Go(GoOrigin),
    /// Downloaded.
    Release {
        /// URL; `{arch}` and `{machine}` are still to be filled in.
        url: String,
        /// Digest of the download for each architecture.
        sha256: BTreeMap<Arch, Sha256>,
    },
    /// Already here.
    File {
        /// Path, relative to the definition's folder; `{arch}` and `{machine}` are still to be filled in.
        path: String,
        /// Digest of the file for each architecture.
        sha256: BTreeMap<Arch, Sha256>,
    },
}

/// How a Go program is built. Everything that decides the bytes is in here, in the version, or in the recipe's code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GoOrigin {
    /// The module's path; its version is the component's.
    pub module: String,
    /// The Go release that compiles it, such as `go1.26.8`.
    pub toolchain: String,
    /// Version of the modules that the module's own `go.mod` takes from a folder beside it.
    pub staging: Option<String>,
    /// Build tags, sorted.
    pub tags: Vec<String>,
    /// Variables that the linker sets: import path, dot, name.
    pub stamps: BTreeMap<String, String>,
}

/// A resulting file as the lock pins it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ComponentFile {
    /// Its key in [`ComponentSpec::install`].
    pub name: String,
    /// Its length.
    pub len_bytes: u64,
    /// Its digest.
    pub sha256: Sha256,
}

/// A resulting file, ready to be put into a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltFile {
    /// Its key in [`ComponentSpec::install`].
    pub name: String,
    /// Absolute.
    pub path_in_image: String,
    /// Its length.
    pub len_bytes: u64,
    /// Its digest.
    pub sha256: Sha256,
    /// Where it lies.
    pub store_path: PathBuf,
}

/// What is needed to make components.
#[derive(Clone, Copy)]
pub struct Workshop<'a> {
    /// Where results are kept.
    pub store: &'a Store,
    /// Whether and how to use the network.
    pub fetch: FetchOptions,
    /// Hears about downloads and compiled packages.
    pub reporter: &'a dyn Reporter,
    /// The definition's folder.
    pub folder: &'a Path,
}

impl std::fmt::Debug for Workshop<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workshop")
            .field("store", &self.store)
            .field("fetch", &self.fetch)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// Takes a component's files from the store, or makes them. They come in the order of their names. `expected` is what
/// the lock pins; without it (when locking) the result is what will be pinned.
pub fn obtain(
    spec: &ComponentSpec,
    arch: Arch,
    expected: Option<&[ComponentFile]>,
    workshop: &Workshop<'_>,
) -> Result<Vec<BuiltFile>, ComponentError> {
    let recipe = spec.recipe(arch);
    let known = match expected {
        Some(expected) => Some(expected.to_vec()),
        None => recipe::recall(workshop.store, &recipe),
    };
    if let Some(built) = known.and_then(|files| stored(spec, &files, workshop.store)) {
        return Ok(built);
    }
    let files = make(spec, arch, expected, workshop)?;
    if let Some(expected) = expected {
        check(spec, expected, &files)?;
    }
    recipe::remember(workshop.store, &recipe, &files)?;
    stored(spec, &files, workshop.store).ok_or_else(|| ComponentError::Disappeared {
        component: spec.name.clone(),
    })
}

/// The files in the store, if it has all of them and they are those that the component installs.
fn stored(spec: &ComponentSpec, files: &[ComponentFile], store: &Store) -> Option<Vec<BuiltFile>> {
    if !files.iter().map(|file| &file.name).eq(spec.install.keys()) {
        return None;
    }
    let built = |file: &ComponentFile| {
        // A download that needs no unpacking stays where downloads are.
        let entry = [Shelf::Components, Shelf::Inputs]
            .into_iter()
            .find_map(|shelf| store.open_entry(shelf, &file.sha256))?;
        (entry.len_bytes == file.len_bytes).then(|| BuiltFile {
            name: file.name.clone(),
            path_in_image: spec.install[&file.name].clone(),
            len_bytes: file.len_bytes,
            sha256: file.sha256,
            store_path: entry.path,
        })
    };
    files.iter().map(built).collect()
}

/// Makes the files and puts them into the store, in the order of their names.
fn make(
    spec: &ComponentSpec,
    arch: Arch,
    expected: Option<&[ComponentFile]>,
    workshop: &Workshop<'_>,
) -> Result<Vec<ComponentFile>, ComponentError> {
    match &spec.origin {
        Origin::Go(origin) => {
            if workshop.fetch.access == Access::Offline {
                return Err(ComponentError::NotBuilt {
                    component: spec.name.clone(),
                    version: spec.version.clone(),
                });
            }
            let purpose = match expected {
                Some(_) => go::Purpose::Reproduce,
                None => go::Purpose::Pin,
            };
            let job = go::Job {
                spec,
                origin,
                arch,
                purpose,
            };
            go::build(&job, workshop)
        }
        Origin::Release { url, sha256 } => {
            let url = template::fill_arch(url, arch);
            let archive = fetch_pinned(spec, arch, (&url, sha256), workshop)?;
            if release::is_archive(&url) {
                release::unpack(spec, &url, &archive, workshop.store)
            } else {
                Ok(vec![archive])
            }
        }
        Origin::File { path, sha256 } => {
            let path = workshop.folder.join(template::fill_arch(path, arch));
            let file = fetch_pinned(spec, arch, (&path.to_string_lossy(), sha256), workshop)?;
            Ok(vec![file])
        }
    }
}

/// Fetches or copies one file that the definition pins.
fn fetch_pinned(
    spec: &ComponentSpec,
    arch: Arch,
    (url, sha256): (&str, &BTreeMap<Arch, Sha256>),
    workshop: &Workshop<'_>,
) -> Result<ComponentFile, ComponentError> {
    let sha256 = *sha256.get(&arch).ok_or_else(|| ComponentError::NoDigest {
        component: spec.name.clone(),
        arch,
    })?;
    let wanted = Wanted {
        label: format!("{} {}", spec.name, spec.version),
        url: url.to_owned(),
        sha256,
        len_bytes: None,
    };
    fetch(vec![wanted], workshop.store, &workshop.fetch, workshop.reporter).map_err(|source| {
        ComponentError::Fetch {
            component: spec.name.clone(),
            source: Box::new(source),
        }
    })?;
    let entry = workshop
        .store
        .open_entry(Shelf::Inputs, &sha256)
        .ok_or_else(|| ComponentError::Disappeared {
            component: spec.name.clone(),
        })?;
    let name = spec.install.keys().next().cloned().unwrap_or_default();
    Ok(ComponentFile {
        name,
        len_bytes: entry.len_bytes,
        sha256,
    })
}

fn check(spec: &ComponentSpec, expected: &[ComponentFile], files: &[ComponentFile]) -> Result<(), ComponentError> {
    let toolchain = match &spec.origin {
        Origin::Go(origin) => Some(origin.toolchain.clone()),
        Origin::Release { .. } | Origin::File { .. } => None,
    };
    for file in files {
        let pinned = expected.iter().find(|pinned| pinned.name == file.name);
        match pinned {
            Some(pinned) if pinned == file => {}
            Some(pinned) => {
                return Err(ComponentError::Mismatch(Box::new(Mismatch {
                    component: spec.name.clone(),
                    file: file.name.clone(),
                    expected: pinned.sha256,
                    actual: file.sha256,
                    toolchain,
                })));
            }
            None => {
                return Err(ComponentError::NotPinned {
                    component: spec.name.clone(),
                    file: file.name.clone(),
                });
            }
        }
    }
    Ok(())
}
