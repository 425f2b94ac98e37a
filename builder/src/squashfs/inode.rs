//! Inodes as they are on disk: a common head of 16 bytes, then what the type needs. Each type has a basic form and an
//! extended one; [`Inode::to_bytes`] takes the basic form wherever it can hold the inode.

use super::metadata::Position;

/// The numbers of the basic types; directory entries use them too. The extended form of a type is 7 more.
pub(super) mod kind {
    pub const DIR: u16 = 1;
    pub const FILE: u16 = 2;
    pub const SYMLINK: u16 = 3;
    pub const BLOCK_DEVICE: u16 = 4;
    pub const CHAR_DEVICE: u16 = 5;
    pub const FIFO: u16 = 6;
    pub const SOCKET: u16 = 7;
    /// From a basic type to its extended form.
    pub const EXTENDED: u16 = 7;
}

/// "No extended attributes" and "no fragment".
pub(super) const NONE: u32 = u32::MAX;
/// What a listing's length is recorded too long by: room for `.` and `..`, which are not stored.
pub(super) const LISTING_EXTRA: u32 = 3;

/// One inode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inode {
    /// The low 12 bits of the mode.
    pub mode: u16,
    /// Index of the owner in the id table.
    pub uid: u16,
    /// Index of the group in the id table.
    pub gid: u16,
    pub mtime: u32,
    /// From 1 on.
    pub number: u32,
    pub links: u32,
    /// Index into the extended attribute table.
    pub xattrs: Option<u32>,
    pub body: Body,
}

/// What an inode's type adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    Dir(DirBody),
    File(FileBody),
    Symlink { target: Vec<u8> },
    BlockDevice { number: u32 },
    CharDevice { number: u32 },
    Fifo,
}

/// A directory's listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DirBody {
    pub listing: Position,
    pub listing_len: u32,
    /// Inode number of the directory above; the root's is one more than there are inodes.
    pub parent: u32,
    /// Ways into a long listing.
    pub index: Vec<IndexEntry>,
}

/// The first name of a run of entries, and where the run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IndexEntry {
    /// Offset of the run in the listing.
    pub offset: u32,
    /// Metadata block that holds its head, from the directory table's start.
    pub block: u32,
    pub name: String,
}

/// Where a file's content is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileBody {
    /// Position of the first block in the image.
    pub start: u64,
    pub len_bytes: u64,
    /// Bytes of holes.
    pub sparse_bytes: u64,
    /// Sizes of the full blocks as in `data`.
    pub block_sizes: Vec<u32>,
    /// Fragment and offset in it.
    pub fragment: Option<(u32, u32)>,
}

/// A device number as Linux' `new_encode_dev` packs it; none if it has more than 12 and 20 bits.
pub(super) const fn device_number(major: u32, minor: u32) -> Option<u32> {
    if major >> 12 != 0 || minor >> 20 != 0 {
        return None;
    }
    Some(minor & 0xff | major << 8 | (minor & 0xf_ff00) << 12)
}

/// Major and minor number of what [`device_number`] packed.
pub(super) const fn device_parts(number: u32) -> (u32, u32) {
    (number >> 8 & 0xfff, number & 0xff | number >> 12 & 0xf_ff00)
}

impl Body {
    /// The basic type.
    pub(super) const fn kind(&self) -> u16 {
        match self {
            Self::Dir(_) => kind::DIR,
            Self::File(_) => kind::FILE,
            Self::Symlink { .. } => kind::SYMLINK,
            Self::BlockDevice { .. } => kind::BLOCK_DEVICE,
            Self::CharDevice { .. } => kind::CHAR_DEVICE,
            Self::Fifo => kind::FIFO,
        }
    }
}

impl Inode {
    /// As it is in the inode table.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let extended = self.needs_extended();
        let kind = self.body.kind() + if extended { kind::EXTENDED } else { 0 };
        let mut bytes = Bytes(Vec::with_capacity(64));
        bytes.u16s(&[kind, self.mode, self.uid, self.gid]);
        bytes.u32s(&[self.mtime, self.number]);
        match &self.body {
            Body::Dir(dir) => self.put_dir(&mut bytes, dir, extended),
            Body::File(file) => self.put_file(&mut bytes, file, extended),
            Body::Symlink { target } => {
                bytes.u32s(&[self.links, target.len() as u32]);
                bytes.0.extend(target);
            }
            Body::BlockDevice { number } | Body::CharDevice { number } => bytes.u32s(&[self.links, *number]),
            Body::Fifo => bytes.u32s(&[self.links]),
        }
        let has_own_place = matches!(self.body, Body::Dir(_) | Body::File(_));
        if extended && !has_own_place {
            bytes.u32s(&[self.xattrs.unwrap_or(NONE)]);
        }
        bytes.0
    }

    fn needs_extended(&self) -> bool {
        self.xattrs.is_some()
            || match &self.body {
                Body::Dir(dir) => !dir.index.is_empty() || dir.listing_len + LISTING_EXTRA > u32::from(u16::MAX),
                Body::File(file) => {
                    let too_large = file.start > u64::from(u32::MAX) || file.len_bytes > u64::from(u32::MAX);
                    self.links > 1 || file.sparse_bytes > 0 || too_large
                }
                _ => false,
            }
    }

    fn put_dir(&self, bytes: &mut Bytes, dir: &DirBody, extended: bool) {
        let len = dir.listing_len + LISTING_EXTRA;
        if !extended {
            bytes.u32s(&[dir.listing.block, self.links]);
            bytes.u16s(&[len as u16, dir.listing.offset]);
            return bytes.u32s(&[dir.parent]);
        }
        bytes.u32s(&[self.links, len, dir.listing.block, dir.parent]);
        bytes.u16s(&[dir.index.len() as u16, dir.listing.offset]);
        bytes.u32s(&[self.xattrs.unwrap_or(NONE)]);
        for entry in &dir.index {
            bytes.u32s(&[entry.offset, entry.block, entry.name.len() as u32 - 1]);
            bytes.0.extend(entry.name.as_bytes());
        }
    }

    fn put_file(&self, bytes: &mut Bytes, file: &FileBody, extended: bool) {
        let (fragment, offset) = file.fragment.unwrap_or((NONE, 0));
        if extended {
            bytes.u64s(&[file.start, file.len_bytes, file.sparse_bytes]);
            bytes.u32s(&[self.links, fragment, offset, self.xattrs.unwrap_or(NONE)]);
        } else {
            bytes.u32s(&[file.start as u32, fragment, offset, file.len_bytes as u32]);
        }
        bytes.u32s(&file.block_sizes);
    }
}

struct Bytes(Vec<u8>);

impl Bytes {
    fn u16s(&mut self, values: &[u16]) {
        self.0.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    fn u32s(&mut self, values: &[u32]) {
        self.0.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    fn u64s(&mut self, values: &[u64]) {
        self.0.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
}
