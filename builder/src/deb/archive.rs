//! A Debian package as its two tar streams: the file flows in, decompressed and bounded streams flow out.
//!
//! Format: deb(5) 2.0: `debian-binary`, `control.tar*`, `data.tar*`, in this order; members whose name begins with `_`
//! in between and all after `data.tar*` are passed over, as dpkg does. Compression: none, gzip, xz, Zstandard.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::DebError;
use super::ar::{self, ArMember};
use super::tar::{TarEntry, TarError, read_entries};

/// No package of Debian is larger when unpacked; bounds what a bomb can write.
const MAX_TAR_BYTES: u64 = 4 << 30;

/// Packages reach about 30 (translations, generated headers); xz itself reaches 7,000 for zeros.
const MAX_RATIO: u64 = 200;

/// Below this size the ratio does not matter: a short package may well hold one long file of zeros.
const ALWAYS_ALLOWED_BYTES: u64 = 64 << 20;

/// Memory a decoder may take: `xz -9` needs 65 MiB, dpkg's zstd levels 8 MiB.
const MAX_DECODER_BYTES: u64 = 128 << 20;
/// The same for zstd, as the binary logarithm of the window.
const MAX_ZSTD_WINDOW_LOG: u32 = 27;

/// Compressed bytes read at once.
const READ_BYTES: usize = 128 << 10;

/// One of the two inner archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `control.tar`: control file and maintainer scripts.
    Control,
    /// `data.tar`: what is installed.
    Data,
}

/// An open package whose outer archive has been read.
#[derive(Debug)]
pub struct DebArchive {
    path: PathBuf,
    file: Arc<File>,
    control: ArMember,
    data: ArMember,
}

/// What ends the reading of a part: the archive's fault or the visitor's.
#[derive(Debug)]
pub(super) enum PartError {
    Tar(TarError),
    Read(io::Error),
    Deb(DebError),
}

impl From<TarError> for PartError {
    fn from(error: TarError) -> Self {
        Self::Tar(error)
    }
}

impl From<DebError> for PartError {
    fn from(error: DebError) -> Self {
        Self::Deb(error)
    }
}

impl DebArchive {
    /// Opens a package and finds its parts; nothing is decompressed yet.
    pub fn open(path: &Path) -> Result<Self, DebError> {
        let package = path.to_owned();
        let file = File::open(path).map_err(|source| DebError::Open {
            package: package.clone(),
            source,
        })?;
        let members = ar::read_members(&mut &file).map_err(|source| DebError::Ar {
            package: package.clone(),
            source,
        })?;
        let file = Arc::new(file);
        match find_parts(&members, &file) {
            Ok((control, data)) => Ok(Self {
                path: package,
                file,
                control,
                data,
            }),
            Err(problem) => Err(DebError::Format { package, problem }),
        }
    }

    /// The file it was opened from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The decompressed tar stream of a part.
    pub fn tar(&self, part: Part) -> Result<TarStream, DebError> {
        let member = self.member(part);
        let section = Section {
            file: Arc::clone(&self.file),
            offset: member.offset,
            end: member.offset + member.len_bytes,
        };
        let limit_bytes = member
            .len_bytes
            .saturating_mul(MAX_RATIO)
            .clamp(ALWAYS_ALLOWED_BYTES, MAX_TAR_BYTES);
        let compressed = BufReader::with_capacity(READ_BYTES, section);
        match decoder(&member.name, compressed) {
            Ok(Some(decoder)) => Ok(TarStream {
                decoder,
                limit_bytes,
                position: 0,
            }),
            Ok(None) => Err(DebError::Compression {
                package: self.path.clone(),
                member: member.name.clone(),
            }),
            Err(source) => Err(self.decode_error(part, 0, source)),
        }
    }

    /// Reads a part to its end, checksums of the compression included, and hands every entry to `visit`.
    pub(super) fn read_part(
        &self,
        part: Part,
        visit: &mut impl FnMut(TarEntry, &mut dyn Read) -> Result<(), PartError>,
    ) -> Result<(), DebError> {
        let mut stream = self.tar(part)?;
        let result = read_entries(&mut stream, visit).and_then(|()| {
            io::copy(&mut stream, &mut io::sink()).map_err(PartError::Read)?;
            Ok(())
        });
        let (package, member) = (self.path.clone(), self.member(part).name.clone());
        result.map_err(|error| match error {
            PartError::Deb(error) => error,
            _ if stream.is_over_limit() => DebError::TooLarge {
                package,
                member,
                limit_bytes: stream.limit_bytes,
            },
            PartError::Read(source) => self.decode_error(part, stream.position, source),
            PartError::Tar(source) => DebError::Tar {
                package,
                member,
                source,
            },
        })
    }

    fn decode_error(&self, part: Part, offset: u64, source: io::Error) -> DebError {
        DebError::Decode {
            package: self.path.clone(),
            member: self.member(part).name.clone(),
            offset,
            source,
        }
    }

    fn member(&self, part: Part) -> &ArMember {
        match part {
            Part::Control => &self.control,
            Part::Data => &self.data,
        }
    }
}

/// deb(5): `debian-binary` is the first member and begins with the line `2.0`; a higher minor number and further lines
/// are to be ignored. Later minor versions put new members before the other two only with names that begin with `_`.
fn find_parts(members: &[ArMember], file: &File) -> Result<(ArMember, ArMember), String> {
    let mut required = members.iter().filter(|member| !member.name.starts_with('_'));
    let mut next = |name: &str| {
        let found = required
            .next()
            .ok_or_else(|| format!("the member `{name}` is missing"))?;
        match found.name == name || found.name.starts_with(&format!("{name}.")) {
            true => Ok(found.clone()),
            false => Err(format!("the member `{}` is in the place of `{name}`", found.name)),
        }
    };
    let version = next("debian-binary")?;
    let mut text = vec![0; usize::try_from(version.len_bytes.min(64)).expect("64 fits")];
    file.read_exact_at(&mut text, version.offset)
        .map_err(|_| "its version cannot be read".to_owned())?;
    if !text.starts_with(b"2.") || !text.contains(&b'\n') {
        return Err(format!(
            "its format version is `{}` and not 2",
            text.trim_ascii_end().escape_ascii()
        ));
    }
    Ok((next("control.tar")?, next("data.tar")?))
}

fn decoder(name: &str, compressed: impl BufRead + Send + 'static) -> io::Result<Option<Box<dyn Read + Send>>> {
    let extension = name.split_once(".tar").map_or("", |(_, extension)| extension);
    Ok(Some(match extension {
        "" => Box::new(compressed),
        ".gz" => Box::new(flate2::bufread::MultiGzDecoder::new(compressed)),
        ".xz" => {
            let stream = liblzma::stream::Stream::new_stream_decoder(MAX_DECODER_BYTES, liblzma::stream::CONCATENATED)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(compressed, stream))
        }
        ".zst" => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(compressed)?;
            decoder.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
        _ => return Ok(None),
    }))
}

/// A decompressed tar stream that fails once it is longer than its compressed form makes plausible.
pub struct TarStream {
    decoder: Box<dyn Read + Send>,
    limit_bytes: u64,
    position: u64,
}

impl TarStream {
    fn is_over_limit(&self) -> bool {
        self.position > self.limit_bytes
    }
}

impl Read for TarStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.decoder.read(buffer)?;
        self.position += count as u64;
        match self.is_over_limit() {
            true => Err(io::Error::other("too much data for its compressed size")),
            false => Ok(count),
        }
    }
}

impl std::fmt::Debug for TarStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "TarStream(at {} of at most {} bytes)",
            self.position, self.limit_bytes
        )
    }
}

/// A range of a file as a stream, independent of the file's own position.
#[derive(Debug)]
struct Section {
    file: Arc<File>,
    offset: u64,
    end: u64,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(rest);
        let count = self.file.read_at(&mut buffer[..wanted], self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
pub(super) mod tests;
