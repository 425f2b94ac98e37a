//! Why an image cannot be written.

use std::io;

use crate::failure::{Diagnose, FailureKind};
use crate::tree::TreePath;

/// A tree that squashfs cannot hold, or a failed operation while writing it.
#[derive(Debug, thiserror::Error)]
pub enum SquashfsError {
    /// Unusable block size.
    #[error("the block size {0} is no power of two from 4096 to 1048576")]
    BlockSize(u32),
    /// Unusable compression level.
    #[error("the zstd level {0} is not between 1 and 22")]
    Level(i32),
    /// File content could not be read.
    #[error("cannot read {len_bytes} bytes at offset {offset} of {path}")]
    ReadFile {
        /// The file inside the image.
        path: TreePath,
        /// First byte of the read, from the file's start.
        offset: u64,
        /// Length of the read.
        len_bytes: u32,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// zstd failed.
    #[error("cannot compress {what} with zstd")]
    Compress {
        /// A file's path or a table's name.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The image could not be written.
    #[error("cannot write the squashfs image at offset {offset}")]
    WriteImage {
        /// Where in the image.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A hard link without a file.
    #[error("{path} is a hard link to {target}, which is no regular file")]
    DanglingHardLink {
        /// The link.
        path: TreePath,
        /// Its target.
        target: TreePath,
    },
    /// An attribute in a namespace that squashfs cannot express.
    #[error("{path} has the extended attribute `{name}`, which is not in `user.`, `trusted.` or `security.`")]
    XattrNamespace {
        /// The node.
        path: TreePath,
        /// The attribute.
        name: String,
    },
    /// An attribute that the kernel could not hand out.
    #[error("the extended attribute `{name}` of {path} is too long ({len_bytes} bytes of value)")]
    XattrTooLong {
        /// The node.
        path: TreePath,
        /// The attribute.
        name: String,
        /// Length of its value.
        len_bytes: usize,
    },
    /// A link target that Linux could not follow.
    #[error("the target of the symbolic link {path} has {len_bytes} bytes; 1 to 4095 are possible")]
    SymlinkTarget {
        /// The link.
        path: TreePath,
        /// Length of the target.
        len_bytes: usize,
    },
    /// A device number beyond 12 bits of major and 20 bits of minor.
    #[error("the device number {major}:{minor} of {path} does not fit into squashfs")]
    DeviceNumber {
        /// The device.
        path: TreePath,
        /// Its major number.
        major: u32,
        /// Its minor number.
        minor: u32,
    },
    /// One of the format's counters is too small.
    #[error("the tree has more {0} than squashfs can count")]
    TooMany(&'static str),
}

impl Diagnose for SquashfsError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Compress { .. } => FailureKind::Bug,
            _ => FailureKind::Request,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::BlockSize(_) => vec!["65536 and 131072 suit machines with little RAM".to_owned()],
            Self::Level(_) => vec!["9 is the default; higher levels cost much time for little size".to_owned()],
            Self::ReadFile { path, .. } => {
                vec![format!(
                    "what {path} comes from changed during the build; run the build again"
                )]
            }
            Self::XattrNamespace { name, .. } if name.starts_with("system.posix_acl") => {
                vec!["express the access with mode and owner instead of an ACL".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}
