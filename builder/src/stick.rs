//! Makes a USB stick that a waiting machine takes its join file from.
//!
//! In: a device or a file, and a join file. Out: a disk with one FAT32 partition labelled [`LABEL`] that holds it. Whatever
//! else is on the target stays unless its loss was asked for; on a stick that is one already only the join file changes.
//!
//! The disk has an MBR, as sticks do when they are sold: Linux and Windows both take a volume without a partition table too,
//! but Windows only on media that call themselves removable, which large sticks do not. Spec: the MBR as in UEFI 2.10 §5.2.1,
//! FAT as in [`crate::fat`]. Deliberately unsupported: sectors other than 512 bytes, FAT16 sticks of others.

mod device;
mod error;
mod find;
mod layout;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;

use crate::device::Override;
use crate::disk::staged::StagedFile;
use crate::fat::update::FatUpdater;
use crate::seed::{Change, JoinFile, Seeded, apply};

pub use error::StickError;
use layout::StickLayout;

/// The label by which a machine knows the stick.
pub const LABEL: &str = "SKERRY-JOIN";
/// The size of a stick in a file: FAT32 begins at 33 MiB. Nearly all of it is a hole.
pub const FILE_BYTES: u64 = 40 << 20;
/// A stick in a file holds a secret.
const MODE: u32 = 0o600;

/// What may become of other content on the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// It stays, and there will be no stick.
    Keep,
    /// It is erased.
    Erase,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stick {
    /// The target is a stick now.
    Made,
    /// It was one, and the join file has changed or not.
    Updated(Seeded),
}

impl Stick {
    /// Whether anything was written.
    pub fn changed(&self) -> bool {
        match self {
            Self::Made => true,
            Self::Updated(seeded) => seeded.changed(),
        }
    }
}

/// Makes `path` a stick with `file`; of the rules about devices those in `allowed` are set aside.
pub fn make(path: &Path, file: &JoinFile, content: Content, allowed: &BTreeSet<Override>) -> Result<Stick, StickError> {
    let kind = match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !device::is_meant(path) => {
            return make_file(path, file);
        }
        // What else is wrong is told when it is opened.
        found => found.ok(),
    };
    let is_file = kind.as_ref().is_some_and(std::fs::Metadata::is_file);
    if is_file && kind.is_some_and(|metadata| metadata.len() == 0) {
        return make_file(path, file);
    }
    let target = device::claim(path, allowed)?;
    match (update(&target, path, file)?, content) {
        (Some(seeded), _) => Ok(Stick::Updated(seeded)),
        (None, Content::Keep) => Err(StickError::Occupied { path: path.to_owned() }),
        (None, Content::Erase) if is_file => make_file(path, file),
        (None, Content::Erase) => make_device(&target, path, file),
    }
}

/// Changes the join file of a stick; none if `target` is no stick.
fn update(target: &File, path: &Path, file: &JoinFile) -> Result<Option<Seeded>, StickError> {
    let Some(place) = find::volume(target, device::len_bytes(target, path)?) else {
        return Ok(None);
    };
    let failed = |source| StickError::Volume {
        path: path.to_owned(),
        source,
    };
    let mut volume = FatUpdater::open(target, place.start, place.end - place.start).map_err(failed)?;
    apply(&mut volume, Change::Put(file)).map(Some).map_err(failed)
}

fn make_file(path: &Path, file: &JoinFile) -> Result<Stick, StickError> {
    let layout = StickLayout::plan(FILE_BYTES, file)?;
    let failed = StickError::write(path, "the file");
    let mut staged = StagedFile::create(path).map_err(&failed)?;
    staged.file().set_len(FILE_BYTES).map_err(&failed)?;
    layout.write(staged.file(), path)?;
    staged.file().sync_data().map_err(&failed)?;
    staged.commit_as(MODE).map_err(&failed)?;
    Ok(Stick::Made)
}

fn make_device(target: &File, path: &Path, file: &JoinFile) -> Result<Stick, StickError> {
    let layout = StickLayout::plan(device::len_bytes(target, path)?, file)?;
    layout.erase(target, path)?;
    layout.write(&mut &*target, path)?;
    target.sync_all().map_err(StickError::write(path, "the end"))?;
    Ok(Stick::Made)
}
