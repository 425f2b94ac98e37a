//! Data blocks and fragments.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use zstd::bulk::Decompressor;

use super::super::ReadAt;
use super::super::data::UNCOMPRESSED;
use super::super::inode::FileBody;
use super::{Image, ReadError};

/// Unpacked fragments that are kept: neighbours in path order mostly share one. At most 16 MiB.
const KEPT_FRAGMENTS: usize = 16;

/// The fragment table, and the fragments that were needed last.
pub(super) struct Fragments {
    /// 16 bytes for each: position, size, four unused.
    table: Vec<u8>,
    kept: Mutex<VecDeque<(u32, Arc<[u8]>)>>,
}

impl Fragments {
    pub(super) const fn new(table: Vec<u8>) -> Self {
        Self {
            table,
            kept: Mutex::new(VecDeque::new()),
        }
    }

    pub(super) fn place(&self, number: u32) -> Option<(u64, u32)> {
        let (entries, _) = self.table.as_chunks::<16>();
        let (start, rest) = entries.get(number as usize)?.split_first_chunk::<8>()?;
        let size = rest.first_chunk::<4>()?;
        Some((u64::from_le_bytes(*start), u32::from_le_bytes(*size)))
    }

    fn kept(&self, number: u32) -> Option<Arc<[u8]>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().find(|(kept, _)| *kept == number)?;
        Some(Arc::clone(&found.1))
    }

    fn keep(&self, number: u32, fragment: Arc<[u8]>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_FRAGMENTS {
            kept.pop_front();
        }
        kept.push_back((number, fragment));
    }
}

impl<R: ReadAt + ?Sized> Image<'_, R> {
    /// Calls `take` for the content of a file, piece by piece.
    pub(super) fn for_each_block(&self, file: &FileBody, mut take: impl FnMut(&[u8])) -> Result<(), ReadError> {
        let block_size = u64::from(self.superblock.block_size);
        let zeros = vec![0; self.superblock.block_size as usize];
        let mut zstd = decompressor(file.start)?;
        let mut offset = file.start;
        let mut left = file.len_bytes;
        for size in &file.block_sizes {
            let expected = left.min(block_size) as usize;
            left -= expected as u64;
            if *size == 0 {
                take(&zeros[..expected]);
                continue;
            }
            let block = self.block(&mut zstd, offset, *size)?;
            if block.len() != expected {
                let what = "another length than its file needs";
                return Err(ReadError::Block { offset, what });
            }
            take(&block);
            offset += u64::from(size & !UNCOMPRESSED);
        }
        if let Some((number, start)) = file.fragment {
            let fragment = self.fragment(&mut zstd, number)?;
            let rest = fragment
                .get(start as usize..)
                .and_then(|rest| rest.get(..left as usize));
            take(rest.ok_or(ReadError::Block {
                offset: file.start,
                what: "a rest beyond the end of its fragment",
            })?);
        }
        Ok(())
    }

    fn fragment(&self, zstd: &mut Decompressor<'static>, number: u32) -> Result<Arc<[u8]>, ReadError> {
        if let Some(fragment) = self.fragments.kept(number) {
            return Ok(fragment);
        }
        let (offset, size) = self.fragments.place(number).ok_or(ReadError::Block {
            offset: self.superblock.fragment_table,
            what: "no such fragment",
        })?;
        let fragment: Arc<[u8]> = self.block(zstd, offset, size)?.into();
        self.fragments.keep(number, Arc::clone(&fragment));
        Ok(fragment)
    }

    /// Reads a block of at most the image's block size.
    fn block(&self, zstd: &mut Decompressor<'static>, offset: u64, size: u32) -> Result<Vec<u8>, ReadError> {
        let len = u64::from(size & !UNCOMPRESSED);
        let is_inside = offset
            .checked_add(len)
            .is_some_and(|end| end <= self.superblock.bytes_used);
        if len == 0 || len > u64::from(self.superblock.block_size) || !is_inside {
            let what = "an impossible place or length";
            return Err(ReadError::Block { offset, what });
        }
        let mut stored = vec![0; len as usize];
        self.data
            .read_at(&mut stored, offset)
            .map_err(|source| ReadError::Read { offset, source })?;
        if size & UNCOMPRESSED != 0 {
            return Ok(stored);
        }
        zstd.decompress(&stored, self.superblock.block_size as usize)
            .map_err(|source| ReadError::Unpack { offset, source })
    }
}

fn decompressor(offset: u64) -> Result<Decompressor<'static>, ReadError> {
    Decompressor::new().map_err(|source| ReadError::Unpack { offset, source })
}
