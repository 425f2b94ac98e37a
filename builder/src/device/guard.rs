//! The rules by which a disk is refused: a pure function over facts.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::facts::{Changes, DiskFacts, Kind, Target, Use};
use crate::gpt::SECTOR_BYTES;
use crate::printer;
use crate::shell::quoted;

/// Larger media than this are seldom what an image for small machines is meant for, and often a backup disk.
pub const LARGE_BYTES: u64 = 256 << 30;

/// What the running system cannot do without.
const SYSTEM_MOUNTS: [&str; 9] = [
    "/",
    "/boot",
    "/boot/efi",
    "/boot/firmware",
    "/efi",
    "/etc",
    "/home",
    "/usr",
    "/var",
];

/// A rule that the user may set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Override {
    /// Write to a disk that is part of a machine.
    FixedDisk,
    /// Write to a disk of more than [`LARGE_BYTES`].
    LargeDisk,
}

impl Override {
    /// The flag for it.
    pub const fn flag(self) -> &'static str {
        match self {
            Self::FixedDisk => "--allow-fixed-disk",
            Self::LargeDisk => "--allow-large-disk",
        }
    }
}

/// Why a disk must not be overwritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "rule")]
pub enum Refusal {
    /// The path is no block device.
    NoBlockDevice,
    /// The path is a partition.
    Partition {
        /// The disk that it is on.
        disk: PathBuf,
    },
    /// A reader without a card.
    NoMedium,
    /// The kernel forbids writing.
    ReadOnly,
    /// The running system is on it.
    System {
        /// By what this was seen: mount points, or `swap`.
        holds: Vec<String>,
    },
    /// Something on it is mounted.
    Mounted {
        /// The mount points.
        at: Vec<String>,
    },
    /// Another device was made from it.
    Held {
        /// That device.
        holder: String,
        /// The command that undoes it.
        release: String,
    },
    /// It is not removable.
    Fixed,
    /// It is larger than [`LARGE_BYTES`].
    Large {
        /// Its size.
        len_bytes: u64,
    },
    /// The image does not fit.
    TooSmall {
        /// The disk's size.
        len_bytes: u64,
        /// The image's size.
        image_bytes: u64,
    },
    /// The new partition table counts in sectors of 512 bytes.
    SectorSize {
        /// Bytes in a sector of the disk.
        sector_bytes: u64,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBlockDevice => f.write_str("it is not a block device"),
            Self::Partition { .. } => f.write_str("it is a partition, not a whole disk"),
            Self::NoMedium => f.write_str("there is no medium in it"),
            Self::ReadOnly => f.write_str("it is read-only"),
            Self::System { holds } => write!(f, "the running system is on it ({})", holds.join(", ")),
            Self::Mounted { at } => write!(f, "it is mounted at {}", at.join(", ")),
            Self::Held { holder, .. } => write!(f, "{holder} is made from it"),
            Self::Fixed => f.write_str("it is not a removable medium"),
            Self::Large { len_bytes } => write!(
                f,
                "its {} are more than the {} of usual media",
                printer::bytes(*len_bytes),
                printer::bytes(LARGE_BYTES)
            ),
            Self::TooSmall { len_bytes, image_bytes } => {
                write!(f, "it has {len_bytes} bytes, and the image needs {image_bytes}")
            }
            Self::SectorSize { sector_bytes } => write!(
                f,
                "its sectors have {sector_bytes} bytes, and the new partition table counts in {SECTOR_BYTES}"
            ),
        }
    }
}

impl Refusal {
    /// The flag that sets the rule aside, if one does.
    pub const fn override_flag(&self) -> Option<Override> {
        match self {
            Self::Fixed => Some(Override::FixedDisk),
            Self::Large { .. } => Some(Override::LargeDisk),
            _ => None,
        }
    }

    /// What to do about it, if anything can be done.
    pub fn hint(&self) -> Option<String> {
        if let Some(rule) = self.override_flag() {
            return Some(format!("if this disk is really the one, add `{}`", rule.flag()));
        }
        let hint = match self {
            Self::NoBlockDevice => {
                "name a disk such as `/dev/sdX`; `skerry flash IMAGE` without a device lists them".to_owned()
            }
            Self::Partition { disk } => format!("name the whole disk: `{}`", disk.display()),
            Self::NoMedium => "put a card into the reader".to_owned(),
            Self::ReadOnly => "slide the card's lock open; some worn-out cards stay read-only for good".to_owned(),
            Self::System { .. } => "choose another disk: no flag overrides this".to_owned(),
            Self::Mounted { at } => {
                let points: Vec<String> = at.iter().map(|point| quoted(point)).collect();
                format!("unmount it first: `sudo umount {}`", points.join(" "))
            }
            Self::Held { release, .. } => format!("let go of it first: `sudo {release}`"),
            Self::TooSmall { .. } => "take a larger medium".to_owned(),
            Self::SectorSize { .. } => "use a medium with sectors of 512 bytes".to_owned(),
            Self::Fixed | Self::Large { .. } => return None,
        };
        Some(hint)
    }
}

/// All reasons why something of `image_bytes` must not be written to `target`; none if it may be.
pub fn refusals(target: &Target, image_bytes: u64, allowed: &BTreeSet<Override>) -> Vec<Refusal> {
    let disk = match target {
        Target::Disk(disk) => disk,
        Target::Partition { disk, .. } => return vec![Refusal::Partition { disk: disk.clone() }],
        Target::Other { .. } => return vec![Refusal::NoBlockDevice],
    };
    let mut found = in_use(disk);
    if disk.changes == Changes::Forbidden {
        found.push(Refusal::ReadOnly);
    }
    if disk.len_bytes == 0 {
        // Nothing else can be known of an empty reader.
        found.push(Refusal::NoMedium);
        return found;
    }
    if disk.kind == Kind::Fixed {
        found.push(Refusal::Fixed);
    }
    let len_bytes = disk.len_bytes;
    if len_bytes > LARGE_BYTES {
        found.push(Refusal::Large { len_bytes });
    }
    if len_bytes < image_bytes {
        found.push(Refusal::TooSmall { len_bytes, image_bytes });
    }
    if disk.sector_bytes != SECTOR_BYTES {
        found.push(Refusal::SectorSize {
            sector_bytes: disk.sector_bytes,
        });
    }
    found.retain(|refusal| refusal.override_flag().is_none_or(|rule| !allowed.contains(&rule)));
    found
}

/// By whom the disk is used. Of a disk with the running system nothing else matters.
fn in_use(disk: &DiskFacts) -> Vec<Refusal> {
    let mut holds: Vec<String> = disk.mounts().into_iter().map(str::to_owned).collect();
    holds.retain(|point| SYSTEM_MOUNTS.contains(&point.as_str()));
    if disk.uses.iter().any(|found| matches!(found, Use::Swap { .. })) {
        holds.push("swap".to_owned());
    }
    if !holds.is_empty() {
        return vec![Refusal::System { holds }];
    }
    let at: Vec<String> = disk.mounts().into_iter().map(str::to_owned).collect();
    let mounted = (!at.is_empty()).then_some(Refusal::Mounted { at });
    let held = disk.uses.iter().filter_map(|found| match found {
        Use::Holder { holder, release, .. } => Some(Refusal::Held {
            holder: holder.clone(),
            release: release.clone(),
        }),
        _ => None,
    });
    mounted.into_iter().chain(held).collect()
}
