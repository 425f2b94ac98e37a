//! Listings from the directory table.

use super::super::ReadAt;
use super::super::dirent::{ENTRY_LEN, HEAD_LEN, MAX_RUN};
use super::super::inode::DirBody;
use super::super::superblock::Superblock;
use super::metadata::MetadataReader;
use super::{EntryPath, ReadError};

/// Names in one folder; bounds what is held while it is read.
const MAX_ENTRIES: usize = 1 << 20;

/// A name in a folder.
pub(super) struct Found {
    pub path: EntryPath,
    pub reference: u64,
    /// The basic type.
    pub kind: u16,
}

/// Reads the whole listing of `folder`.
pub(super) fn read<R: ReadAt + ?Sized>(
    metadata: &MetadataReader<'_, R>,
    superblock: &Superblock,
    body: &DirBody,
    folder: &EntryPath,
) -> Result<Vec<Found>, ReadError> {
    let corrupt = |what| ReadError::Listing {
        path: folder.clone(),
        what,
    };
    let mut found: Vec<Found> = Vec::new();
    let mut rest = body.listing_len as usize;
    if rest == 0 {
        return Ok(found);
    }
    let block = superblock.directory_table.checked_add(body.listing.block.into());
    let mut cursor = metadata.cursor(block, body.listing.offset)?;
    while rest > 0 {
        rest = rest.checked_sub(HEAD_LEN).ok_or_else(|| corrupt("a torn run"))?;
        let count = cursor.u32()? as usize + 1;
        let inode_block = u64::from(cursor.u32()?);
        let _base_number = cursor.u32()?;
        if count > MAX_RUN || found.len() + count > MAX_ENTRIES {
            return Err(corrupt("too many entries"));
        }
        for _ in 0..count {
            let (offset, _difference) = (cursor.u16()?, cursor.u16()?);
            let (kind, name_len) = (cursor.u16()?, usize::from(cursor.u16()?) + 1);
            let left = rest.checked_sub(ENTRY_LEN + name_len);
            rest = left.ok_or_else(|| corrupt("a torn entry"))?;
            let name = cursor.bytes(name_len)?;
            let path = folder.join(&name).ok_or_else(|| corrupt("an impossible name"))?;
            // Paths in one folder are in the order of their names.
            if found.last().is_some_and(|last| last.path >= path) {
                return Err(corrupt("entries that are not in order"));
            }
            found.push(Found {
                path,
                reference: inode_block << 16 | u64::from(offset),
                kind,
            });
        }
    }
    Ok(found)
}
