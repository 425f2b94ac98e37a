//! Replaces files of the running machine: after a power cut a file has its old content or its new one, never a part.

use std::io;
use std::path::Path;

use crate::disk::{Disk as _, RealDisk};

/// Replaces the file at `path` by [`Disk::persist`](crate::disk::Disk::persist). The folder must exist.
pub fn persist(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let root = if path.is_absolute() { "/" } else { "" };
    RealDisk::new(root).persist(path, content, mode)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_file_has_the_new_content_and_mode_and_nothing_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("id");
        persist(&path, b"old", 0o644).unwrap();
        persist(&path, b"new", 0o400).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o400);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_content_and_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("is-a-folder");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("inside"), "x").unwrap();
        assert!(persist(&target, b"new", 0o644).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(target.join("inside").exists());
    }
}
