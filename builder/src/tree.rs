//! The file tree of an image, held in memory: packages, passes and overlays write into it, lints and the file system
//! writer read it. File contents stay where they are (a cached archive) until they are needed.

pub mod dump;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use crate::digest::Sha256;

/// A path inside the image: relative, `/`-separated, without empty, `.` or `..` parts; the root is the empty path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TreePath(String);

/// Text that cannot be a path inside an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a path inside the image")]
pub struct BadPath(pub String);

impl TreePath {
    /// The top folder.
    pub const ROOT: Self = Self(String::new());

    /// Reads a path as archives write it: a leading `/` or `./` and a trailing `/` are dropped; `..`, NUL, other control
    /// characters and parts over 255 bytes are refused.
    pub fn parse(text: &str) -> Result<Self, BadPath> {
        let bad = || BadPath(text.escape_default().to_string());
        let mut parts = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => return Err(bad()),
                _ if part.len() > 255 || part.bytes().any(|byte| byte < 0x20 || byte == 0x7f) => return Err(bad()),
                _ => parts.push(part),
            }
        }
        Ok(Self(parts.join("/")))
    }

    /// The path as text, without a leading `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last part; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The folder that holds it; none for the root.
    pub fn parent(&self) -> Option<Self> {
        match self.0.rfind('/') {
            _ if self.0.is_empty() => None,
            None => Some(Self::ROOT),
            Some(end) => Some(Self(self.0[..end].to_owned())),
        }
    }

    /// This path followed by another, relative one. The same rules as [`TreePath::parse`].
    pub fn join(&self, rest: &str) -> Result<Self, BadPath> {
        Self::parse(&format!("{}/{rest}", self.0))
    }

    /// Whether it lies somewhere below `folder`.
    pub fn is_below(&self, folder: &Self) -> bool {
        folder.0.is_empty() && !self.0.is_empty()
            || self
                .0
                .strip_prefix(folder.0.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
    }

    /// Follows a symbolic link's target from the folder that holds the link; `..` stops at the root, as in a chroot.
    pub fn resolve_link(&self, target: &str) -> Self {
        let mut parts: Vec<&str> = match target.starts_with('/') {
            true => Vec::new(),
            false => self
                .0
                .rsplit_once('/')
                .map_or_else(Vec::new, |(folder, _)| folder.split('/').collect()),
        };
        for part in target.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop();
                }
                _ => parts.push(part),
            }
        }
        Self(parts.join("/"))
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

/// Mode, owner and extended attributes of a node. Times are not kept: all of an image has the lock's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// The low 12 bits of `st_mode`: permissions, setuid, setgid, sticky.
    pub mode: u16,
    /// User id inside the image.
    pub uid: u32,
    /// Group id inside the image.
    pub gid: u32,
    /// Extended attributes by full name, such as `security.capability`.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

impl Stat {
    /// Owned by root, with this mode and no extended attributes.
    pub const fn root(mode: u16) -> Self {
        Self {
            mode,
            uid: 0,
            gid: 0,
            xattrs: BTreeMap::new(),
        }
    }
}

/// The bytes of a regular file and their digest.
#[derive(Clone)]
pub struct FileData {
    /// Digest of the content.
    pub sha256: Sha256,
    /// Length of the content.
    pub len_bytes: u64,
    source: DataSource,
}

#[derive(Clone)]
enum DataSource {
    Memory(Arc<[u8]>),
    Stored { file: Arc<File>, offset: u64 },
}

impl FileData {
    /// Content held in memory.
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self {
            sha256: Sha256::of(&bytes),
            len_bytes: bytes.len() as u64,
            source: DataSource::Memory(bytes),
        }
    }

    /// Content that is a range of an open file whose digest is already known.
    pub fn from_stored(file: Arc<File>, offset: u64, len_bytes: u64, sha256: Sha256) -> Self {
        Self {
            sha256,
            len_bytes,
            source: DataSource::Stored { file, offset },
        }
    }

    /// Content that is a whole file on the host.
    pub fn from_host_file(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut reader = crate::digest::HashingReader::new(&file);
        io::copy(&mut reader, &mut io::sink())?;
        let (sha256, len_bytes) = reader.finish();
        Ok(Self::from_stored(Arc::new(file), 0, len_bytes, sha256))
    }

    /// Fills `buffer` from `offset` on; the range must lie inside the content.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match &self.source {
            DataSource::Memory(bytes) => {
                let start = usize::try_from(offset).map_err(io::Error::other)?;
                let range = bytes.get(start..).and_then(|rest| rest.get(..buffer.len()));
                buffer.copy_from_slice(range.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
            DataSource::Stored { file, offset: base } => file.read_exact_at(buffer, base + offset),
        }
    }

    /// The whole content.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.len_bytes).map_err(io::Error::other)?];
        self.read_at(&mut bytes, 0)?;
        Ok(bytes)
    }
}

impl fmt::Debug for FileData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileData({} bytes, {})", self.len_bytes, self.sha256)
    }
}

impl PartialEq for FileData {
    fn eq(&self, other: &Self) -> bool {
        self.sha256 == other.sha256 && self.len_bytes == other.len_bytes
    }
}

impl Eq for FileData {}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A folder; its entries are the nodes whose path has it as parent.
    Dir,
    /// A regular file.
    File(FileData),
    /// A symbolic link with its target as written.
    Symlink(String),
    /// One more name of the regular file at this path (which is itself no hard link). Mode and owner are the target's.
    HardLink(TreePath),
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

/// Who put a node into the tree; named in conflicts and used for sizes by package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A Debian package.
    Package(Arc<str>),
    /// A component such as kubelet.
    Component(Arc<str>),
    /// A pass of the builder, such as `accounts`.
    Pass(&'static str),
    /// An overlay of the definition.
    Overlay(Arc<str>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package(name) => write!(f, "package {name}"),
            Self::Component(name) => write!(f, "component {name}"),
            Self::Pass(name) => write!(f, "pass {name}"),
            Self::Overlay(name) => write!(f, "overlay {name}"),
        }
    }
}

/// One entry of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Mode, owner, extended attributes.
    pub stat: Stat,
    /// What it is.
    pub content: Content,
    /// Who put it there.
    pub origin: Origin,
}

/// Why a node cannot be put into the tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// Two owners want different things at one path.
    #[error("{path} comes from {first} and from {second}, and they differ")]
    Conflict {
        /// Where.
        path: TreePath,
        /// Who was first.
        first: Origin,
        /// Who came later.
        second: Origin,
    },
    /// A path leads through something that is no folder.
    #[error("{path} of {origin} lies below {parent}, which is no folder")]
    ParentIsNoFolder {
        /// What was to be inserted.
        path: TreePath,
        /// Its parent.
        parent: TreePath,
        /// Whose node.
        origin: Origin,
    },
    /// A hard link whose target is not a regular file of the tree.
    #[error("{path} of {origin} is a hard link to {target}, which is no regular file")]
    DanglingHardLink {
        /// The link.
        path: TreePath,
        /// Its target.
        target: TreePath,
        /// Whose node.
        origin: Origin,
    },
}

impl crate::failure::Diagnose for TreeError {}

/// All nodes by path. Every node's parent exists and is a folder; paths never lead through a symbolic link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    nodes: BTreeMap<TreePath, Node>,
    /// File → its other names.
    hard_links: BTreeMap<TreePath, BTreeSet<TreePath>>,
}

impl Tree {
    /// A tree that is only its top folder, mode 0755.
    pub fn new() -> Self {
        let root = Node {
            stat: Stat::root(0o755),
            content: Content::Dir,
            origin: Origin::Pass("skeleton"),
        };
        Self {
            nodes: BTreeMap::from([(TreePath::ROOT, root)]),
            hard_links: BTreeMap::new(),
        }
    }

    /// The node at `path`; symbolic links are not followed.
    pub fn get(&self, path: &TreePath) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// The same by text, for paths known to be well formed; none otherwise.
    pub fn at(&self, path: &str) -> Option<&Node> {
        self.nodes.get(&TreePath::parse(path).ok()?)
    }

    /// The node at `path`, to be changed in place.
    pub fn get_mut(&mut self, path: &TreePath) -> Option<&mut Node> {
        self.nodes.get_mut(path)
    }

    /// All nodes in the order of their paths' bytes; the root first.
    pub fn iter(&self) -> impl Iterator<Item = (&TreePath, &Node)> {
        self.nodes.iter()
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: the root is always there.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The nodes directly in `folder`, by name.
    pub fn children<'a>(&'a self, folder: &'a TreePath) -> impl Iterator<Item = (&'a TreePath, &'a Node)> + 'a {
        self.below(folder)
            .filter(move |(path, _)| path.parent().as_ref() == Some(folder))
    }

    /// All nodes below `folder`, in the order of their paths' bytes.
    pub fn below<'a>(&'a self, folder: &'a TreePath) -> impl Iterator<Item = (&'a TreePath, &'a Node)> + 'a {
        let first = match folder.0.is_empty() {
            true => TreePath::ROOT,
            false => TreePath(format!("{}/", folder.0)),
        };
        self.nodes
            .range(first..)
            .skip_while(move |(path, _)| *path == folder)
            .take_while(move |(path, _)| path.is_below(folder))
    }

    /// Follows symbolic links in every part of `path`, up to 40 of them; the result may not exist.
    pub fn resolve(&self, path: &TreePath) -> Option<TreePath> {
        let mut current = path.clone();
        for _ in 0..40 {
            let Some((link, target)) = self.first_link_on(&current) else {
                return Some(current);
            };
            let rest = current.0[link.0.len()..].to_owned();
            current = link.resolve_link(target).join(&rest).ok()?;
        }
        None
    }

    fn first_link_on(&self, path: &TreePath) -> Option<(TreePath, &str)> {
        let ends = path.0.match_indices('/').map(|(end, _)| end).chain([path.0.len()]);
        for end in ends {
            let prefix = TreePath(path.0[..end].to_owned());
            if let Some(Node {
                content: Content::Symlink(target),
                ..
            }) = self.nodes.get(&prefix)
            {
                return Some((prefix, target));
            }
        }
        None
    }

    /// The regular file at `path` after following links, hard and symbolic.
    pub fn file(&self, path: &str) -> Option<&FileData> {
        let path = self.resolve(&TreePath::parse(path).ok()?)?;
        match &self.nodes.get(&path)?.content {
            Content::File(data) => Some(data),
            Content::HardLink(target) => match &self.nodes.get(target)?.content {
                Content::File(data) => Some(data),
                _ => None,
            },
            _ => None,
        }
    }

    /// Puts a node into the tree. Parents are followed through symbolic links and made (mode 0755) where they are
    /// missing. A folder may meet a folder and keeps the first one's stat; an equal node may meet its equal; anything
    /// else at an occupied path is a [`TreeError::Conflict`].
    pub fn insert(&mut self, path: TreePath, node: Node) -> Result<(), TreeError> {
        let path = self.make_parents(path, &node.origin)?;
        if let Content::HardLink(target) = &node.content
            && !matches!(self.nodes.get(target).map(|node| &node.content), Some(Content::File(_)))
        {
            return Err(TreeError::DanglingHardLink {
                path,
                target: target.clone(),
                origin: node.origin,
            });
        }
        let Some(present) = self.nodes.get(&path) else {
            self.put(path, node);
            return Ok(());
        };
        let both_folders = present.content == Content::Dir && node.content == Content::Dir;
        let link_to_folder = node.content == Content::Dir && self.is_link_to_folder(&path);
        if both_folders || link_to_folder || (present.stat == node.stat && present.content == node.content) {
            return Ok(());
        }
        Err(TreeError::Conflict {
            path,
            first: present.origin.clone(),
            second: node.origin,
        })
    }

    /// Puts a node into the tree, in place of whatever non-folder is there. A folder in the way is a conflict; a folder
    /// put over a folder sets its stat.
    pub fn replace(&mut self, path: TreePath, node: Node) -> Result<(), TreeError> {
        let path = self.make_parents(path, &node.origin)?;
        if let Some(present) = self.nodes.get(&path)
            && (present.content == Content::Dir) != (node.content == Content::Dir)
        {
            return Err(TreeError::Conflict {
                path,
                first: present.origin.clone(),
                second: node.origin,
            });
        }
        self.unlink(&path);
        self.put(path, node);
        Ok(())
    }

    /// Takes away a node and all below it; other names of a removed file keep its content. Nothing there is no error.
    pub fn remove(&mut self, path: &TreePath) {
        let gone: Vec<TreePath> = self
            .below(path)
            .map(|(path, _)| path.clone())
            .chain(self.nodes.contains_key(path).then(|| path.clone()))
            .collect();
        for path in &gone {
            self.unlink(path);
            self.nodes.remove(path);
        }
    }

    /// Before the node at `path` goes: if it is a file, its first other name becomes the file and the rest point there.
    fn unlink(&mut self, path: &TreePath) {
        if let Some(Node {
            content: Content::HardLink(target),
            ..
        }) = self.nodes.get(path)
            && let Some(names) = self.hard_links.get_mut(target)
        {
            names.remove(path);
        }
        let Some(mut names) = self.hard_links.remove(path) else {
            return;
        };
        let (Some(heir), Some(file)) = (names.pop_first(), self.nodes.get(path).cloned()) else {
            return;
        };
        for name in &names {
            if let Some(node) = self.nodes.get_mut(name) {
                node.content = Content::HardLink(heir.clone());
            }
        }
        self.nodes.insert(heir.clone(), file);
        self.hard_links.insert(heir, names);
    }

    fn put(&mut self, path: TreePath, node: Node) {
        if let Content::HardLink(target) = &node.content {
            self.hard_links.entry(target.clone()).or_default().insert(path.clone());
        }
        self.nodes.insert(path, node);
    }

    fn is_link_to_folder(&self, path: &TreePath) -> bool {
        let is_link = matches!(
            self.nodes.get(path).map(|node| &node.content),
            Some(Content::Symlink(_))
        );
        let target = is_link.then(|| self.resolve(path)).flatten();
        target
            .and_then(|target| self.nodes.get(&target))
            .is_some_and(|node| node.content == Content::Dir)
    }

    fn make_parents(&mut self, path: TreePath, origin: &Origin) -> Result<TreePath, TreeError> {
        let Some(parent) = path.parent() else { return Ok(path) };
        let no_folder = |parent: TreePath| TreeError::ParentIsNoFolder {
            path: path.clone(),
            parent,
            origin: origin.clone(),
        };
        let parent = self.resolve(&parent).ok_or_else(|| no_folder(parent.clone()))?;
        match self.nodes.get(&parent).map(|node| &node.content) {
            Some(Content::Dir) => {}
            Some(_) => return Err(no_folder(parent)),
            None => {
                let folder = Node {
                    stat: Stat::root(0o755),
                    content: Content::Dir,
                    origin: origin.clone(),
                };
                self.make_parents(parent.clone(), origin)?;
                self.nodes.insert(parent.clone(), folder);
            }
        }
        parent.join(path.name()).map_err(|_| no_folder(parent))
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
