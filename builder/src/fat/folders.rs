//! The folders that the paths of a volume's files imply.

use std::collections::{BTreeMap, BTreeSet};

use super::dir_entry::{self, ENTRY_BYTES, ShortName};
use super::{FatError, FatFile, MAX_FOLDER_ENTRIES};

/// What a name in a folder stands for, by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Child {
    Folder(usize),
    File(usize),
}

/// A child under its name, which is encoded already.
#[derive(Debug)]
pub(super) struct NamedChild {
    name: String,
    pub(super) short: ShortName,
    pub(super) long_entries: Vec<[u8; ENTRY_BYTES]>,
    pub(super) child: Child,
}

/// A folder; its children are in the order of their names without regard to case.
#[derive(Debug)]
pub(super) struct Folder {
    path: String,
    pub(super) parent: Option<usize>,
    children: BTreeMap<String, NamedChild>,
    taken: BTreeSet<ShortName>,
    /// Entries, with `.` and `..` or the label.
    entries: usize,
}

impl Folder {
    fn new(path: String, parent: Option<usize>) -> Self {
        let entries = if parent.is_some() { 2 } else { 1 };
        Self {
            path,
            parent,
            children: BTreeMap::new(),
            taken: BTreeSet::new(),
            entries,
        }
    }

    pub(super) fn children(&self) -> impl Iterator<Item = &NamedChild> {
        self.children.values()
    }
}

/// All folders; the root is the first.
#[derive(Debug)]
pub(super) struct Folders(Vec<Folder>);

impl Folders {
    /// The folders for `files`, which are sorted by path so that the outcome does not depend on the caller's order.
    pub(super) fn of(files: &[FatFile]) -> Result<Self, FatError> {
        let mut folders = Self(vec![Folder::new(String::new(), None)]);
        for (index, file) in files.iter().enumerate() {
            let len_bytes = file.data.len_bytes();
            if len_bytes > u64::from(u32::MAX) {
                return Err(FatError::FileTooLarge {
                    path: file.path.clone(),
                    len_bytes,
                });
            }
            let (folder, name) = match file.path.rsplit_once('/') {
                Some((parents, name)) => (folders.enter_all(&file.path, parents)?, name),
                None => (0, file.path.as_str()),
            };
            folders.insert(folder, name, &file.path, Child::File(index))?;
        }
        Ok(folders)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, index: usize) -> &Folder {
        &self.0[index]
    }

    pub(super) fn entry_count(&self, index: usize) -> usize {
        self.0[index].entries
    }

    /// The folder at the end of `parents`, made where it is missing.
    fn enter_all(&mut self, path: &str, parents: &str) -> Result<usize, FatError> {
        parents
            .split('/')
            .try_fold(0, |folder, name| self.enter(folder, name, path))
    }

    fn enter(&mut self, folder: usize, name: &str, path: &str) -> Result<usize, FatError> {
        let here = &self.0[folder];
        let child_path = if here.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}/{name}", here.path)
        };
        match here.children.get(&dir_entry::folded(name)) {
            Some(NamedChild {
                name: found,
                child: Child::Folder(index),
                ..
            }) if found == name => Ok(*index),
            Some(found) => Err(FatError::Clash {
                path: path.to_owned(),
                other: child_path.strip_suffix(name).unwrap_or_default().to_owned() + &found.name,
            }),
            None => {
                let index = self.0.len();
                self.insert(folder, name, path, Child::Folder(index))?;
                self.0.push(Folder::new(child_path, Some(folder)));
                Ok(index)
            }
        }
    }

    fn insert(&mut self, folder: usize, name: &str, path: &str, child: Child) -> Result<(), FatError> {
        if let Some(reason) = dir_entry::name_fault(name) {
            return Err(FatError::BadPath {
                path: path.to_owned(),
                reason,
            });
        }
        let folder = &mut self.0[folder];
        let key = dir_entry::folded(name);
        if let Some(found) = folder.children.get(&key) {
            let separator = if folder.path.is_empty() { "" } else { "/" };
            let other = format!("{}{separator}{}", folder.path, found.name);
            return Err(FatError::Clash {
                path: path.to_owned(),
                other,
            });
        }
        let (short, long_entries) = dir_entry::encode_name(name, &mut folder.taken);
        folder.entries += 1 + long_entries.len();
        if folder.entries > MAX_FOLDER_ENTRIES {
            return Err(FatError::FolderTooLarge {
                path: folder.path.clone(),
            });
        }
        folder.children.insert(
            key,
            NamedChild {
                name: name.to_owned(),
                short,
                long_entries,
                child,
            },
        );
        Ok(())
    }
}
