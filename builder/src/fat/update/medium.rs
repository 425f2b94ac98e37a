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
