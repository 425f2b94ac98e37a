//! Copies of sparse files: by sharing blocks where the file system can, else of the data alone.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use nix::libc;
use nix::unistd::{Whence, lseek};

/// How a copy came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CopyMethod {
    /// Both files share their blocks until one is written to (ioctl_ficlone(2): btrfs, XFS, bcachefs).
    Reflink,
    /// The data was copied, and holes are holes.
    Data,
}

/// Makes the empty file `to` a copy of `from`.
pub fn copy(from: &File, to: &File) -> io::Result<CopyMethod> {
    match rustix::fs::ioctl_ficlone(to, from) {
        Ok(()) => Ok(CopyMethod::Reflink),
        // Whatever the reason, the other way tells it again if it is not the file system's inability.
        Err(_) => {
            to.set_len(from.metadata()?.len())?;
            copy_data(from, to)?;
            Ok(CopyMethod::Data)
        }
    }
}

/// Copies the data of `from`, but for its holes, to the same places of `to`.
pub fn copy_data(from: &File, to: &File) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    for range in data_ranges(from)? {
        let mut at = range.start;
        while at < range.end {
            let count = usize::try_from((range.end - at).min(buffer.len() as u64)).map_err(io::Error::other)?;
            from.read_exact_at(&mut buffer[..count], at)?;
            to.write_all_at(&buffer[..count], at)?;
            at += count as u64;
        }
    }
    Ok(())
}

/// The parts of a file that are no holes, in order (lseek(2), `SEEK_DATA`).
pub fn data_ranges(file: &File) -> io::Result<Vec<Range<u64>>> {
    let len_bytes = file.metadata()?.len();
    let mut ranges = Vec::new();
    let mut position = 0;
    while let Some(range) = next_data(file, position, len_bytes)? {
        position = range.end;
        ranges.push(range);
    }
    Ok(ranges)
}

fn next_data(file: &File, position: u64, len_bytes: u64) -> io::Result<Option<Range<u64>>> {
    if position >= len_bytes {
        return Ok(None);
    }
    let seek = |position: u64, whence| -> io::Result<u64> {
        let found = lseek(file, i64::try_from(position).map_err(io::Error::other)?, whence)?;
        u64::try_from(found).map_err(io::Error::other)
    };
    match seek(position, Whence::SeekData) {
        Ok(start) => Ok(Some(start..seek(start, Whence::SeekHole)?)),
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_data_and_the_holes() {
        use std::os::unix::fs::MetadataExt as _;
        const LEN: u64 = 64 << 20;
        let folder = tempfile::tempdir().unwrap();
        let from = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(folder.path().join("from"))
            .unwrap();
        from.set_len(LEN).unwrap();
        from.write_all_at(b"begin", 0).unwrap();
        from.write_all_at(b"end", LEN - 3).unwrap();
        let path = folder.path().join("to");
        copy(&from, &File::create(&path).unwrap()).unwrap();
        let to = File::open(&path).unwrap();
        let (mut begin, mut end) = ([0; 5], [0; 3]);
        to.read_exact_at(&mut begin, 0).unwrap();
        to.read_exact_at(&mut end, LEN - 3).unwrap();
        assert_eq!((&begin, &end), (b"begin", b"end"));
        let metadata = to.metadata().unwrap();
        assert_eq!(metadata.len(), LEN);
        assert!(metadata.blocks() * 512 < 8 << 20, "the holes were written");
        assert!(data_ranges(&to).unwrap().iter().all(|range| range.start < range.end));
    }
}
