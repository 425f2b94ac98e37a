//! Random access to a file system image, wherever it lies.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Bytes that can be read from any position, by several threads at once.
pub trait ReadAt: Sync {
    /// How many bytes there are.
    fn len_bytes(&self) -> u64;

    /// Fills `buffer` from `offset` on; a range that is not wholly inside is `UnexpectedEof`.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for [u8] {
    fn len_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let rest = usize::try_from(offset).ok().and_then(|start| self.get(start..));
        let range = rest.and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(range.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl ReadAt for Vec<u8> {
    fn len_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.as_slice().read_at(buffer, offset)
    }
}

/// A range of an open file, such as a partition of a disk image.
#[derive(Debug, Clone, Copy)]
pub struct FileRange<'a> {
    file: &'a File,
    offset: u64,
    len_bytes: u64,
}

impl<'a> FileRange<'a> {
    /// `len_bytes` bytes of `file` from `offset` on.
    pub const fn new(file: &'a File, offset: u64, len_bytes: u64) -> Self {
        Self {
            file,
            offset,
            len_bytes,
        }
    }

    /// All of `file`, as long as it is now.
    pub fn whole(file: &'a File) -> io::Result<Self> {
        Ok(Self::new(file, 0, file.metadata()?.len()))
    }
}

impl ReadAt for FileRange<'_> {
    fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        match (end, self.offset.checked_add(offset)) {
            (Some(end), Some(start)) if end <= self.len_bytes => self.file.read_exact_at(buffer, start),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
