//! The files of one kernel version: its modules by name, its order, and what is built in.

use std::collections::{BTreeMap, BTreeSet};

use super::ModulesError;
use super::info::is_module_file;
use crate::digest::Sha256;
use crate::tree::{FileData, Tree, TreePath};

/// Lists that kernel packages ship beside the modules (kernel documentation, "kbuild").
const LISTS: [&str; 3] = ["modules.order", "modules.builtin", "modules.builtin.modinfo"];

/// What lies below `usr/lib/modules/VERSION`.
#[derive(Debug)]
pub(super) struct Folder {
    /// The folder itself.
    pub path: TreePath,
    /// All modules by name (with `_` for `-`).
    pub files: BTreeMap<String, ModuleFile>,
    /// Position in `modules.order` by name.
    pub order: BTreeMap<String, usize>,
    /// Names and aliases that the kernel itself provides, normalised.
    pub builtin: BTreeSet<String>,
    /// Digests of the three lists; of nothing where one is missing.
    pub list_digests: Vec<Sha256>,
}

/// One module's file.
#[derive(Debug, Clone)]
pub(super) struct ModuleFile {
    pub path: TreePath,
    /// Below the version's folder.
    pub relative: String,
    pub data: FileData,
}

impl ModuleFile {
    /// The path below the version's folder without the compression's suffix, as patterns and `modules.order` know it.
    pub fn plain_path(&self) -> &str {
        plain(&self.relative)
    }
}

/// A module's path up to and with `.ko`.
fn plain(path: &str) -> &str {
    path.rfind(".ko").map_or(path, |end| &path[..end + 3])
}

/// The module name of a path: the file name up to the first dot, with `_` for `-`.
pub fn module_name(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    alias_key(name.split('.').next().unwrap_or(name))
}

/// Module and alias names are compared with `_` for `-`, except inside `[…]`, where `-` is a range.
pub fn alias_key(name: &str) -> String {
    let mut in_brackets = false;
    let replace = |byte: char| {
        match byte {
            '[' => in_brackets = true,
            ']' => in_brackets = false,
            _ => {}
        }
        if byte == '-' && !in_brackets { '_' } else { byte }
    };
    name.chars().map(replace).collect()
}

impl Folder {
    pub fn read(tree: &Tree, kernel_version: &str) -> Result<Self, ModulesError> {
        let none = || ModulesError::NoModules {
            folder: format!("/usr/lib/modules/{kernel_version}"),
            present: versions(tree),
        };
        let single_part = !kernel_version.is_empty() && !kernel_version.contains('/');
        let path = TreePath::parse(&format!("usr/lib/modules/{kernel_version}"))
            .ok()
            .filter(|_| single_part);
        let path = path.ok_or_else(none)?;
        let files = module_files(tree, &path)?;
        if files.is_empty() {
            return Err(none());
        }
        let lists = LISTS.map(|name| path.join(name).expect("a plain name below a good path"));
        let data = lists.each_ref().map(|list| tree.file(list.as_str()));
        let mut texts = Vec::with_capacity(LISTS.len());
        for (path, data) in lists.into_iter().zip(data) {
            let bytes = data.map_or(Ok(Vec::new()), FileData::read);
            let bytes = bytes.map_err(|source| ModulesError::List { path, source })?;
            texts.push(String::from_utf8_lossy(&bytes).into_owned());
        }
        let order = texts[0].lines().enumerate().map(|(at, line)| (module_name(line), at));
        let builtin = texts[1].lines().map(module_name);
        let builtin_aliases = builtin_aliases(&texts[2]).map(|(_, alias)| alias_key(alias));
        Ok(Self {
            files,
            order: order.collect(),
            builtin: builtin.chain(builtin_aliases).collect(),
            list_digests: data
                .map(|data| data.map_or_else(|| Sha256::of(&[]), |data| data.sha256))
                .to_vec(),
            path,
        })
    }
}

/// `(module, alias)` of each alias in a `modules.builtin.modinfo`: NUL-separated `module.key=value`.
pub fn builtin_aliases(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split('\0').filter_map(|entry| {
        let (key, alias) = entry.split_once('=')?;
        Some((key.strip_suffix(".alias")?, alias))
    })
}

fn module_files(tree: &Tree, folder: &TreePath) -> Result<BTreeMap<String, ModuleFile>, ModulesError> {
    let mut files: BTreeMap<String, ModuleFile> = BTreeMap::new();
    for (path, _) in tree.below(folder).filter(|(path, _)| is_module_file(path.name())) {
        let Some(data) = tree.file(path.as_str()) else { continue };
        let name = module_name(path.name());
        let file = ModuleFile {
            path: path.clone(),
            relative: path.as_str()[folder.as_str().len() + 1..].to_owned(),
            data: data.clone(),
        };
        if let Some(first) = files.insert(name.clone(), file) {
            return Err(ModulesError::Ambiguous {
                name,
                first: first.path,
                second: path.clone(),
            });
        }
    }
    Ok(files)
}

fn versions(tree: &Tree) -> Vec<String> {
    let Ok(folder) = TreePath::parse("usr/lib/modules") else {
        return Vec::new();
    };
    tree.children(&folder).map(|(path, _)| path.name().to_owned()).collect()
}
