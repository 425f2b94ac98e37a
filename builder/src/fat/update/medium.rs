//! What a volume lies on.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// A file or device; writes may reach it in any order until they are synced.
pub trait Medium {
    /// Fills `buffer` from byte `offset` on.
    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of `bytes` at byte `offset`.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Returns when everything written is there for good.
    fn sync(&mut self) -> io::Result<()>;
}

impl Medium for &File {
    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Writes to be made, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Patch(Vec<(u64, Vec<u8>)>);

impl Patch {
    /// Makes them on `file`, in which nobody has an interest yet.
    pub fn apply(&self, file: &File) -> io::Result<()> {
        self.0.iter().try_for_each(|(at, bytes)| file.write_all_at(bytes, *at))
    }

    /// Makes them on `bytes`, which are those from byte `offset` on.
    pub fn lay_over(&self, bytes: &mut [u8], offset: u64) {
        let end = offset + bytes.len() as u64;
        for (at, new) in &self.0 {
            let (from, to) = ((*at).max(offset), (at + new.len() as u64).min(end));
            if from < to {
                let new = &new[(from - at) as usize..(to - at) as usize];
                bytes[(from - offset) as usize..(to - offset) as usize].copy_from_slice(new);
            }
        }
    }
}

/// A file that stays as it is, and what would be written to it.
#[derive(Debug)]
pub struct Overlay<'f> {
    base: &'f File,
    patch: Patch,
}

impl<'f> Overlay<'f> {
    /// Nothing is to be written yet.
    pub fn new(base: &'f File) -> Self {
        Self {
            base,
            patch: Patch::default(),
        }
    }

    /// All that would be written.
    pub fn into_patch(self) -> Patch {
        self.patch
    }
}

impl Medium for Overlay<'_> {
    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.base.read_exact_at(buffer, offset)?;
        self.patch.lay_over(buffer, offset);
        Ok(())
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.patch.0.push((offset, bytes.to_vec()));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
