//! Reads a folder of the host into overlay entries.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{OverlayEntry, OverlayError, RULES_FILE};
use crate::tree::{Content, FileData, TreePath};

/// Files up to this length are held in memory, so that their content cannot change while the image is built; longer
/// ones stay open.
const MAX_IN_MEMORY_BYTES: u64 = 1 << 20;

const FILE_MODE: u16 = 0o644;
const PROGRAM_MODE: u16 = 0o755;
const LINK_MODE: u16 = 0o777;

/// All below `top` but the rules file.
pub(super) fn read_tree(top: &Path) -> Result<BTreeMap<TreePath, OverlayEntry>, OverlayError> {
    let mut entries = BTreeMap::new();
    let mut folders = vec![(top.to_owned(), TreePath::ROOT)];
    while let Some((folder, tree_folder)) = folders.pop() {
        let failed = |source| OverlayError::Read {
            path: folder.clone(),
            source,
        };
        for child in fs::read_dir(&folder).map_err(failed)? {
            let child = child.map_err(failed)?;
            let (name, path) = (text(&child.file_name(), "name", &child.path())?, child.path());
            if tree_folder == TreePath::ROOT && name == RULES_FILE {
                continue;
            }
            let tree_path = tree_folder.join(&name).map_err(|_| bad_name("name", &path))?;
            let entry = read_entry(&path)?;
            if entry.content == Content::Dir {
                folders.push((path, tree_path.clone()));
            }
            entries.insert(tree_path, entry);
        }
    }
    Ok(entries)
}

fn read_entry(path: &Path) -> Result<OverlayEntry, OverlayError> {
    let failed = |source: io::Error| OverlayError::Read {
        path: path.to_owned(),
        source,
    };
    let stat = fs::symlink_metadata(path).map_err(failed)?;
    let kind = stat.file_type();
    let (mode, content) = if kind.is_dir() {
        (None, Content::Dir)
    } else if kind.is_symlink() {
        let target = fs::read_link(path).map_err(failed)?;
        (
            Some(LINK_MODE),
            Content::Symlink(text(target.as_os_str(), "link target", path)?),
        )
    } else if kind.is_file() {
        let is_program = stat.permissions().mode() & 0o100 != 0;
        let data = match stat.len() <= MAX_IN_MEMORY_BYTES {
            true => fs::read(path).map(FileData::from_bytes),
            false => FileData::from_host_file(path),
        };
        (
            Some(if is_program { PROGRAM_MODE } else { FILE_MODE }),
            Content::File(data.map_err(failed)?),
        )
    } else {
        return Err(OverlayError::SpecialFile { path: path.to_owned() });
    };
    Ok(OverlayEntry {
        mode,
        owner: None,
        xattrs: BTreeMap::new(),
        content,
    })
}

/// The text of a name or target, if it can be in an image.
pub(super) fn text(text: &OsStr, what: &'static str, path: &Path) -> Result<String, OverlayError> {
    match text.to_str() {
        Some(text) if !text.is_empty() && !text.chars().any(char::is_control) => Ok(text.to_owned()),
        _ => Err(bad_name(what, path)),
    }
}

fn bad_name(what: &'static str, path: &Path) -> OverlayError {
    OverlayError::BadName {
        what,
        text: path.to_string_lossy().into_owned(),
    }
}
