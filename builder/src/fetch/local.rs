//! Inputs that lie on this machine: mirrors on a disk, air-gapped builds, tests.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::download::Download;
use super::{FetchError, MAX_LEN_BYTES};
use crate::store::Shelf;

/// The path that a `file:` URL (RFC 8089) or plain path names; `None` for other URLs.
pub(super) fn path_of(url: &str) -> Option<PathBuf> {
    match url.split_once("://") {
        None => Some(PathBuf::from(url)),
        Some(("file", rest)) => {
            let path = rest.strip_prefix("localhost").unwrap_or(rest);
            Some(PathBuf::from(OsString::from_vec(percent_decoded(path))))
        }
        Some(_) => None,
    }
}

/// Copies a local file into the store and tells its length.
pub(super) fn copy(download: &mut Download<'_>, path: &Path) -> Result<u64, FetchError> {
    let wanted = download.wanted;
    let mut file = open(&wanted.label, path)?;
    let mut pending = download.store.pending(Shelf::Inputs, &wanted.sha256)?;
    let mut buffer = vec![0; 1 << 16];
    let mut copied = 0;
    loop {
        let count = file
            .read(&mut buffer)
            .map_err(|source| read_error(&wanted.label, path, source))?;
        if count == 0 {
            break;
        }
        copied += count as u64;
        if copied > wanted.len_bytes.unwrap_or(MAX_LEN_BYTES) {
            break;
        }
        if let Err(source) = pending.write_all(&buffer[..count]) {
            return Err(pending.write_error(source).into());
        }
        download.reached(copied);
    }
    download.check_length(copied)?;
    download.commit(pending)?;
    Ok(copied)
}

/// Reads a local file of unknown digest.
pub(super) fn read(label: &str, path: &Path, max_bytes: u64) -> Result<Vec<u8>, FetchError> {
    let mut content = Vec::new();
    open(label, path)?
        .take(max_bytes.saturating_add(1))
        .read_to_end(&mut content)
        .map_err(|source| read_error(label, path, source))?;
    if content.len() as u64 > max_bytes {
        return Err(FetchError::TooLong {
            label: label.to_owned(),
            url: path.display().to_string(),
            max_bytes,
        });
    }
    Ok(content)
}

fn open(label: &str, path: &Path) -> Result<File, FetchError> {
    File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => FetchError::Vanished {
            label: label.to_owned(),
            url: path.display().to_string(),
        },
        _ => read_error(label, path, source),
    })
}

fn read_error(label: &str, path: &Path, source: io::Error) -> FetchError {
    FetchError::ReadFile {
        label: label.to_owned(),
        path: path.to_owned(),
        source,
    }
}

/// RFC 3986 §2.1; a percent sign without two digits stands for itself.
fn percent_decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = match rest {
            [b'%', high, low, ..] => hex_value(*high).zip(hex_value(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                decoded.push(high << 4 | low);
                rest = &rest[3..];
            }
            None => {
                decoded.push(*first);
                rest = tail;
            }
        }
    }
    decoded
}

fn hex_value(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_urls_and_plain_paths_name_files() {
        let path = |url| path_of(url).map(|path| path.display().to_string());
        assert_eq!(path("/srv/a%20b"), Some("/srv/a%20b".to_owned()));
        assert_eq!(path("file:///srv/a%20b%2"), Some("/srv/a b%2".to_owned()));
        assert_eq!(path("file://localhost/srv"), Some("/srv".to_owned()));
        assert_eq!(path("http://host.test/srv"), None);
    }
}
