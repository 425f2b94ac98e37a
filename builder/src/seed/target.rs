//! Opens the disk to be seeded, unless somebody else uses it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::libc;

use super::SeedError;
use crate::device::{Host, Use};

/// Opens a file or block device for reading and writing.
pub(crate) fn open(path: &Path) -> Result<File, SeedError> {
    let failed = |source| SeedError::Open {
        path: path.to_owned(),
        source,
    };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    let kind = metadata.file_type();
    if !kind.is_file() && !kind.is_block_device() {
        return Err(SeedError::NoDisk { path: path.to_owned() });
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    if kind.is_block_device() {
        // The kernel then refuses a disk that is mounted, in whole or in part, and keeps others from mounting it
        // (open(2), "O_EXCL").
        options.custom_flags(libc::O_EXCL);
    }
    options.open(path).map_err(|source| match source.raw_os_error() {
        Some(libc::EBUSY) => SeedError::InUse {
            path: path.to_owned(),
            mounts: mounts_of(metadata.rdev()),
        },
        _ => failed(source),
    })
}

/// Where the device, its partitions and what was made from them are mounted.
fn mounts_of(device: u64) -> Vec<String> {
    let mounted = |found| match found {
        Use::Mounted { at, .. } => Some(at),
        Use::Swap { .. } | Use::Holder { .. } => None,
    };
    Host::default().uses(device).into_iter().filter_map(mounted).collect()
}
