//! Where an image is read from: a file, a folder of artifacts, or a server.
//!
//! Compressed images are zstd frames (RFC 8878), decoded while they are read. What the image has to be is told by the
//! manifest beside it, and nothing of it is believed before its digest was compared.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use reqwest::Url;

use super::{FlashPlan, ImageError};
use crate::artifacts::ArtifactKind;
use crate::artifacts::manifest::{FILE_NAME, Manifest};
use crate::fetch::{FetchError, HttpStream, Patience};
use crate::mirror::without_credentials;
use crate::oci::layer::Compression;

/// More than any manifest has.
const MAX_MANIFEST_BYTES: u64 = 8 << 20;
/// The decoder's memory is bounded by this power of two; images of ours need a window of less than 4 MiB.
const MAX_WINDOW_LOG: u32 = 23;
/// How much of a compressed image is read at a time.
const READ_BYTES: usize = 256 << 10;
/// Bytes by which a compression is known.
const MAGIC_BYTES: usize = 4;

/// An image that can be flashed.
#[derive(Debug)]
pub struct Image {
    /// What to call it.
    pub name: String,
    /// What it is.
    pub manifest: Manifest,
    /// What to write.
    pub plan: FlashPlan,
    origin: Origin,
}

#[derive(Debug)]
enum Origin {
    File(PathBuf),
    Url(String),
}

/// Reads an image from its start to its end.
pub trait ImageReader {
    /// Fills `buffer` with the image's bytes from `offset` on, which is not before the end of the last range.
    fn read_range(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

impl Image {
    /// Finds the image that `word` means and reads its manifest. `stop` ends a download.
    pub fn find(word: &str, stop: &Arc<AtomicBool>) -> Result<Self, ImageError> {
        match word.contains("://") {
            true => Self::on_server(word, stop),
            false => Self::on_disk(Path::new(word)),
        }
    }

    fn on_disk(path: &Path) -> Result<Self, ImageError> {
        let open = |path: &Path, source| ImageError::Open {
            path: path.to_owned(),
            source,
        };
        let is_folder = fs::metadata(path).map_err(|source| open(path, source))?.is_dir();
        let parent = path.parent().unwrap_or(Path::new(""));
        let folder = if is_folder { path } else { parent };
        let name = path.display().to_string();
        let manifest = folder.join(FILE_NAME);
        let text = match fs::read_to_string(&manifest) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ImageError::NoManifest { image: name });
            }
            Err(source) => return Err(open(&manifest, source)),
        };
        let (manifest, plan) = understood(&name, &text)?;
        let path = match is_folder {
            true => in_folder(folder, &manifest)?,
            false => path.to_owned(),
        };
        check_length(&path, &manifest, &plan)?;
        Ok(Self {
            name,
            manifest,
            plan,
            origin: Origin::File(path),
        })
    }

    fn on_server(url: &str, stop: &Arc<AtomicBool>) -> Result<Self, ImageError> {
        let name = without_credentials(url);
        let bad = || ImageError::Url { url: name.clone() };
        let parsed = Url::parse(url).map_err(|_| bad())?;
        match parsed.scheme() {
            "https" => {}
            "http" if is_loopback(&parsed) => {}
            "http" => return Err(ImageError::Plain { url: name }),
            _ => return Err(bad()),
        }
        let manifest = parsed.join(FILE_NAME).map_err(|_| bad())?;
        let fetch = |source| ImageError::Fetch {
            image: name.clone(),
            source,
        };
        let text = fetch_text(manifest.as_str(), stop).map_err(|error| match error {
            FetchError::Vanished { .. } => ImageError::NoManifest { image: name.clone() },
            source => fetch(source),
        })?;
        let (manifest, plan) = understood(&name, &text)?;
        Ok(Self {
            name,
            manifest,
            plan,
            origin: Origin::Url(url.to_owned()),
        })
    }

    /// Begins to read it. `stop` ends a download.
    pub fn reader(&self, stop: &Arc<AtomicBool>) -> Result<Box<dyn ImageReader>, ImageError> {
        match &self.origin {
            Origin::File(path) => {
                let failed = |source| ImageError::Open {
                    path: path.clone(),
                    source,
                };
                let mut file = File::open(path).map_err(failed)?;
                let mut start = [0; MAGIC_BYTES];
                file.read_exact(&mut start).map_err(failed)?;
                match Compression::of_content(&start) {
                    // Its holes need not be read.
                    Compression::None => Ok(Box::new(file)),
                    _ => decoded(&self.name, start, file),
                }
            }
            Origin::Url(url) => {
                let fetch = |source| ImageError::Fetch {
                    image: self.name.clone(),
                    source,
                };
                let mut stream =
                    HttpStream::new("the image", url, Patience::default(), Arc::clone(stop)).map_err(fetch)?;
                let mut start = [0; MAGIC_BYTES];
                stream.read_exact(&mut start).map_err(|error| match error.downcast() {
                    Ok(source) => fetch(source),
                    Err(source) => ImageError::Read { offset: 0, source },
                })?;
                decoded(&self.name, start, stream)
            }
        }
    }
}

/// A reader for a stream of which `start` was read already.
fn decoded(
    name: &str,
    start: [u8; MAGIC_BYTES],
    rest: impl Read + 'static,
) -> Result<Box<dyn ImageReader>, ImageError> {
    let stream = io::Cursor::new(start).chain(rest);
    Ok(match Compression::of_content(&start) {
        Compression::Gzip => return Err(ImageError::Gzip { image: name.to_owned() }),
        Compression::None => Box::new(Forward::new(stream)),
        Compression::Zstd => {
            let failed = |source| ImageError::Read { offset: 0, source };
            let stream = BufReader::with_capacity(READ_BYTES, stream);
            let mut decoder = zstd::Decoder::with_buffer(stream).map_err(failed)?;
            decoder.window_log_max(MAX_WINDOW_LOG).map_err(failed)?;
            Box::new(Forward::new(decoder))
        }
    })
}

impl ImageReader for File {
    fn read_range(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }
}

/// A stream, of which what lies between the ranges is passed over.
#[derive(Debug)]
struct Forward<R> {
    stream: R,
    position: u64,
}

impl<R: Read> Forward<R> {
    const fn new(stream: R) -> Self {
        Self { stream, position: 0 }
    }
}

impl<R: Read> ImageReader for Forward<R> {
    fn read_range(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let gap = offset.checked_sub(self.position).ok_or(io::ErrorKind::InvalidInput)?;
        let passed = io::copy(&mut self.stream.by_ref().take(gap), &mut io::sink())?;
        self.position += passed;
        if passed < gap {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.stream.read_exact(buffer)?;
        self.position += buffer.len() as u64;
        Ok(())
    }
}

fn understood(name: &str, text: &str) -> Result<(Manifest, FlashPlan), ImageError> {
    let image = || name.to_owned();
    let manifest = Manifest::from_json(text).map_err(|source| ImageError::Manifest { image: image(), source })?;
    let plan = FlashPlan::of(&manifest).map_err(|source| ImageError::Plan { image: image(), source })?;
    Ok((manifest, plan))
}

/// The disk image in a folder of artifacts: the compressed one, since nobody seeds that in place.
fn in_folder(folder: &Path, manifest: &Manifest) -> Result<PathBuf, ImageError> {
    let file = |kind| manifest.artifacts.iter().find(|file| file.kind == kind);
    let kinds = [ArtifactKind::RawZst, ArtifactKind::Raw];
    let paths = kinds.into_iter().filter_map(file).map(|file| folder.join(&file.file));
    let mut there = paths.filter(|path| path.exists());
    there.next().ok_or_else(|| ImageError::EmptyFolder {
        folder: folder.to_owned(),
    })
}

/// A file that was cut off is refused before any medium is touched.
fn check_length(path: &Path, manifest: &Manifest, plan: &FlashPlan) -> Result<(), ImageError> {
    let failed = |source| ImageError::Open {
        path: path.to_owned(),
        source,
    };
    let image = || path.display().to_string();
    let file = File::open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?.len();
    let mut start = [0; MAGIC_BYTES];
    let count = file.read_at(&mut start, 0).map_err(failed)?;
    let named = |artifact: &&crate::artifacts::Artifact| path.file_name().is_some_and(|name| name == &*artifact.file);
    let expected = match Compression::of_content(&start[..count]) {
        Compression::Gzip => return Err(ImageError::Gzip { image: image() }),
        Compression::None => Some(plan.image_bytes),
        // Somebody may have compressed it in another way, under another name.
        Compression::Zstd => manifest.artifacts.iter().find(named).map(|artifact| artifact.len_bytes),
    };
    match expected {
        Some(expected) if expected != found => Err(ImageError::Length {
            image: image(),
            found,
            expected,
        }),
        _ => Ok(()),
    }
}

fn fetch_text(url: &str, stop: &Arc<AtomicBool>) -> Result<String, FetchError> {
    let stream = HttpStream::new(FILE_NAME, url, Patience::default(), Arc::clone(stop))?;
    let mut bytes = Vec::new();
    let read = stream.take(MAX_MANIFEST_BYTES + 1).read_to_end(&mut bytes);
    let url = without_credentials(url);
    read.map_err(|error| match error.downcast() {
        Ok(error) => error,
        Err(source) => FetchError::ReadFile {
            label: FILE_NAME.to_owned(),
            path: PathBuf::from(&url),
            source,
        },
    })?;
    if bytes.len() as u64 > MAX_MANIFEST_BYTES {
        return Err(FetchError::TooLong {
            label: FILE_NAME.to_owned(),
            url,
            max_bytes: MAX_MANIFEST_BYTES,
        });
    }
    // Text that is no UTF-8 is no JSON either, and is told as such.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether the server is this machine: then nobody is on the way.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_trusted_without_https() {
        let stop = Arc::default();
        let kind = |url: &str| match Image::find(url, &stop).unwrap_err() {
            ImageError::Plain { .. } => "plain",
            ImageError::Url { .. } => "url",
            ImageError::Fetch { .. } | ImageError::NoManifest { .. } => "asked",
            error => panic!("{url}: {error}"),
        };
        assert_eq!(kind("http://images.example/edge.raw.zst"), "plain");
        assert_eq!(kind("http://127.0.0.1.example/edge.raw.zst"), "plain");
        assert_eq!(kind("ftp://images.example/edge.raw.zst"), "url");
        assert_eq!(kind("https://"), "url");
        for (url, trusted) in [
            ("http://localhost:8080/x", true),
            ("http://127.0.0.2/x", true),
            ("http://[::1]/x", true),
            ("http://10.0.2.2/x", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), trusted, "{url}");
        }
    }

    #[test]
    fn a_stream_passes_over_gaps_and_never_goes_back() {
        let mut forward = Forward::new(&b"0123456789"[..]);
        let mut two = [0; 2];
        forward.read_range(3, &mut two).unwrap();
        assert_eq!(&two, b"34");
        assert_eq!(
            forward.read_range(4, &mut two).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
        assert_eq!(
            forward.read_range(9, &mut two).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }

    #[test]
    fn an_image_of_another_tool_is_refused_with_a_word_what_to_use() {
        use crate::failure::Diagnose as _;
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("other.img");
        fs::write(&image, [0; 512]).unwrap();
        let error = Image::find(image.to_str().unwrap(), &Arc::default()).unwrap_err();
        assert!(matches!(error, ImageError::NoManifest { .. }), "{error}");
        assert!(error.hints()[0].contains("bmaptool"));
        fs::write(folder.path().join(FILE_NAME), "{\"version\": 1}").unwrap();
        let error = Image::find(image.to_str().unwrap(), &Arc::default()).unwrap_err();
        assert!(matches!(error, ImageError::Manifest { .. }), "{error}");
    }
}
