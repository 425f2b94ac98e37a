//! What can go wrong with an image or a medium.

use std::io;
use std::ops::Range;
use std::path::PathBuf;

use nix::errno::Errno;

use super::plan::PlanError;
use crate::artifacts::ArtifactError;
use crate::artifacts::ranges::HashedRange;
use crate::failure::{Diagnose, FailureKind};
use crate::fetch::FetchError;

/// Why an image cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// It is not there, or not readable.
    #[error("cannot read the image `{}`", path.display())]
    Open {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing says what the image has to be.
    #[error("`{image}` has no manifest.json beside it, so it is not known what has to arrive")]
    NoManifest {
        /// The image.
        image: String,
    },
    /// The manifest is none, or not of this version.
    #[error("cannot use the manifest of `{image}`")]
    Manifest {
        /// The image.
        image: String,
        /// Why.
        source: ArtifactError,
    },
    /// The manifest says what no image of ours is like.
    #[error("the manifest of `{image}` is not one of `skerry build`")]
    Plan {
        /// The image.
        image: String,
        /// Why.
        source: PlanError,
    },
    /// The folder holds no disk image.
    #[error("there is no disk image in `{}`", folder.display())]
    EmptyFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// A compression that is not read.
    #[error("`{image}` is compressed by gzip")]
    Gzip {
        /// The image.
        image: String,
    },
    /// The file has another length than its manifest says.
    #[error("`{image}` has {found} bytes, and its manifest says {expected}")]
    Length {
        /// The image.
        image: String,
        /// The file's length.
        found: u64,
        /// What the manifest says.
        expected: u64,
    },
    /// A URL that is neither https nor on this machine.
    #[error("`{url}` cannot be trusted: nothing tells whether the manifest that arrives is the right one")]
    Plain {
        /// The URL, without credentials.
        url: String,
    },
    /// A URL that no image can be read from.
    #[error("`{url}` is no URL of an image")]
    Url {
        /// The URL, without credentials.
        url: String,
    },
    /// The manifest or the image cannot be fetched.
    #[error("cannot fetch `{image}`")]
    Fetch {
        /// The image.
        image: String,
        /// Why.
        source: FetchError,
    },
    /// The image ends too early, or its compressed data make no sense.
    #[error("the image cannot be read at byte {offset}")]
    Read {
        /// Where in the uncompressed image.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// The image was changed or damaged.
    #[error(
        "the image is not what its manifest says: {} bytes at byte {} have another sha256",
        range.len_bytes, range.offset
    )]
    Differs {
        /// Where.
        range: HashedRange,
    },
}

impl ImageError {
    /// A failed read of `range`.
    pub(super) fn read(range: &HashedRange, source: io::Error) -> Self {
        // What the network has to say went through the decoder as it is.
        match source.downcast::<FetchError>() {
            Ok(source) => Self::Fetch {
                image: "the image".to_owned(),
                source,
            },
            Err(source) => Self::Read {
                offset: range.offset,
                source,
            },
        }
    }
}

/// What to do with an image that does not come from `skerry build`.
const FOREIGN: &str = "`skerry flash` writes what `skerry build` has made, and needs the manifest.json from the same folder; \
    for other images use `dd` or `bmaptool`";

impl Diagnose for ImageError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Differs { .. } | Self::Length { .. } => FailureKind::Verification,
            Self::Fetch { source, .. } => source.kind(),
            Self::Plain { .. } => FailureKind::Safety,
            Self::Url { .. } => FailureKind::Usage,
            _ => FailureKind::Request,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::NoManifest { .. } | Self::Plan { .. } => FOREIGN,
            Self::Manifest { source, .. } => return [source.hints(), vec![FOREIGN.to_owned()]].concat(),
            Self::EmptyFolder { .. } => "name a folder that `skerry build` has filled, such as `out/NAME`",
            Self::Gzip { .. } => "decompress it first: `gzip -d`",
            Self::Length { .. } => "it was cut off or exchanged: copy it again, together with its manifest.json",
            Self::Plain { .. } => "use an `https:` URL, or download the folder and name the file",
            Self::Url { .. } => "give the URL of a `.raw.zst` or `.raw`, beside which manifest.json is",
            Self::Fetch {
                source: source @ FetchError::NoCertificates { .. },
                ..
            } => return source.hints(),
            Self::Fetch { source, .. } if source.kind() == FailureKind::Network => {
                "run the same command again; on a bad line, download the image first"
            }
            Self::Fetch { .. } => "check the URL, and that manifest.json is in the same folder",
            Self::Read { .. } => "the file is cut off or damaged: copy it again, or build the image again",
            Self::Differs { .. } => {
                "take the image as it was built; a join file belongs onto the medium (`--join FILE`), not into the image"
            }
            Self::Open { .. } => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}

/// Why a medium does not hold the image.
#[derive(Debug, thiserror::Error)]
pub enum MediumError {
    /// It is smaller than the image.
    #[error("it has {len_bytes} bytes, and the image needs {image_bytes}")]
    TooSmall {
        /// Its size.
        len_bytes: u64,
        /// The image's size.
        image_bytes: u64,
    },
    /// Reading or writing failed.
    #[error("cannot {doing} {} bytes at byte {}", range.end - range.start, range.start)]
    Io {
        /// `read` or `write`.
        doing: &'static str,
        /// Where.
        range: Range<u64>,
        /// Why.
        source: io::Error,
    },
    /// Flushing failed, so nothing is known of what was written since the last time.
    #[error("cannot flush what was written")]
    Sync {
        /// Why.
        source: io::Error,
    },
    /// It gave back other bytes than were written.
    #[error("{} bytes at byte {} came back other than they were written", range.end - range.start, range.start)]
    Differs {
        /// Where.
        range: Range<u64>,
    },
    /// It took what was written, and still holds what was there before.
    #[error("it accepts what is written and does not keep it ({} bytes at byte {})", range.end - range.start, range.start)]
    Unchanged {
        /// Where.
        range: Range<u64>,
    },
    /// It is smaller than it says.
    #[error("it says that it has {claimed_bytes} bytes, but does not keep what is written at byte {at}")]
    Capacity {
        /// Where the mark was.
        at: u64,
        /// Its size by its own account.
        claimed_bytes: u64,
    },
    /// The image could not be read to its end.
    #[error("it is incomplete, because the image could not be read to its end")]
    NoImage,
    /// The user stopped it.
    #[error("it is incomplete, because the work was stopped")]
    Stopped,
}

impl MediumError {
    /// A read or write that failed.
    pub(super) const fn io(doing: &'static str, range: Range<u64>, source: io::Error) -> Self {
        Self::Io { doing, range, source }
    }

    fn io_hint(source: &io::Error) -> &'static str {
        match source.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENODEV | Errno::ENXIO | Errno::ENOMEDIUM) => {
                "the medium has vanished: look at plug, cable and hub, then run the same command again"
            }
            Some(Errno::EROFS | Errno::EPERM | Errno::EACCES) => "the medium is protected against writing",
            _ => "the medium or its reader is failing: try another reader or port, then another medium",
        }
    }
}

impl Diagnose for MediumError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Differs { .. } | Self::Unchanged { .. } | Self::Capacity { .. } => FailureKind::Verification,
            Self::TooSmall { .. } => FailureKind::Safety,
            Self::Stopped => FailureKind::Interrupted,
            Self::Io { .. } | Self::Sync { .. } | Self::NoImage => FailureKind::Request,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Io { source, .. } | Self::Sync { source } => Self::io_hint(source),
            Self::Differs { .. } => {
                "the medium is bad, or smaller than it says (counterfeit): do not use it; a bad reader or cable is possible, too"
            }
            Self::Unchanged { .. } => "the medium is worn out or locked: take another one",
            Self::Capacity { .. } => "the medium is counterfeit: it would lose data later; take another one",
            Self::TooSmall { .. } => "take a larger medium",
            Self::Stopped => {
                "nothing will start from it as it is; run the same command again to write it from the start"
            }
            Self::NoImage => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}
