//! Layers: tars, written the same way each time, and checked against the digest of what they unpack to.

use std::io::{self, Read};

use tar::{Builder, EntryType, Header};

use crate::digest::{HashingReader, Sha256};
use crate::tree::FileData;

/// More than any image for a small machine unpacks to; stops a compression bomb.
const MAX_UNPACKED_BYTES: u64 = 16 << 30;
/// How much of a layer is read at a time.
const READ_BYTES: usize = 256 << 10;

/// What a tar's entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TarContent<'a> {
    /// A folder.
    Folder,
    /// A file with this content.
    File(&'a [u8]),
    /// A symbolic link.
    Link(&'a str),
}

/// A tar of `entries` (path, mode, content) in their order: owned by root, of the beginning of time.
pub fn tar_of<'a>(entries: impl IntoIterator<Item = (&'a str, u16, TarContent<'a>)>) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for (path, mode, content) in entries {
        let mut header = Header::new_ustar();
        header.set_mode(mode.into());
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        match content {
            TarContent::Folder => {
                header.set_entry_type(EntryType::Directory);
                header.set_size(0);
                builder.append_data(&mut header, format!("{path}/"), io::empty())?;
            }
            TarContent::File(bytes) => {
                header.set_entry_type(EntryType::Regular);
                header.set_size(bytes.len() as u64);
                builder.append_data(&mut header, path, bytes)?;
            }
            TarContent::Link(target) => {
                header.set_entry_type(EntryType::Symlink);
                header.set_size(0);
                builder.append_link(&mut header, path, target)?;
            }
        }
    }
    builder.into_inner()
}

/// How a layer is compressed, by its media type; none for kinds that are not supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// What the media type says, in OCI's or Docker's words.
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        let oci = media_type.strip_prefix("application/vnd.oci.image.layer.v1.");
        match oci.or_else(|| media_type.strip_prefix("application/vnd.docker.image.rootfs.diff."))? {
            "tar" => Some(Self::None),
            "tar+gzip" | "tar.gzip" => Some(Self::Gzip),
            "tar+zstd" | "tar.zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// What the content's first bytes say.
    pub const fn of_content(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::None,
        }
    }
}

/// The digest of what a layer unpacks to (`diff_id`).
pub fn diff_id(layer: &FileData, compression: Compression) -> io::Result<Sha256> {
    let raw = io::BufReader::with_capacity(
        READ_BYTES,
        DataReader {
            data: layer,
            position: 0,
        },
    );
    match compression {
        Compression::None => Ok(layer.sha256),
        Compression::Gzip => digest_of(flate2::bufread::MultiGzDecoder::new(raw)),
        Compression::Zstd => digest_of(zstd::Decoder::with_buffer(raw)?),
    }
}

fn digest_of(unpacked: impl Read) -> io::Result<Sha256> {
    let mut hashed = HashingReader::new(unpacked.take(MAX_UNPACKED_BYTES + 1));
    let len_bytes = io::copy(&mut hashed, &mut io::sink())?;
    if len_bytes > MAX_UNPACKED_BYTES {
        return Err(io::Error::other(format!(
            "it unpacks to more than {MAX_UNPACKED_BYTES} bytes"
        )));
    }
    Ok(hashed.finish().0)
}

/// Content as a stream.
struct DataReader<'a> {
    data: &'a FileData,
    position: u64,
}

impl Read for DataReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.data.len_bytes - self.position;
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        self.data.read_at(&mut buffer[..count], self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}
