//! The root file system as a squashfs image.
//!
//! In: a [`Tree`] and [`Settings`]. Out: a squashfs 4.0 image (`Documentation/filesystems/squashfs.rst` of Linux), zstd
//! compressed and padded to 4096 bytes so that a dm-verity tree can cover it. The same tree and settings give the same
//! bytes, whatever the number of threads and whatever the cache holds.
//!
//! The work is planned before a byte is read: [`plan`](self) decides from sizes and digests alone which block holds what
//! and which blocks form a batch; batches are compressed in parallel (or taken from the [`BlockCache`]) and written in
//! the plan's order. Only then do the tables follow, when every position is known, and the superblock goes last: until
//! then the file is no squashfs.
//!
//! How data is laid out: equal files are stored once. Files are ordered by origin, then path, and what is left of a file
//! after its full blocks is packed with its neighbours' rests into fragment blocks that never mix origins, so a changed
//! overlay leaves the cached blocks of all packages valid.
//!
//! A block is stored as it is when zstd does not make it smaller, and also when its bytes look like noise (all values
//! about equally frequent) and a trial at zstd level 1 saves less than 1/32 of it: the space is not worth the time that
//! unpacking a `.ko.xz` twice costs the device.
//!
//! Not supported, on purpose: other compressors, sockets, per-file times, extended attributes outside `user.`,
//! `trusted.` and `security.`.

mod cache;
mod data;
mod dirent;
mod encode;
mod error;
mod inode;
mod layout;
mod metadata;
mod plan;
pub mod read;
mod source;
mod superblock;
mod xattr;

use std::io::{Seek, SeekFrom, Write};

use crate::tree::Tree;

pub use cache::{BlockCache, MemoryCache, NoCache};
pub use error::SquashfsError;
pub use source::{FileRange, ReadAt};
pub use superblock::Superblock;

/// Images end on a multiple of this, the block size of their dm-verity tree.
const PADDING: u64 = 4096;

/// What decides an image beside its tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of a data block before compression: a power of two from 4 KiB to 1 MiB.
    pub block_size: u32,
    /// zstd level, 1 to 22.
    pub level: i32,
    /// Time of the file system and of every node, in seconds since 1970.
    pub timestamp: u32,
}

impl Default for Settings {
    /// 128 KiB blocks at level 9, in 1970. Measured on 359 MB of Debian with modules and Go programs, in MB of image and
    /// in compression time relative to the default:
    ///
    /// | level | 64 KiB | 128 KiB | 256 KiB | time |
    /// |---|---|---|---|---|
    /// | 3 | 175.3 | 172.9 | 168.7 | 0.25 |
    /// | 6 | 169.3 | 166.7 | 164.9 | 0.65 |
    /// | 9 | 168.3 | 165.6 | 162.2 | 1 |
    /// | 12 | 168.0 | 165.0 | 161.5 | 3 |
    /// | 15 | 162.8 | 158.7 | 155.4 | 6 |
    fn default() -> Self {
        Self {
            block_size: 128 << 10,
            level: 9,
            timestamp: 0,
        }
    }
}

impl Settings {
    fn check(&self) -> Result<(), SquashfsError> {
        if !self.block_size.is_power_of_two() || !(4 << 10..=1 << 20).contains(&self.block_size) {
            return Err(SquashfsError::BlockSize(self.block_size));
        }
        if !(1..=22).contains(&self.level) {
            return Err(SquashfsError::Level(self.level));
        }
        Ok(())
    }
}

/// A written image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FsImage {
    /// Length of the image with its padding, a multiple of 4096.
    pub len_bytes: u64,
    /// What went into it.
    pub stats: Stats,
}

/// Counts of a written image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Inodes; names of one hard-linked file count once.
    pub inodes: u64,
    /// Bytes of all regular files, duplicates counted each time, names of a hard-linked file once.
    pub file_bytes: u64,
    /// Bytes of distinct file contents.
    pub distinct_bytes: u64,
    /// Bytes of the data and fragment blocks as stored.
    pub stored_bytes: u64,
    /// Bytes of all tables as stored.
    pub table_bytes: u64,
    /// Data blocks, without fragments.
    pub blocks: u64,
    /// Fragment blocks.
    pub fragments: u64,
    /// Batches of blocks, each one entry of the cache.
    pub batches: u64,
    /// Batches that came from the cache.
    pub cached_batches: u64,
}

/// Writes `tree` as an image that begins at the start of `out`, which is empty. Compression runs in the current rayon pool, with at most
/// 64 MiB of file data under way.
pub fn write(
    tree: &Tree,
    settings: &Settings,
    cache: &dyn BlockCache,
    out: &mut (impl Write + Seek),
) -> Result<FsImage, SquashfsError> {
    settings.check()?;
    let at = |offset: u64| move |source| SquashfsError::WriteImage { offset, source };
    let options = superblock::compressor_options(settings.level);
    let data_start = (superblock::LEN + options.len()) as u64;
    out.seek(SeekFrom::Start(0)).map_err(at(0))?;
    out.write_all(&[0; superblock::LEN]).map_err(at(0))?;
    out.write_all(&options).map_err(at(superblock::LEN as u64))?;

    let plan = plan::Plan::of(tree, settings)?;
    let data = data::write(&plan, settings, cache, &mut data::Positioned::new(out, data_start))?;
    let tables = layout::tables(tree, settings, &plan, &data)?;
    out.write_all(&tables.bytes).map_err(at(data.end))?;
    let padding = tables.superblock.bytes_used.next_multiple_of(PADDING) - tables.superblock.bytes_used;
    let end = at(tables.superblock.bytes_used);
    out.write_all(&vec![0; padding as usize]).map_err(end)?;
    out.seek(SeekFrom::Start(0)).map_err(at(0))?;
    out.write_all(&tables.superblock.to_bytes()).map_err(at(0))?;
    out.flush().map_err(at(0))?;

    Ok(FsImage {
        len_bytes: tables.superblock.bytes_used + padding,
        stats: Stats {
            inodes: u64::from(tables.superblock.inodes),
            stored_bytes: data.end - data_start,
            table_bytes: tables.bytes.len() as u64,
            cached_batches: data.cached_batches,
            ..plan.stats()
        },
    })
}

#[cfg(test)]
mod tests;
