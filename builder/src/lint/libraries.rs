//! `needed-libraries`: what the dynamic linker will look for is in the image.
//!
//! As in ld.so(8): `DT_RUNPATH` (or `DT_RPATH`) of the file itself, then the folders of `/etc/ld.so.conf`, then the
//! default ones. A library is also content with one beside it: whoever loads from a private folder has found or loaded
//! that one as well (systemd's own libraries rely on it). What a program inherits from those that load it, and what is
//! loaded by name while it runs (`dlopen`), is deliberately not followed.

use std::collections::BTreeSet;

use globset::GlobBuilder;

use super::elf_file::{self, HEADER_LEN, LinkageError};
use super::{check_files, head};
use crate::arch::Arch;
use crate::tree::{Content, Tree, TreePath};

/// `ld.so.conf` files may include each other; this deep and no deeper.
const MAX_INCLUDES: usize = 8;

pub(super) fn check(tree: &Tree, arch: Arch) -> Vec<(TreePath, String)> {
    let libraries = Libraries::new(tree, arch);
    check_files(tree, |path, data| {
        let (header, count) = head::<HEADER_LEN>(data)?;
        // Debug files keep the tables of the real ones, without their contents.
        let is_debug = path.as_str().starts_with("usr/lib/debug/");
        if count < HEADER_LEN || is_debug || elf_file::machine(&header) != Some(arch.names().elf_machine) {
            return Ok(Vec::new());
        }
        let linkage = match elf_file::linkage(data, &header) {
            Ok(linkage) => linkage,
            Err(LinkageError::Damaged) => return Ok(vec!["is a damaged ELF file".to_owned()]),
            Err(LinkageError::Io(error)) => return Err(error),
        };
        let interpreter = linkage
            .interpreter
            .iter()
            .filter(|interpreter| !is_file(tree, interpreter));
        let interpreter = interpreter.map(|path| format!("needs the program interpreter `{path}`, which is not there"));
        let mut search_path = linkage.search_path.clone().unwrap_or_default();
        if linkage.interpreter.is_none() {
            search_path.push_str(":$ORIGIN");
        }
        let missing = linkage
            .needed
            .iter()
            .filter(|name| !libraries.have(name, &search_path, path));
        let missing = missing.map(|name| format!("needs the library `{name}`, which is not there"));
        Ok(interpreter.chain(missing).collect())
    })
}

/// What the dynamic linker finds without a file's own search path.
struct Libraries<'a> {
    tree: &'a Tree,
    multiarch: &'static str,
    names: BTreeSet<String>,
}

impl<'a> Libraries<'a> {
    fn new(tree: &'a Tree, arch: Arch) -> Self {
        let multiarch = arch.names().multiarch;
        let mut folders = Vec::new();
        read_conf(tree, "etc/ld.so.conf", &mut folders, MAX_INCLUDES);
        folders.extend([format!("lib/{multiarch}"), format!("usr/lib/{multiarch}")]);
        folders.extend(["lib64", "usr/lib64", "lib", "usr/lib"].map(str::to_owned));
        let folders: BTreeSet<TreePath> = folders.iter().filter_map(|folder| resolve(tree, folder)).collect();
        let names = folders.iter().flat_map(|folder| tree.children(folder));
        let names = names
            .filter(|(path, _)| is_file(tree, path.as_str()))
            .map(|(path, _)| path.name().to_owned());
        Self {
            tree,
            multiarch,
            names: names.collect(),
        }
    }

    fn have(&self, name: &str, search_path: &str, user: &TreePath) -> bool {
        if name.contains('/') {
            return is_file(self.tree, name);
        }
        let in_search_path = || {
            let mut folders = search_path.split(':').filter(|folder| !folder.is_empty());
            folders.any(|folder| is_file(self.tree, &format!("{}/{name}", self.expand(folder, user))))
        };
        self.names.contains(name) || in_search_path()
    }

    /// Replaces the dynamic string tokens of ld.so(8).
    fn expand(&self, folder: &str, user: &TreePath) -> String {
        let origin = user.parent().unwrap_or_default();
        let lib = format!("lib/{}", self.multiarch);
        let tokens = [
            ("$ORIGIN", origin.as_str()),
            ("${ORIGIN}", origin.as_str()),
            ("$LIB", &lib),
            ("${LIB}", &lib),
        ];
        tokens
            .iter()
            .fold(folder.to_owned(), |folder, (token, value)| folder.replace(token, value))
    }
}

/// Where a path with `..` parts and links leads to.
fn resolve(tree: &Tree, path: &str) -> Option<TreePath> {
    let mut current = TreePath::ROOT;
    for part in path.split('/') {
        current = match part {
            "" | "." => continue,
            ".." => current.parent().unwrap_or_default(),
            name => tree.resolve(&current.join(name).ok()?)?,
        };
    }
    Some(current)
}

fn is_file(tree: &Tree, path: &str) -> bool {
    let content = resolve(tree, path)
        .and_then(|path| tree.get(&path))
        .map(|node| &node.content);
    matches!(content, Some(Content::File(_) | Content::HardLink(_)))
}

/// Folders that a file in the form of `ld.so.conf` names, in order; see ldconfig(8).
fn read_conf(tree: &Tree, path: &str, folders: &mut Vec<String>, depth: usize) {
    let Some(bytes) = tree.file(path).and_then(|data| data.read().ok()) else {
        return;
    };
    for line in String::from_utf8_lossy(&bytes).lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        match line.strip_prefix("include ") {
            Some(pattern) if depth > 0 => {
                for file in matching(tree, pattern.trim()) {
                    read_conf(tree, &file, folders, depth - 1);
                }
            }
            _ => folders.extend(
                line.split([' ', '\t', ':', ','])
                    .filter(|folder| folder.starts_with('/'))
                    .map(str::to_owned),
            ),
        }
    }
}

fn matching(tree: &Tree, pattern: &str) -> Vec<String> {
    let pattern = match pattern.strip_prefix('/') {
        Some(pattern) => pattern.to_owned(),
        None => format!("etc/{pattern}"),
    };
    let Ok(glob) = GlobBuilder::new(&pattern).literal_separator(true).build() else {
        return Vec::new();
    };
    let glob = glob.compile_matcher();
    let paths = tree.iter().map(|(path, _)| path.as_str());
    paths.filter(|path| glob.is_match(path)).map(str::to_owned).collect()
}
