//! Reads a join file from a medium that anybody could have made.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::libc::{O_CLOEXEC, O_NOFOLLOW, O_NONBLOCK};
use zeroize::Zeroizing;

use crate::join_config::MAX_BYTES;

/// A file that cannot be used as a join file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// More than a join file has.
    #[error("it has more than {MAX_BYTES} bytes")]
    TooLarge,
    /// A folder, a link, a device.
    #[error("it is not a file")]
    NotAFile,
    /// The medium does not give it.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
}

impl FileError {
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Self::TooLarge | Self::NotAFile => "put a join file there, or remove what is in its place",
            Self::Read(_) => "write the file again; if that fails, too, replace the medium",
        }
    }
}

/// The content of the file at `path`; none if there is none, or only the zeros of one that was erased.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, FileError> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(nix::libc::ELOOP) => return Err(FileError::NotAFile),
        Err(error) => return Err(FileError::Read(error)),
    };
    let metadata = file.metadata().map_err(FileError::Read)?;
    if !metadata.is_file() {
        return Err(FileError::NotAFile);
    }
    if metadata.len() > MAX_BYTES as u64 {
        return Err(FileError::TooLarge);
    }
    // Room for all at once: a buffer that grows leaves copies of the secret behind.
    let mut content = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
    file.take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut content)
        .map_err(FileError::Read)?;
    if content.len() > MAX_BYTES {
        return Err(FileError::TooLarge);
    }
    Ok(Some(content).filter(|content| !is_erased(content)))
}

/// Whether a power cut came between overwriting and deleting.
pub(crate) fn is_erased(content: &[u8]) -> bool {
    !content.is_empty() && content.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_files_of_bounded_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), "x").unwrap();
        std::fs::write(path("limit"), vec![b'x'; MAX_BYTES]).unwrap();
        std::fs::write(path("large"), vec![b'x'; MAX_BYTES + 1]).unwrap();
        std::fs::create_dir(path("folder")).unwrap();
        std::os::unix::fs::symlink(path("file"), path("link")).unwrap();
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read(&path("file")).unwrap().unwrap().as_slice(), b"x");
        assert_eq!(read(&path("limit")).unwrap().unwrap().len(), MAX_BYTES);
        assert!(matches!(read(&path("large")), Err(FileError::TooLarge)));
        for name in ["folder", "link", "pipe"] {
            assert!(matches!(read(&path(name)), Err(FileError::NotAFile)), "{name}");
        }
        assert!(read(&path("absent")).unwrap().is_none());
    }

    #[test]
    fn the_zeros_of_an_erased_file_are_no_join_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("join.toml");
        std::fs::write(&path, [0; 512]).unwrap();
        assert!(read(&path).unwrap().is_none());
        std::fs::write(&path, "").unwrap();
        assert!(read(&path).unwrap().is_some_and(|content| content.is_empty()));
    }
}
