//! Files, folders and links in memory: as programs see them, and as they would be found after a power cut.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::chance::Chance;
use crate::disk::{Kind, Metadata};

type Id = u64;
const ROOT: Id = 0;

/// A file system.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    nodes: BTreeMap<Id, Node>,
    next: Id,
}

#[derive(Debug, Clone)]
enum Node {
    File(File),
    Link(PathBuf),
    Folder(Folder),
}

#[derive(Debug, Clone, Default)]
struct File {
    mode: u32,
    /// As programs see it.
    content: Vec<u8>,
    /// As it is on the medium for certain.
    durable: Vec<u8>,
    /// How many bytes at the beginning of both are the same because nothing touched them since the last sync.
    untouched: usize,
    /// From where on a sync that failed has given up, as Linux does: later ones succeed without having written that.
    /// Whether they write what comes behind it does not matter to anybody who has seen the error.
    given_up: Option<usize>,
}

#[derive(Debug, Clone, Default)]
struct Folder {
    mode: u32,
    /// As programs see it.
    names: BTreeMap<OsString, Id>,
    /// As it is on the medium for certain.
    durable: BTreeMap<OsString, Id>,
    /// What was done since; each may have reached the medium or not.
    unsynced: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Set(OsString, Id),
    Remove(OsString),
    Rename(OsString, OsString, Id),
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<OsString, Id>) {
        match self {
            Self::Set(name, id) => {
                names.insert(name.clone(), *id);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
            Self::Rename(from, to, id) => {
                names.remove(from);
                names.insert(to.clone(), *id);
            }
        }
    }
}

impl Folder {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.unsynced.push(change);
    }
}

impl Tree {
    /// An empty root.
    pub(super) fn new() -> Self {
        let root = Folder {
            mode: 0o755,
            ..Folder::default()
        };
        Self {
            nodes: BTreeMap::from([(ROOT, Node::Folder(root))]),
            next: ROOT + 1,
        }
    }

    pub(super) fn read(&self, path: &Path) -> io::Result<&[u8]> {
        match self.node(self.find(path)?)? {
            Node::File(file) => Ok(&file.content),
            Node::Folder(_) => Err(io::ErrorKind::IsADirectory.into()),
            Node::Link(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    pub(super) fn read_at(&self, path: &Path, offset: u64, part: &mut [u8]) -> io::Result<()> {
        let content = self.read(path)?;
        let begin = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let found = content[begin..].get(..part.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        part.copy_from_slice(found);
        Ok(())
    }

    pub(super) fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let (kind, mode) = match self.node(self.find(path)?)? {
            Node::File(file) => (Kind::File(file.content.len() as u64), file.mode),
            Node::Folder(folder) => (Kind::Folder, folder.mode),
            Node::Link(target) => (Kind::Link(target.clone()), 0o777),
        };
        Ok(Metadata { kind, mode })
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        Ok(self.folder(self.find(path)?)?.names.keys().cloned().collect())
    }

    /// Makes or empties a file and writes `content`, of which a full disk takes less than was meant.
    pub(super) fn create(&mut self, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
        let (parent, name) = self.place(path)?;
        let id = match self.folder(parent)?.names.get(&name) {
            Some(id) => *id,
            None => self.add(parent, name, Node::File(File::default()))?,
        };
        match self.nodes.get_mut(&id) {
            Some(Node::File(file)) => {
                file.mode = mode;
                file.content = content.to_vec();
                file.touched_from(0);
                Ok(())
            }
            Some(Node::Link(_)) => Err(io::ErrorKind::InvalidInput.into()),
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn append(&mut self, path: &Path, content: &[u8]) -> io::Result<()> {
        let file = self.file_mut(path)?;
        file.touched_from(file.content.len());
        file.content.extend_from_slice(content);
        Ok(())
    }

    pub(super) fn truncate(&mut self, path: &Path, len: u64) -> io::Result<()> {
        let file = self.file_mut(path)?;
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > file.content.len() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        file.touched_from(len);
        file.content.truncate(len);
        Ok(())
    }

    pub(super) fn sync(&mut self, path: &Path) -> io::Result<()> {
        let file = self.file_mut(path)?;
        if file.given_up.is_none() {
            file.settle();
        }
        Ok(())
    }

    /// A sync that fails: what was to be written never will be.
    pub(super) fn sync_in_vain(&mut self, path: &Path) -> io::Result<()> {
        let file = self.file_mut(path)?;
        file.given_up = Some(file.untouched);
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let id = self.find(from)?;
        let ((old_parent, old_name), (parent, name)) = (self.place(from)?, self.place(to)?);
        let replaced = self.folder(parent)?.names.get(&name).copied();
        if let Some(Node::Folder(_)) = replaced.and_then(|id| self.nodes.get(&id)) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if old_parent == parent {
            self.folder_mut(parent)?.change(Change::Rename(old_name, name, id));
        } else {
            self.folder_mut(parent)?.change(Change::Set(name, id));
            self.folder_mut(old_parent)?.change(Change::Remove(old_name));
        }
        Ok(())
    }

    pub(super) fn symlink(&mut self, target: &Path, path: &Path) -> io::Result<()> {
        self.add_new(path, Node::Link(target.to_owned()))
    }

    pub(super) fn make_folder(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        let folder = Folder {
            mode,
            ..Folder::default()
        };
        self.add_new(path, Node::Folder(folder))
    }

    pub(super) fn unlink(&mut self, path: &Path) -> io::Result<()> {
        if let Node::Folder(_) = self.node(self.find(path)?)? {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let (parent, name) = self.place(path)?;
        self.folder_mut(parent)?.change(Change::Remove(name));
        Ok(())
    }

    pub(super) fn sync_folder(&mut self, path: &Path) -> io::Result<()> {
        let id = self.find(path)?;
        let folder = self.folder_mut(id)?;
        folder.durable.clone_from(&folder.names);
        folder.unsynced.clear();
        Ok(())
    }

    /// What is found after the power was cut now.
    pub(super) fn survivor(&self, chance: &mut Chance) -> Self {
        let mut after = self.clone();
        for node in after.nodes.values_mut() {
            match node {
                Node::File(file) => file.survive(chance),
                Node::Folder(folder) => folder.survive(chance),
                Node::Link(_) => {}
            }
        }
        after
    }

    fn add_new(&mut self, path: &Path, node: Node) -> io::Result<()> {
        let (parent, name) = self.place(path)?;
        if self.folder(parent)?.names.contains_key(&name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.add(parent, name, node).map(drop)
    }

    fn add(&mut self, parent: Id, name: OsString, node: Node) -> io::Result<Id> {
        let id = self.next;
        self.next += 1;
        self.folder_mut(parent)?.change(Change::Set(name, id));
        self.nodes.insert(id, node);
        Ok(id)
    }

    fn find(&self, path: &Path) -> io::Result<Id> {
        let mut id = ROOT;
        for name in names(path)? {
            id = *self.folder(id)?.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(id)
    }

    /// The folder that holds, or would hold, `path`, and its name there.
    fn place(&self, path: &Path) -> io::Result<(Id, OsString)> {
        let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((self.find(parent)?, name.to_owned()))
    }

    fn node(&self, id: Id) -> io::Result<&Node> {
        self.nodes.get(&id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn folder(&self, id: Id) -> io::Result<&Folder> {
        match self.node(id)? {
            Node::Folder(folder) => Ok(folder),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn folder_mut(&mut self, id: Id) -> io::Result<&mut Folder> {
        match self.nodes.get_mut(&id) {
            Some(Node::Folder(folder)) => Ok(folder),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn file_mut(&mut self, path: &Path) -> io::Result<&mut File> {
        let id = self.find(path)?;
        match self.nodes.get_mut(&id) {
            Some(Node::File(file)) => Ok(file),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

impl File {
    fn touched_from(&mut self, offset: usize) {
        self.untouched = self.untouched.min(offset);
        self.given_up = self.given_up.filter(|from| *from < offset);
    }

    /// What programs see is on the medium.
    fn settle(&mut self) {
        self.durable.clone_from(&self.content);
        self.untouched = self.content.len();
        self.given_up = None;
    }

    fn survive(&mut self, chance: &mut Chance) {
        if self.content != self.durable {
            let safe = self.untouched;
            let kept = safe + chance.below(self.content.len() - safe + 1);
            match chance.outcome(6) {
                0 => self.content = std::mem::take(&mut self.durable),
                1 => {}
                2 => self.content.truncate(safe),
                3 => self.content.truncate(kept),
                4 => self.content[safe..].fill(0),
                _ => self.lose_blocks(chance),
            }
        }
        self.settle();
    }

    /// Blocks reach the medium in any order.
    fn lose_blocks(&mut self, chance: &mut Chance) {
        let size = [16, 512, 4096][chance.below(3)];
        let mut begin = self.untouched;
        while begin < self.content.len() {
            let end = (begin / size * size + size).min(self.content.len());
            if chance.below(2) == 0 {
                self.content[begin..end].fill(0);
            }
            begin = end;
        }
    }
}

impl Folder {
    fn survive(&mut self, chance: &mut Chance) {
        for change in std::mem::take(&mut self.unsynced) {
            if chance.outcome(2) == 1 {
                change.apply(&mut self.durable);
            }
        }
        self.names.clone_from(&self.durable);
    }
}

fn names(path: &Path) -> io::Result<Vec<&OsStr>> {
    path.components()
        .filter(|component| *component != Component::RootDir)
        .map(|component| match component {
            Component::Normal(name) => Ok(name),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        })
        .collect()
}
