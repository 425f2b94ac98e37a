//! Changes one file in the root folder of a finished volume, in place.
//!
//! In: a volume inside of a file or device, a name and a content. Out: the same volume, on which the file is new, and
//! nothing else has moved. A power cut at any moment leaves the old file or the new one: content goes into clusters that
//! were free, then into the tables, and the one sector of the folder that makes the change visible is written alone, after
//! all before it has reached the disk. What the old content held is overwritten with zeros, as it may be a secret; a cut
//! before that leaves clusters that nobody uses, which `fsck.fat` gives back.
//!
//! Deliberately unsupported: files in other folders, names of more than 195 characters, volumes with a table of more than
//! 32 MiB or with only one of their tables in use.

mod error;
mod folder;
mod medium;

use std::collections::BTreeSet;

use super::boot_sector::{BootSector, FS_INFO_SECTOR, FsInfo, SECTOR_BYTES};
use super::dir_entry::{self, Attribute, DirEntry, ENTRY_BYTES};
use super::read::FatReadError;
use super::table::{END_OF_CHAIN, ENTRY_MASK, FIRST_CLUSTER, Link};
use super::{FatError, MAX_FOLDER_ENTRIES};

pub use error::FatUpdateError;
pub use medium::{Medium, Overlay, Patch};

use folder::{Found, RootFolder};

/// More than the table of any EFI system partition.
const MAX_TABLE_BYTES: u64 = 32 << 20;
/// Where the boot sector says which tables are in use (FAT specification, `BPB_ExtFlags`).
const EXT_FLAGS_AT: usize = 40;
/// Bit of it: not all tables are kept equal.
const NOT_MIRRORED: u8 = 0x80;
/// 32-bit entries in a sector of a table.
const ENTRIES_PER_SECTOR: usize = (SECTOR_BYTES / 4) as usize;

/// What an update has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Updated {
    /// The file was not there and is now.
    Added,
    /// The file has the new content.
    Replaced,
    /// The file is gone.
    Removed,
    /// Everything was as wanted.
    Unchanged,
}

/// A volume that is being changed.
#[derive(Debug)]
pub struct FatUpdater<M> {
    medium: M,
    offset: u64,
    boot: BootSector,
    /// The first table, entry by entry.
    table: Vec<u32>,
    /// Sectors of the table that the disk does not have yet.
    changed: BTreeSet<usize>,
    root: RootFolder,
}

impl<M: Medium> FatUpdater<M> {
    /// Opens the volume of at most `len_bytes` at byte `offset` of `medium`. Writes nothing.
    pub fn open(mut medium: M, offset: u64, len_bytes: u64) -> Result<Self, FatUpdateError> {
        let mut sector = [0; SECTOR_BYTES as usize];
        read(&mut medium, &mut sector, offset, "the boot sector")?;
        let boot = BootSector::parse(&sector, len_bytes).map_err(|source| FatReadError::NotFat32 { offset, source })?;
        if sector[EXT_FLAGS_AT] & NOT_MIRRORED != 0 {
            return Err(FatUpdateError::NotMirrored);
        }
        let table_bytes = u64::from(boot.geometry.fat_sectors) * SECTOR_BYTES;
        if table_bytes > MAX_TABLE_BYTES {
            return Err(FatUpdateError::TableTooLarge { table_bytes });
        }
        let mut bytes = vec![0; table_bytes as usize];
        read(
            &mut medium,
            &mut bytes,
            offset + boot.geometry.fat_offset(0),
            "the allocation table",
        )?;
        let entries = bytes.as_chunks::<4>().0.iter();
        let mut updater = Self {
            medium,
            offset,
            boot,
            table: entries.map(|entry| u32::from_le_bytes(*entry)).collect(),
            changed: BTreeSet::new(),
            root: RootFolder::default(),
        };
        let clusters = updater.chain(boot.root_cluster)?;
        let bytes = updater.content(&clusters, (MAX_FOLDER_ENTRIES * ENTRY_BYTES) as u64)?;
        updater.root = RootFolder::new(clusters, &bytes);
        Ok(updater)
    }

    /// What the volume lies on, when all is done.
    pub fn into_medium(self) -> M {
        self.medium
    }

    /// The label that systems show: that of the root folder, else the boot sector's (FAT specification, "Volume ID").
    pub fn label(&self) -> String {
        self.root.label().unwrap_or_else(|| self.boot.label.to_string())
    }

    /// Gives the root's file `name`, without regard to case, this content; makes the file if it is not there.
    pub fn put(&mut self, name: &str, content: &[u8]) -> Result<Updated, FatUpdateError> {
        let path = || name.to_owned();
        if let Some(reason) = dir_entry::name_fault(name) {
            return Err(FatError::BadPath { path: path(), reason }.into());
        }
        let len_bytes = content.len() as u64;
        if len_bytes > u64::from(u32::MAX) {
            return Err(FatError::FileTooLarge {
                path: path(),
                len_bytes,
            }
            .into());
        }
        match self.find(name)? {
            Some(found) if u64::from(found.entry.len_bytes) == len_bytes && self.holds(&found, content)? => {
                Ok(Updated::Unchanged)
            }
            Some(found) => self.replace(&found, content),
            None => self.add(name, content),
        }
    }

    /// Removes the root's file `name`.
    pub fn remove(&mut self, name: &str) -> Result<Updated, FatUpdateError> {
        let Some(found) = self.find(name)? else {
            return Ok(Updated::Unchanged);
        };
        let old = self.chain_of(&found)?;
        for sector in self.root.delete(&found) {
            self.write_root_sector(sector)?;
            self.sync()?;
        }
        self.finish(&old)?;
        Ok(Updated::Removed)
    }

    fn find(&self, name: &str) -> Result<Option<Found>, FatUpdateError> {
        match self.root.find(name) {
            Some(found) if found.entry.is_folder => Err(FatUpdateError::Folder { name: name.to_owned() }),
            found => Ok(found),
        }
    }

    fn holds(&mut self, found: &Found, content: &[u8]) -> Result<bool, FatUpdateError> {
        let clusters = self.chain_of(found)?;
        let bytes = self.content(&clusters, content.len() as u64)?;
        Ok(bytes.get(..content.len()) == Some(content))
    }

    fn replace(&mut self, found: &Found, content: &[u8]) -> Result<Updated, FatUpdateError> {
        let old = self.chain_of(found)?;
        let (new, _) = self.store(content, 0)?;
        let entry = self.entry(&new, content);
        let sector = self.root.change(found, &entry);
        self.write_root_sector(sector)?;
        self.sync()?;
        self.finish(&old)?;
        Ok(Updated::Replaced)
    }

    fn add(&mut self, name: &str, content: &[u8]) -> Result<Updated, FatUpdateError> {
        let place = self.root.place(name)?;
        let (new, for_root) = self.store(content, usize::from(place.grows))?;
        let entry = self.entry(&new, content);
        let last = self.root.last_cluster();
        let steps = self.root.insert(&place, &entry, for_root.first().copied());
        for sector in steps.before {
            self.write_root_sector(sector)?;
        }
        self.sync()?;
        if let Some(cluster) = for_root.first() {
            self.set(last, *cluster);
            self.write_table()?;
        }
        if let Some(sector) = steps.commit {
            self.write_root_sector(sector)?;
            self.sync()?;
        }
        self.finish(&[])?;
        Ok(Updated::Added)
    }

    fn entry(&self, clusters: &[u32], content: &[u8]) -> DirEntry {
        DirEntry {
            attribute: Attribute::File,
            first_cluster: clusters.first().copied().unwrap_or(0),
            len_bytes: content.len() as u32,
            time: self.root.time(),
        }
    }

    /// Writes `content` to free clusters and chains them; nobody sees them yet. `extra` further clusters become chains of
    /// their own.
    fn store(&mut self, content: &[u8], extra: usize) -> Result<(Vec<u32>, Vec<u32>), FatUpdateError> {
        let cluster_bytes = self.boot.geometry.cluster_bytes();
        let count = content.len().div_ceil(cluster_bytes as usize);
        let free: Vec<u32> = self.free_clusters().take(count + extra).collect();
        if free.len() < count + extra {
            return Err(FatUpdateError::Full {
                needed_bytes: (count + extra) as u64 * cluster_bytes,
                free_bytes: free.len() as u64 * cluster_bytes,
            });
        }
        let (new, more) = free.split_at(count);
        for (cluster, part) in new.iter().zip(content.chunks(cluster_bytes as usize)) {
            let mut bytes = part.to_vec();
            bytes.resize(cluster_bytes as usize, 0);
            self.write(
                &bytes,
                self.boot.geometry.cluster_offset(*cluster),
                "the file's content",
            )?;
        }
        // Content and tables may reach the disk in any order: nothing leads to them yet.
        for (index, cluster) in new.iter().enumerate() {
            self.set(*cluster, new.get(index + 1).copied().unwrap_or(END_OF_CHAIN));
        }
        more.iter().for_each(|cluster| self.set(*cluster, END_OF_CHAIN));
        self.write_table()?;
        Ok((new.to_vec(), more.to_vec()))
    }

    /// What is left to do when the change is visible: the old content goes, its clusters are free, the hints are right.
    fn finish(&mut self, old: &[u32]) -> Result<(), FatUpdateError> {
        let zeros = vec![0; self.boot.geometry.cluster_bytes() as usize];
        for cluster in old {
            self.write(
                &zeros,
                self.boot.geometry.cluster_offset(*cluster),
                "over the old content",
            )?;
        }
        old.iter().for_each(|cluster| self.set(*cluster, 0));
        let offset = FS_INFO_SECTOR * SECTOR_BYTES;
        let info = FsInfo {
            free_clusters: self.free_clusters().count() as u32,
            next_free: self.free_clusters().next().unwrap_or(u32::MAX),
        };
        self.write(&info.to_bytes(), offset, "FSInfo")?;
        self.write_table()
    }

    fn free_clusters(&self) -> impl Iterator<Item = u32> + '_ {
        let clusters = FIRST_CLUSTER..FIRST_CLUSTER + self.boot.geometry.clusters;
        clusters.filter(|cluster| Link::from_raw(self.table[*cluster as usize]) == Link::Free)
    }

    fn chain_of(&self, found: &Found) -> Result<Vec<u32>, FatUpdateError> {
        match (found.entry.first_cluster, found.entry.len_bytes) {
            (0, 0) => Ok(Vec::new()),
            (first, _) => self.chain(first),
        }
    }

    fn chain(&self, first: u32) -> Result<Vec<u32>, FatUpdateError> {
        let mut clusters = Vec::new();
        let mut next = Link::Next(first);
        loop {
            match next {
                // A chain with more clusters than the volume goes in circles.
                Link::Next(cluster)
                    if self.boot.geometry.contains(cluster)
                        && clusters.len() < self.boot.geometry.clusters as usize =>
                {
                    clusters.push(cluster);
                    next = Link::from_raw(self.table[cluster as usize]);
                }
                Link::End => return Ok(clusters),
                _ => {
                    let cluster = clusters.last().copied().unwrap_or(first);
                    return Err(FatUpdateError::BrokenChain { cluster });
                }
            }
        }
    }

    /// The content of as many of `clusters` as hold `len_bytes`.
    fn content(&mut self, clusters: &[u32], len_bytes: u64) -> Result<Vec<u8>, FatUpdateError> {
        let geometry = self.boot.geometry;
        let count = usize::try_from(len_bytes.div_ceil(geometry.cluster_bytes())).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        for cluster in clusters.iter().take(count) {
            let start = bytes.len();
            bytes.resize(start + geometry.cluster_bytes() as usize, 0);
            let offset = self.offset + geometry.cluster_offset(*cluster);
            read(&mut self.medium, &mut bytes[start..], offset, "a file")?;
        }
        Ok(bytes)
    }

    /// Changes an entry of the table in memory; [`Self::write_table`] writes it. The upper four bits belong to nobody.
    fn set(&mut self, cluster: u32, value: u32) {
        let entry = &mut self.table[cluster as usize];
        *entry = *entry & !ENTRY_MASK | value & ENTRY_MASK;
        self.changed.insert(cluster as usize / ENTRIES_PER_SECTOR);
    }

    /// Writes what has changed of the tables, the first of them, which everybody reads, last; returns when they and all
    /// writes before are on the disk. One flush takes longer than everything else of an update, so there are three.
    fn write_table(&mut self) -> Result<(), FatUpdateError> {
        let changed = std::mem::take(&mut self.changed);
        for index in (0..u64::from(self.boot.geometry.fats)).rev() {
            for sector in &changed {
                let first = sector * ENTRIES_PER_SECTOR;
                let entries = &self.table[first..first + ENTRIES_PER_SECTOR];
                let bytes: Vec<u8> = entries.iter().flat_map(|entry| entry.to_le_bytes()).collect();
                let offset = self.boot.geometry.fat_offset(index) + *sector as u64 * SECTOR_BYTES;
                self.write(&bytes, offset, "the allocation table")?;
            }
        }
        self.sync()
    }

    fn write_root_sector(&mut self, sector: usize) -> Result<(), FatUpdateError> {
        let per_cluster = usize::from(self.boot.geometry.sectors_per_cluster);
        let cluster = self
            .boot
            .geometry
            .cluster_offset(self.root.cluster(sector / per_cluster));
        let offset = cluster + (sector % per_cluster) as u64 * SECTOR_BYTES;
        let bytes = self.root.sector(sector);
        self.write(&bytes, offset, "the root folder")
    }

    fn write(&mut self, bytes: &[u8], offset: u64, what: &'static str) -> Result<(), FatUpdateError> {
        let offset = self.offset + offset;
        let failed = |source| FatUpdateError::Write { what, offset, source };
        self.medium.write_at(bytes, offset).map_err(failed)
    }

    fn sync(&mut self) -> Result<(), FatUpdateError> {
        self.medium.sync().map_err(FatUpdateError::Sync)
    }
}

fn read(medium: &mut impl Medium, buffer: &mut [u8], offset: u64, what: &'static str) -> Result<(), FatUpdateError> {
    let failed = |source| FatReadError::Read { what, offset, source };
    Ok(medium.read_at(buffer, offset).map_err(failed)?)
}

#[cfg(test)]
mod tests;
