//! Reads squashfs 4.0 images with zstd compression, without mounting them.
//!
//! In: any bytes, a partition of an untrusted disk image included. Out: [`Entry`] values in path order, file contents,
//! and [`Image::dump`], the same text that `tree::dump` gives for the tree an image was written from. Damaged or hostile
//! input ends in a [`ReadError`] that says where; positions, counts and sizes are checked before memory is taken, and
//! what one image can make this reader keep or hash is bounded.
//!
//! Names and link targets are bytes, as for the kernel. Of several names of one file, the first in path order is the file
//! and the others are hard links to it.
//!
//! Not supported, on purpose: other compressors, sockets, names of extended attributes that are no UTF-8.

mod dir;
mod error;
mod file;
mod inode;
mod metadata;
mod path;
mod stored;
mod xattr;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use rayon::prelude::*;

use crate::digest::Sha256;
use crate::tree::Stat;

use super::ReadAt;
use super::inode::{Body, DirBody, FileBody, device_parts, kind};
use super::superblock::{self, Superblock};
use metadata::{Budget, MetadataReader};

pub use error::ReadError;
pub use path::{EntryPath, Escaped};

/// Fragment blocks of any image we would meet; bounds the table held in memory to 16 MiB.
const MAX_FRAGMENTS: u32 = 1 << 20;
/// File bytes that [`Image::dump`] reads at most. An image of a few KiB can describe any amount of zeros.
const MAX_DUMP_BYTES: u64 = 16 << 30;

/// An opened image.
pub struct Image<'d, R: ReadAt + ?Sized> {
    data: &'d R,
    superblock: Superblock,
    metadata: MetadataReader<'d, R>,
    ids: Vec<u32>,
    xattrs: Option<xattr::XattrReader>,
    fragments: file::Fragments,
}

impl<R: ReadAt + ?Sized> std::fmt::Debug for Image<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Image").field(&self.superblock).finish()
    }
}

/// One name in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub path: EntryPath,
    /// Mode, owner, extended attributes.
    pub stat: Stat,
    /// Time of last change, in seconds since 1970.
    pub mtime: u32,
    /// Inode number; names of one file share it.
    pub inode: u32,
    /// Link count of the inode.
    pub links: u32,
    /// What it is.
    pub content: EntryContent,
}

/// What an [`Entry`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryContent {
    /// A folder.
    Dir,
    /// A regular file.
    File(FileExtent),
    /// A symbolic link with its target, any bytes.
    Symlink(Vec<u8>),
    /// One more name of the file at this path.
    HardLink(EntryPath),
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

/// Where an image keeps a file's content; for [`Image::read_file`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileExtent(FileBody);

impl FileExtent {
    /// Length of the content.
    pub const fn len_bytes(&self) -> u64 {
        self.0.len_bytes
    }

    /// What the content's full blocks take in the image; fragments are shared and not counted.
    fn block_bytes(&self) -> u64 {
        let sizes = self.0.block_sizes.iter();
        sizes.map(|size| u64::from(size & !super::data::UNCOMPRESSED)).sum()
    }
}

impl<'d, R: ReadAt + ?Sized> Image<'d, R> {
    /// Reads superblock and small tables.
    pub fn open(data: &'d R) -> Result<Self, ReadError> {
        let mut bytes = [0; superblock::LEN];
        data.read_at(&mut bytes, 0)
            .map_err(|source| ReadError::Read { offset: 0, source })?;
        let superblock = Superblock::from_bytes(&bytes).map_err(ReadError::Superblock)?;
        if superblock.compressor != superblock::ZSTD {
            return Err(ReadError::Superblock("another compressor than zstd"));
        }
        if superblock.bytes_used > data.len_bytes() {
            return Err(ReadError::Superblock("a length beyond the end of the image"));
        }
        if superblock.fragments > MAX_FRAGMENTS {
            return Err(ReadError::Superblock("an absurd number of fragments"));
        }
        let metadata = MetadataReader::new(data, superblock.bytes_used);
        let ids = metadata.indexed(superblock.id_table, u64::from(superblock.ids) * 4)?;
        let (ids, _) = ids.as_chunks::<4>();
        let fragments = match superblock.fragments {
            0 => Vec::new(),
            count => metadata.indexed(superblock.fragment_table, u64::from(count) * 16)?,
        };
        let xattrs = match superblock.xattr_table {
            superblock::NO_TABLE => None,
            position => Some(xattr::XattrReader::open(&metadata, position)?),
        };
        Ok(Self {
            data,
            ids: ids.iter().map(|id| u32::from_le_bytes(*id)).collect(),
            fragments: file::Fragments::new(fragments),
            xattrs,
            metadata,
            superblock,
        })
    }

    /// The image's superblock.
    pub const fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// All names in path order; the root first.
    pub fn entries(&self) -> Result<Vec<Entry>, ReadError> {
        let mut walk = Walk {
            image: self,
            budget: Budget::default(),
            found: BTreeMap::new(),
            folders: BTreeSet::new(),
        };
        walk.run()?;
        let mut first_names: BTreeMap<u64, EntryPath> = BTreeMap::new();
        let mut entries = Vec::with_capacity(walk.found.len());
        for (path, (reference, mut entry)) in walk.found {
            if matches!(entry.content, EntryContent::File(_)) {
                match first_names.get(&reference) {
                    Some(file) => entry.content = EntryContent::HardLink(file.clone()),
                    None => {
                        first_names.insert(reference, path);
                    }
                }
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    /// The content of a file of at most `max_bytes`.
    pub fn read_file(&self, file: &FileExtent, max_bytes: u64) -> Result<Vec<u8>, ReadError> {
        if file.len_bytes() > max_bytes {
            return Err(ReadError::FileTooLong {
                len_bytes: file.len_bytes(),
                max_bytes,
            });
        }
        let mut content = Vec::new();
        self.for_each_block(&file.0, |block| content.extend_from_slice(block))?;
        Ok(content)
    }

    /// The digest of a file's content.
    pub fn digest_file(&self, file: &FileExtent) -> Result<Sha256, ReadError> {
        let mut writer = crate::digest::HashingWriter::new(std::io::sink());
        self.for_each_block(&file.0, |block| {
            std::io::Write::write_all(&mut writer, block).expect("a sink takes everything");
        })?;
        Ok(writer.finish().1)
    }

    /// Reads everything and describes it as `tree::dump` does. Files are read in the current rayon pool.
    pub fn dump(&self) -> Result<String, ReadError> {
        let entries = self.entries()?;
        let total = entries.iter().try_fold(0_u64, |total, entry| match &entry.content {
            EntryContent::File(file) => total.checked_add(file.len_bytes()),
            _ => Some(total),
        });
        if total.is_none_or(|total| total > MAX_DUMP_BYTES) {
            return Err(ReadError::TooMuch("file content"));
        }
        let lines: Result<Vec<String>, ReadError> = entries.par_iter().map(|entry| self.line(entry)).collect();
        Ok(lines?.concat())
    }

    fn line(&self, entry: &Entry) -> Result<String, ReadError> {
        let (kind, detail) = match &entry.content {
            EntryContent::Dir => ('d', String::new()),
            EntryContent::File(file) => ('f', format!(" {} {}", file.len_bytes(), self.digest_file(file)?)),
            EntryContent::Symlink(target) => ('l', format!(" -> {}", Escaped(target))),
            EntryContent::HardLink(target) => ('h', format!(" = {target}")),
            EntryContent::CharDevice { major, minor } => ('c', format!(" {major}:{minor}")),
            EntryContent::BlockDevice { major, minor } => ('b', format!(" {major}:{minor}")),
            EntryContent::Fifo => ('p', String::new()),
        };
        let Stat { mode, uid, gid, xattrs } = &entry.stat;
        let mut line = format!("{kind} {mode:04o} {uid} {gid} {}{detail}", entry.path);
        for (name, value) in xattrs {
            let _ = write!(line, " {name}=");
            value.iter().for_each(|byte| {
                let _ = write!(line, "{byte:02x}");
            });
        }
        line.push('\n');
        Ok(line)
    }
}

/// A walk through all folders, from the root on.
struct Walk<'i, 'd, R: ReadAt + ?Sized> {
    image: &'i Image<'d, R>,
    budget: Budget,
    found: BTreeMap<EntryPath, (u64, Entry)>,
    /// References of the folders met: a folder has one name.
    folders: BTreeSet<u64>,
}

impl<R: ReadAt + ?Sized> Walk<'_, '_, R> {
    fn run(&mut self) -> Result<(), ReadError> {
        let root = self.image.superblock.root_inode;
        let mut open = Vec::new();
        open.extend(
            self.add(EntryPath::ROOT, root, kind::DIR)?
                .map(|body| (EntryPath::ROOT, body)),
        );
        while let Some((folder, listing)) = open.pop() {
            for found in dir::read(&self.image.metadata, &self.image.superblock, &listing, &folder)? {
                let body = self.add(found.path.clone(), found.reference, found.kind)?;
                open.extend(body.map(|body| (found.path, body)));
            }
        }
        Ok(())
    }

    /// Reads an inode and keeps it under `path`; gives the listing of a folder.
    fn add(&mut self, path: EntryPath, reference: u64, expected: u16) -> Result<Option<DirBody>, ReadError> {
        let image = self.image;
        let inode = inode::read(&image.metadata, &image.superblock, reference, &mut self.budget)?;
        let corrupt = |what| ReadError::Inode { reference, what };
        if inode.body.kind() != expected {
            return Err(corrupt("another type than its name says"));
        }
        let id = |index: u16| image.ids.get(usize::from(index)).copied();
        let xattrs = match (inode.xattrs, &image.xattrs) {
            (None, _) => BTreeMap::new(),
            (Some(set), Some(reader)) => reader.read(&image.metadata, set, &mut self.budget)?,
            (Some(_), None) => return Err(corrupt("extended attributes in an image without them")),
        };
        let (content, listing) = content_of(inode.body);
        if listing.is_some() && !self.folders.insert(reference) {
            return Err(corrupt("a second name, although it is a folder"));
        }
        let stat = Stat {
            mode: inode.mode & 0o7777,
            uid: id(inode.uid).ok_or_else(|| corrupt("an owner that is not in the id table"))?,
            gid: id(inode.gid).ok_or_else(|| corrupt("a group that is not in the id table"))?,
            xattrs,
        };
        self.budget.take(size_of::<Entry>() + 2 * path.as_bytes().len())?;
        let entry = Entry {
            path: path.clone(),
            stat,
            mtime: inode.mtime,
            inode: inode.number,
            links: inode.links,
            content,
        };
        self.found.insert(path, (reference, entry));
        Ok(listing)
    }
}

/// What an inode is, and the listing of a folder.
fn content_of(body: Body) -> (EntryContent, Option<DirBody>) {
    let content = match body {
        Body::Dir(listing) => return (EntryContent::Dir, Some(listing)),
        Body::File(body) => EntryContent::File(FileExtent(body)),
        Body::Symlink { target } => EntryContent::Symlink(target),
        Body::CharDevice { number } => {
            let (major, minor) = device_parts(number);
            EntryContent::CharDevice { major, minor }
        }
        Body::BlockDevice { number } => {
            let (major, minor) = device_parts(number);
            EntryContent::BlockDevice { major, minor }
        }
        Body::Fifo => EntryContent::Fifo,
    };
    (content, None)
}

#[cfg(test)]
mod tests;
