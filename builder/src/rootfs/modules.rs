//! Which kernel modules stay in the image.
//!
//! In: the tree with a kernel package's modules below `usr/lib/modules/VERSION`, and the definition's patterns. Out: the
//! tree with the modules that match and all that these depend on, and what is known of each, for
//! [`crate::rootfs::depmod`]. Dependencies come from each module's own `.modinfo` (`depends`, `softdep`, `weakdep`), so
//! only modules that stay are ever decompressed; the outcome can be cached under one digest of all inputs.
//!
//! A soft dependency may name an alias instead of a module (`ext4` wants `crypto-crc32c`). Such names are looked up in
//! the built-in modules, the selected ones and [`ALIAS_FOLDERS`], where algorithms live. What is found nowhere is
//! reported, not refused: it is how kernels name what another configuration would have.
//!
//! Deliberately not supported: two modules of one name (as out-of-tree replacements in `updates/` are).

mod closure;
mod folder;
pub mod info;
mod pattern;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde::{Deserialize, Serialize};

use crate::digest::Sha256;
use crate::failure::{Diagnose, FailureKind};
use crate::tree::{Tree, TreePath};
use folder::Folder;
pub use folder::{alias_key, builtin_aliases, module_name};
use info::{InfoError, ModuleInfo};

/// Changes whenever [`ModuleInfo`] or the selection does, so that older cache entries are not met any more.
const CACHE_FORMAT: &str = "kernel-modules-1";

/// Folders that are searched for the aliases in soft dependencies, relative to the kernel version's folder.
pub const ALIAS_FOLDERS: [&str; 3] = ["kernel/arch/", "kernel/crypto/", "kernel/lib/"];

/// Keeps what was read from modules, by a digest of all that it depends on. A value that is lost costs time only.
pub trait ModuleInfoCache: Sync {
    /// What was put under this key.
    fn get(&self, key: &Sha256) -> Option<Vec<u8>>;

    /// Keeps `value`; errors are the cache's own matter.
    fn put(&self, key: &Sha256, value: &[u8]);
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCache;

impl ModuleInfoCache for NoCache {
    fn get(&self, _key: &Sha256) -> Option<Vec<u8>> {
        None
    }

    fn put(&self, _key: &Sha256, _value: &[u8]) {}
}

/// What is to stay.
#[derive(Debug, Clone, Copy)]
pub struct KeepRequest<'a> {
    /// The folder's name below `usr/lib/modules`, as `uname -r` prints it.
    pub kernel_version: &'a str,
    /// One per line of the definition: a folder (`kernel/fs/ext4`), a glob (`kernel/drivers/net/**`; `*` stays within a
    /// part of the path, and `.ko` ends the name whatever the compression) or a module's name (`dm_verity`, `dm-verity`).
    /// With `!` in front it takes away from what the others match and from soft dependencies.
    pub patterns: &'a [String],
}

/// One module that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// Its name as the kernel knows it, with `_` for `-`.
    pub name: String,
    /// Where it lies below the kernel version's folder, such as `kernel/fs/ext4/ext4.ko.xz`.
    pub relative_path: String,
    /// What it says about itself.
    pub info: ModuleInfo,
}

/// A number of modules and what their files take in the package.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub count: usize,
    /// Length of their files as shipped, usually compressed.
    pub len_bytes: u64,
}

/// What stays and what goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The modules that stay, in the order of the kernel's `modules.order`; the order of preference among aliases.
    pub modules: Vec<Module>,
    /// Those that patterns match.
    pub matched: Tally,
    /// Those that stay because others need them.
    pub dependencies: Tally,
    /// Those that go.
    pub removed: Tally,
    /// Soft dependencies that are no module here, with the modules that name them.
    pub unresolved_soft: BTreeMap<String, BTreeSet<String>>,
}

/// Why modules cannot be selected.
#[derive(Debug, thiserror::Error)]
pub enum ModulesError {
    /// The kernel version has no folder or no modules in it.
    #[error("there are no kernel modules in {folder}")]
    NoModules {
        /// Where they were expected.
        folder: String,
        /// Kernel versions that do have a folder.
        present: Vec<String>,
    },
    /// A pattern is no glob.
    #[error("module pattern `{pattern}` is not a valid glob")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        #[source]
        source: globset::Error,
    },
    /// A pattern that selects nothing is taken for a typing error.
    #[error("module pattern `{pattern}` matches no module of kernel {kernel_version}")]
    NoMatch {
        /// The pattern.
        pattern: String,
        /// The kernel.
        kernel_version: String,
        /// The most similar folder or module that exists.
        nearest: Option<String>,
    },
    /// Two files hold modules of one name.
    #[error("kernel module `{name}` is there twice, as {first} and {second}")]
    Ambiguous {
        /// The module.
        name: String,
        /// One file.
        first: TreePath,
        /// The other.
        second: TreePath,
    },
    /// A module needs one that is neither there nor built in.
    #[error("kernel module `{module}` needs `{dependency}`, which the kernel package does not have")]
    MissingDependency {
        /// Who needs it.
        module: String,
        /// What is missing.
        dependency: String,
    },
    /// A module's file cannot be understood.
    #[error("cannot read kernel module {path}")]
    Module {
        /// The file.
        path: TreePath,
        /// Why.
        #[source]
        source: InfoError,
    },
    /// One of the kernel's lists cannot be read.
    #[error("cannot read {path}")]
    List {
        /// The file.
        path: TreePath,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Diagnose for ModulesError {
    fn kind(&self) -> FailureKind {
        FailureKind::Request
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoModules { present, .. } if present.is_empty() => {
                vec!["name a kernel package that ships modules, such as `linux-image-amd64`".to_owned()]
            }
            Self::NoModules { present, .. } => vec![format!("kernel versions with modules: {}", present.join(", "))],
            Self::NoMatch { nearest, pattern, .. } => {
                let negated = if pattern.starts_with('!') { "!" } else { "" };
                let nearest = nearest.iter().map(|near| format!("did you mean `{negated}{near}`?"));
                nearest.collect()
            }
            Self::Ambiguous { second, .. } => vec![format!("leave out the package or overlay that ships {second}")],
            Self::MissingDependency { .. } => {
                vec!["check that all packages of the kernel have one version: `skerry lock --update`".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}

/// What a selection comes to, as the cache keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct Selection {
    modules: Vec<Module>,
    /// Names of the modules that patterns match.
    matched: BTreeSet<String>,
    unresolved_soft: BTreeMap<String, BTreeSet<String>>,
}

/// Finds what `request` selects and all that it needs; changes nothing.
pub fn select(tree: &Tree, request: &KeepRequest<'_>, cache: &dyn ModuleInfoCache) -> Result<Kept, ModulesError> {
    let folder = Folder::read(tree, request.kernel_version)?;
    select_in(&folder, request, cache)
}

/// Keeps the modules that `request` selects and all that they need; takes the rest, and folders that become empty, out
/// of the tree. Other files of the kernel stay as they are.
pub fn keep(tree: &mut Tree, request: &KeepRequest<'_>, cache: &dyn ModuleInfoCache) -> Result<Kept, ModulesError> {
    let folder = Folder::read(tree, request.kernel_version)?;
    let kept = select_in(&folder, request, cache)?;
    let stay: BTreeSet<&str> = kept.modules.iter().map(|module| module.name.as_str()).collect();
    let files = folder.files.iter().filter(|(name, _)| !stay.contains(name.as_str()));
    let gone: Vec<TreePath> = files.map(|(_, file)| file.path.clone()).collect();
    for path in &gone {
        tree.remove(path);
    }
    remove_empty_folders(tree, &folder.path, &gone);
    Ok(kept)
}

fn select_in(folder: &Folder, request: &KeepRequest<'_>, cache: &dyn ModuleInfoCache) -> Result<Kept, ModulesError> {
    let matched = pattern::matching(folder, request)?;
    let key = cache_key(folder, request);
    let cached = cache.get(&key).and_then(|value| serde_json::from_slice(&value).ok());
    let selection = match cached {
        Some(selection) => selection,
        None => {
            let selection = closure::close(folder, matched)?;
            let value = serde_json::to_vec(&selection).expect("names and lists of text are always JSON");
            cache.put(&key, &value);
            selection
        }
    };
    Ok(tally(folder, selection))
}

fn remove_empty_folders(tree: &mut Tree, top: &TreePath, gone: &[TreePath]) {
    // Deepest first, so that a folder which held only empty folders is empty when its turn comes.
    let mut folders: BTreeSet<TreePath> = BTreeSet::new();
    for path in gone {
        let mut parent = path.parent();
        while let Some(folder) = parent.filter(|folder| folder.is_below(top)) {
            parent = folder.parent();
            folders.insert(folder);
        }
    }
    for folder in folders.iter().rev() {
        if tree.below(folder).next().is_none() {
            tree.remove(folder);
        }
    }
}

/// Names everything that the outcome depends on: the kernel, its files with their digests, and the patterns.
fn cache_key(folder: &Folder, request: &KeepRequest<'_>) -> Sha256 {
    let files = folder.files.values().flat_map(|file| {
        let digest: &[u8] = file.data.sha256.as_bytes();
        [file.path.as_str().as_bytes(), digest]
    });
    let lists = folder.list_digests.iter().map(|digest| &digest.as_bytes()[..]);
    let mut patterns: Vec<&[u8]> = request.patterns.iter().map(|pattern| pattern.as_bytes()).collect();
    patterns.sort_unstable();
    let counts = [patterns.len(), folder.files.len()].map(|count| (count as u64).to_le_bytes());
    Sha256::of_fields(
        [CACHE_FORMAT.as_bytes(), request.kernel_version.as_bytes()]
            .into_iter()
            .chain(counts.iter().map(|count| &count[..]))
            .chain(lists)
            .chain(patterns)
            .chain(files),
    )
}

fn tally(folder: &Folder, selection: Selection) -> Kept {
    let mut tallies = [Tally::default(); 3];
    let stay: BTreeSet<&str> = selection.modules.iter().map(|module| module.name.as_str()).collect();
    for (name, file) in &folder.files {
        let which = match (selection.matched.contains(name), stay.contains(name.as_str())) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        };
        tallies[which].count += 1;
        tallies[which].len_bytes += file.data.len_bytes;
    }
    let [matched, dependencies, removed] = tallies;
    Kept {
        modules: selection.modules,
        matched,
        dependencies,
        removed,
        unresolved_soft: selection.unresolved_soft,
    }
}

#[cfg(test)]
mod tests;
