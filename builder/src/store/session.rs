//! Folders that live as long as the process that made them.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::StoreError;

/// Removes the session folders that no living process holds.
pub(super) fn sweep(tmp: &Path) -> Result<(), StoreError> {
    let read_error = |source| StoreError::read(tmp, source);
    for session in fs::read_dir(tmp).map_err(read_error)? {
        let path = session.map_err(read_error)?.path();
        // Another process may sweep the same folder at the same time.
        let Ok(folder) = File::open(&path) else { continue };
        if folder.try_lock().is_ok() {
            let _ = fs::remove_dir_all(&path);
        }
    }
    Ok(())
}

/// Makes a folder and locks it; another process may sweep it between the two steps, then the next one is tried.
pub(super) fn begin_session(tmp: &Path) -> Result<(PathBuf, File), StoreError> {
    loop {
        let path = tempfile::Builder::new()
            .prefix("")
            .tempdir_in(tmp)
            .map_err(|source| StoreError::create(tmp, source))?
            .keep();
        let Ok(folder) = File::open(&path) else { continue };
        match folder.try_lock() {
            Ok(()) if is_at(&folder, &path) => return Ok((path, folder)),
            Ok(()) | Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => return Err(StoreError::Lock { path, source }),
        }
    }
}

/// Whether the open file is still the one of that name.
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}
