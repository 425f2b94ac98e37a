//! Reads an OCI image layout: which images there are and which blobs belong to them (image-spec 1.1).
//!
//! The layout lies in the verified root file system, so its digests are not computed again here; containerd does so when
//! it commits a blob. Of an index for several platforms those manifests count whose blobs are in the layout.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The annotation that names an image in the layout's index.
const NAME: &str = "io.containerd.image.name";
/// Larger manifests and indexes do not occur; containerd refuses them above 8 MiB.
const MAX_MANIFEST_BYTES: u64 = 4 << 20;
/// The layout's index, an image's index, its manifest.
const MAX_DEPTH: usize = 3;

const INDEXES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];
const MANIFESTS: [&str; 2] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// `sha256:` and 64 hex digits, so that it can stand in a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Digest(String);

/// A blob and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Its media type.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// A blob with the labels that tell containerd's garbage collector what it refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// What it is.
    pub descriptor: Descriptor,
    /// `containerd.io/gc.ref.content.*`.
    pub labels: BTreeMap<String, String>,
}

/// An image and its blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its name, such as `docker.io/library/busybox:1.36`.
    pub name: String,
    /// Its manifest or index.
    pub target: Descriptor,
    /// Digest of its configuration: what CRI calls the image's id.
    pub id: Digest,
    /// Its blobs; each comes after those that it refers to.
    pub blobs: Vec<Blob>,
}

/// Why a layout is not usable.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A file.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A file that is not what it should be.
    #[error("{path} is no index or manifest of the OCI image format")]
    Format {
        /// Which.
        path: String,
        /// Why.
        source: serde_json::Error,
    },
    /// An index that refers to itself, or nothing in it for this machine.
    #[error("{name} has no manifest in this layout")]
    NoManifest {
        /// The image.
        name: String,
    },
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// The images of the layout in `folder`, in the order of its index; none if there is no layout. Entries without a name
/// are passed over: nothing could refer to them.
pub fn read(folder: &Path) -> Result<Vec<Image>, LayoutError> {
    let path = folder.join("index.json");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let index: Index = parse(&path)?;
    let named = index
        .manifests
        .into_iter()
        .filter_map(|target| Some((target.annotations.get(NAME)?.clone(), target)));
    named.map(|(name, target)| image(folder, name, target)).collect()
}

/// Where a blob lies in the layout.
pub fn blob_path(folder: &Path, digest: &Digest) -> PathBuf {
    folder.join("blobs/sha256").join(digest.hex())
}

fn image(folder: &Path, name: String, target: Descriptor) -> Result<Image, LayoutError> {
    let mut walk = Walk {
        folder,
        blobs: Vec::new(),
        id: None,
    };
    walk.visit(&target, MAX_DEPTH)?;
    match walk.id {
        Some(id) => Ok(Image {
            name,
            target,
            id,
            blobs: walk.blobs,
        }),
        None => Err(LayoutError::NoManifest { name }),
    }
}

struct Walk<'a> {
    folder: &'a Path,
    blobs: Vec<Blob>,
    /// Of the first manifest.
    id: Option<Digest>,
}

impl Walk<'_> {
    /// Adds `descriptor` after everything that it refers to.
    fn visit(&mut self, descriptor: &Descriptor, depth: usize) -> Result<(), LayoutError> {
        let path = blob_path(self.folder, &descriptor.digest);
        let media_type = descriptor.media_type.as_str();
        let mut labels = BTreeMap::new();
        let mut label = |key: String, child: &Descriptor| {
            labels.insert(format!("containerd.io/gc.ref.content.{key}"), child.digest.to_string());
        };
        if INDEXES.contains(&media_type) && depth > 1 {
            let index: Index = parse(&path)?;
            for (number, child) in index.manifests.iter().enumerate() {
                if blob_path(self.folder, &child.digest).exists() {
                    self.visit(child, depth - 1)?;
                    label(format!("m.{number}"), child);
                }
            }
        } else if MANIFESTS.contains(&media_type) {
            let manifest: Manifest = parse(&path)?;
            for (number, layer) in manifest.layers.iter().enumerate() {
                self.add(layer, BTreeMap::new());
                label(format!("l.{number}"), layer);
            }
            label("config".to_owned(), &manifest.config);
            self.add(&manifest.config, BTreeMap::new());
            self.id.get_or_insert(manifest.config.digest);
        }
        self.add(descriptor, labels);
        Ok(())
    }

    fn add(&mut self, descriptor: &Descriptor, labels: BTreeMap<String, String>) {
        if self
            .blobs
            .iter()
            .all(|blob| blob.descriptor.digest != descriptor.digest)
        {
            self.blobs.push(Blob {
                descriptor: descriptor.clone(),
                labels,
            });
        }
    }
}

fn parse<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, LayoutError> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_MANIFEST_BYTES).read_to_end(&mut bytes))
        .map_err(|source| LayoutError::Read {
            path: path.display().to_string(),
            source,
        })?;
    serde_json::from_slice(&bytes).map_err(|source| LayoutError::Format {
        path: path.display().to_string(),
        source,
    })
}

impl Digest {
    fn hex(&self) -> &str {
        &self.0["sha256:".len()..]
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let hex = text.strip_prefix("sha256:").unwrap_or_default();
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        match hex.len() == 64 && hex.bytes().all(digit) {
            true => Ok(Self(text)),
            false => Err(format!("`{text}` is no sha256 digest")),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
