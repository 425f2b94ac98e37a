//! Whether a device may be written to.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use nix::sys::stat::{major, minor};

use crate::device::guard::refusals;
use crate::device::{DiskFacts, Host, Override, Target};
use crate::seed::target;

use super::StickError;

/// Whether `path` can only be that of a device, there or not: a file there would be in memory, and lost.
pub(super) fn is_meant(path: &Path) -> bool {
    path.starts_with("/dev")
}

/// Opens a file or device for reading and writing. A device has to pass the rules of `skerry flash`, also where only a join
/// file would change on it, and is refused if anybody else uses it, or a partition of it.
pub(super) fn claim(path: &Path, allowed: &BTreeSet<Override>) -> Result<File, StickError> {
    let is_device = std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_block_device());
    if !is_device {
        return target::open(path).map_err(StickError::Target);
    }
    let target = Host::default().target(path).map_err(|source| StickError::Unknown {
        path: path.to_owned(),
        source,
    })?;
    let facts = check(target, path, allowed)?;
    let disk = target::open(path).map_err(StickError::Target)?;
    still_the_same(&disk, path, &facts)?;
    Ok(disk)
}

/// The disk, if no rule speaks against it. A stick has no size of its own: what is too small is told when it is laid out.
pub(super) fn check(target: Target, path: &Path, allowed: &BTreeSet<Override>) -> Result<DiskFacts, StickError> {
    let found = refusals(&target, 0, allowed);
    match target {
        Target::Disk(disk) if found.is_empty() => Ok(*disk),
        _ => Err(StickError::Refused {
            path: path.to_owned(),
            refusals: found,
        }),
    }
}

/// A name can get another disk between looking and opening.
fn still_the_same(disk: &File, path: &Path, facts: &DiskFacts) -> Result<(), StickError> {
    let number = disk.metadata().map_err(StickError::write(path, "to the start"))?.rdev();
    let number = format!("{}:{}", major(number), minor(number));
    match number == facts.number && len_bytes(disk, path)? == facts.len_bytes {
        true => Ok(()),
        false => Err(StickError::Replaced { path: path.to_owned() }),
    }
}

/// The size of a device in bytes.
pub(super) fn len_bytes(device: &File, path: &Path) -> Result<u64, StickError> {
    let end = (&*device).seek(SeekFrom::End(0));
    end.map_err(StickError::write(path, "to its end"))
}
