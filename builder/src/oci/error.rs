//! What can be wrong with an image or its archive.

use std::io;

use crate::arch::Arch;
use crate::deb::tar::TarError;
use crate::digest::Sha256;
use crate::failure::{Diagnose, FailureKind};

use super::reference::BadReference;

/// An image that cannot be read or packed. Texts from archives are escaped.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// The archive cannot be opened, read or decompressed.
    #[error("cannot read the archive")]
    Read(#[source] io::Error),
    /// The archive is no tar.
    #[error("the archive is no tar, plain or compressed by gzip or zstd")]
    NoTar(#[source] TarError),
    /// It unpacks to more than any image for a small machine.
    #[error("the archive unpacks to more than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// The archive holds no images.
    #[error("the archive holds neither an `index.json` (OCI layout) nor a `manifest.json` (docker save)")]
    NoImages,
    /// Something that the archive names is not in it.
    #[error("the archive lacks `{path}`, which it names")]
    Missing {
        /// Its path in the archive.
        path: String,
    },
    /// A document or blob is not what the digest says that points to it.
    #[error("`{path}` is damaged: it should have {expected}, and has {actual}")]
    Damaged {
        /// Its path in the archive.
        path: String,
        /// The digest or length that was given.
        expected: String,
        /// The digest or length that it has.
        actual: String,
    },
    /// A document that is no JSON of its kind.
    #[error("`{path}` is no {what}")]
    Document {
        /// Its path in the archive.
        path: String,
        /// What it should be.
        what: &'static str,
        /// Why it is not.
        #[source]
        source: serde_json::Error,
    },
    /// A document that is longer than any real one, or names more than any real one.
    #[error("`{path}` goes beyond the limit of {limit} {what}")]
    Limit {
        /// Its path in the archive.
        path: String,
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
    /// A layer of a kind that is not supported.
    #[error("the layer {digest} is of the kind `{media_type}`, which is not supported")]
    LayerKind {
        /// The layer.
        digest: Sha256,
        /// Its media type, escaped.
        media_type: String,
    },
    /// A layer that cannot be unpacked.
    #[error("the layer {digest} cannot be unpacked")]
    Layer {
        /// The layer.
        digest: Sha256,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The configuration has another number of layers than the manifest.
    #[error("the configuration names {in_config} layers and the manifest {in_manifest}")]
    LayerCount {
        /// In the configuration.
        in_config: usize,
        /// In the manifest.
        in_manifest: usize,
    },
    /// No image for the machine.
    #[error("the archive has no image for linux/{wanted}, but for {}", .found.join(", "))]
    Architecture {
        /// Go's name of what is wanted.
        wanted: &'static str,
        /// The platforms that there are.
        found: Vec<String>,
    },
    /// More than one image, and none of them was asked for.
    #[error("the archive holds {} images: {}", .names.len(), .names.join(", "))]
    WhichImage {
        /// Their names.
        names: Vec<String>,
    },
    /// The image that was asked for is not among several.
    #[error("the archive does not hold `{wanted}`, but {}", .names.join(", "))]
    NotThere {
        /// The name that was asked for.
        wanted: String,
        /// The names that there are.
        names: Vec<String>,
    },
    /// The archive does not say how the image is called.
    #[error("the archive does not name its image")]
    NoName,
    /// A name that no registry would take.
    #[error("the image's name cannot be used")]
    Name(#[source] BadReference),
    /// The name asks for another manifest than the archive has.
    #[error("the name asks for the digest {wanted}, and the archive has {found}")]
    OtherDigest {
        /// In the name.
        wanted: Sha256,
        /// In the archive.
        found: Sha256,
    },
    /// A path that cannot be packed.
    #[error("`{path}` cannot be packed: it is there twice, below a file, or no path")]
    PackPath {
        /// The path.
        path: String,
    },
    /// A tar cannot be written.
    #[error("cannot pack an image")]
    Write(#[source] io::Error),
}

impl OciError {
    /// No image for `arch`.
    pub(super) const fn architecture(arch: Arch, found: Vec<String>) -> Self {
        Self::Architecture {
            wanted: arch.names().go,
            found,
        }
    }
}

impl Diagnose for OciError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Damaged { .. } | Self::OtherDigest { .. } => FailureKind::Verification,
            _ => FailureKind::Request,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::NoTar(_) | Self::NoImages => {
                "`skopeo copy docker://NAME oci-archive:FILE` and `docker save` write such archives"
            }
            Self::WhichImage { .. } | Self::NotThere { .. } => "say which one with `reference`",
            Self::NoName => "say it with `reference`, such as `registry.example/team/app:1.0`",
            Self::Architecture { .. } => {
                "save the image for this architecture: `skopeo --override-arch ARCH copy …`, `docker pull --platform linux/ARCH`"
            }
            Self::LayerKind { .. } => "layers are tars, plain or compressed by gzip or zstd",
            _ => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}
