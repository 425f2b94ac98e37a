//! Directory listings: runs of entries whose inodes share a metadata block and lie near each other, each run behind a
//! head of 12 bytes.

use super::SquashfsError;
use super::inode::IndexEntry;
use super::metadata::{BLOCK_LEN, MetadataWriter, Position};

/// Length of a run's head: count minus one, inode block, base inode number.
pub(super) const HEAD_LEN: usize = 12;
/// Length of an entry without its name: inode offset, difference to the base inode number, type, name length minus one.
pub(super) const ENTRY_LEN: usize = 8;
/// The most entries of one run (`SQUASHFS_DIR_COUNT`).
pub(super) const MAX_RUN: usize = 256;

/// A name and its inode.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub name: &'a str,
    pub inode: Position,
    pub number: u32,
    /// The basic type.
    pub kind: u16,
}

/// Where a listing was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listing {
    pub start: Position,
    pub len_bytes: u32,
    /// One entry for each metadata block in which a run begins, but the first.
    pub index: Vec<IndexEntry>,
}

/// Appends the listing of `entries`, which are sorted by name, to the directory table.
pub(super) fn append(table: &mut MetadataWriter<'_>, entries: &[Entry<'_>]) -> Result<Listing, SquashfsError> {
    let start = table.position()?;
    let mut listing = Listing {
        start,
        len_bytes: 0,
        index: Vec::new(),
    };
    let mut last_block = start.block;
    let mut rest = entries;
    while let Some(first) = rest.first() {
        let (run, later) = rest.split_at(run_len(rest));
        let position = table.position()?;
        if position.block != last_block {
            last_block = position.block;
            listing.index.push(IndexEntry {
                offset: listing.len_bytes,
                block: position.block,
                name: first.name.to_owned(),
            });
        }
        let bytes = run_bytes(run);
        let len = listing.len_bytes.checked_add(bytes.len() as u32);
        listing.len_bytes = len
            .filter(|len| *len < u32::MAX - super::inode::LISTING_EXTRA)
            .ok_or(SquashfsError::TooMany("entries in one directory"))?;
        table.append(&bytes)?;
        rest = later;
    }
    match listing.index.len() <= usize::from(u16::MAX) {
        true => Ok(listing),
        false => Err(SquashfsError::TooMany("entries in one directory")),
    }
}

/// How many of `entries` go into the first run. A run is shorter than a metadata block, so that each block has a head
/// for the index to point at.
fn run_len(entries: &[Entry<'_>]) -> usize {
    let first = &entries[0];
    let mut len_bytes = HEAD_LEN;
    let fits = |entry: &&Entry<'_>| {
        len_bytes += ENTRY_LEN + entry.name.len();
        let near = i16::try_from(i64::from(entry.number) - i64::from(first.number)).is_ok();
        near && entry.inode.block == first.inode.block && len_bytes <= BLOCK_LEN
    };
    entries.iter().take(MAX_RUN).take_while(fits).count()
}

fn run_bytes(run: &[Entry<'_>]) -> Vec<u8> {
    let first = &run[0];
    let mut bytes = Vec::with_capacity(HEAD_LEN + run.len() * (ENTRY_LEN + 16));
    for word in [run.len() as u32 - 1, first.inode.block, first.number] {
        bytes.extend(word.to_le_bytes());
    }
    for entry in run {
        let difference = entry.number.wrapping_sub(first.number) as u16;
        for half in [entry.inode.offset, difference, entry.kind, entry.name.len() as u16 - 1] {
            bytes.extend(half.to_le_bytes());
        }
        bytes.extend(entry.name.as_bytes());
    }
    bytes
}
