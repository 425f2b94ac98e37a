//! Archives of images: a tar (plain, gzip or zstd) of an OCI layout, or what `docker save` writes.
//!
//! In: an open file, and which image is wanted. Out: the [`Image`], its blobs still in the file. The archive may come
//! from anywhere: what is read into memory is bounded, every digest is checked before its content is used, and layers
//! are unpacked once to see that they are what the configuration says.

mod docker;
mod layout;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use rayon::prelude::*;

use super::layer::{self, Compression};
use super::manifest::{Descriptor, ImageConfig, Manifest};
use super::{Image, OciError, Reference};
use crate::arch::Arch;
use crate::deb::tar::{TarEntry, TarError, TarKind, read_entries};
use crate::digest::{HashingReader, Sha256};
use crate::tree::FileData;

/// The longest document; registries take manifests of up to 4 MiB (OCI distribution 1.1, "Pushing Manifests").
const MAX_DOCUMENT_BYTES: u64 = 4 << 20;
/// More layers than a kernel mounts over one another.
const MAX_LAYERS: usize = 256;
/// More than any archive for a small machine unpacks to; stops a compression bomb.
const MAX_UNPACKED_BYTES: u64 = 16 << 30;
/// Links that lead to links.
const MAX_LINKS: usize = 8;

/// Which image of an archive is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Its name; if there is one image only, the name that it gets.
    pub reference: Option<&'a Reference>,
    /// What it has to run on.
    pub arch: Arch,
}

/// Reads the image that is `wanted` from an archive.
pub fn read(archive: File, wanted: &Wanted<'_>) -> Result<Image, OciError> {
    let archive = Archive::open(archive)?;
    // Newer versions of `docker save` write both; the layout says more.
    match (archive.has(super::layout::INDEX), archive.has(docker::MANIFEST)) {
        (true, _) => layout::read(&archive, wanted),
        (false, true) => docker::read(&archive, wanted),
        (false, false) => Err(OciError::NoImages),
    }
}

/// Where an archive's entry lies.
#[derive(Debug, Clone)]
enum Place {
    File { offset: u64, len_bytes: u64 },
    Link(String),
}

/// An open archive and where everything in it lies.
#[derive(Debug)]
struct Archive {
    file: Arc<File>,
    places: BTreeMap<String, Place>,
}

impl Archive {
    fn open(mut file: File) -> Result<Self, OciError> {
        let mut start = [0; 4];
        let count = file.read_at(&mut start, 0).map_err(OciError::Read)?;
        file.rewind().map_err(OciError::Read)?;
        file = match Compression::of_content(&start[..count]) {
            Compression::None => file,
            Compression::Gzip => unpacked(flate2::read::MultiGzDecoder::new(file))?,
            Compression::Zstd => unpacked(zstd::Decoder::new(file).map_err(OciError::Read)?)?,
        };
        file.rewind().map_err(OciError::Read)?;
        let mut places = BTreeMap::new();
        read_entries(io::BufReader::new(&file), &mut |entry: TarEntry, _: &mut dyn Read| {
            let place = match entry.kind {
                TarKind::File { offset, len_bytes } => Place::File { offset, len_bytes },
                TarKind::Symlink(target) => Place::Link(entry.path.resolve_link(&target).as_str().to_owned()),
                TarKind::HardLink(target) => Place::Link(target.as_str().to_owned()),
                _ => return Ok::<_, TarError>(()),
            };
            places.insert(entry.path.as_str().to_owned(), place);
            Ok(())
        })
        .map_err(OciError::NoTar)?;
        Ok(Self {
            file: Arc::new(file),
            places,
        })
    }

    fn has(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    /// Offset and length of a file, behind links.
    fn place(&self, path: &str) -> Result<(u64, u64), OciError> {
        let mut current = path;
        for _ in 0..MAX_LINKS {
            match self.places.get(current) {
                Some(Place::File { offset, len_bytes }) => return Ok((*offset, *len_bytes)),
                Some(Place::Link(target)) => current = target,
                None => break,
            }
        }
        Err(OciError::Missing {
            path: path.escape_debug().to_string(),
        })
    }

    /// The content of a file with its digest, whatever that is.
    fn content(&self, path: &str) -> Result<FileData, OciError> {
        let (offset, len_bytes) = self.place(path)?;
        let range = Range {
            file: &self.file,
            position: offset,
            end: offset + len_bytes,
        };
        let mut hashed = HashingReader::new(range);
        let read = io::copy(&mut hashed, &mut io::sink()).map_err(OciError::Read)?;
        if read < len_bytes {
            return Err(OciError::Read(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(FileData::from_stored(
            self.file.clone(),
            offset,
            len_bytes,
            hashed.finish().0,
        ))
    }

    /// The bytes of a document at `path`.
    fn document(&self, path: &str) -> Result<Vec<u8>, OciError> {
        let (offset, len_bytes) = self.place(path)?;
        if len_bytes > MAX_DOCUMENT_BYTES {
            return Err(limit(path, "bytes", MAX_DOCUMENT_BYTES));
        }
        let mut bytes = vec![0; len_bytes as usize];
        self.file.read_exact_at(&mut bytes, offset).map_err(OciError::Read)?;
        Ok(bytes)
    }

    /// The blob that `descriptor` points to, verified.
    fn blob(&self, descriptor: &Descriptor) -> Result<FileData, OciError> {
        let path = blob_path(descriptor.digest);
        let data = self.content(&path)?;
        check(&path, descriptor.digest, data.sha256)?;
        if data.len_bytes != descriptor.size {
            return Err(OciError::Damaged {
                path,
                expected: format!("{} bytes", descriptor.size),
                actual: format!("{} bytes", data.len_bytes),
            });
        }
        Ok(data)
    }

    /// A document that `descriptor` points to, verified.
    fn blob_document<T: serde::de::DeserializeOwned>(
        &self,
        descriptor: &Descriptor,
        what: &'static str,
    ) -> Result<T, OciError> {
        let path = blob_path(descriptor.digest);
        let bytes = self.document(&path)?;
        check(&path, descriptor.digest, Sha256::of(&bytes))?;
        parse(&path, what, &bytes)
    }
}

fn blob_path(digest: Sha256) -> String {
    format!("{}/{digest}", super::layout::BLOBS)
}

fn parse<T: serde::de::DeserializeOwned>(path: &str, what: &'static str, bytes: &[u8]) -> Result<T, OciError> {
    serde_json::from_slice(bytes).map_err(|source| OciError::Document {
        path: path.to_owned(),
        what,
        source,
    })
}

fn check(path: &str, expected: Sha256, actual: Sha256) -> Result<(), OciError> {
    match expected == actual {
        true => Ok(()),
        false => Err(OciError::Damaged {
            path: path.to_owned(),
            expected: format!("sha256 {expected}"),
            actual: format!("sha256 {actual}"),
        }),
    }
}

fn limit(path: &str, what: &'static str, limit: u64) -> OciError {
    OciError::Limit {
        path: path.to_owned(),
        what,
        limit,
    }
}

/// The stream as a file without a name, so that blobs can be read from anywhere in it.
fn unpacked(stream: impl Read) -> Result<File, OciError> {
    let mut file = tempfile::tempfile().map_err(OciError::Read)?;
    let copied = io::copy(&mut stream.take(MAX_UNPACKED_BYTES + 1), &mut file).map_err(OciError::Read)?;
    match copied > MAX_UNPACKED_BYTES {
        true => Err(OciError::TooLarge {
            limit_bytes: MAX_UNPACKED_BYTES,
        }),
        false => Ok(file),
    }
}

/// An image out of its verified parts: checks that it is for the machine and that its layers are what it says.
fn image(
    reference: Reference,
    manifest: (Descriptor, &Manifest),
    (config, mut blobs): (&ImageConfig, BTreeMap<Sha256, FileData>),
    arch: Arch,
) -> Result<Image, OciError> {
    let (descriptor, manifest) = manifest;
    check_platform(config, arch)?;
    if let Some(wanted) = reference.digest().filter(|digest| *digest != descriptor.digest) {
        let found = descriptor.digest;
        return Err(OciError::OtherDigest { wanted, found });
    }
    check_layers(manifest, config, &blobs)?;
    let needed = |digest: &Sha256| {
        *digest == descriptor.digest
            || *digest == manifest.config.digest
            || manifest.layers.iter().any(|layer| layer.digest == *digest)
    };
    blobs.retain(|digest, _| needed(digest));
    let platform = super::manifest::Platform {
        architecture: config.architecture.clone(),
        os: config.os.clone(),
    };
    Ok(Image {
        reference,
        manifest: Descriptor {
            platform: Some(platform),
            annotations: BTreeMap::new(),
            ..descriptor
        },
        blobs,
    })
}

fn check_platform(config: &ImageConfig, arch: Arch) -> Result<(), OciError> {
    match config.os == "linux" && config.architecture == arch.names().go {
        true => Ok(()),
        false => Err(OciError::architecture(
            arch,
            vec![platform_name(&config.os, &config.architecture)],
        )),
    }
}

fn platform_name(os: &str, architecture: &str) -> String {
    format!("{os}/{architecture}").escape_debug().to_string()
}

/// Each layer unpacks to what the configuration says.
fn check_layers(manifest: &Manifest, config: &ImageConfig, blobs: &BTreeMap<Sha256, FileData>) -> Result<(), OciError> {
    let (in_config, in_manifest) = (config.rootfs.diff_ids.len(), manifest.layers.len());
    if in_config != in_manifest {
        return Err(OciError::LayerCount { in_config, in_manifest });
    }
    if in_manifest > MAX_LAYERS {
        return Err(limit("manifest", "layers", MAX_LAYERS as u64));
    }
    let pairs: Vec<_> = manifest.layers.iter().zip(&config.rootfs.diff_ids).collect();
    pairs.into_par_iter().try_for_each(|(layer, expected)| {
        let digest = layer.digest;
        let compression = Compression::of_media_type(&layer.media_type).ok_or_else(|| OciError::LayerKind {
            digest,
            media_type: layer.media_type.escape_debug().to_string(),
        })?;
        let data = blobs.get(&digest).ok_or_else(|| OciError::Missing {
            path: blob_path(digest),
        })?;
        let actual = layer::diff_id(data, compression).map_err(|source| OciError::Layer { digest, source })?;
        check(&format!("layer {digest}, unpacked,"), *expected, actual)
    })
}

/// Part of a file as a stream.
struct Range<'a> {
    file: &'a File,
    position: u64,
    end: u64,
}

impl Read for Range<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        let count = self.file.read_at(&mut buffer[..wanted], self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}
