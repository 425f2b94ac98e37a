//! Whether a device may be written to.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::path::Path;

use crate::device::{Host, Target};
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

/// Whether a device is a whole disk with sectors of 512 bytes. Where nothing is known of it, it is taken for one.
pub(super) fn check_whole(path: &Path) -> Result<(), StickError> {
    match Host::default().target(path) {
        Ok(Target::Partition { path, disk }) => Err(StickError::Partition { path, disk }),
        Ok(Target::Disk(facts)) if facts.sector_bytes != SECTOR_BYTES => Err(StickError::Sectors {
            path: path.to_owned(),
            sector_bytes: facts.sector_bytes,
        }),
        _ => Ok(()),
    }
}

/// The size of a device in bytes.
pub(super) fn len_bytes(device: &File, path: &Path) -> Result<u64, StickError> {
    let end = (&*device).seek(SeekFrom::End(0));
    end.map_err(StickError::write(path, "to its end"))
}
