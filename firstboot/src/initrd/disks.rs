//! The disks and partitions that the kernel knows, from /sys/class/block.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::gpt;
use super::ids::Guid;
use super::mbr::{self, Mbr, MbrError};
use super::slot;
use super::uevent::parse_fields;

/// Lengths in /sys and in the device mapper count in these, whatever the disk's own blocks are.
const SECTOR_BYTES: u64 = 512;

/// A block device: a whole disk or a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockDevice {
    /// The kernel's name, such as `mmcblk0p2`; also that of its node in /dev.
    pub name: String,
    /// `MAJOR:MINOR`
    pub number: String,
    /// Its length.
    pub len_bytes: u64,
    /// Its folder in /sys.
    folder: PathBuf,
    /// The partition's id if the kernel tells it (`PARTUUID`; that of Linux 6.12 does not).
    told_id: Option<Guid>,
}

/// A disk with its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The whole disk.
    pub device: BlockDevice,
    /// By number.
    pub partitions: Vec<(u32, BlockDevice)>,
}

/// A disk's partition table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Table {
    /// Its used entries.
    Gpt(Vec<gpt::Partition>),
    /// The four primaries.
    Mbr(Mbr),
}

/// Which of the two kinds it is; it decides how an image's partitions are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableKind {
    /// By ids and types (UAPI Discoverable Partitions).
    #[default]
    Gpt,
    /// By content and number ([`slot`], [`mbr`]).
    Mbr,
}

impl BlockDevice {
    /// Its node.
    pub fn node(&self) -> PathBuf {
        Path::new("/dev").join(&self.name)
    }

    /// Whether it is plugged into USB, to judge by its place in /sys.
    pub fn is_on_usb(&self) -> bool {
        self.folder
            .iter()
            .any(|part| part.as_encoded_bytes().starts_with(b"usb"))
    }

    fn open(folder: PathBuf) -> Option<Self> {
        let fields = parse_fields(&fs::read_to_string(folder.join("uevent")).ok()?, '\n');
        let sectors = read_number(&folder.join("size"))?;
        Some(Self {
            name: fields.get("DEVNAME")?.clone(),
            number: format!("{}:{}", fields.get("MAJOR")?, fields.get("MINOR")?),
            len_bytes: sectors.saturating_mul(SECTOR_BYTES),
            told_id: fields.get("PARTUUID").and_then(|text| text.parse().ok()),
            folder,
        })
    }
}

impl Disk {
    /// The partition with this id.
    pub fn partition(&self, id: &Guid) -> Option<&BlockDevice> {
        let told = self.partitions.iter().find(|(_, device)| device.told_id == Some(*id));
        told.map(|(_, device)| device).or_else(|| self.partition_by_table(id))
    }

    /// The same from the disk's own table, for kernels that do not tell ids.
    fn partition_by_table(&self, id: &Guid) -> Option<&BlockDevice> {
        if self.partitions.iter().any(|(_, device)| device.told_id.is_some()) {
            return None;
        }
        let Ok(Table::Gpt(entries)) = self.table() else {
            return None;
        };
        let entry = entries.iter().find(|entry| entry.id == *id)?;
        self.numbered(entry.number)
    }

    /// The primary partitions, if the disk has an MBR: at most four, whatever else the kernel sees on it.
    pub fn primaries(&self) -> Vec<&BlockDevice> {
        let Ok(Table::Mbr(_)) = self.table() else {
            return Vec::new();
        };
        let primaries = self.partitions.iter().filter(|(number, _)| *number <= mbr::PRIMARIES);
        primaries.map(|(_, device)| device).collect()
    }

    /// The partition with this number.
    pub fn numbered(&self, number: u32) -> Option<&BlockDevice> {
        let found = self.partitions.iter().find(|(of, _)| *of == number);
        found.map(|(_, device)| device)
    }

    /// The disk's partition table, read from the disk. What is no MBR is taken for a GPT, whose backup can stand in for
    /// damage at the start of the disk.
    pub fn table(&self) -> Result<Table, TableError> {
        let path = self.device.node();
        let file = File::open(&path).map_err(|source| TableError::Open { path, source })?;
        if let Ok(mbr) = read_mbr(&file) {
            return Ok(Table::Mbr(mbr));
        }
        let block_bytes = read_number(&self.device.folder.join("queue/logical_block_size")).unwrap_or(SECTOR_BYTES);
        let disk = OpenDisk {
            file,
            block_bytes: u32::try_from(block_bytes).unwrap_or(0),
            len_bytes: self.device.len_bytes,
        };
        Ok(Table::Gpt(gpt::read(&disk)?))
    }

    /// One phrase for the console: name, size, model.
    pub fn description(&self) -> String {
        let size = self.device.len_bytes.div_ceil(1_000_000);
        let model = ["device/model", "device/name"].into_iter();
        let model = model
            .filter_map(|file| fs::read_to_string(self.device.folder.join(file)).ok())
            .next();
        let model = model.map(|text| format!(" {}", text.trim())).unwrap_or_default();
        let partitions = self.partitions.len();
        format!("{} ({size} MB{model}, {partitions} partitions)", self.device.name)
    }
}

/// Why a disk's table is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The device does not open.
    #[error("cannot open {}", path.display())]
    Open {
        /// Its node.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The table is not good.
    #[error(transparent)]
    Table(#[from] gpt::GptError),
}

fn read_mbr(file: &File) -> io::Result<Mbr> {
    let mut sector = [0; mbr::SECTOR_BYTES];
    file.read_exact_at(&mut sector, 0)?;
    Mbr::parse(&sector).map_err(|reason: MbrError| io::Error::new(io::ErrorKind::InvalidData, reason))
}

/// A partition whose content is looked at.
#[derive(Debug)]
pub struct OpenSlot {
    file: File,
    len_bytes: u64,
}

impl OpenSlot {
    /// Opens it for reading.
    pub fn open(device: &BlockDevice) -> io::Result<Self> {
        Ok(Self {
            file: File::open(device.node())?,
            len_bytes: device.len_bytes,
        })
    }
}

impl slot::Slot for OpenSlot {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn len_bytes(&self) -> u64 {
        self.len_bytes
    }
}

struct OpenDisk {
    file: File,
    block_bytes: u32,
    len_bytes: u64,
}

impl gpt::Disk for OpenDisk {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn block_bytes(&self) -> u32 {
        self.block_bytes
    }

    fn blocks(&self) -> u64 {
        self.len_bytes.checked_div(self.block_bytes.into()).unwrap_or(0)
    }
}

/// All disks that hold something, by name. `class` is /sys/class/block.
pub fn scan(class: &Path) -> Vec<Disk> {
    let mut folders: Vec<_> = fs::read_dir(class)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| fs::canonicalize(entry.path()).ok())
        .collect();
    folders.sort();
    let partition_number = |folder: &Path| {
        let number = read_number(&folder.join("partition"))?;
        u32::try_from(number).ok()
    };
    let whole = folders.iter().filter(|folder| partition_number(folder).is_none());
    whole
        .filter_map(|folder| BlockDevice::open(folder.clone()))
        .filter(|device| device.len_bytes > 0 && !device.is_made_of_others())
        .map(|device| {
            let own = folders.iter().filter(|folder| folder.parent() == Some(&device.folder));
            let numbered =
                own.filter_map(|folder| Some((partition_number(folder)?, BlockDevice::open(folder.clone())?)));
            let mut partitions: Vec<_> = numbered.collect();
            partitions.sort_by_key(|(number, _)| *number);
            Disk { device, partitions }
        })
        .collect()
}

impl BlockDevice {
    /// Loop, RAM and mapped devices; a CD drive (`sr`) would spin up only to have no partitions.
    fn is_made_of_others(&self) -> bool {
        ["loop", "ram", "zram", "dm-", "sr", "fd"].iter().any(|prefix| {
            self.name
                .strip_prefix(prefix)
                .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
        })
    }
}

fn read_number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
pub(super) mod tests;
