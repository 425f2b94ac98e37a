//! Overlays: a folder of the user's own files flows in, and they take the place of what packages brought.
//!
//! An overlay is a plain tree, laid out as it shall be in the image, and `overlay.toml` beside it, which gives modes,
//! owners and extended attributes to paths ([`rules`]). Of the host's own modes only one bit is taken over, the owner's
//! executable bit: version control keeps no other, and the rest depends on the umask. Devices, sockets and pipes are
//! deliberately refused.

mod host;
pub mod rules;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::digest::Sha256;
use crate::failure::Diagnose;
use crate::tree::{Content, Node, Origin, Stat, Tree, TreeError, TreePath};

pub use rules::RulesError;

/// The file at the top of an overlay that is not part of it.
const RULES_FILE: &str = "overlay.toml";

/// A folder's mode where neither a rule nor the tree says otherwise.
const FOLDER_MODE: u16 = 0o755;

/// Tells the ids of a user and a group of the image by their names; none if either is unknown.
pub type AccountIds<'a> = dyn Fn(&str, &str) -> Option<(u32, u32)> + 'a;

/// An overlay, read and with its rules applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    /// The name of its folder.
    pub name: Arc<str>,
    /// All that is in it but the top folder itself.
    pub files: BTreeMap<TreePath, OverlayEntry>,
    /// Digest of paths, modes, owners, attributes and contents.
    pub digest: Sha256,
}

/// One entry of an overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverlayEntry {
    /// The low 12 bits of its mode. None for a folder without a rule: it stays as it is in the tree, or becomes 0755.
    pub mode: Option<u16>,
    /// Names of user and group. None without a rule: root, or for a folder as it is in the tree.
    pub owner: Option<(String, String)>,
    /// Extended attributes by full name.
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// A folder, a regular file or a symbolic link.
    pub content: Content,
}

/// Why an overlay cannot be read or applied.
#[derive(Debug, thiserror::Error)]
pub enum OverlayError {
    /// A file or folder of the host cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A name or link target that cannot be in an image.
    #[error("the {what} `{}` cannot be in an image: it has to be UTF-8 without control characters", text.escape_debug())]
    BadName {
        /// Name or target.
        what: &'static str,
        /// The path on the host, lossily.
        text: String,
    },
    /// A device, socket or pipe.
    #[error("{} is neither a file, a folder nor a symbolic link", path.display())]
    SpecialFile {
        /// Which.
        path: PathBuf,
    },
    /// `overlay.toml` is malformed.
    #[error("{}:{source_position} cannot be understood", path.display(), source_position = source.position())]
    Rules {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: RulesError,
    },
    /// An owner that the image has no account for.
    #[error("{path} of overlay {overlay} shall belong to `{user}:{group}`, which are not both accounts of the image")]
    UnknownOwner {
        /// Which overlay.
        overlay: Arc<str>,
        /// Which path.
        path: TreePath,
        /// The user.
        user: String,
        /// The group.
        group: String,
    },
    /// The entry does not fit what is in the tree.
    #[error("overlay {overlay} does not fit the rest of the image")]
    Tree {
        /// Which overlay.
        overlay: Arc<str>,
        /// Why.
        #[source]
        source: TreeError,
    },
}

impl Diagnose for OverlayError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Rules { source, .. } => source.hint().into_iter().collect(),
            Self::SpecialFile { path } => vec![format!(
                "remove {}; a tmpfiles.d line makes devices and pipes at boot",
                path.display()
            )],
            Self::UnknownOwner { user, group, .. } => vec![format!(
                "add `{user}` and `{group}` by a sysusers.d file, or name other accounts in overlay.toml"
            )],
            _ => Vec::new(),
        }
    }

    fn excerpt(&self) -> Option<String> {
        match self {
            Self::Rules { source, .. } => Some(source.excerpt().to_owned()),
            _ => None,
        }
    }
}

/// Reads an overlay from its folder. Only reads; [`Overlay::apply`] changes the tree.
pub fn load(folder: &Path) -> Result<Overlay, OverlayError> {
    let name = host::text(folder.file_name().unwrap_or_default(), "overlay name", folder)?;
    let mut files = host::read_tree(folder)?;
    let rules_path = folder.join(RULES_FILE);
    match std::fs::read_to_string(&rules_path) {
        Ok(text) => {
            let rules = rules::parse(&text).and_then(|rules| rules.apply(&mut files));
            rules.map_err(|source| OverlayError::Rules {
                path: rules_path,
                source,
            })?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => {
            return Err(OverlayError::Read {
                path: rules_path,
                source,
            });
        }
    }
    Ok(Overlay {
        name: name.into(),
        digest: digest(&files),
        files,
    })
}

impl Overlay {
    /// Puts the overlay into the tree, in place of what is there: files and links replace non-folders, folders are
    /// merged. `ids` tells the numbers of a user and a group of the image.
    pub fn apply(&self, tree: &mut Tree, ids: &AccountIds<'_>) -> Result<(), OverlayError> {
        for (path, entry) in &self.files {
            let owner = self.owner_ids(path, entry, ids)?;
            if entry.content == Content::Dir && merge_folder(tree, path, entry, owner) {
                continue;
            }
            let (uid, gid) = owner.unwrap_or_default();
            let stat = Stat {
                mode: entry.mode.unwrap_or(FOLDER_MODE),
                uid,
                gid,
                xattrs: entry.xattrs.clone(),
            };
            let origin = Origin::Overlay(Arc::clone(&self.name));
            let node = Node {
                stat,
                content: entry.content.clone(),
                origin,
            };
            tree.replace(path.clone(), node).map_err(|source| OverlayError::Tree {
                overlay: Arc::clone(&self.name),
                source,
            })?;
        }
        Ok(())
    }

    fn owner_ids(
        &self,
        path: &TreePath,
        entry: &OverlayEntry,
        ids: &AccountIds<'_>,
    ) -> Result<Option<(u32, u32)>, OverlayError> {
        let Some((user, group)) = &entry.owner else {
            return Ok(None);
        };
        match ids(user, group) {
            Some(owner) => Ok(Some(owner)),
            None => Err(OverlayError::UnknownOwner {
                overlay: Arc::clone(&self.name),
                path: path.clone(),
                user: user.clone(),
                group: group.clone(),
            }),
        }
    }
}

/// Gives a folder that is already there, perhaps behind a link such as `/bin`, what a rule says of it.
fn merge_folder(tree: &mut Tree, path: &TreePath, entry: &OverlayEntry, owner: Option<(u32, u32)>) -> bool {
    let Some(folder) = tree.resolve(path).and_then(|path| tree.get_mut(&path)) else {
        return false;
    };
    if folder.content != Content::Dir {
        return false;
    }
    let stat = &mut folder.stat;
    stat.mode = entry.mode.unwrap_or(stat.mode);
    (stat.uid, stat.gid) = owner.unwrap_or((stat.uid, stat.gid));
    stat.xattrs.extend(entry.xattrs.clone());
    true
}

fn digest(files: &BTreeMap<TreePath, OverlayEntry>) -> Sha256 {
    let fields: Vec<Vec<u8>> = files.iter().flat_map(|(path, entry)| fields(path, entry)).collect();
    Sha256::of_fields(fields.iter().map(Vec::as_slice))
}

fn fields(path: &TreePath, entry: &OverlayEntry) -> Vec<Vec<u8>> {
    let (kind, content) = match &entry.content {
        Content::File(data) => ("file", data.sha256.as_bytes().to_vec()),
        Content::Symlink(target) => ("link", target.clone().into_bytes()),
        _ => ("folder", Vec::new()),
    };
    let mode = entry.mode.map_or_else(String::new, |mode| format!("{mode:o}"));
    let owner = entry
        .owner
        .as_ref()
        .map_or_else(String::new, |(user, group)| format!("{user}:{group}"));
    let count = entry.xattrs.len().to_string();
    let mut fields = [path.as_str(), kind, &mode, &owner, &count]
        .map(|field| field.as_bytes().to_vec())
        .to_vec();
    fields.push(content);
    for (name, value) in &entry.xattrs {
        fields.push(name.clone().into_bytes());
        fields.push(value.clone());
    }
    fields
}

#[cfg(test)]
mod tests;
