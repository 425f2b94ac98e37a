//! Unpacking: a package flows in, its entries flow out, with file contents as ranges of one cache file.
//!
//! A package is decompressed once in its life. The cache file holds the contents of its regular files one after the
//! other, then an index of all the rest (`cache_file`); a second call reads the index only. Memory: the index and a
//! few buffers; contents are streamed.

pub(super) mod cache_file;
mod collect;
mod control_part;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::DebError;
use super::archive::{DebArchive, Part};
use super::control::Control;
use crate::digest::Sha256;
use crate::tree::{Content, TreePath};

/// Where unpacked packages are kept between builds; one entry is one file.
pub trait UnpackCache: Sync {
    /// The finished entry for the package with this digest, if there is one.
    fn open(&self, key: &Sha256) -> io::Result<Option<File>>;

    /// A new entry, invisible until it is committed. It may replace one that turned out to be damaged.
    fn create(&self, key: &Sha256) -> io::Result<Box<dyn PendingFile>>;
}

/// A cache entry that is being written; dropped without commit it leaves nothing behind.
pub trait PendingFile: Write + Seek {
    /// Makes the entry visible and hands it back, open for reading.
    fn commit(self: Box<Self>) -> io::Result<File>;
}

/// Which maintainer script (policy §6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScriptKind {
    /// Runs before the files are unpacked.
    Preinst,
    /// Runs after the files are unpacked.
    Postinst,
    /// Runs before removal.
    Prerm,
    /// Runs after removal.
    Postrm,
    /// Asks debconf questions.
    Config,
}

impl ScriptKind {
    /// All of them, in the order in which they would run.
    pub const ALL: [Self; 5] = [Self::Config, Self::Preinst, Self::Postinst, Self::Prerm, Self::Postrm];

    /// The name of its file in the control archive.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Preinst => "preinst",
            Self::Postinst => "postinst",
            Self::Prerm => "prerm",
            Self::Postrm => "postrm",
            Self::Config => "config",
        }
    }
}

/// A maintainer script; it is never run, only recognised by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// Its text, for people; bytes that are no UTF-8 are replaced.
    pub text: String,
    /// Digest of its bytes.
    pub sha256: Sha256,
}

/// A package, unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpackedDeb {
    /// Its control file.
    pub control: Control,
    /// Its maintainer scripts.
    pub scripts: BTreeMap<ScriptKind, Script>,
    /// Directives of its `triggers` file (deb-triggers(5)), one per line, without comments.
    pub triggers: Vec<String>,
    /// Configuration files (deb-conffiles(5)).
    pub conffiles: Vec<TreePath>,
    /// Licence names from its machine-readable copyright files, as Debian writes them.
    pub licences: Vec<String>,
    /// All entries in the order of the archive, folders before what is in them, each path once.
    pub entries: Vec<DebEntry>,
}

/// One entry of a package. Owners are names, because ids are given to them only when the accounts of the image are
/// known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebEntry {
    /// Where it belongs, as the package says: below `bin` or below `usr/bin`.
    pub path: TreePath,
    /// The low 12 bits of its mode.
    pub mode: u16,
    /// Name of the owner; a decimal id if the package has no name.
    pub user: String,
    /// Name of the group; a decimal id if the package has no name.
    pub group: String,
    /// Extended attributes by full name.
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// What it is. A hard link's target is an earlier regular file of the same package.
    pub content: Content,
}

/// Unpacks a package, or opens what an earlier call left in the cache. `key` is the digest of the file, already
/// verified.
pub fn unpack(deb: &Path, key: &Sha256, cache: &dyn UnpackCache) -> Result<UnpackedDeb, DebError> {
    let failed = |action| {
        let package = deb.to_owned();
        move |source| DebError::Cache {
            package,
            action,
            source,
        }
    };
    if let Some(file) = cache.open(key).map_err(failed("open"))?
        && let Some(unpacked) = cache_file::load(file).map_err(failed("read"))?
    {
        return Ok(unpacked);
    }
    let archive = DebArchive::open(deb)?;
    let control = control_part::read(&archive)?;
    let pending = cache.create(key).map_err(failed("create"))?;
    let mut collector = collect::Collector::new(deb, pending);
    archive.read_part(Part::Data, &mut |entry, content| collector.take(entry, content))?;
    let file = collector.finish(control).map_err(failed("write"))?;
    let unpacked = cache_file::load(file).map_err(failed("read"))?;
    unpacked.ok_or_else(|| failed("read")(io::Error::other("it is not what was just written")))
}

/// What the index says about one entry; file contents as ranges of the cache file.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct IndexEntry {
    path: String,
    mode: u16,
    user: String,
    group: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    xattrs: BTreeMap<String, Vec<u8>>,
    kind: IndexKind,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum IndexKind {
    Dir,
    File {
        offset: u64,
        len_bytes: u64,
        sha256: Sha256,
    },
    Symlink(String),
    HardLink(String),
    CharDevice {
        major: u32,
        minor: u32,
    },
    BlockDevice {
        major: u32,
        minor: u32,
    },
    Fifo,
}

/// All of a package but the contents of its files.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Index {
    control: Control,
    scripts: BTreeMap<ScriptKind, Script>,
    triggers: Vec<String>,
    conffiles: Vec<String>,
    licences: Vec<String>,
    entries: Vec<IndexEntry>,
}

impl Index {
    /// The package, with its contents in the first `data_bytes` of `file`; nothing if the index is not one that this
    /// version writes.
    fn into_unpacked(self, file: &Arc<File>, data_bytes: u64) -> Option<UnpackedDeb> {
        let path = |text: &String| TreePath::parse(text).ok();
        let entry = |entry: IndexEntry| {
            Some(DebEntry {
                path: path(&entry.path)?,
                mode: entry.mode,
                user: entry.user,
                group: entry.group,
                xattrs: entry.xattrs,
                content: entry.kind.into_content(file, data_bytes)?,
            })
        };
        Some(UnpackedDeb {
            control: self.control,
            scripts: self.scripts,
            triggers: self.triggers,
            conffiles: self.conffiles.iter().map(path).collect::<Option<_>>()?,
            licences: self.licences,
            entries: self.entries.into_iter().map(entry).collect::<Option<_>>()?,
        })
    }
}

impl IndexKind {
    fn into_content(self, file: &Arc<File>, data_bytes: u64) -> Option<Content> {
        Some(match self {
            Self::Dir => Content::Dir,
            Self::File {
                offset,
                len_bytes,
                sha256,
            } => {
                offset.checked_add(len_bytes).filter(|end| *end <= data_bytes)?;
                let data = crate::tree::FileData::from_stored(Arc::clone(file), offset, len_bytes, sha256);
                Content::File(data)
            }
            Self::Symlink(target) => Content::Symlink(target),
            Self::HardLink(target) => Content::HardLink(TreePath::parse(&target).ok()?),
            Self::CharDevice { major, minor } => Content::CharDevice { major, minor },
            Self::BlockDevice { major, minor } => Content::BlockDevice { major, minor },
            Self::Fifo => Content::Fifo,
        })
    }
}

#[cfg(test)]
mod tests;
