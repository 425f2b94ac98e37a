//! A copy of a disk image for a machine to write to: sparse, and grown as a card is larger than the image on it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use nix::unistd::{Whence, lseek};

/// Copies the data of `image` (not its holes) to a new file at `copy` and grows that to at least `len_bytes`.
pub fn copy(image: &Path, copy: &Path, len_bytes: u64) -> io::Result<()> {
    let from = File::open(image)?;
    let to = File::options().read(true).write(true).create_new(true).open(copy)?;
    let image_len = from.metadata()?.len();
    to.set_len(image_len.max(len_bytes))?;
    let mut buffer = vec![0; 1 << 20];
    let mut position = 0;
    while let Some((start, end)) = next_data(&from, position, image_len)? {
        let mut at = start;
        while at < end {
            let count = usize::try_from((end - at).min(buffer.len() as u64)).map_err(io::Error::other)?;
            from.read_exact_at(&mut buffer[..count], at)?;
            to.write_all_at(&buffer[..count], at)?;
            at += count as u64;
        }
        position = end;
    }
    Ok(())
}

/// The next range from `position` on that is no hole; none after the last.
fn next_data(file: &File, position: u64, len: u64) -> io::Result<Option<(u64, u64)>> {
    if position >= len {
        return Ok(None);
    }
    let seek = |position: u64, whence| {
        lseek(file, i64::try_from(position).map_err(io::Error::other)?, whence).map_err(io::Error::from)
    };
    match seek(position, Whence::SeekData) {
        Ok(start) => {
            let end = seek(u64::try_from(start).map_err(io::Error::other)?, Whence::SeekHole)?;
            Ok(Some((
                u64::try_from(start).map_err(io::Error::other)?,
                u64::try_from(end).map_err(io::Error::other)?,
            )))
        }
        Err(error) if error.raw_os_error() == Some(nix::libc::ENXIO) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_has_the_data_the_wanted_size_and_holes() {
        use std::os::unix::fs::MetadataExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (image, target) = (folder.path().join("image"), folder.path().join("copy"));
        let file = File::create(&image).unwrap();
        file.set_len(64 << 20).unwrap();
        file.write_all_at(b"begin", 0).unwrap();
        file.write_all_at(b"end", (64 << 20) - 3).unwrap();
        copy(&image, &target, 256 << 20).unwrap();
        let copied = File::open(&target).unwrap();
        let (mut begin, mut end) = ([0; 5], [0; 3]);
        copied.read_exact_at(&mut begin, 0).unwrap();
        copied.read_exact_at(&mut end, (64 << 20) - 3).unwrap();
        assert_eq!((&begin, &end), (b"begin", b"end"));
        let metadata = copied.metadata().unwrap();
        assert_eq!(metadata.len(), 256 << 20);
        assert!(metadata.blocks() * 512 < 8 << 20, "the holes were written");
    }
}
