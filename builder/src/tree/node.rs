//! What a tree holds at a path: mode and owner, content, and who put it there.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use super::TreePath;
use crate::digest::Sha256;

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
