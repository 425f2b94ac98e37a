//! Metadata blocks: the tables' bytes in pieces of 8 KiB, each compressed behind a length of two bytes.

use super::SquashfsError;
use super::encode::{Encoded, Encoder};

/// Bytes of a metadata block before compression.
pub(super) const BLOCK_LEN: usize = 8192;
/// Set in a block's length when the block is stored as it is.
pub(super) const UNCOMPRESSED: u16 = 0x8000;

/// A place in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Position {
    /// Where the compressed block begins, from the table's start.
    pub block: u32,
    /// Offset in the block once unpacked.
    pub offset: u16,
}

impl Position {
    /// As inode and attribute references are stored.
    pub(super) const fn reference(self) -> u64 {
        (self.block as u64) << 16 | self.offset as u64
    }
}

/// A table under construction. Positions are known as soon as bytes are appended, since blocks are compressed when full.
pub(super) struct MetadataWriter<'e> {
    encoder: &'e mut Encoder,
    name: &'static str,
    stored: Vec<u8>,
    block_starts: Vec<u32>,
    pending: Vec<u8>,
}

impl<'e> MetadataWriter<'e> {
    /// An empty table; `name` is for errors.
    pub(super) const fn new(name: &'static str, encoder: &'e mut Encoder) -> Self {
        Self {
            encoder,
            name,
            stored: Vec::new(),
            block_starts: Vec::new(),
            pending: Vec::new(),
        }
    }

    /// Where the next byte will be.
    pub(super) fn position(&self) -> Result<Position, SquashfsError> {
        Ok(Position {
            block: self.stored_len()?,
            offset: u16::try_from(self.pending.len()).expect("a full block is stored at once"),
        })
    }

    pub(super) fn append(&mut self, mut bytes: &[u8]) -> Result<(), SquashfsError> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_LEN - self.pending.len()));
            self.pending.extend_from_slice(now);
            bytes = later;
            if self.pending.len() == BLOCK_LEN {
                self.store_pending()?;
            }
        }
        Ok(())
    }

    /// The table as stored.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, SquashfsError> {
        self.store_pending()?;
        Ok(self.stored)
    }

    /// The table as stored at `start`, followed by `header` and the positions of its blocks; and where `header` begins.
    pub(super) fn finish_indexed(mut self, start: u64, header: &[u8]) -> Result<(Vec<u8>, u64), SquashfsError> {
        self.store_pending()?;
        let index_start = start + self.stored.len() as u64;
        self.stored.extend_from_slice(header);
        for block in self.block_starts {
            self.stored.extend((start + u64::from(block)).to_le_bytes());
        }
        Ok((self.stored, index_start))
    }

    fn stored_len(&self) -> Result<u32, SquashfsError> {
        u32::try_from(self.stored.len()).map_err(|_| SquashfsError::TooMany(self.name))
    }

    fn store_pending(&mut self) -> Result<(), SquashfsError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.block_starts.push(self.stored_len()?);
        let encoded = self
            .encoder
            .metadata(&self.pending)
            .map_err(|source| SquashfsError::Compress {
                what: format!("the table of {}", self.name),
                source,
            })?;
        let (bytes, mark) = match encoded {
            Encoded::Packed(bytes) => (bytes, 0),
            Encoded::Plain => (self.pending.as_slice(), UNCOMPRESSED),
        };
        let len = u16::try_from(bytes.len()).expect("at most 8192");
        self.stored.extend((len | mark).to_le_bytes());
        self.stored.extend_from_slice(bytes);
        self.pending.clear();
        Ok(())
    }
}
