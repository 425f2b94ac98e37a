//! The machine's own file system.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use super::{Disk, Kind, Metadata};

/// The file system below a folder: `/` on a machine.
#[derive(Debug, Clone)]
pub struct RealDisk {
    root: PathBuf,
}

impl RealDisk {
    /// The file system whose `/` is `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn at(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Opens a file that is there.
    fn open(&self, path: &Path, options: &mut OpenOptions) -> io::Result<File> {
        options.custom_flags(OFlag::O_NOFOLLOW.bits()).open(self.at(path))
    }
}

impl Disk for RealDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        self.open(path, OpenOptions::new().read(true))?
            .read_to_end(&mut content)?;
        Ok(content)
    }

    fn read_at(&self, path: &Path, offset: u64, part: &mut [u8]) -> io::Result<()> {
        self.open(path, OpenOptions::new().read(true))?
            .read_exact_at(part, offset)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let path = self.at(path);
        let found = fs::symlink_metadata(&path)?;
        let kind = match found.file_type() {
            kind if kind.is_file() => Kind::File(found.len()),
            kind if kind.is_dir() => Kind::Folder,
            kind if kind.is_symlink() => Kind::Link(fs::read_link(&path)?),
            _ => Kind::Other,
        };
        Ok(Metadata {
            kind,
            mode: found.permissions().mode() & 0o7777,
        })
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let entries = fs::read_dir(self.at(folder))?;
        let mut names = entries
            .map(|entry| Ok(entry?.file_name()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    fn create(&self, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(self.at(path))?;
        // A file that was there has another mode, and the umask may have taken bits away.
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(content)
    }

    fn append(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.open(path, OpenOptions::new().append(true))?.write_all(content)
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        let file = self.open(path, OpenOptions::new().write(true))?;
        if file.metadata()?.len() < len {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        file.set_len(len)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        File::open(self.at(path))?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn symlink(&self, target: &Path, path: &Path) -> io::Result<()> {
        std::os::unix::fs::symlink(target, self.at(path))
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(self.at(path))
    }

    fn make_folder(&self, path: &Path, mode: u32) -> io::Result<()> {
        let path = self.at(path);
        DirBuilder::new().mode(mode).create(&path)?;
        // The process's umask may have taken bits away.
        fs::set_permissions(&path, Permissions::from_mode(mode))
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(self.at(path))?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_replaced_and_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(root.path());
        let (link, outside) = (Path::new("/current"), Path::new("/absolute/target-1"));
        disk.persist_link(outside, link).unwrap();
        disk.persist_link(Path::new("target-2"), link).unwrap();
        assert_eq!(disk.metadata(link).unwrap().kind, Kind::Link(PathBuf::from("target-2")));
        assert_eq!(disk.list(Path::new("/")).unwrap(), ["current"]);
    }

    #[test]
    fn a_link_left_under_the_temporary_name_does_not_lead_the_content_elsewhere() {
        let root = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(root.path());
        disk.persist(Path::new("/other"), b"other", 0o644).unwrap();
        disk.symlink(Path::new("other"), Path::new("/.key.new")).unwrap();
        assert!(disk.persist(Path::new("/key"), b"secret", 0o600).is_err());
        assert_eq!(disk.read(Path::new("/other")).unwrap(), b"other");
        // The failure has removed the link, so the next try succeeds.
        disk.persist(Path::new("/key"), b"secret", 0o600).unwrap();
        let found = disk.metadata(Path::new("/key")).unwrap();
        assert_eq!((found.kind, found.mode), (Kind::File(6), 0o600));
    }

    #[test]
    fn a_folder_has_the_mode_that_was_asked_for() {
        let root = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(root.path());
        disk.make_folder(Path::new("/pki"), 0o700).unwrap();
        let found = disk.metadata(Path::new("/pki")).unwrap();
        assert_eq!((found.kind, found.mode), (Kind::Folder, 0o700));
        assert!(disk.make_folder(Path::new("/pki"), 0o700).is_err());
    }
}
