//! `usr/share/skerry/contents`: who brought which file, in the image itself.
//!
//! An image has no database of packages, and a disk that boots has no manifest beside it. This list is what `inspect` and
//! `diff` know packages, versions and sizes by. In: the finished tree and the versions of packages and components. Out: text
//! in lines. The first is [`HEADER`]; then, for each owner, `KIND VERSION NAME` (`-` for no version) and its paths, each
//! behind a space; folders are left out. The reader takes any bytes: they may come from a foreign image.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::made::{By, path};
use crate::tree::{Content, Origin, Tree, TreeError, TreePath};

const BY: By = By("contents");
/// Where the list is.
pub const PATH: &str = "usr/share/skerry/contents";
/// Its first line: name and version of the format.
pub const HEADER: &str = "skerry-contents 1";
/// In place of a version.
const NO_VERSION: &str = "-";

/// Versions of packages and components by name.
pub type Versions = BTreeMap<String, String>;

/// What kind of thing brought a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OwnerKind {
    /// A Debian package.
    Package,
    /// A component such as kubelet.
    Component,
    /// An overlay of the definition.
    Overlay,
    /// A pass of the builder.
    Pass,
}

impl OwnerKind {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Package, "package"),
        (Self::Component, "component"),
        (Self::Overlay, "overlay"),
        (Self::Pass, "pass"),
    ];

    /// As the list names it.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or("", |(_, name)| name)
    }
}

/// Who brought a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// What it is.
    pub kind: OwnerKind,
    /// Its name.
    pub name: String,
    /// Its version; empty if it has none.
    pub version: String,
}

/// A list that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// All owners, in the list's order.
    pub owners: Vec<Owner>,
    /// The place in [`Contents::owners`] of each path's owner; paths are without a leading `/`.
    pub by_path: BTreeMap<String, usize>,
}

impl Contents {
    /// Who brought what is at `path`.
    pub fn owner_of(&self, path: &str) -> Option<&Owner> {
        self.owners.get(*self.by_path.get(path)?)
    }
}

/// Text that is no such list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the list of contents is not {expected}")]
pub struct BadContents {
    /// The line, from 1.
    pub line: usize,
    /// What it should be.
    pub expected: &'static str,
}

/// Writes the list of all that is in the tree, itself included.
pub fn apply(tree: &mut Tree, versions: &Versions) -> Result<(), TreeError> {
    let mut owned: BTreeMap<Owner, Vec<TreePath>> = BTreeMap::new();
    let own = (path(PATH), Origin::Pass(BY.0));
    let nodes = tree
        .iter()
        .filter(|(_, node)| node.content != Content::Dir)
        .map(|(path, node)| (path.clone(), node.origin.clone()));
    for (path, origin) in nodes.chain([own]) {
        owned.entry(owner(&origin, versions)).or_default().push(path);
    }
    let mut text = format!("{HEADER}\n");
    for (Owner { kind, name, version }, mut paths) in owned {
        let version = if version.is_empty() { NO_VERSION } else { &version };
        let _ = writeln!(text, "{} {version} {name}", kind.name());
        paths.sort();
        for path in paths {
            let _ = writeln!(text, " {}", path.as_str());
        }
    }
    tree.insert(path(PATH), BY.file(0o644, text))
}

fn owner(origin: &Origin, versions: &Versions) -> Owner {
    let version = |name: &str| versions.get(name).cloned().unwrap_or_default();
    let (kind, name, version) = match origin {
        Origin::Package(name) => (OwnerKind::Package, name.to_string(), version(name)),
        Origin::Component(name) => (OwnerKind::Component, name.to_string(), version(name)),
        Origin::Overlay(name) => (OwnerKind::Overlay, name.to_string(), String::new()),
        Origin::Pass(name) => (OwnerKind::Pass, (*name).to_owned(), String::new()),
    };
    Owner { kind, name, version }
}

/// Reads a list. Of several owners of one path the first counts.
pub fn parse(text: &str) -> Result<Contents, BadContents> {
    let mut contents = Contents::default();
    let mut lines = text.lines().zip(1..);
    if lines.next().is_none_or(|(line, _)| line != HEADER) {
        let expected = "`skerry-contents 1`";
        return Err(BadContents { line: 1, expected });
    }
    for (text, line) in lines {
        match text.strip_prefix(' ') {
            Some(path) if !contents.owners.is_empty() => {
                let last = contents.owners.len() - 1;
                contents.by_path.entry(path.to_owned()).or_insert(last);
            }
            Some(_) => {
                let expected = "an owner";
                return Err(BadContents { line, expected });
            }
            None => contents.owners.push(owner_line(text).ok_or(BadContents {
                line,
                expected: "a kind, a version and a name",
            })?),
        }
    }
    Ok(contents)
}

fn owner_line(line: &str) -> Option<Owner> {
    let (kind, rest) = line.split_once(' ')?;
    let (version, name) = rest.split_once(' ')?;
    let (kind, _) = OwnerKind::ALL.into_iter().find(|(_, known)| *known == kind)?;
    Some(Owner {
        kind,
        name: name.to_owned(),
        version: if version == NO_VERSION { "" } else { version }.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{FileData, Node, Stat};

    fn tree() -> Tree {
        let mut tree = Tree::new();
        let mut put = |name: &str, origin| {
            let content = Content::File(FileData::from_bytes(name.as_bytes().to_vec()));
            let stat = Stat::root(0o644);
            let node = Node { stat, content, origin };
            tree.insert(path(name), node).unwrap();
        };
        put("usr/lib/libc.so.6", Origin::Package("libc6".into()));
        put("etc/libc.conf", Origin::Package("libc6".into()));
        put("usr/bin/kubelet", Origin::Component("kubelet".into()));
        put("etc/with space", Origin::Overlay("my node".into()));
        put("etc/passwd", Origin::Pass("accounts"));
        tree
    }

    fn versions() -> Versions {
        [("libc6", "2.41-12"), ("kubelet", "v1.36.3")]
            .map(|(name, version)| (name.to_owned(), version.to_owned()))
            .into()
    }

    #[test]
    fn every_file_is_listed_with_its_owner_and_version() {
        let mut tree = tree();
        apply(&mut tree, &versions()).unwrap();
        let text = String::from_utf8(tree.file(PATH).unwrap().read().unwrap()).unwrap();
        let expected = "\
skerry-contents 1
package 2.41-12 libc6
 etc/libc.conf
 usr/lib/libc.so.6
component v1.36.3 kubelet
 usr/bin/kubelet
overlay - my node
 etc/with space
pass - accounts
 etc/passwd
pass - contents
 usr/share/skerry/contents
";
        assert_eq!(text, expected);
        let contents = parse(&text).unwrap();
        let owner = |path| {
            contents
                .owner_of(path)
                .map(|owner| (owner.name.as_str(), owner.version.as_str()))
        };
        assert_eq!(owner("usr/lib/libc.so.6"), Some(("libc6", "2.41-12")));
        assert_eq!(owner("etc/with space"), Some(("my node", "")));
        assert_eq!(owner("usr/lib"), None);
    }

    #[test]
    fn another_text_is_refused_with_the_line() {
        let error = |text: &str| parse(text).unwrap_err().line;
        assert_eq!(error(""), 1);
        assert_eq!(error("skerry-contents 2\n"), 1);
        assert_eq!(error("skerry-contents 1\n etc/passwd\n"), 2);
        assert_eq!(error("skerry-contents 1\npackage 1 a\n x\nnonsense\n"), 4);
        assert_eq!(error("skerry-contents 1\nplanet 1 earth\n"), 2);
    }
}
