//! Why a volume cannot be changed.

use std::io;

use crate::failure::Diagnose;
use crate::fat::FatError;
use crate::fat::read::FatReadError;

/// A change that was not made; the volume is as it was, unless writing itself failed.
#[derive(Debug, thiserror::Error)]
pub enum FatUpdateError {
    /// The volume cannot be read.
    #[error(transparent)]
    Read(#[from] FatReadError),
    /// The name or content is none for FAT.
    #[error(transparent)]
    Fat(#[from] FatError),
    /// Only one of its tables is in use.
    #[error("the FAT volume does not keep its tables equal")]
    NotMirrored,
    /// Its table is larger than that of any EFI system partition.
    #[error("the FAT volume's table of {table_bytes} bytes is too large")]
    TableTooLarge {
        /// Its length.
        table_bytes: u64,
    },
    /// There is no room.
    #[error("the file needs {needed_bytes} bytes, and the FAT volume has {free_bytes} left")]
    Full {
        /// What the file takes, in whole clusters.
        needed_bytes: u64,
        /// What is free.
        free_bytes: u64,
    },
    /// The root folder has all the entries that it may have.
    #[error("the root folder of the FAT volume is full")]
    RootFull,
    /// A folder has the name.
    #[error("`{name}` is a folder on the FAT volume")]
    Folder {
        /// The name.
        name: String,
    },
    /// A chain that breaks off, leaves the volume or never ends.
    #[error("a cluster chain of the FAT volume is broken at cluster {cluster}")]
    BrokenChain {
        /// The last cluster that was looked at.
        cluster: u32,
    },
    /// A write failed.
    #[error("cannot write {what} of the FAT volume at byte {offset}")]
    Write {
        /// Which part.
        what: &'static str,
        /// Where in the file or device.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// What was written may not be there.
    #[error("cannot flush the FAT volume")]
    Sync(#[source] io::Error),
}

impl Diagnose for FatUpdateError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotMirrored | Self::BrokenChain { .. } => {
                vec!["`fsck.fat` may repair it; or write the image anew".to_owned()]
            }
            Self::Full { .. } => vec!["a larger `disk.esp-size` in the definition makes room".to_owned()],
            _ => Vec::new(),
        }
    }
}
