//! A copy of a disk image for a machine to write to: sparse, and grown as a card is larger than the image on it.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::disk::sparse;

/// Copies the data of `image` (not its holes) to a new file at `copy` and grows that to at least `len_bytes`.
pub fn copy(image: &Path, copy: &Path, len_bytes: u64) -> io::Result<()> {
    let from = File::open(image)?;
    let to = File::options().read(true).write(true).create_new(true).open(copy)?;
    let image_len = from.metadata()?.len();
    to.set_len(image_len.max(len_bytes))?;
    sparse::copy_data(&from, &to)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

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
