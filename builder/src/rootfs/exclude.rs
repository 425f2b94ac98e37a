//! Dropping what a node does not need: documentation, translations, `/boot`, traces of dpkg.
//!
//! In: the tree and patterns in the order of their precedence, where the last one that matches decides, as in
//! gitignore(5): `usr/share/doc` drops the folder with all in it, `!usr/share/doc/*/copyright` keeps some of it. `*` and
//! `?` stay within one part of a path, `**` crosses parts. Out: the tree without them, and the patterns that matched
//! nothing. Folders above a kept node are kept.

use std::collections::{BTreeMap, BTreeSet};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::failure::Diagnose;
use crate::tree::{Content, Node, Tree, TreeError, TreePath};

/// What every image leaves out unless its definition says otherwise.
pub const STANDARD: &[&str] = &[
    // The kernel goes into the UKI, its modules stay; there is no boot loader to configure inside the root.
    "boot/**",
    "etc/initramfs-tools",
    "etc/kernel",
    "usr/share/initramfs-tools",
    "usr/lib/modules/*/.fresh-install",
    // Kernel packages from 7 on have all that was in /boot beside the modules.
    "usr/lib/modules/*/System.map",
    "usr/lib/modules/*/config",
    "usr/lib/modules/*/vmlinuz",
    // Device trees: firmware hands one over, they are in the kernel image, or there is none.
    "usr/lib/linux-image-*",
    "usr/lib/modules/*/dtb",
    // Documentation. The licences stay: to pass them on is a condition of using the packages.
    "usr/share/doc/**",
    "!usr/share/doc/*/copyright",
    "usr/share/doc-base",
    "usr/share/info",
    "usr/share/man",
    "usr/share/lintian",
    "usr/share/bug",
    "usr/share/gdb",
    "usr/share/locale",
    // For people at a shell.
    "usr/share/bash-completion",
    "usr/share/fish",
    "usr/share/zsh",
    "usr/share/applications",
    "usr/share/menu",
    "usr/share/pixmaps",
    "usr/share/icons",
    // What drives the scripts and updates that an image never runs.
    "usr/share/debconf",
    "usr/share/base-files",
    "usr/share/pam-configs",
    "usr/share/pam",
    "usr/share/base-passwd",
    "etc/apt",
    "etc/cron.*",
    "etc/init.d",
    "etc/rc?.d",
    "etc/dpkg",
    "etc/logrotate.d",
    "var/cache/apt",
    "var/cache/debconf",
    "var/lib/apt",
    "var/lib/dpkg",
    "var/lib/pam",
    "var/lib/ucf",
];

/// Why nothing was dropped.
#[derive(Debug, thiserror::Error)]
pub enum ExcludeError {
    /// A pattern that cannot be read.
    #[error("the exclude pattern `{pattern}` is not valid")]
    BadPattern {
        /// As written.
        pattern: String,
        /// Why.
        #[source]
        source: globset::Error,
    },
    /// What is left makes no tree; a defect.
    #[error("cannot put the tree together again")]
    Rebuild(#[source] TreeError),
}

impl Diagnose for ExcludeError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::BadPattern { .. } => {
                vec!["`*` and `?` match within one part of a path, `**` across parts".to_owned()]
            }
            Self::Rebuild(_) => Vec::new(),
        }
    }
}

/// Drops what the patterns name and returns those that matched nothing.
pub fn apply(tree: &mut Tree, patterns: &[String]) -> Result<Vec<String>, ExcludeError> {
    let matcher = Matcher::new(patterns)?;
    let mut used = BTreeSet::new();
    let mut kept: BTreeSet<TreePath> = BTreeSet::new();
    for (path, _) in tree.iter() {
        if matcher.keeps(path, &mut used) {
            let mut next = Some(path.clone());
            while let Some(path) = next.take() {
                let parent = path.parent();
                if kept.insert(path) {
                    next = parent;
                }
            }
        }
    }
    if kept.len() != tree.len() {
        *tree = rebuild(tree, &kept).map_err(ExcludeError::Rebuild)?;
    }
    let unused = patterns.iter().enumerate().filter(|(index, _)| !used.contains(index));
    Ok(unused.map(|(_, pattern)| pattern.clone()).collect())
}

/// All patterns at once, each compiled twice: for the node itself (even places) and for all below it (odd ones).
#[derive(Debug)]
struct Matcher {
    set: GlobSet,
    keeps: Vec<bool>,
}

impl Matcher {
    fn new(patterns: &[String]) -> Result<Self, ExcludeError> {
        let mut set = GlobSetBuilder::new();
        let mut keeps = Vec::new();
        for pattern in patterns {
            let bad = |source| ExcludeError::BadPattern {
                pattern: pattern.clone(),
                source,
            };
            let (bare, keep) = match pattern.strip_prefix('!') {
                Some(bare) => (bare, true),
                None => (pattern.as_str(), false),
            };
            let bare = bare.trim_matches('/');
            for glob in [bare.to_owned(), format!("{bare}/**")] {
                let glob = GlobBuilder::new(&glob).literal_separator(true).build();
                set.add(glob.map_err(bad)?);
            }
            keeps.push(keep);
        }
        let set = set.build().map_err(|source| ExcludeError::BadPattern {
            pattern: patterns.join(" "),
            source,
        })?;
        Ok(Self { set, keeps })
    }

    fn keeps(&self, path: &TreePath, used: &mut BTreeSet<usize>) -> bool {
        let matches = self.set.matches(path.as_str());
        used.extend(matches.iter().map(|place| place / 2));
        matches.iter().max().is_none_or(|place| self.keeps[place / 2])
    }
}

/// A new tree of the kept nodes: much cheaper than taking nodes away one by one, each of which looks for hard links.
fn rebuild(tree: &Tree, kept: &BTreeSet<TreePath>) -> Result<Tree, TreeError> {
    let mut smaller = Tree::new();
    let mut links: Vec<(&TreePath, &Node, &TreePath)> = Vec::new();
    for (path, node) in tree.iter().filter(|(path, _)| kept.contains(*path)) {
        match &node.content {
            Content::HardLink(target) => links.push((path, node, target)),
            _ if *path == TreePath::ROOT => smaller.replace(path.clone(), node.clone())?,
            _ => smaller.insert(path.clone(), node.clone())?,
        }
    }
    // Where a file goes and other names of it stay, the first of them becomes the file.
    let mut heirs: BTreeMap<&TreePath, &TreePath> = BTreeMap::new();
    for (path, node, target) in links {
        let mut node = node.clone();
        if !kept.contains(target) {
            match heirs.get(target) {
                Some(heir) => node.content = Content::HardLink((*heir).clone()),
                None => {
                    heirs.insert(target, path);
                    node = tree.get(target).cloned().unwrap_or(node);
                }
            }
        }
        smaller.insert(path.clone(), node)?;
    }
    Ok(smaller)
}

#[cfg(test)]
mod tests;
