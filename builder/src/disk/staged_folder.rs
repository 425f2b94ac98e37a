//! A folder in which files grow before they are renamed to their places.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Such a folder: empty at the start, gone at the end.
#[derive(Debug)]
pub struct StagedFolder {
    path: PathBuf,
    /// Held for as long as the folder is in use, so that two runs that want it follow each other.
    _lock: File,
}

/// What could not be done.
#[derive(Debug)]
pub struct StagingFailed {
    /// With [`path`](Self::path), such as `make`.
    pub doing: &'static str,
    /// A file or folder.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl StagingFailed {
    fn new(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { doing, path, source }
    }
}

impl StagedFolder {
    /// Makes the folder `path` anew; waits for another run that holds `lock`, which is the file or folder at `lock_path`.
    pub fn open(lock: File, lock_path: &Path, path: PathBuf) -> Result<Self, StagingFailed> {
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => lock.lock().map_err(StagingFailed::new("lock", lock_path))?,
            Err(TryLockError::Error(error)) => return Err(StagingFailed::new("lock", lock_path)(error)),
        }
        if path.exists() {
            fs::remove_dir_all(&path).map_err(StagingFailed::new("remove", &path))?;
        }
        fs::create_dir(&path).map_err(StagingFailed::new("make", &path))?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for StagedFolder {
    fn drop(&mut self) {
        // What is left is of no use; the next run removes it in any case.
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_run_left_is_gone_at_the_start_and_all_of_it_at_the_end() {
        let out = tempfile::tempdir().unwrap();
        let path = out.path().join("growing");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("left"), "").unwrap();
        let lock = File::open(out.path()).unwrap();
        let staged = StagedFolder::open(lock, out.path(), path.clone()).unwrap();
        assert_eq!(fs::read_dir(staged.path()).unwrap().count(), 0);
        fs::write(staged.path().join("new"), "").unwrap();
        drop(staged);
        assert!(!path.exists());
    }
}
