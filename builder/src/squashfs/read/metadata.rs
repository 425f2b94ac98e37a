//! Metadata blocks and what is read across their borders.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use zstd::bulk::Decompressor;

use super::super::ReadAt;
use super::super::metadata::{BLOCK_LEN, UNCOMPRESSED};
use super::ReadError;

/// Unpacked blocks that are kept: 16 MiB.
const KEPT_BLOCKS: usize = 2048;
/// What one walk may keep in memory; metadata unpacks to up to 400 times its size.
const MAX_KEPT_BYTES: usize = 512 << 20;

/// Counts what a walk keeps.
#[derive(Debug, Default)]
pub(super) struct Budget {
    taken: usize,
}

impl Budget {
    /// To be called before memory is taken.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), ReadError> {
        self.taken = self.taken.saturating_add(bytes);
        match self.taken <= MAX_KEPT_BYTES {
            true => Ok(()),
            false => Err(ReadError::TooMuch("names and attributes")),
        }
    }
}

#[derive(Clone)]
struct Block {
    bytes: Arc<[u8]>,
    /// Position of the block behind it.
    next: u64,
}

/// Reads and keeps metadata blocks.
pub(super) struct MetadataReader<'d, R: ReadAt + ?Sized> {
    data: &'d R,
    end: u64,
    kept: Mutex<BTreeMap<u64, Block>>,
}

impl<'d, R: ReadAt + ?Sized> MetadataReader<'d, R> {
    /// Reads from `data`, nothing at or behind `end`.
    pub(super) const fn new(data: &'d R, end: u64) -> Self {
        Self {
            data,
            end,
            kept: Mutex::new(BTreeMap::new()),
        }
    }

    /// A cursor at the block at `block`, `offset` bytes into it.
    pub(super) fn cursor(&self, block: Option<u64>, offset: u16) -> Result<Cursor<'_, 'd, R>, ReadError> {
        let at = block.ok_or(ReadError::Block {
            offset: u64::MAX,
            what: "a position beyond all images",
        })?;
        let block = self.block(at)?;
        match usize::from(offset) < BLOCK_LEN {
            true => Ok(Cursor {
                reader: self,
                block,
                at: offset.into(),
            }),
            false => Err(ReadError::Block {
                offset: at,
                what: "references beyond its end",
            }),
        }
    }

    /// Bytes of the image as they are.
    pub(super) fn raw<const N: usize>(&self, offset: u64) -> Result<[u8; N], ReadError> {
        let mut bytes = [0; N];
        self.check(offset, N as u64)?;
        self.data
            .read_at(&mut bytes, offset)
            .map_err(|source| ReadError::Read { offset, source })?;
        Ok(bytes)
    }

    /// A whole table of `len` bytes whose blocks are listed at `index`. The caller bounds `len`.
    pub(super) fn indexed(&self, index: u64, len: u64) -> Result<Vec<u8>, ReadError> {
        let mut table = Vec::new();
        for number in 0..len.div_ceil(BLOCK_LEN as u64) {
            let at = u64::from_le_bytes(self.raw(index.saturating_add(number * 8))?);
            let block = self.block(at)?;
            let expected = (len - number * BLOCK_LEN as u64).min(BLOCK_LEN as u64);
            if block.bytes.len() as u64 != expected {
                return Err(ReadError::Block {
                    offset: at,
                    what: "another length than its table needs",
                });
            }
            table.extend_from_slice(&block.bytes);
        }
        Ok(table)
    }

    fn check(&self, offset: u64, len: u64) -> Result<(), ReadError> {
        match offset.checked_add(len).is_some_and(|end| end <= self.end) {
            true => Ok(()),
            false => Err(ReadError::Block {
                offset,
                what: "no place inside the image",
            }),
        }
    }

    fn block(&self, offset: u64) -> Result<Block, ReadError> {
        if let Some(block) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&offset) {
            return Ok(block.clone());
        }
        let header = u16::from_le_bytes(self.raw(offset)?);
        let len = usize::from(header & !UNCOMPRESSED);
        if len == 0 || len > BLOCK_LEN {
            return Err(ReadError::Block {
                offset,
                what: "an impossible length",
            });
        }
        let start = offset + 2;
        self.check(start, len as u64)?;
        let mut bytes = vec![0; len];
        self.data
            .read_at(&mut bytes, start)
            .map_err(|source| ReadError::Read { offset: start, source })?;
        if header & UNCOMPRESSED == 0 {
            let unpacked = Decompressor::new().and_then(|mut zstd| zstd.decompress(&bytes, BLOCK_LEN));
            bytes = unpacked.map_err(|source| ReadError::Unpack { offset, source })?;
        }
        // A chain of empty blocks would be walked anew by every read.
        if bytes.is_empty() {
            let what = "no content";
            return Err(ReadError::Block { offset, what });
        }
        let block = Block {
            bytes: bytes.into(),
            next: start + len as u64,
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_BLOCKS {
            kept.clear();
        }
        kept.insert(offset, block.clone());
        Ok(block)
    }
}

/// Reads on from a position, into the next blocks as needed.
pub(super) struct Cursor<'m, 'd, R: ReadAt + ?Sized> {
    reader: &'m MetadataReader<'d, R>,
    block: Block,
    at: usize,
}

impl<R: ReadAt + ?Sized> Cursor<'_, '_, R> {
    /// The next `len` bytes. Memory is taken as they are found, and the caller bounds `len`.
    pub(super) fn bytes(&mut self, len: usize) -> Result<Vec<u8>, ReadError> {
        let mut bytes = Vec::new();
        while bytes.len() < len {
            let rest = self.block.bytes.get(self.at..).unwrap_or_default();
            if rest.is_empty() {
                self.block = self.reader.block(self.block.next)?;
                self.at = 0;
                continue;
            }
            let count = rest.len().min(len - bytes.len());
            bytes.extend_from_slice(&rest[..count]);
            self.at += count;
        }
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        Ok(self.bytes(N)?.try_into().expect("exactly as many as asked for"))
    }

    pub(super) fn u16(&mut self) -> Result<u16, ReadError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, ReadError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, ReadError> {
        self.array().map(u64::from_le_bytes)
    }
}
