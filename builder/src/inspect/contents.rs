//! What the root file system holds: counts, sizes by package and by folder, and what they mean for the running machine.

use std::collections::BTreeMap;

use serde::Serialize;

use super::listeners::{self, Listener};
use super::root_view::RootView;
use super::trust::{self, TrustedKeys};
use super::units::{self, Units};
use crate::rootfs::contents::{self, Contents, OwnerKind};
use crate::squashfs::ReadAt;
use crate::squashfs::read::{Entry, EntryContent, Image};

/// Folders are counted down to this depth.
const DEPTH: usize = 3;
/// How many of the largest files are named.
const LARGEST: usize = 50;

/// What the root file system holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RootContents {
    /// How many of what there are.
    pub counts: Counts,
    /// Bytes of all files, unpacked.
    pub file_bytes: u64,
    /// Bytes of the files on the medium, compressed.
    pub stored_bytes: u64,
    /// Bytes of the file system's tables on the medium.
    pub table_bytes: u64,
    /// Who brought what, the largest on the medium first; empty if the image does not say.
    pub packages: Vec<OwnerSize>,
    /// Folders down to the third level, by path.
    pub folders: Vec<FolderSize>,
    /// The files that take the most room on the medium, the largest first.
    pub largest: Vec<FileSize>,
    /// What starts.
    pub units: Units,
    /// Where its programs listen.
    pub listeners: Vec<Listener>,
    /// Which keys it trusts.
    pub trust: TrustedKeys,
}

/// How many of what there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Regular files.
    pub files: u64,
    /// More names of them.
    pub hard_links: u64,
    /// Folders.
    pub folders: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Devices and named pipes.
    pub specials: u64,
}

/// A package, component, overlay or pass of the builder, and what it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwnerSize {
    /// What it is.
    pub kind: OwnerKind,
    /// Its name.
    pub name: String,
    /// Its version; empty if it has none.
    pub version: String,
    /// How many files it has.
    pub files: u64,
    /// Their bytes, unpacked.
    pub file_bytes: u64,
    /// Their bytes on the medium, compressed. What is stored once for several counts for the first.
    pub stored_bytes: u64,
}

/// A folder with all that is below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FolderSize {
    /// Its path.
    pub path: String,
    /// How many files are in it and below.
    pub files: u64,
    /// Their bytes, unpacked.
    pub file_bytes: u64,
    /// Their bytes on the medium, compressed.
    pub stored_bytes: u64,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileSize {
    /// Its path.
    pub path: String,
    /// Its length, unpacked.
    pub file_bytes: u64,
    /// Its bytes on the medium, compressed.
    pub stored_bytes: u64,
}

/// Reads all but the files' contents. A list of contents that cannot be used becomes a finding.
pub(super) fn read<R: ReadAt + ?Sized>(
    image: &Image<'_, R>,
    entries: &[Entry],
    findings: &mut Vec<String>,
) -> RootContents {
    let stored = image.stored_bytes(entries);
    let root = RootView::new(image, entries);
    let list = root.text(contents::PATH).map(|text| contents::parse(&text));
    let list = match list {
        Some(Ok(list)) => list,
        Some(Err(fault)) => {
            findings.push(format!("sizes by package are not known: {fault}"));
            Contents::default()
        }
        None => Contents::default(),
    };
    let units = units::read(&root);
    let stored_bytes = stored.iter().sum();
    RootContents {
        counts: counts(entries),
        file_bytes: entries.iter().fold(0, |sum, entry| len_of(entry).saturating_add(sum)),
        stored_bytes,
        table_bytes: image.superblock().bytes_used.saturating_sub(stored_bytes),
        packages: by_owner(&list, entries, &stored),
        folders: by_folder(entries, &stored),
        largest: largest(entries, &stored),
        listeners: listeners::read(&root, &units),
        units,
        trust: trust::read(&root),
    }
}

fn len_of(entry: &Entry) -> u64 {
    match &entry.content {
        EntryContent::File(file) => file.len_bytes(),
        _ => 0,
    }
}

fn counts(entries: &[Entry]) -> Counts {
    let mut counts = Counts::default();
    for entry in entries {
        let count = match entry.content {
            EntryContent::File(_) => &mut counts.files,
            EntryContent::HardLink(_) => &mut counts.hard_links,
            EntryContent::Dir => &mut counts.folders,
            EntryContent::Symlink(_) => &mut counts.symlinks,
            EntryContent::CharDevice { .. } | EntryContent::BlockDevice { .. } | EntryContent::Fifo => {
                &mut counts.specials
            }
        };
        *count += 1;
    }
    counts
}

fn by_owner(list: &Contents, entries: &[Entry], stored: &[u64]) -> Vec<OwnerSize> {
    let size = |owner: &contents::Owner| OwnerSize {
        kind: owner.kind,
        name: owner.name.clone(),
        version: owner.version.clone(),
        files: 0,
        file_bytes: 0,
        stored_bytes: 0,
    };
    let mut sizes: Vec<OwnerSize> = list.owners.iter().map(size).collect();
    for (entry, stored) in entries.iter().zip(stored) {
        let owner = entry.path.as_str().and_then(|path| list.by_path.get(path));
        if let (EntryContent::File(_), Some(size)) = (&entry.content, owner.and_then(|owner| sizes.get_mut(*owner))) {
            size.files += 1;
            size.file_bytes = size.file_bytes.saturating_add(len_of(entry));
            size.stored_bytes = size.stored_bytes.saturating_add(*stored);
        }
    }
    sizes.sort_by(|a, b| b.stored_bytes.cmp(&a.stored_bytes).then_with(|| a.name.cmp(&b.name)));
    sizes
}

fn by_folder(entries: &[Entry], stored: &[u64]) -> Vec<FolderSize> {
    let mut sizes: BTreeMap<&[u8], FolderSize> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.content == EntryContent::Dir) {
        let path = entry.path.as_bytes();
        if !path.is_empty() && path.iter().filter(|byte| **byte == b'/').count() < DEPTH {
            let size = FolderSize {
                path: entry.path.to_string(),
                files: 0,
                file_bytes: 0,
                stored_bytes: 0,
            };
            sizes.insert(path, size);
        }
    }
    for (entry, stored) in entries.iter().zip(stored) {
        if !matches!(entry.content, EntryContent::File(_)) {
            continue;
        }
        let path = entry.path.as_bytes();
        let ends = path
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'/')
            .map(|(at, _)| at);
        for end in ends.take(DEPTH) {
            if let Some(size) = sizes.get_mut(&path[..end]) {
                size.files += 1;
                size.file_bytes = size.file_bytes.saturating_add(len_of(entry));
                size.stored_bytes = size.stored_bytes.saturating_add(*stored);
            }
        }
    }
    sizes.into_values().collect()
}

fn largest(entries: &[Entry], stored: &[u64]) -> Vec<FileSize> {
    let mut files: Vec<(&Entry, u64)> = entries.iter().zip(stored.iter().copied()).collect();
    files.retain(|(_, stored)| *stored > 0);
    // Stable: of files that take the same, the first by path come first.
    files.sort_by_key(|(_, stored)| std::cmp::Reverse(*stored));
    files.truncate(LARGEST);
    let size = |(entry, stored_bytes): &(&Entry, u64)| FileSize {
        path: entry.path.to_string(),
        file_bytes: len_of(entry),
        stored_bytes: *stored_bytes,
    };
    files.iter().map(size).collect()
}
