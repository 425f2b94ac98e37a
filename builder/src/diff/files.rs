//! The files of two root file systems, side by side.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::Serialize;

use super::DiffError;
use crate::digest::Sha256;
use crate::inspect::Opened;
use crate::rootfs::contents::{self, Contents};
use crate::squashfs::FileRange;
use crate::squashfs::read::{Entry, EntryContent, EntryPath, Escaped, FileExtent, Image};

/// Content that is compared at most. An image of a few KiB can describe any amount of zeros.
const MAX_COMPARED_BYTES: u64 = 16 << 30;
/// The longest list of contents that is read.
const MAX_LIST_BYTES: u64 = 16 << 20;

/// A file, folder or link that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// Its path.
    pub path: String,
    /// The package, component, overlay or pass that brought it, if the image says so.
    pub owner: Option<String>,
    /// What it was in A; none if it was not there.
    pub a: Option<FileState>,
    /// What it is in B; none if it is not there.
    pub b: Option<FileState>,
    /// In which ways the two differ; empty if it is only in one.
    pub changed: Vec<Aspect>,
}

impl FileChange {
    /// The bytes of the larger of the two.
    pub(super) fn weight(&self) -> u64 {
        let sides = [&self.a, &self.b].into_iter().flatten();
        sides.filter_map(|state| state.len_bytes).max().unwrap_or(0)
    }
}

/// A way in which a file differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aspect {
    /// It is another kind of thing.
    Kind,
    /// Its bytes.
    Content,
    /// Where a symbolic link leads.
    Target,
    /// Of which file it is another name.
    HardLink,
    /// The number of a device.
    Device,
    /// Permissions, setuid, setgid, sticky.
    Mode,
    /// User or group.
    Owner,
    /// Extended attributes, capabilities among them.
    Xattrs,
}

/// What a file is in one of the images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileState {
    /// `file`, `folder`, `symlink`, `char-device`, `block-device` or `fifo`.
    pub kind: &'static str,
    /// Permissions, in octal.
    pub mode: String,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Length of a file.
    pub len_bytes: Option<u64>,
    /// Where a symbolic link leads.
    pub target: Option<String>,
    /// The first name of a file that has several, unless it is this one.
    pub hard_link_of: Option<String>,
    /// Major and minor number of a device.
    pub device: Option<(u32, u32)>,
    /// Extended attributes, in hex.
    pub xattrs: BTreeMap<String, String>,
    /// The digest of a file's content, if the other image has a file of the same length there.
    pub sha256: Option<Sha256>,
}

/// One of the two root file systems.
struct Side<'a> {
    file: &'a str,
    entries: &'a [Entry],
    image: Image<'a, FileRange<'a>>,
}

impl<'a> Side<'a> {
    fn open(opened: &'a Opened, range: &'a FileRange<'a>) -> Result<Self, DiffError> {
        let file = opened.inspection.file.as_str();
        let image = Image::open(range).map_err(|source| DiffError::Root {
            file: file.to_owned(),
            source,
        })?;
        let entries = opened.root.as_ref().map_or(&[][..], |root| root.entries.as_slice());
        Ok(Self { file, entries, image })
    }

    fn find(&self, path: &EntryPath) -> Option<&'a Entry> {
        let index = self.entries.binary_search_by(|entry| entry.path.cmp(path)).ok()?;
        self.entries.get(index)
    }

    /// The content of a file, by whichever of its names.
    fn extent(&self, entry: &'a Entry) -> Option<&'a FileExtent> {
        match &entry.content {
            EntryContent::File(file) => Some(file),
            EntryContent::HardLink(first) => match &self.find(first)?.content {
                EntryContent::File(file) => Some(file),
                _ => None,
            },
            _ => None,
        }
    }

    fn digest(&self, entry: &Entry, file: &FileExtent) -> Result<Sha256, DiffError> {
        self.image.digest_file(file).map_err(|source| DiffError::File {
            file: self.file.to_owned(),
            path: entry.path.to_string(),
            source,
        })
    }

    fn state(&self, entry: &'a Entry, sha256: Option<Sha256>) -> FileState {
        let (kind, device) = match &entry.content {
            EntryContent::Dir => ("folder", None),
            EntryContent::File(_) | EntryContent::HardLink(_) => ("file", None),
            EntryContent::Symlink(_) => ("symlink", None),
            EntryContent::CharDevice { major, minor } => ("char-device", Some((*major, *minor))),
            EntryContent::BlockDevice { major, minor } => ("block-device", Some((*major, *minor))),
            EntryContent::Fifo => ("fifo", None),
        };
        let hex = |value: &[u8]| value.iter().map(|byte| format!("{byte:02x}")).collect();
        let stat = &entry.stat;
        FileState {
            kind,
            mode: format!("{:04o}", stat.mode),
            uid: stat.uid,
            gid: stat.gid,
            len_bytes: self.extent(entry).map(FileExtent::len_bytes),
            target: match &entry.content {
                EntryContent::Symlink(target) => Some(Escaped(target).to_string()),
                _ => None,
            },
            hard_link_of: match &entry.content {
                EntryContent::HardLink(first) => Some(first.to_string()),
                _ => None,
            },
            device,
            xattrs: stat
                .xattrs
                .iter()
                .map(|(name, value)| (name.clone(), hex(value)))
                .collect(),
            sha256,
        }
    }

    fn list(&self) -> Contents {
        let entry = self
            .entries
            .iter()
            .find(|entry| entry.path.as_bytes() == contents::PATH.as_bytes());
        let file = entry.and_then(|entry| self.extent(entry));
        let bytes = file.and_then(|file| self.image.read_file(file, MAX_LIST_BYTES).ok());
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        text.and_then(|text| contents::parse(&text).ok()).unwrap_or_default()
    }
}

/// A path with what the two images have there.
type Pair<'a> = (Option<&'a Entry>, Option<&'a Entry>);

/// Compares all files; the changes by path.
pub(super) fn compare(a: &Opened, b: &Opened) -> Result<Vec<FileChange>, DiffError> {
    let (Some(range_a), Some(range_b)) = (a.root_range(), b.root_range()) else {
        return Ok(Vec::new());
    };
    let (a, b) = (Side::open(a, &range_a)?, Side::open(b, &range_b)?);
    let pairs = pairs(a.entries, b.entries);
    let compared = pairs
        .iter()
        .try_fold(0_u64, |sum, pair| match same_length(&a, &b, pair) {
            Some((extent, _)) => sum.checked_add(extent.len_bytes()),
            None => Some(sum),
        });
    if compared.is_none_or(|bytes| bytes > MAX_COMPARED_BYTES) {
        return Err(DiffError::TooMuch {
            file: b.file.to_owned(),
        });
    }
    let (list_a, list_b) = (a.list(), b.list());
    let changes: Result<Vec<Option<FileChange>>, DiffError> =
        pairs.par_iter().map(|pair| change(&a, &b, pair)).collect();
    let mut changes: Vec<FileChange> = changes?.into_iter().flatten().collect();
    for change in &mut changes {
        let path = change.path.trim_start_matches('/');
        let owner = list_b.owner_of(path).or_else(|| list_a.owner_of(path));
        change.owner = owner.map(|owner| owner.name.clone());
    }
    Ok(changes)
}

/// Both lists, which are in the order of their paths, side by side.
fn pairs<'a>(a: &'a [Entry], b: &'a [Entry]) -> Vec<Pair<'a>> {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    let mut pairs = Vec::new();
    loop {
        let order = match (a.peek(), b.peek()) {
            (None, None) => return pairs,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.path.cmp(&b.path),
        };
        pairs.push(match order {
            Ordering::Less => (a.next(), None),
            Ordering::Greater => (None, b.next()),
            Ordering::Equal => (a.next(), b.next()),
        });
    }
}

/// The contents of two files that have the same length, so that only their bytes can tell whether they differ.
fn same_length<'a>(a: &Side<'a>, b: &Side<'a>, pair: &Pair<'a>) -> Option<(&'a FileExtent, &'a FileExtent)> {
    let (Some(left), Some(right)) = pair else {
        return None;
    };
    let (left, right) = (a.extent(left)?, b.extent(right)?);
    (left.len_bytes() == right.len_bytes()).then_some((left, right))
}

fn change<'a>(a: &Side<'a>, b: &Side<'a>, pair: &Pair<'a>) -> Result<Option<FileChange>, DiffError> {
    let of = |path: &EntryPath, a, b, changed| FileChange {
        path: path.to_string(),
        owner: None,
        a,
        b,
        changed,
    };
    let (left, right) = match *pair {
        (Some(left), Some(right)) => (left, right),
        (Some(left), None) => return Ok(Some(of(&left.path, Some(a.state(left, None)), None, Vec::new()))),
        (None, Some(right)) => return Ok(Some(of(&right.path, None, Some(b.state(right, None)), Vec::new()))),
        (None, None) => return Ok(None),
    };
    let (sha256_a, sha256_b) = match same_length(a, b, pair) {
        Some((extent_a, extent_b)) => (Some(a.digest(left, extent_a)?), Some(b.digest(right, extent_b)?)),
        None => (None, None),
    };
    let (state_a, state_b) = (a.state(left, sha256_a), b.state(right, sha256_b));
    let changed = aspects(&state_a, &state_b);
    Ok((!changed.is_empty()).then(|| of(&left.path, Some(state_a), Some(state_b), changed)))
}

fn aspects(a: &FileState, b: &FileState) -> Vec<Aspect> {
    if a.kind != b.kind {
        return vec![Aspect::Kind];
    }
    let differs = [
        (Aspect::Content, a.len_bytes != b.len_bytes || a.sha256 != b.sha256),
        (Aspect::Target, a.target != b.target),
        (Aspect::HardLink, a.hard_link_of != b.hard_link_of),
        (Aspect::Device, a.device != b.device),
        (Aspect::Mode, a.mode != b.mode),
        (Aspect::Owner, (a.uid, a.gid) != (b.uid, b.gid)),
        (Aspect::Xattrs, a.xattrs != b.xattrs),
    ];
    differs
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(aspect, _)| aspect)
        .collect()
}
