//! What is known about a disk.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// What a path on the command line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A whole disk.
    Disk(Box<DiskFacts>),
    /// A part of a disk.
    Partition {
        /// As it was named.
        path: PathBuf,
        /// The disk that it is on.
        disk: PathBuf,
    },
    /// A file, a folder, a terminal.
    Other {
        /// As it was named.
        path: PathBuf,
    },
}

/// What a disk is attached by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bus {
    /// A stick, a card reader, a disk in an enclosure.
    Usb,
    /// A slot for SD cards, or soldered eMMC.
    Mmc,
    /// NVM Express.
    Nvme,
    /// Serial or parallel ATA.
    Ata,
    /// A virtual machine's.
    Virtio,
    /// A file that the kernel shows as a disk.
    Loop,
    /// Made by the kernel from something else, such as the device mapper.
    Virtual,
    /// Anything else, such as SCSI.
    Other,
}

impl fmt::Display for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Usb => "usb",
            Self::Mmc => "mmc",
            Self::Nvme => "nvme",
            Self::Ata => "ata",
            Self::Virtio => "virtio",
            Self::Loop => "loop",
            Self::Virtual => "virtual",
            Self::Other => "other",
        })
    }
}

/// Whether a medium is made to be taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A stick or card.
    Removable,
    /// Part of a machine.
    Fixed,
}

/// Whether the kernel lets a disk be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Changes {
    /// It does.
    Allowed,
    /// It is read-only.
    Forbidden,
}

/// By whom a disk, or something on it, is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "use")]
pub enum Use {
    /// Mounted.
    Mounted {
        /// The kernel's name of the disk, the partition or what was made from it.
        device: String,
        /// The mount point.
        at: String,
    },
    /// Memory is swapped to it.
    Swap {
        /// The kernel's name.
        device: String,
    },
    /// Another device was made from it.
    Holder {
        /// The kernel's name of the disk or partition.
        device: String,
        /// The name of what was made from it.
        holder: String,
        /// The command that undoes it.
        release: String,
    },
}

/// A whole disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskFacts {
    /// The kernel's name, such as `sdb`.
    pub name: String,
    /// Where it can be opened, such as `/dev/sdb`.
    pub path: PathBuf,
    /// Its number, `major:minor`.
    pub number: String,
    /// Its size in bytes; 0 for a reader without a card.
    pub len_bytes: u64,
    /// Bytes in the smallest part that can be written.
    pub sector_bytes: u64,
    /// Whether it can be taken out.
    pub kind: Kind,
    /// Whether it can be written to.
    pub changes: Changes,
    /// How it is attached.
    pub bus: Bus,
    /// What its maker calls it.
    pub model: Option<String>,
    /// What tells it from others of its model.
    pub serial: Option<String>,
    /// Who uses it.
    pub uses: Vec<Use>,
}

impl DiskFacts {
    /// By what a disk is confirmed: its serial number, else its model, else its kernel name with its size in bytes.
    pub fn confirmation(&self) -> String {
        let own = self.serial.clone().or_else(|| self.model.clone());
        own.unwrap_or_else(|| self.name_and_size())
    }

    /// What to type at a terminal: the model, else the kernel name with the size in bytes.
    pub fn to_type(&self) -> String {
        self.model.clone().unwrap_or_else(|| self.name_and_size())
    }

    fn name_and_size(&self) -> String {
        format!("{}:{}", self.name, self.len_bytes)
    }

    /// Where it or something on it is mounted.
    pub fn mounts(&self) -> Vec<&str> {
        let mounts = self.uses.iter().filter_map(|found| match found {
            Use::Mounted { at, .. } => Some(at.as_str()),
            _ => None,
        });
        mounts.collect()
    }
}
