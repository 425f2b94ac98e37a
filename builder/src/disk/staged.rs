//! A file that comes into being all at once.
//!
//! It is written under a temporary name beside its place and renamed when it is whole. A build that is killed leaves the
//! temporary file behind; the next one for the same place removes it. Builds that run at the same time do not meet: each has
//! a name of its own and holds a lock on it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// After the temporary names.
const SUFFIX: &str = ".partial";

/// A file in the making.
#[derive(Debug)]
pub struct StagedFile {
    file: NamedTempFile,
    place: PathBuf,
}

impl StagedFile {
    /// Begins the file that will be at `place`, readable for its owner alone until then.
    pub fn create(place: &Path) -> io::Result<Self> {
        let folder = match place.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let name = place.file_name().ok_or(io::ErrorKind::IsADirectory)?.to_string_lossy();
        let prefix = format!(".{name}.");
        remove_orphans(folder, &prefix)?;
        let file = tempfile::Builder::new()
            .prefix(&prefix)
            .suffix(SUFFIX)
            .tempfile_in(folder)?;
        // Where files cannot be locked, nobody else can lock this one either, so it is left alone all the same.
        let _unsupported = file.as_file().lock();
        Ok(Self {
            file,
            place: place.to_owned(),
        })
    }

    /// The file to write to.
    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Puts the file in its place, where it replaces what was there.
    pub fn commit(self) -> io::Result<File> {
        self.commit_as(0o644)
    }

    /// The same with the permissions `mode`, for a file that is not for all.
    pub fn commit_as(self, mode: u32) -> io::Result<File> {
        self.file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        self.file.persist(&self.place).map_err(|error| error.error)
    }
}

/// Removes temporary files for the same place whose builds have ended.
fn remove_orphans(folder: &Path, prefix: &str) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with(prefix) || !name.ends_with(SUFFIX) {
            continue;
        }
        // A lock that can be had means that nobody writes; a file that vanished meanwhile is gone as wished.
        let free = File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok());
        if free {
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_only_when_it_is_committed_and_an_abandoned_one_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("image");
        drop(StagedFile::create(&place).unwrap());
        assert!(names(folder.path()).is_empty());
        let staged = StagedFile::create(&place).unwrap();
        assert!(!place.exists());
        staged.commit().unwrap();
        assert_eq!(names(folder.path()), ["image"]);
        assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o644);
    }

    #[test]
    fn what_a_killed_build_left_is_removed_and_what_a_running_one_writes_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("image");
        fs::write(folder.path().join(".image.killed.partial"), b"half").unwrap();
        fs::write(folder.path().join(".other.killed.partial"), b"half").unwrap();
        let first = StagedFile::create(&place).unwrap();
        let second = StagedFile::create(&place).unwrap();
        assert_eq!(names(folder.path()).len(), 3);
        first.commit().unwrap();
        second.commit().unwrap();
        assert_eq!(names(folder.path()), [".other.killed.partial", "image"]);
    }
}
