//! Reads facts about disks from `/sys` and `/proc`.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};

use super::facts::{Changes, DiskFacts, Target, Use};
use super::identity;
use super::uses::{Family, entries};
use crate::gpt::SECTOR_BYTES;

/// Disks in `/sys/block` that no image is for: memory, optical drives, floppies.
const NEVER: [&str; 4] = ["ram", "zram", "sr", "fd"];

/// Where the kernel tells about this machine.
#[derive(Debug, Clone)]
pub struct Host {
    sys: PathBuf,
    proc: PathBuf,
    dev: PathBuf,
}

impl Default for Host {
    fn default() -> Self {
        Self::at(Path::new("/"))
    }
}

impl Host {
    /// The machine whose `/sys`, `/proc` and `/dev` are below `root`.
    pub fn at(root: &Path) -> Self {
        let [sys, proc, dev] = ["sys", "proc", "dev"].map(|name| root.join(name));
        Self { sys, proc, dev }
    }

    /// The disks that could be meant, by name; without those that have no size, such as unused loop devices.
    pub fn disks(&self) -> Vec<DiskFacts> {
        let names = entries(&self.sys.join("block"));
        let names = names.filter(|name| !NEVER.iter().any(|never| is_numbered(name, never)));
        let disks = names.filter_map(|name| self.disk(&name).ok());
        disks.filter(|disk| disk.len_bytes > 0).collect()
    }

    /// What a word on the command line means: a path, or a kernel name such as `sdb`.
    pub fn target(&self, word: &Path) -> io::Result<Target> {
        let path = match word.components().count() {
            1 if !word.exists() => self.dev.join(word),
            _ => word.to_owned(),
        };
        let metadata = fs::metadata(&path)?;
        if !metadata.file_type().is_block_device() {
            return Ok(Target::Other { path });
        }
        let name = self.name_of_number(metadata.rdev())?;
        let folder = self.class().join(&name).canonicalize()?;
        let above = || folder.parent().and_then(Path::file_name);
        match (folder.join("partition").exists(), above()) {
            (true, Some(disk)) => Ok(Target::Partition {
                path,
                disk: self.dev.join(disk),
            }),
            _ => self.disk(&name).map(|disk| Target::Disk(Box::new(disk))),
        }
    }

    /// Who uses the disk or partition with this number.
    pub fn uses(&self, number: u64) -> Vec<Use> {
        let name = self.name_of_number(number);
        name.map(|name| self.uses_of(&name)).unwrap_or_default()
    }

    /// What is known about the disk with this kernel name.
    pub fn disk(&self, name: &str) -> io::Result<DiskFacts> {
        let folder = self.class().join(name);
        let place = folder.canonicalize()?;
        let text = |path: &str| fs::read_to_string(folder.join(path)).map(|text| text.trim().to_owned());
        let count = |text: String| {
            text.parse::<u64>()
                .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
        };
        let bus = identity::bus(&place);
        Ok(DiskFacts {
            name: name.to_owned(),
            // The kernel writes `/` in names as `!` (`cciss!c0d0`).
            path: self.dev.join(name.replace('!', "/")),
            number: text("dev")?,
            len_bytes: count(text("size")?)?.saturating_mul(SECTOR_BYTES),
            sector_bytes: text("queue/logical_block_size").and_then(count).unwrap_or(SECTOR_BYTES),
            kind: identity::kind(&folder, bus),
            changes: match text("ro")?.as_str() {
                "0" => Changes::Allowed,
                _ => Changes::Forbidden,
            },
            bus,
            model: identity::model(&folder),
            serial: identity::serial(&folder, &place, bus),
            uses: self.uses_of(name),
        })
    }

    fn uses_of(&self, name: &str) -> Vec<Use> {
        let read = |path: &str| fs::read_to_string(self.proc.join(path)).unwrap_or_default();
        let name_of = |path: &str| {
            let path = Path::new(path);
            let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            let name = path.strip_prefix("/dev").ok()?;
            Some(name.to_str()?.replace('/', "!"))
        };
        Family::of(&self.class(), name).uses(&read("self/mountinfo"), &read("swaps"), name_of)
    }

    fn class(&self) -> PathBuf {
        self.sys.join("class/block")
    }

    fn name_of_number(&self, number: u64) -> io::Result<String> {
        let link = self.sys.join(format!("dev/block/{}:{}", major(number), minor(number)));
        let place = link.canonicalize()?;
        let name = place.file_name().ok_or(io::ErrorKind::NotFound)?;
        Ok(name.to_string_lossy().into_owned())
    }
}

fn is_numbered(name: &str, stem: &str) -> bool {
    name.strip_prefix(stem)
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}
