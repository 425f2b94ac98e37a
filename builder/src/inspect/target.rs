//! Opens what is to be inspected: a raw image, a compressed one, a folder of artifacts or a block device.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, FileTypeExt as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{InspectError, unpack};
use crate::artifacts::ArtifactKind;
use crate::artifacts::manifest::{self, Manifest};
use crate::oci::layer::Compression;

/// The longest manifest that is read; real ones have some 100 KB.
const MAX_MANIFEST_BYTES: u64 = 16 << 20;

/// What kind of thing the image was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A raw image.
    Raw,
    /// A compressed image, which was unpacked.
    RawZst,
    /// A disk.
    Device,
}

/// An opened disk image.
#[derive(Debug)]
pub(super) struct Target {
    /// The raw image's bytes.
    pub disk: File,
    /// Where it was found.
    pub path: PathBuf,
    pub source: Source,
    /// The manifest of the folder, or the one beside the image if it names it.
    pub manifest: Option<Manifest>,
    /// The folder, if that was named.
    pub folder: Option<PathBuf>,
}

impl Target {
    pub(super) fn open(path: &Path) -> Result<Self, InspectError> {
        if path.is_dir() {
            return Self::open_folder(path);
        }
        let mut target = Self::open_image(path)?;
        let manifest_path = path.with_file_name(manifest::FILE_NAME);
        // A manifest that happens to lie beside the image need not be about it.
        target.manifest = read_manifest(&manifest_path).ok().filter(|manifest| {
            let names_it = |kind| image_path(&manifest_path, manifest, kind).is_some_and(|named| named == path);
            names_it(ArtifactKind::Raw) || names_it(ArtifactKind::RawZst)
        });
        Ok(target)
    }

    fn open_folder(folder: &Path) -> Result<Self, InspectError> {
        let manifest_path = folder.join(manifest::FILE_NAME);
        let manifest = read_manifest(&manifest_path)?;
        let [raw, compressed] =
            [ArtifactKind::Raw, ArtifactKind::RawZst].map(|kind| image_path(&manifest_path, &manifest, kind));
        let there = |path: &Option<PathBuf>| path.as_ref().is_some_and(|path| path.exists());
        // The compressed image serves where somebody deleted the large one.
        let image = match !there(&raw) && there(&compressed) {
            true => compressed,
            false => raw,
        };
        let image = image.ok_or(InspectError::NoRaw { path: manifest_path })?;
        Ok(Self {
            manifest: Some(manifest),
            folder: Some(folder.to_owned()),
            ..Self::open_image(&image)?
        })
    }

    fn open_image(path: &Path) -> Result<Self, InspectError> {
        let failed = |source| InspectError::Open {
            path: path.to_owned(),
            source,
        };
        // Not opened before it is known what it is: a named pipe would wait for a writer.
        let kind = fs::metadata(path).map_err(failed)?.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(InspectError::NoFile { path: path.to_owned() });
        }
        let file = File::open(path).map_err(failed)?;
        let (disk, source) = match kind.is_file() {
            true if is_zstd(&file) => (unpack::unpack(&file, path)?, Source::RawZst),
            true => (file, Source::Raw),
            false => (file, Source::Device),
        };
        Ok(Self {
            disk,
            path: path.to_owned(),
            source,
            manifest: None,
            folder: None,
        })
    }
}

fn is_zstd(file: &File) -> bool {
    let mut magic = [0; 4];
    file.read_exact_at(&mut magic, 0).is_ok() && Compression::of_content(&magic) == Compression::Zstd
}

fn read_manifest(path: &Path) -> Result<Manifest, InspectError> {
    let missing = |source: io::Error| {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        InspectError::NoManifest { folder, source }
    };
    let mut text = String::new();
    let file = File::open(path).map_err(missing)?;
    file.take(MAX_MANIFEST_BYTES)
        .read_to_string(&mut text)
        .map_err(missing)?;
    Manifest::from_json(&text).map_err(|source| InspectError::BadManifest {
        path: path.to_owned(),
        source,
    })
}

/// Where the manifest's image is: beside it, under a plain name.
fn image_path(manifest_path: &Path, manifest: &Manifest, kind: ArtifactKind) -> Option<PathBuf> {
    let image = manifest.artifacts.iter().find(|artifact| artifact.kind == kind)?;
    is_plain_name(&image.file).then(|| manifest_path.with_file_name(&image.file))
}

/// Whether `name` is that of a file in the same folder.
pub(super) fn is_plain_name(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|own| own == name)
}
