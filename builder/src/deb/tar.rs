//! The inner archives of a Debian package: a decompressed stream flows in, entries with their content flow out, one by
//! one and in the order of the archive.
//!
//! Format: tar as POSIX.1-2001 (`ustar`, pax) and GNU write it. The `tar` crate splits the stream; names over 100 bytes
//! (GNU `L` and `K`, pax `path` and `linkpath`), owners and extended attributes (pax `SCHILY.xattr.*`) are read here,
//! because attribute values hold any byte and because every length has to be bounded. Sparse files, ACLs, incremental
//! and multi-volume archives are deliberately refused: no package has them. Times are not read.

mod pax;

use std::collections::BTreeMap;
use std::io::{self, Read};

use tar::{EntryType, Header};

use crate::tree::TreePath;

/// More entries than any package has (the largest in Debian have about 60,000); bounds the memory for the index.
const MAX_ENTRIES: usize = 500_000;

/// Longest long name or pax record block; Linux limits paths to 4 KiB and attribute values to 64 KiB.
const MAX_EXTENSION_BYTES: u64 = 1 << 20;

/// Longest target of a symbolic link (`PATH_MAX` without the final NUL).
const MAX_TARGET_BYTES: usize = 4095;

/// One entry of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TarEntry {
    /// Where it belongs.
    pub path: TreePath,
    /// The low 12 bits of its mode.
    pub mode: u16,
    /// Name of the owner; the decimal id where the archive has no name.
    pub user: String,
    /// Name of the group; the decimal id where the archive has no name.
    pub group: String,
    /// Extended attributes by full name.
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// What it is.
    pub kind: TarKind,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TarKind {
    /// A folder.
    Dir,
    /// A regular file.
    File {
        /// Where its content begins, in bytes from the start of the tar stream.
        offset: u64,
        /// Length of its content in bytes.
        len_bytes: u64,
    },
    /// A symbolic link with its target as written.
    Symlink(String),
    /// One more name of an entry that came earlier.
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

/// Why an archive cannot be read; offsets are bytes of the tar stream, at the entry's header.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The stream ends early, is damaged, or its header checksum is wrong.
    #[error("the tar stream is damaged or cut off after the entry at offset {offset}")]
    Stream {
        /// The last good entry.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A number in a header is none.
    #[error("the header at offset {offset} has a bad {field}")]
    BadField {
        /// Where.
        offset: u64,
        /// Which.
        field: &'static str,
    },
    /// A name that cannot be a path in an image: `..`, control characters, no UTF-8, too long.
    #[error("the entry at offset {offset} has the {what} `{text}`, which cannot be in an image")]
    BadName {
        /// Where.
        offset: u64,
        /// Which text.
        what: &'static str,
        /// The text, escaped.
        text: String,
    },
    /// An entry of a kind that no package has.
    #[error("the entry at offset {offset} is of the kind {kind}, which is not supported")]
    Unsupported {
        /// Where.
        offset: u64,
        /// What.
        kind: String,
    },
    /// A long name or pax header that is too long, malformed, or describes nothing.
    #[error("the extended header at offset {offset} is {problem}")]
    BadExtension {
        /// Where.
        offset: u64,
        /// What is wrong.
        problem: &'static str,
    },
    /// More entries than any package has.
    #[error("there are more than {MAX_ENTRIES} entries")]
    TooManyEntries,
}

/// What extension entries said about the entry that follows them.
#[derive(Debug, Default)]
struct Pending {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    pax: Option<pax::Records>,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.path.is_none() && self.target.is_none() && self.pax.is_none()
    }
}

/// Reads `stream` to the end of the archive and hands each entry with its content to `visit`, which need not read it.
pub fn read_entries<E: From<TarError>>(
    stream: impl Read,
    visit: &mut impl FnMut(TarEntry, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    let mut archive = tar::Archive::new(stream);
    let mut offset = 0;
    let mut pending = Pending::default();
    let mut count = 0;
    let entries = archive
        .entries()
        .map_err(|source| TarError::Stream { offset, source })?;
    for entry in entries.raw(true) {
        let mut entry = entry.map_err(|source| TarError::Stream { offset, source })?;
        offset = entry.raw_header_position();
        if take_extension(&mut entry, &mut pending)? {
            continue;
        }
        count += 1;
        if count > MAX_ENTRIES {
            return Err(TarError::TooManyEntries.into());
        }
        let content = entry.raw_file_position();
        let described = describe(entry.header(), std::mem::take(&mut pending), offset, content)?;
        visit(described, &mut entry)?;
    }
    if !pending.is_empty() {
        let problem = "followed by no entry";
        return Err(TarError::BadExtension { offset, problem }.into());
    }
    Ok(())
}

/// Reads the entry into `pending` if it only describes the next one.
fn take_extension<R: Read>(entry: &mut tar::Entry<'_, R>, pending: &mut Pending) -> Result<bool, TarError> {
    let offset = entry.raw_header_position();
    let bad = |problem| TarError::BadExtension { offset, problem };
    let kind = entry.header().entry_type();
    let is_extension = kind.is_gnu_longname()
        || kind.is_gnu_longlink()
        || kind.is_pax_local_extensions()
        || kind.is_pax_global_extensions();
    if !is_extension {
        return Ok(false);
    }
    if entry.size() > MAX_EXTENSION_BYTES {
        return Err(bad("too long"));
    }
    let mut bytes = Vec::new();
    entry
        .read_to_end(&mut bytes)
        .map_err(|source| TarError::Stream { offset, source })?;
    let is_second = match kind {
        EntryType::GNULongName => pending.path.replace(without_nul(bytes)).is_some(),
        EntryType::GNULongLink => pending.target.replace(without_nul(bytes)).is_some(),
        EntryType::XHeader => pending.pax.replace(pax::parse(&bytes).map_err(bad)?).is_some(),
        // `git archive` writes one that only has a comment; anything else would change entries from afar.
        _ if pax::parse(&bytes).map_err(bad)?.keys().all(|key| key == b"comment") => false,
        _ => return Err(bad("global and more than a comment")),
    };
    match is_second {
        true => Err(bad("the second for one entry")),
        false => Ok(true),
    }
}

fn without_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes
}

fn describe(header: &Header, pending: Pending, offset: u64, content: u64) -> Result<TarEntry, TarError> {
    let bad_field = |field| move |_: io::Error| TarError::BadField { offset, field };
    let pax = pending.pax.unwrap_or_default();
    let attributes = pax::Attributes::from_records(pax, offset)?;
    let len_bytes = header.entry_size().map_err(bad_field("size"))?;
    // A second opinion on the size would make two readers see two archives; it is needed only from 8 GiB on.
    if attributes.len_bytes.is_some_and(|claimed| claimed != len_bytes) {
        return Err(TarError::BadField { offset, field: "size" });
    }
    let path = pending
        .path
        .or(attributes.path)
        .unwrap_or_else(|| header.path_bytes().into_owned());
    let target = pending.target.or(attributes.target);
    let target = target
        .or_else(|| header.link_name_bytes().map(Into::into))
        .unwrap_or_default();
    let owner = |claimed: Option<String>, name: Option<&[u8]>, id: io::Result<u64>, field| {
        let name = match (claimed, name) {
            (Some(name), _) => name,
            (None, name) => text(name.unwrap_or_default(), field, offset)?,
        };
        match name.is_empty() {
            true => id.map(|id| id.to_string()).map_err(bad_field(field)),
            false => Ok(name),
        }
    };
    let mode = header.mode().map_err(bad_field("mode"))? & 0o7777;
    Ok(TarEntry {
        kind: kind(header, &path, &target, offset)?.with_content(content, len_bytes),
        path: tree_path(&path, "path", offset)?,
        mode: u16::try_from(mode).expect("twelve bits fit"),
        user: owner(
            attributes.user,
            header.username_bytes(),
            attributes.uid.map_or_else(|| header.uid(), Ok),
            "user",
        )?,
        group: owner(
            attributes.group,
            header.groupname_bytes(),
            attributes.gid.map_or_else(|| header.gid(), Ok),
            "group",
        )?,
        xattrs: attributes.xattrs,
    })
}

impl TarKind {
    fn with_content(self, offset: u64, len_bytes: u64) -> Self {
        match self {
            Self::File { .. } => Self::File { offset, len_bytes },
            other => other,
        }
    }
}

fn kind(header: &Header, path: &[u8], target: &[u8], offset: u64) -> Result<TarKind, TarError> {
    let device = || {
        let number =
            |value: io::Result<Option<u32>>, field| value.ok().flatten().ok_or(TarError::BadField { offset, field });
        let major = number(header.device_major(), "major number")?;
        Ok((major, number(header.device_minor(), "minor number")?))
    };
    Ok(match header.entry_type() {
        // Before POSIX, a slash at the end made a folder.
        EntryType::Regular if path.ends_with(b"/") => TarKind::Dir,
        EntryType::Regular | EntryType::Continuous => TarKind::File {
            offset: 0,
            len_bytes: 0,
        },
        EntryType::Directory => TarKind::Dir,
        EntryType::Symlink => TarKind::Symlink(symlink_target(target, offset)?),
        EntryType::Link => TarKind::HardLink(tree_path(target, "link target", offset)?),
        EntryType::Char => device().map(|(major, minor)| TarKind::CharDevice { major, minor })?,
        EntryType::Block => device().map(|(major, minor)| TarKind::BlockDevice { major, minor })?,
        EntryType::Fifo => TarKind::Fifo,
        other => {
            let kind = format!("`{}`", other.as_byte().escape_ascii());
            return Err(TarError::Unsupported { offset, kind });
        }
    })
}

fn symlink_target(target: &[u8], offset: u64) -> Result<String, TarError> {
    let target = text(target, "link target", offset)?;
    match target.is_empty() || target.len() > MAX_TARGET_BYTES {
        true => Err(bad_name(target.as_bytes(), "link target", offset)),
        false => Ok(target),
    }
}

fn tree_path(bytes: &[u8], what: &'static str, offset: u64) -> Result<TreePath, TarError> {
    TreePath::parse(&text(bytes, what, offset)?).map_err(|_| bad_name(bytes, what, offset))
}

/// UTF-8 without control characters.
fn text(bytes: &[u8], what: &'static str, offset: u64) -> Result<String, TarError> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) => Ok(text.to_owned()),
        _ => Err(bad_name(bytes, what, offset)),
    }
}

fn bad_name(bytes: &[u8], what: &'static str, offset: u64) -> TarError {
    let shown = &bytes[..bytes.len().min(300)];
    let text = shown.escape_ascii().to_string();
    TarError::BadName { offset, what, text }
}

#[cfg(test)]
mod tests;
