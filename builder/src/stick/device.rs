//! Whether a device may be written to.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};

use crate::gpt::SECTOR_BYTES;
use crate::seed::target;

use super::StickError;

/// Whether `path` can only be that of a device, there or not: a file there would be in memory, and lost.
pub(super) fn is_meant(path: &Path) -> bool {
    path.starts_with("/dev")
}

/// Opens a file or device for reading and writing; refused if anybody else uses it, or a partition of it. All rules of what
/// must not be touched belong here.
pub(super) fn claim(path: &Path) -> Result<File, StickError> {
    target::open(path).map_err(StickError::Target)
}

/// Whether a device is a whole disk with sectors of 512 bytes.
pub(super) fn check_whole(device: &File, path: &Path) -> Result<(), StickError> {
    let metadata = device.metadata().map_err(StickError::write(path, "to it"))?;
    if !metadata.file_type().is_block_device() {
        return Ok(());
    }
    let number = metadata.rdev();
    let folder = PathBuf::from(format!("/sys/dev/block/{}:{}", major(number), minor(number)));
    if folder.join("partition").exists() {
        let parent = std::fs::canonicalize(&folder)
            .ok()
            .and_then(|folder| folder.parent().map(Path::to_owned));
        let name = parent.as_deref().and_then(Path::file_name).unwrap_or_default();
        return Err(StickError::Partition {
            path: path.to_owned(),
            disk: Path::new("/dev").join(name),
        });
    }
    let text = std::fs::read_to_string(folder.join("queue/logical_block_size")).unwrap_or_default();
    match text.trim().parse::<u64>() {
        Ok(sector_bytes) if sector_bytes != SECTOR_BYTES => Err(StickError::Sectors {
            path: path.to_owned(),
            sector_bytes,
        }),
        _ => Ok(()),
    }
}

/// The size of a device in bytes.
pub(super) fn len_bytes(device: &File, path: &Path) -> Result<u64, StickError> {
    let end = (&*device).seek(SeekFrom::End(0));
    end.map_err(StickError::write(path, "to its end"))
}
