//! Makes var at the first boot of a machine whose disk has an MBR: systemd-repart, which does it elsewhere, knows no table
//! but a GPT.
//!
//! ```text
//! boot.json, sector 0, length ─plan→ Plan ─→ partition 4 in the kernel's memory ─→ ext4 in it, on the disk
//!                                        └→ sector 0 with its entry, on the disk ─→ udev names it /dev/skerry/var
//! ```
//!
//! The entry comes last, and is one sector: a power cut before it leaves the disk as it was flashed, and the next boot
//! begins anew; after it there is a whole var. mke2fs works in the partition and not at an offset of the disk: the kernel
//! lets nobody have a whole disk for himself while the root lies on it, and mke2fs insists (EBUSY; Linux 6.18, e2fsprogs
//! 1.47).
//!
//! Deliberately not supported: moving or resizing what is there, a var that is larger than an MBR can say (2 TiB).

mod blkpg;
mod plan;
mod real;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::initrd::disks::TableKind;
use crate::initrd::facts::{self, BootFacts};
use crate::initrd::mbr::{Entry, SECTOR_BYTES};
use crate::status_file;

pub use plan::{LEAST_BYTES, Plan, PlanError, plan};
pub use real::RealDisk;

/// The disk that a plan is carried out on.
pub trait Disk {
    /// Has the kernel see partition 4 there, though the table does not have it.
    fn show_partition(&mut self, var: Entry) -> Result<(), GrowError>;
    /// Makes an empty file system in it and waits until it is on the disk.
    fn make_file_system(&mut self) -> Result<(), GrowError>;
    /// Replaces the table and waits until it is on the disk.
    fn write_table(&mut self, sector: &[u8; SECTOR_BYTES]) -> Result<(), GrowError>;
    /// Has udev look at the partition again.
    fn announce(&mut self) -> Result<(), GrowError>;
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The disk has a GPT.
    NotOurs,
    /// Partition 4 was there.
    There,
    /// It is there now.
    Made(Entry),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOurs => f.write_str("nothing to do: the disk has a GPT, and systemd-repart makes var there"),
            Self::There => f.write_str("nothing to do: the disk has its fourth partition"),
            Self::Made(var) => {
                let mib = u64::from(var.sectors) * SECTOR_BYTES as u64 / (1 << 20);
                write!(f, "made var of {mib} MiB")
            }
        }
    }
}

/// Why there is no var.
#[derive(Debug, thiserror::Error)]
pub enum GrowError {
    /// The initrd did not leave them, or not in this form.
    #[error("cannot read {}, which the initrd leaves", path.display())]
    Facts {
        /// Where they should be.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The disk, or what the kernel says of it.
    #[error("cannot read {}", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The disk counts in other sectors.
    #[error("{} has sectors of {bytes} bytes, and an image with an MBR is made for 512: take another disk", disk.display())]
    SectorSize {
        /// The disk.
        disk: PathBuf,
        /// Of its sectors.
        bytes: u64,
    },
    /// Its table.
    #[error("{} cannot get a var", disk.display())]
    Plan {
        /// The disk.
        disk: PathBuf,
        /// Why.
        #[source]
        source: PlanError,
    },
    /// The kernel does not want the partition.
    #[error("the kernel does not take a fourth partition on {}", disk.display())]
    Partition {
        /// The disk.
        disk: PathBuf,
        /// Why.
        #[source]
        source: nix::Error,
    },
    /// The program does not start.
    #[error("cannot run mke2fs")]
    Run(#[source] io::Error),
    /// The program fails.
    #[error("mke2fs cannot make a file system on {} ({status}): {said}", partition.display())]
    Mke2fs {
        /// Where.
        partition: PathBuf,
        /// How it ended.
        status: String,
        /// Its last words.
        said: String,
    },
    /// The disk does not take it.
    #[error("cannot write {}; if it happens again, the disk is worn out", path.display())]
    Write {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Does it, on the machine whose files are below `root`: `/`, but for tests.
pub fn grow(root: &Path) -> Result<Outcome, GrowError> {
    let path = root.join(facts::PATH.trim_start_matches('/'));
    let facts: BootFacts = status_file::load(&path).map_err(|source| GrowError::Facts { path, source })?;
    if facts.partition_table == TableKind::Gpt {
        return Ok(Outcome::NotOurs);
    }
    let mut disk = RealDisk::open(root, &facts.disk)?;
    let (sector, sectors) = disk.read()?;
    let planned = plan(&sector, sectors).map_err(|source| GrowError::Plan {
        disk: facts.disk.into(),
        source,
    })?;
    match planned {
        Some(plan) => carry_out(&plan, &mut disk).map(|()| Outcome::Made(plan.var)),
        None => Ok(Outcome::There),
    }
}

/// Carries a plan out, step by step; after an error of the first two the table is as it was.
pub fn carry_out(plan: &Plan, disk: &mut impl Disk) -> Result<(), GrowError> {
    disk.show_partition(plan.var)?;
    disk.make_file_system()?;
    disk.write_table(&plan.sector)?;
    disk.announce()
}

#[cfg(test)]
mod tests;
