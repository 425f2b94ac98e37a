//! Looks for bytes anywhere in a disk image, whatever file system they are in.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use memchr::memmem::Finder;
use nix::unistd::{Whence, lseek};

const CHUNK_BYTES: usize = 4 << 20;

/// The first place of `needle` in `disk`; holes are passed over.
pub fn find(disk: &File, needle: &[u8]) -> io::Result<Option<u64>> {
    let finder = Finder::new(needle);
    let mut buffer = vec![0; CHUNK_BYTES];
    // A chunk begins with the end of the one before: what is looked for may lie on the seam.
    let overlap = needle.len().saturating_sub(1) as u64;
    let mut position = 0;
    while let Some(data) = next_data(disk, position)? {
        let start = data.max(position);
        let count = disk.read_at(&mut buffer, start)?;
        if let Some(place) = finder.find(&buffer[..count]) {
            return Ok(Some(start + place as u64));
        }
        if (count as u64) <= overlap {
            break;
        }
        position = start + count as u64 - overlap;
    }
    Ok(None)
}

/// Where data begins, at or after `position`.
fn next_data(disk: &File, position: u64) -> io::Result<Option<u64>> {
    let position = i64::try_from(position).map_err(io::Error::other)?;
    match lseek(disk, position, Whence::SeekData) {
        Ok(start) => u64::try_from(start).map(Some).map_err(io::Error::other),
        Err(nix::errno::Errno::ENXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_found_behind_holes_on_seams_and_at_the_end() {
        let disk = tempfile::tempfile().unwrap();
        disk.set_len(1 << 30).unwrap();
        assert_eq!(find(&disk, b"secret").unwrap(), None);
        for place in [(1 << 30) - 6, 100 * CHUNK_BYTES as u64 - 3, 17] {
            disk.write_all_at(b"secret", place).unwrap();
            assert_eq!(find(&disk, b"secret").unwrap(), Some(place));
        }
        assert_eq!(find(&disk, b"secreT").unwrap(), None);
    }
}
