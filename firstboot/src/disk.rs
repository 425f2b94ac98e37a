//! The few operations by which the join and the relay's store read and change files.
//!
//! A power cut can fall between any two of them, and what was not synced may be lost or kept in any combination.
//! [`persist`](Disk::persist) and [`persist_link`](Disk::persist_link) are written once, on top of the others, so that
//! [`RealDisk`] and the model of a disk that loses power ([`ModelDisk`]) go through the same sequence.
//!
//! Paths are absolute as the machine sees them, such as `/var/lib/skerry/join`; a disk has its root wherever it likes.

mod model;
mod real;

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

pub use model::{ModelDisk, Operations, PowerIsGone};
pub use real::RealDisk;

/// What is at a path; links are not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: Kind,
    /// Permission bits; meaningless for a link.
    pub mode: u32,
}

/// Kinds of things at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file of this many bytes.
    File(u64),
    /// A folder.
    Folder,
    /// A symbolic link with this target.
    Link(PathBuf),
    /// A device, a socket, a pipe.
    Other,
}

/// A file system with the operations that are needed, each as small as what a power cut can split off.
pub trait Disk {
    /// The content of a regular file; a link is not followed.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Fills `part` from a regular file, beginning at byte `offset`; an error if the file ends before. A link is not
    /// followed.
    fn read_at(&self, path: &Path, offset: u64, part: &mut [u8]) -> io::Result<()>;
    /// What is at `path`; a link is not followed.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;
    /// The names in a folder, sorted.
    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>>;

    /// Makes a file with this mode, or empties the one that is there and gives it this mode; then writes the content,
    /// any part of which may be lost by a power cut until [`Disk::sync`].
    fn create(&self, path: &Path, content: &[u8], mode: u32) -> io::Result<()>;
    /// Writes behind the end of a regular file, which must be there. Any part of what is new may be lost by a power cut
    /// until [`Disk::sync`]; what was synced before is safe.
    fn append(&self, path: &Path, content: &[u8]) -> io::Result<()>;
    /// Cuts a regular file off after `len` bytes, of which it must have as many. May be lost or kept until [`Disk::sync`].
    fn truncate(&self, path: &Path, len: u64) -> io::Result<()>;
    /// Makes the content of a file last.
    fn sync(&self, path: &Path) -> io::Result<()>;
    /// Gives a file or link another name, where it replaces what was there. May be lost or kept until
    /// [`Disk::sync_folder`], as may the next ones.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes a symbolic link at `path`, where nothing may be yet.
    fn symlink(&self, target: &Path, path: &Path) -> io::Result<()>;
    /// Removes a file or link.
    fn unlink(&self, path: &Path) -> io::Result<()>;
    /// Makes a folder, whose parent must be there.
    fn make_folder(&self, path: &Path, mode: u32) -> io::Result<()>;
    /// Makes the names in a folder last.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;

    /// Replaces the file at `path`: a temporary file in the same folder gets its mode, then its content, is synced and
    /// renamed; then the folder is synced. After a power cut the file has its old content or its new one, never a part.
    /// The folder must be there.
    fn persist(&self, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
        let (folder, temporary) = beside(path)?;
        let written = self
            .create(&temporary, content, mode)
            .and_then(|()| self.sync(&temporary))
            .and_then(|()| self.rename(&temporary, path));
        if written.is_err() {
            // What could not be written is of no use; the error that matters is the first one.
            let _ = self.unlink(&temporary);
        }
        written?;
        self.sync_folder(folder)
    }

    /// Replaces what is at `path` by a symbolic link, which after a power cut leads to its old or its new target.
    fn persist_link(&self, target: &Path, path: &Path) -> io::Result<()> {
        let (folder, temporary) = beside(path)?;
        self.remove_if_there(&temporary)?;
        let made = self
            .symlink(target, &temporary)
            .and_then(|()| self.rename(&temporary, path));
        if made.is_err() {
            let _ = self.unlink(&temporary);
        }
        made?;
        self.sync_folder(folder)
    }

    /// Removes a file or link; it is no error if there is none.
    fn remove_if_there(&self, path: &Path) -> io::Result<()> {
        match self.unlink(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

impl<D: Disk + ?Sized> Disk for &D {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        (**self).read(path)
    }

    fn read_at(&self, path: &Path, offset: u64, part: &mut [u8]) -> io::Result<()> {
        (**self).read_at(path, offset, part)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        (**self).metadata(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        (**self).list(folder)
    }

    fn create(&self, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
        (**self).create(path, content, mode)
    }

    fn append(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        (**self).append(path, content)
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        (**self).truncate(path, len)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        (**self).sync(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        (**self).rename(from, to)
    }

    fn symlink(&self, target: &Path, path: &Path) -> io::Result<()> {
        (**self).symlink(target, path)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        (**self).unlink(path)
    }

    fn make_folder(&self, path: &Path, mode: u32) -> io::Result<()> {
        (**self).make_folder(path, mode)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        (**self).sync_folder(path)
    }
}

/// Whether `name` is that of a temporary file that a power cut left behind, which may hold a part of anything.
pub fn is_temporary(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b".") && name.ends_with(TEMPORARY.as_bytes())
}

const TEMPORARY: &str = ".new";

/// The folder of `path`, and the name in it under which `path` is made. Should a power cut leave that one behind,
/// [`is_temporary`] knows it.
pub(crate) fn beside(path: &Path) -> io::Result<(&Path, PathBuf)> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut name = OsString::from(".");
    name.push(path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
    name.push(TEMPORARY);
    Ok((folder, folder.join(name)))
}
