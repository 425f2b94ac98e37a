//! The disk itself.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::blkpg;
use super::{Disk, GrowError};
use crate::initrd::mbr::{self, Entry, SECTOR_BYTES};

/// As systemd-repart has it (systemd 257, mkfs-util.c: make_filesystem), so that var is the same on every machine.
/// Nothing is discarded, which takes some cards minutes, and the kernel clears the tables of inodes when it is idle.
const MKE2FS: &[&str] = &[
    "-q",
    "-F",
    "-t",
    "ext4",
    "-T",
    "default",
    "-L",
    "var",
    "-I",
    "256",
    "-b",
    "4096",
    "-m",
    "0",
    "-E",
    "nodiscard,lazy_itable_init=1",
];

/// How much of what mke2fs said goes into an error.
const SAID_MAX_CHARS: usize = 300;

/// A disk that the root lies on.
#[derive(Debug)]
pub struct RealDisk {
    file: File,
    /// `/dev/mmcblk0`
    node: PathBuf,
    /// `/sys/class/block/mmcblk0`
    folder: PathBuf,
}

impl RealDisk {
    /// The disk at `node`, both it and /sys below `root`.
    pub fn open(root: &Path, node: &str) -> Result<Self, GrowError> {
        let name = node.rsplit('/').next().unwrap_or_default();
        let node = root.join(node.trim_start_matches('/'));
        let file = File::options().read(true).write(true).open(&node);
        let file = file.map_err(|source| GrowError::Read {
            path: node.clone(),
            source,
        })?;
        Ok(Self {
            folder: root.join("sys/class/block").join(name),
            file,
            node,
        })
    }

    /// Its first sector, and how many it has.
    pub fn read(&self) -> Result<([u8; SECTOR_BYTES], u64), GrowError> {
        let bytes = number(&self.folder.join("queue/logical_block_size"))?;
        if bytes != SECTOR_BYTES as u64 {
            let disk = self.node.clone();
            return Err(GrowError::SectorSize { disk, bytes });
        }
        let mut sector = [0; SECTOR_BYTES];
        let read = self.file.read_exact_at(&mut sector, 0);
        read.map_err(|source| GrowError::Read {
            path: self.node.clone(),
            source,
        })?;
        Ok((sector, number(&self.folder.join("size"))?))
    }

    /// A file of the partition beside the one of the disk.
    fn partition(&self, of_disk: &Path) -> PathBuf {
        let name = of_disk.file_name().unwrap_or_default().to_string_lossy();
        of_disk.with_file_name(partition_name(&name, mbr::VAR))
    }

    fn refused(&self, source: nix::Error) -> GrowError {
        GrowError::Partition {
            disk: self.node.clone(),
            source,
        }
    }
}

impl Disk for RealDisk {
    fn show_partition(&mut self, var: Entry) -> Result<(), GrowError> {
        // One that the table does not have is what a try before this one has left.
        blkpg::forget(&self.file, mbr::VAR)
            .and_then(|()| blkpg::add(&self.file, mbr::VAR, var))
            .map_err(|source| self.refused(source))
    }

    fn make_file_system(&mut self) -> Result<(), GrowError> {
        let partition = self.partition(&self.node);
        let ended = Command::new("mke2fs")
            .args(MKE2FS)
            .arg(&partition)
            .stdin(Stdio::null())
            .output();
        let ended = ended.map_err(GrowError::Run)?;
        if !ended.status.success() {
            let said = String::from_utf8_lossy(&ended.stderr);
            return Err(GrowError::Mke2fs {
                said: said.trim().chars().take(SAID_MAX_CHARS).collect(),
                status: ended.status.to_string(),
                partition,
            });
        }
        File::open(&partition)
            .and_then(|file| file.sync_all())
            .map_err(|source| GrowError::Write {
                path: partition,
                source,
            })
    }

    fn write_table(&mut self, sector: &[u8; SECTOR_BYTES]) -> Result<(), GrowError> {
        let written = self.file.write_all_at(sector, 0);
        written
            .and_then(|()| self.file.sync_all())
            .map_err(|source| GrowError::Write {
                path: self.node.clone(),
                source,
            })
    }

    fn announce(&mut self) -> Result<(), GrowError> {
        // udev saw the partition when the table did not have it yet, and so without a number.
        let path = self.partition(&self.folder).join("uevent");
        fs::write(&path, "change").map_err(|source| GrowError::Write { path, source })
    }
}

/// As the kernel names partitions (block/partitions/core.c, `add_partition`).
fn partition_name(disk: &str, number: u32) -> String {
    match disk.ends_with(|last: char| last.is_ascii_digit()) {
        true => format!("{disk}p{number}"),
        false => format!("{disk}{number}"),
    }
}

fn number(path: &Path) -> Result<u64, GrowError> {
    let text = fs::read_to_string(path);
    let number = text.and_then(|text| text.trim().parse().map_err(io::Error::other));
    number.map_err(|source| GrowError::Read {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_named_as_the_kernel_names_them() {
        assert_eq!(partition_name("mmcblk0", 4), "mmcblk0p4");
        assert_eq!(partition_name("nvme0n1", 4), "nvme0n1p4");
        assert_eq!(partition_name("sda", 4), "sda4");
    }
}
