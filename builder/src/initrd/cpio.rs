//! The archive of an initial RAM disk: cpio in the `newc` form without checksums.
//!
//! In: entries in the order in which the kernel is to unpack them. Out: bytes that depend on nothing else: inode numbers
//! count up, everything belongs to root, all times are one parameter. Spec: kernel documentation, "initramfs buffer
//! format". Deliberately not supported: hard links, block devices, sockets and other owners, none of which an initial
//! RAM disk of Skerry has.

use crate::failure::Diagnose;

const MAGIC: &[u8; 6] = b"070701";
const HEADER_LEN: usize = 110;
const TRAILER: &str = "TRAILER!!!";
/// Archives end on this boundary, so that another one can follow.
const BLOCK_LEN: usize = 512;
/// The kernel refuses longer names (`PATH_MAX`, with the final NUL).
const MAX_NAME_LEN: usize = 4095;

const KIND_MASK: u32 = 0o170_000;
const KIND_CHAR_DEVICE: u32 = 0o020_000;
const KIND_DIR: u32 = 0o040_000;
const KIND_FILE: u32 = 0o100_000;
const KIND_SYMLINK: u32 = 0o120_000;

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CpioContent {
    /// A folder.
    Dir,
    /// A regular file with its content.
    File(Vec<u8>),
    /// A symbolic link with its target.
    Symlink(String),
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

/// One file, folder, link or device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpioEntry {
    /// Relative path without `.` and `..` parts. The kernel makes no folders, so each must come before what it holds.
    pub path: String,
    /// Permissions, the low 12 bits of `st_mode`.
    pub mode: u16,
    /// What it is.
    pub content: CpioContent,
}

/// Why an archive cannot be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CpioError {
    /// A path the kernel would not unpack as meant.
    #[error("`{}` cannot be a path in an initial RAM disk", .0.escape_debug())]
    BadPath(String),
    /// The kernel would drop the entry, as its folder is not there yet.
    #[error("`{path}` comes before its folder in the initial RAM disk")]
    NoFolder {
        /// The entry.
        path: String,
    },
    /// Two entries of one path.
    #[error("`{0}` is twice in the initial RAM disk")]
    Twice(String),
    /// Sizes have 32 bits.
    #[error("`{path}` has {len_bytes} bytes, and a file in an initial RAM disk cannot have more than 4 GiB")]
    TooLong {
        /// The file.
        path: String,
        /// Its length.
        len_bytes: u64,
    },
    /// Bytes that are no such archive, when reading one.
    #[error("the cpio archive is broken at offset {0}")]
    Broken(usize),
}

impl Diagnose for CpioError {}

/// Writes an archive, entry by entry.
#[derive(Debug)]
pub struct CpioWriter {
    bytes: Vec<u8>,
    mtime_secs: u32,
    folders: std::collections::BTreeSet<String>,
    paths: std::collections::BTreeSet<String>,
}

/// The archive of `entries`, all with the same time (seconds since 1970).
pub fn write(entries: &[CpioEntry], mtime_secs: u32) -> Result<Vec<u8>, CpioError> {
    let mut writer = CpioWriter::new(mtime_secs);
    entries.iter().try_for_each(|entry| writer.add(entry))?;
    Ok(writer.finish())
}

impl CpioWriter {
    /// An empty archive whose entries all have this time (seconds since 1970).
    pub fn new(mtime_secs: u32) -> Self {
        Self {
            bytes: Vec::new(),
            mtime_secs,
            folders: [String::new()].into(),
            paths: std::collections::BTreeSet::new(),
        }
    }

    /// Adds an entry; its folder must be there already.
    pub fn add(&mut self, entry: &CpioEntry) -> Result<(), CpioError> {
        self.check(entry)?;
        let (kind, data, device, links) = match &entry.content {
            CpioContent::Dir => (KIND_DIR, &[][..], (0, 0), 2),
            CpioContent::File(data) => (KIND_FILE, &data[..], (0, 0), 1),
            CpioContent::Symlink(target) => (KIND_SYMLINK, target.as_bytes(), (0, 0), 1),
            CpioContent::CharDevice { major, minor } => (KIND_CHAR_DEVICE, &[][..], (*major, *minor), 1),
        };
        let data_len = u32::try_from(data.len()).map_err(|_| CpioError::TooLong {
            path: entry.path.clone(),
            len_bytes: data.len() as u64,
        })?;
        let inode = u32::try_from(self.paths.len()).expect("each entry takes 110 bytes of memory");
        self.header(&Header {
            inode,
            mode: kind | u32::from(entry.mode),
            links,
            mtime_secs: self.mtime_secs,
            data_len,
            device,
            name: &entry.path,
        });
        self.bytes.extend_from_slice(data);
        self.pad(4);
        Ok(())
    }

    /// The archive's bytes, a multiple of 512.
    pub fn finish(mut self) -> Vec<u8> {
        self.header(&Header {
            inode: 0,
            mode: 0,
            links: 1,
            mtime_secs: 0,
            data_len: 0,
            device: (0, 0),
            name: TRAILER,
        });
        self.pad(BLOCK_LEN);
        self.bytes
    }

    fn check(&mut self, entry: &CpioEntry) -> Result<(), CpioError> {
        let path = &entry.path;
        let part_ok = |part: &str| !matches!(part, "" | "." | "..");
        let good =
            path.len() <= MAX_NAME_LEN && !path.contains('\0') && path != TRAILER && path.split('/').all(part_ok);
        if !good || entry.mode > 0o7777 {
            return Err(CpioError::BadPath(path.clone()));
        }
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        if !self.folders.contains(folder) {
            return Err(CpioError::NoFolder { path: path.clone() });
        }
        if !self.paths.insert(path.clone()) {
            return Err(CpioError::Twice(path.clone()));
        }
        if entry.content == CpioContent::Dir {
            self.folders.insert(path.clone());
        }
        Ok(())
    }

    fn header(&mut self, header: &Header<'_>) {
        let name_len = u32::try_from(header.name.len() + 1).expect("names are at most 4095 bytes");
        let (major, minor) = header.device;
        let fields = [
            header.inode,
            header.mode,
            0, // owner
            0, // group
            header.links,
            header.mtime_secs,
            header.data_len,
            0, // device that held the file
            0,
            major,
            minor,
            name_len,
            0, // checksum, which this form does not have
        ];
        self.bytes.extend_from_slice(MAGIC);
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(header.name.as_bytes());
        self.bytes.push(0);
        self.pad(4);
    }

    fn pad(&mut self, alignment: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(alignment), 0);
    }
}

struct Header<'a> {
    inode: u32,
    mode: u32,
    links: u32,
    mtime_secs: u32,
    data_len: u32,
    device: (u32, u32),
    name: &'a str,
}

/// Reads one archive of the kinds of entries that [`write`] makes, whoever wrote it; owners and times are not kept.
pub fn read(bytes: &[u8]) -> Result<Vec<CpioEntry>, CpioError> {
    let mut entries = Vec::new();
    let mut at = 0;
    loop {
        let broken = || CpioError::Broken(at);
        let header: &[u8; HEADER_LEN] = bytes.get(at..).and_then(|rest| rest.first_chunk()).ok_or_else(broken)?;
        if !header.starts_with(MAGIC) {
            return Err(broken());
        }
        let field = |index: usize| {
            let digits = &header[6 + index * 8..14 + index * 8];
            let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.contains('+'));
            digits
                .and_then(|digits| u32::from_str_radix(digits, 16).ok())
                .ok_or(CpioError::Broken(at))
        };
        let slice = |start: usize, len: u32| bytes.get(start..)?.get(..usize::try_from(len).ok()?);
        let name_at = at + HEADER_LEN;
        let name = slice(name_at, field(11)?)
            .and_then(|name| name.strip_suffix(b"\0"))
            .ok_or_else(broken)?;
        let name = std::str::from_utf8(name).map_err(|_| broken())?;
        if name == TRAILER {
            return Ok(entries);
        }
        let data_at = (name_at + name.len() + 1).next_multiple_of(4);
        let data = slice(data_at, field(6)?).ok_or_else(broken)?;
        let mode = field(1)?;
        let content = match mode & KIND_MASK {
            KIND_DIR => CpioContent::Dir,
            KIND_FILE => CpioContent::File(data.to_vec()),
            KIND_SYMLINK => CpioContent::Symlink(String::from_utf8(data.to_vec()).map_err(|_| broken())?),
            KIND_CHAR_DEVICE => CpioContent::CharDevice {
                major: field(9)?,
                minor: field(10)?,
            },
            _ => return Err(broken()),
        };
        entries.push(CpioEntry {
            path: name.to_owned(),
            mode: u16::try_from(mode & 0o7777).expect("12 bits fit into 16"),
            content,
        });
        at = (data_at + data.len()).next_multiple_of(4);
    }
}

#[cfg(test)]
mod tests;
