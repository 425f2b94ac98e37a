//! Puts a join file onto a finished image, or takes it away: on a raw file or on the disk that the image was written to.
//!
//! In: a file or block device with a Skerry image, and a join file. Out: the same image with the file in the root of its
//! EFI system partition; root file system, root hash and kernel image are not touched. The file is checked by the program
//! that will read it on the machine, and never shown. A power cut leaves the old file or the new one.

mod error;
mod join_file;
pub(crate) mod target;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use skerry_firstboot::source::FILES;

use crate::arch::Arch;
use crate::direct_boot;
use crate::disk::read::{FoundPartition, read_table};
use crate::fat::read::{FatKind, FatReadError, FatReader};
use crate::fat::update::{FatUpdateError, FatUpdater, Medium, Overlay, Patch, Updated};
use crate::gpt::Guid;
use crate::partition_id::{DiskId, PartitionType};

pub use error::SeedError;
pub use join_file::{JoinFile, check_join_file};

/// Where the boot loader looks for kernel images; an image of ours that has one has the folder.
const UKI_FOLDER: &str = "EFI/Linux";

/// What is to become of an image's join file.
#[derive(Debug, Clone, Copy)]
pub enum Change<'a> {
    /// This one replaces whatever is there.
    Put(&'a JoinFile),
    /// It is removed.
    Remove,
}

/// What has been done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seeded {
    /// What became of the file that was asked for; for [`Change::Remove`] of the one that was there.
    pub updated: Updated,
    /// Join files of other names that were removed.
    pub others: usize,
}

impl Seeded {
    /// Whether anything was written.
    pub fn changed(&self) -> bool {
        self.updated != Updated::Unchanged || self.others > 0
    }
}

/// Carries out `change` on the image at `path`.
pub fn seed(path: &Path, change: Change<'_>) -> Result<Seeded, SeedError> {
    seed_disk(&target::open(path)?, path, change)
}

/// The same on a disk that is open already; `path` is what errors call it.
pub fn seed_disk(disk: &File, path: &Path, change: Change<'_>) -> Result<Seeded, SeedError> {
    let esp = find_esp(disk, path)?;
    change_volume(disk, &esp, path, change).map(|(seeded, _)| seeded)
}

/// The EFI system partition of an image.
#[derive(Debug, Clone)]
pub struct Esp(FoundPartition);

/// Finds the EFI system partition of the image `disk`, whose position in the file this changes. `path` is for errors.
pub fn esp(disk: &File, path: &Path) -> Result<Esp, SeedError> {
    find_esp(disk, path).map(Esp)
}

/// What [`seed`] would write to the image `disk` to put `file` onto it. Nothing is written, and the position in the file
/// does not matter, so that many can ask at the same time.
pub fn patch(disk: &File, esp: &Esp, path: &Path, file: &JoinFile) -> Result<Patch, SeedError> {
    let (_, overlay) = change_volume(Overlay::new(disk), &esp.0, path, Change::Put(file))?;
    Ok(overlay.into_patch())
}

fn change_volume<M: Medium>(
    medium: M,
    esp: &FoundPartition,
    path: &Path,
    change: Change<'_>,
) -> Result<(Seeded, M), SeedError> {
    let (offset, len_bytes) = (esp.offset, esp.len_bytes);
    let failed = |source| SeedError::Volume {
        path: path.to_owned(),
        source: Box::new(source),
    };
    let mut volume = FatUpdater::open(medium, offset, len_bytes).map_err(failed)?;
    let seeded = apply(&mut volume, change).map_err(failed)?;
    Ok((seeded, volume.into_medium()))
}

/// Carries out `change` in the root of a volume.
pub fn apply<M: Medium>(volume: &mut FatUpdater<M>, change: Change<'_>) -> Result<Seeded, FatUpdateError> {
    let mut seeded = Seeded {
        updated: Updated::Unchanged,
        others: 0,
    };
    let kept = match change {
        Change::Put(file) => {
            seeded.updated = volume.put(file.name(), file.text().as_bytes())?;
            Some(file.name())
        }
        Change::Remove => None,
    };
    // The machine takes the first name that it finds, so only one may be there.
    for name in FILES.iter().filter(|name| Some(**name) != kept) {
        match (volume.remove(name)?, change) {
            (Updated::Unchanged, _) => {}
            (_, Change::Put(_)) => seeded.others += 1,
            (removed, Change::Remove) => seeded.updated = removed,
        }
    }
    Ok(seeded)
}

/// The EFI system partition of an image that is one of ours.
fn find_esp(disk: &File, path: &Path) -> Result<FoundPartition, SeedError> {
    let foreign = |reason| SeedError::NotOurs {
        path: path.to_owned(),
        reason,
    };
    let found = read_table(&mut &*disk).map_err(|source| SeedError::no_table(path, disk, source))?;
    let is_verity = |partition: &FoundPartition| {
        let mut types = Arch::ALL.iter().map(|arch| Guid::root_verity_type(*arch));
        types.any(|type_id| partition.type_id == PartitionType::Gpt(type_id))
    };
    // On an MBR disk it lies behind the root file system, in a slot; without slots it would not have been taken for ours.
    if matches!(found.id, DiskId::Gpt(_)) && !found.partitions.iter().any(is_verity) {
        return Err(foreign("it has no partition for the verity data of a root file system"));
    }
    let esp = found
        .partitions
        .into_iter()
        .find(|partition| partition.type_id.is_esp());
    let esp = esp.ok_or_else(|| foreign("it has no EFI system partition"))?;
    let unreadable = |source| SeedError::Volume {
        path: path.to_owned(),
        source: Box::new(FatUpdateError::Read(source)),
    };
    let mut volume = FatReader::open(disk, esp.offset, esp.len_bytes).map_err(unreadable)?;
    match starts_skerry(&mut volume).map_err(unreadable)? {
        true => Ok(esp),
        false => Err(foreign(
            "its EFI system partition has no folder EFI/Linux, and no config.txt whose kernel is told a root hash",
        )),
    }
}

/// Whether the volume is one that an image of ours starts from: by a boot loader, or by firmware that starts Linux itself,
/// which on other systems' cards is told no root hash.
fn starts_skerry<R: Read + Seek>(volume: &mut FatReader<R>) -> Result<bool, FatReadError> {
    let folder = volume.find(UKI_FOLDER)?;
    if folder.is_some_and(|entry| entry.kind == FatKind::Folder) {
        return Ok(true);
    }
    let entry = direct_boot::find(volume, direct_boot::SETTINGS[0])?;
    Ok(entry.is_some_and(|entry| entry.root_hash().is_some()))
}
