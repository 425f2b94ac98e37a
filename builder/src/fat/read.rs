//! Reads a FAT32 volume inside of a file or device.
//!
//! In: anything that seeks, and where in it the volume lies. Out: entries and contents. The volume may come from anywhere, so
//! every number is checked before it is used: nothing loops, allocates without bound or panics.
//!
//! Deliberately unsupported: FAT12, FAT16 and volumes with fewer clusters than FAT32 has.

use std::collections::BTreeSet;
use std::io::{self, Read, Seek, SeekFrom};

use super::MAX_FOLDER_ENTRIES;
use super::boot_sector::{BadBootSector, BootSector, Geometry, SECTOR_BYTES};
use super::dir_entry::{self, AnyEntry, ENTRY_BYTES, LongEntry, ShortEntry};
use super::table::Link;

/// Entries in all folders together; an EFI system partition has a few dozen.
const MAX_ENTRIES: usize = 65_536;
/// Folders in folders.
const MAX_DEPTH: usize = 32;
/// How much of the allocation table is read at a time.
const TABLE_BLOCK_BYTES: u64 = 64 << 10;

/// Whether an entry is a file or a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FatKind {
    /// A file.
    File,
    /// A folder.
    Folder,
}

/// A file or folder that a volume holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FatEntry {
    /// The path from the root, parts separated by `/`. The parts may hold anything but `/` and NUL: do not use them on the
    /// host, do not print them raw.
    pub path: String,
    /// What it is.
    pub kind: FatKind,
    /// The length in bytes; 0 for folders.
    pub len_bytes: u64,
    /// Where its content begins; 0 for nothing.
    pub first_cluster: u32,
}

/// Why a volume cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FatReadError {
    /// Reading failed, or the volume ends early.
    #[error("cannot read {what} at byte {offset}")]
    Read {
        /// Which part.
        what: &'static str,
        /// Where in the file or device.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// It is not FAT32.
    #[error("there is no FAT32 volume at byte {offset}")]
    NotFat32 {
        /// Where in the file or device.
        offset: u64,
        /// Which field says so.
        source: BadBootSector,
    },
    /// A chain that breaks off, leaves the volume or never ends.
    #[error("the cluster chain of `{path}` is broken at cluster {cluster}")]
    BrokenChain {
        /// Whose chain.
        path: String,
        /// The last cluster that was looked at.
        cluster: u32,
    },
    /// A name that no system writes.
    #[error("the folder `{folder}` has an entry with an impossible name")]
    BadName {
        /// The folder's path.
        folder: String,
    },
    /// More entries or deeper folders than any real volume has.
    #[error("the folder `{folder}` goes beyond the limit of {MAX_ENTRIES} entries and {MAX_DEPTH} levels")]
    TooMany {
        /// The folder's path.
        folder: String,
    },
    /// A file that is larger than what the caller wants to read.
    #[error("`{path}` has {len_bytes} bytes, more than the {limit_bytes} that are read")]
    TooLarge {
        /// The file's path.
        path: String,
        /// Its length.
        len_bytes: u64,
        /// The caller's limit.
        limit_bytes: u64,
    },
}

/// An open volume.
#[derive(Debug)]
pub struct FatReader<R> {
    inner: R,
    offset: u64,
    boot: BootSector,
    table_block: Option<(u64, Vec<u8>)>,
}

impl<R: Read + Seek> FatReader<R> {
    /// Opens the volume of at most `len_bytes` at byte `offset` of `inner`.
    pub fn open(mut inner: R, offset: u64, len_bytes: u64) -> Result<Self, FatReadError> {
        let mut sector = [0; SECTOR_BYTES as usize];
        read_at(&mut inner, offset, &mut sector, "the boot sector")?;
        let boot = BootSector::parse(&sector, len_bytes).map_err(|source| FatReadError::NotFat32 { offset, source })?;
        Ok(Self {
            inner,
            offset,
            boot,
            table_block: None,
        })
    }

    /// The boot sector.
    pub const fn boot_sector(&self) -> &BootSector {
        &self.boot
    }

    /// All files and folders, a folder before what is in it, in the order of the volume.
    pub fn list(&mut self) -> Result<Vec<FatEntry>, FatReadError> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::from([self.boot.root_cluster]);
        let mut open = vec![(String::new(), self.boot.root_cluster, 1)];
        while let Some((folder, first_cluster, depth)) = open.pop() {
            let entries = self.folder(&folder, first_cluster)?;
            if found.len() + entries.len() > MAX_ENTRIES || depth > MAX_DEPTH {
                return Err(FatReadError::TooMany { folder });
            }
            for entry in entries.iter().filter(|entry| entry.kind == FatKind::Folder) {
                if !seen.insert(entry.first_cluster) {
                    let (path, cluster) = (entry.path.clone(), entry.first_cluster);
                    return Err(FatReadError::BrokenChain { path, cluster });
                }
                open.push((entry.path.clone(), entry.first_cluster, depth + 1));
            }
            found.extend(entries);
        }
        Ok(found)
    }

    /// The file or folder at `path`, without regard to case; no other folders than those on the way are read.
    pub fn find(&mut self, path: &str) -> Result<Option<FatEntry>, FatReadError> {
        let mut here: Option<FatEntry> = None;
        for name in path.split('/') {
            let (folder, first_cluster) = match &here {
                None => (String::new(), self.boot.root_cluster),
                Some(entry) if entry.kind == FatKind::Folder => (entry.path.clone(), entry.first_cluster),
                Some(_) => return Ok(None),
            };
            let wanted = dir_entry::folded(&join(&folder, name));
            let entries = self.folder(&folder, first_cluster)?;
            match entries
                .into_iter()
                .find(|entry| dir_entry::folded(&entry.path) == wanted)
            {
                Some(entry) => here = Some(entry),
                None => return Ok(None),
            }
        }
        Ok(here)
    }

    /// The whole content of a file that has at most `limit_bytes`.
    pub fn read(&mut self, entry: &FatEntry, limit_bytes: u64) -> Result<Vec<u8>, FatReadError> {
        if entry.len_bytes > limit_bytes {
            let (path, len_bytes) = (entry.path.clone(), entry.len_bytes);
            return Err(FatReadError::TooLarge {
                path,
                len_bytes,
                limit_bytes,
            });
        }
        self.read_range(entry, 0, entry.len_bytes)
    }

    /// `len_bytes` of a file from its byte `start` on, or as many as there are; the caller bounds `len_bytes`.
    pub fn read_range(&mut self, entry: &FatEntry, start: u64, len_bytes: u64) -> Result<Vec<u8>, FatReadError> {
        let end = start.saturating_add(len_bytes).min(entry.len_bytes);
        if start >= end {
            return Ok(Vec::new());
        }
        let cluster_bytes = self.boot.geometry.cluster_bytes();
        let clusters = self.chain(&entry.path, entry.first_cluster, end.div_ceil(cluster_bytes))?;
        let skipped = start / cluster_bytes;
        if (clusters.len() as u64) < end.div_ceil(cluster_bytes) {
            let cluster = clusters.last().copied().unwrap_or(entry.first_cluster);
            return Err(FatReadError::BrokenChain {
                path: entry.path.clone(),
                cluster,
            });
        }
        let mut bytes = self.clusters(&clusters[skipped as usize..], "a file")?;
        bytes.truncate((end - skipped * cluster_bytes) as usize);
        bytes.drain(..(start - skipped * cluster_bytes) as usize);
        Ok(bytes)
    }

    /// The clusters of a chain, at most `limit` of them: the chain may go on after that.
    fn chain(&mut self, path: &str, first: u32, limit: u64) -> Result<Vec<u32>, FatReadError> {
        let geometry = self.boot.geometry;
        let broken = |cluster| FatReadError::BrokenChain {
            path: path.to_owned(),
            cluster,
        };
        // A chain with more clusters than the volume goes in circles.
        let limit = limit.min(u64::from(geometry.clusters));
        let mut clusters = Vec::new();
        let mut cluster = first;
        loop {
            if !geometry.contains(cluster) {
                return Err(broken(cluster));
            }
            clusters.push(cluster);
            if clusters.len() as u64 >= limit {
                return Ok(clusters);
            }
            match self.link(&geometry, cluster)? {
                Link::Next(next) => cluster = next,
                Link::End => return Ok(clusters),
                Link::Free | Link::Bad => return Err(broken(cluster)),
            }
        }
    }

    fn link(&mut self, geometry: &Geometry, cluster: u32) -> Result<Link, FatReadError> {
        let at = u64::from(cluster) * 4;
        let (block, within) = (at / TABLE_BLOCK_BYTES, (at % TABLE_BLOCK_BYTES) as usize);
        let bytes = match self.table_block.take() {
            Some((index, bytes)) if index == block => bytes,
            _ => {
                let table_bytes = u64::from(geometry.fat_sectors) * SECTOR_BYTES;
                let start = block * TABLE_BLOCK_BYTES;
                let mut bytes = vec![0; TABLE_BLOCK_BYTES.min(table_bytes - start) as usize];
                let offset = self.offset + geometry.fat_offset(0) + start;
                read_at(&mut self.inner, offset, &mut bytes, "the allocation table")?;
                bytes
            }
        };
        let raw = [bytes[within], bytes[within + 1], bytes[within + 2], bytes[within + 3]];
        self.table_block = Some((block, bytes));
        Ok(Link::from_raw(u32::from_le_bytes(raw)))
    }

    /// The content of `clusters`, neighbours in one read. A read precedes each growth: a lie about the size fails early.
    fn clusters(&mut self, clusters: &[u32], what: &'static str) -> Result<Vec<u8>, FatReadError> {
        let cluster_bytes = self.boot.geometry.cluster_bytes() as usize;
        let mut bytes = Vec::new();
        for run in clusters.chunk_by(|a, b| a + 1 == *b) {
            for part in run.chunks((1 << 20) / cluster_bytes) {
                let start = bytes.len();
                bytes.resize(start + part.len() * cluster_bytes, 0);
                let offset = self.offset + self.boot.geometry.cluster_offset(part[0]);
                read_at(&mut self.inner, offset, &mut bytes[start..], what)?;
            }
        }
        Ok(bytes)
    }

    /// The entries of a folder, without `.`, `..` and the label.
    fn folder(&mut self, path: &str, first_cluster: u32) -> Result<Vec<FatEntry>, FatReadError> {
        let limit = (MAX_FOLDER_ENTRIES * ENTRY_BYTES) as u64 / self.boot.geometry.cluster_bytes();
        let clusters = self.chain(path, first_cluster, limit)?;
        let bytes = self.clusters(&clusters, "a folder")?;
        let mut entries = Vec::new();
        let mut long_name = LongName::default();
        for raw in bytes.as_chunks::<ENTRY_BYTES>().0 {
            match AnyEntry::parse(raw) {
                AnyEntry::End => break,
                AnyEntry::Deleted => long_name = LongName::default(),
                AnyEntry::Long(part) => long_name.push(&part),
                AnyEntry::Short(short) => {
                    let name = std::mem::take(&mut long_name).finish(&short);
                    if !short.is_label && &short.name[..2] != b". " && &short.name[..3] != b".. " {
                        entries.push(entry_in(path, &name, &short)?);
                    }
                }
            }
        }
        Ok(entries)
    }
}

fn entry_in(folder: &str, name: &str, short: &ShortEntry) -> Result<FatEntry, FatReadError> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(FatReadError::BadName {
            folder: folder.to_owned(),
        });
    }
    Ok(FatEntry {
        path: join(folder, name),
        kind: if short.is_folder {
            FatKind::Folder
        } else {
            FatKind::File
        },
        len_bytes: if short.is_folder { 0 } else { u64::from(short.len_bytes) },
        first_cluster: short.first_cluster,
    })
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

/// The long entries that were read before a short one.
#[derive(Debug, Default)]
pub(super) struct LongName {
    /// The pieces, the name's end first.
    parts: Vec<LongEntry>,
}

impl LongName {
    pub(super) fn push(&mut self, part: &LongEntry) {
        if part.is_last() {
            self.parts.clear();
        }
        // 63 pieces at most: `position` has six bits, and a piece out of order voids the name in `finish`.
        if self.parts.len() < 64 {
            self.parts.push(*part);
        }
    }

    /// The long name if it is whole and belongs to `short`, else the short name; an orphan is no error, since systems
    /// without long names leave them behind.
    pub(super) fn finish(self, short: &ShortEntry) -> String {
        let checksum = dir_entry::checksum(&short.name);
        let whole = self.parts.first().is_some_and(LongEntry::is_last)
            && self
                .parts
                .iter()
                .rev()
                .zip(1..)
                .all(|(part, position)| part.position() == position)
            && self.parts.iter().all(|part| part.checksum == checksum);
        if !whole {
            return short.display_name();
        }
        let units: Vec<u16> = self
            .parts
            .iter()
            .rev()
            .flat_map(LongEntry::name_units)
            .copied()
            .collect();
        String::from_utf16_lossy(&units)
    }
}

fn read_at<R: Read + Seek>(
    inner: &mut R,
    offset: u64,
    bytes: &mut [u8],
    what: &'static str,
) -> Result<(), FatReadError> {
    inner
        .seek(SeekFrom::Start(offset))
        .and_then(|_| inner.read_exact(bytes))
        .map_err(|source| FatReadError::Read { what, offset, source })
}
