//! Ids of disks and partitions as the kernel and blkid(8) write them: GUIDs on GPT disks, numbers on MBR disks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::gpt::Guid;
use crate::gpt::guid;
use crate::mbr;

/// What tells a disk from others, `PTUUID`: `3f2c…-…` (GPT) or `1234abcd` (MBR).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskId {
    /// The disk's GUID.
    Gpt(Guid),
    /// The disk's signature.
    Mbr(u32),
}

/// What tells a partition from others, `PARTUUID`: a GUID, or the disk's signature and the number, `1234abcd-02`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionId {
    /// The partition's GUID.
    Gpt(Guid),
    /// Nothing of its own.
    Mbr {
        /// The disk's signature.
        signature: u32,
        /// The partition's number, from 1.
        number: u8,
    },
}

/// What a partition is for: a GUID, or two hex digits after `0x` (MBR), as in `0x0c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionType {
    /// A type of the UAPI Discoverable Partitions Specification, or another one.
    Gpt(Guid),
    /// A type of an MBR.
    Mbr(u8),
}

/// A text that is none of these ids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a GUID nor an id on an MBR disk")]
pub struct BadId(pub String);

impl PartitionType {
    /// The type's name, if it is one that Skerry knows.
    pub fn type_name(&self) -> Option<&'static str> {
        match self {
            Self::Gpt(guid) => guid.type_name(),
            Self::Mbr(mbr::FAT32_LBA) => Some("fat32"),
            Self::Mbr(mbr::LINUX) => Some("linux"),
            Self::Mbr(_) => None,
        }
    }

    /// Whether it is an EFI system partition, or what stands for one on boards with an MBR.
    pub fn is_esp(&self) -> bool {
        matches!(self, Self::Gpt(guid::ESP) | Self::Mbr(mbr::FAT32_LBA | 0xef))
    }
}

impl fmt::Display for DiskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gpt(guid) => guid.fmt(f),
            Self::Mbr(signature) => write!(f, "{signature:08x}"),
        }
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gpt(guid) => guid.fmt(f),
            Self::Mbr { signature, number } => write!(f, "{signature:08x}-{number:02x}"),
        }
    }
}

impl fmt::Display for PartitionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gpt(guid) => guid.fmt(f),
            Self::Mbr(kind) => write!(f, "0x{kind:02x}"),
        }
    }
}

/// Exactly `len` hex digits.
fn hex(text: &str, len: usize) -> Option<u32> {
    let digits = text.len() == len && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u32::from_str_radix(text, 16).ok()).flatten()
}

impl FromStr for PartitionId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        if let Ok(guid) = text.parse() {
            return Ok(Self::Gpt(guid));
        }
        let parts = text.split_once('-');
        let parts = parts.and_then(|(signature, number)| Some((hex(signature, 8)?, hex(number, 2)?)));
        match parts.map(|(signature, number)| (signature, u8::try_from(number))) {
            Some((signature, Ok(number))) => Ok(Self::Mbr { signature, number }),
            _ => Err(BadId(text.to_owned())),
        }
    }
}

impl FromStr for PartitionType {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        if let Ok(guid) = text.parse() {
            return Ok(Self::Gpt(guid));
        }
        let kind = text.strip_prefix("0x").and_then(|digits| hex(digits, 2));
        let kind = kind.and_then(|kind| u8::try_from(kind).ok());
        kind.map(Self::Mbr).ok_or_else(|| BadId(text.to_owned()))
    }
}

impl Serialize for DiskId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for PartitionId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for PartitionType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PartitionId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for PartitionType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_the_kernel_writes_them_and_read_again() {
        let mbr = PartitionId::Mbr {
            signature: 0x00ab_cdef,
            number: 2,
        };
        assert_eq!(mbr.to_string(), "00abcdef-02");
        let gpt = PartitionId::Gpt(guid::ESP);
        for id in [mbr, gpt] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for kind in [PartitionType::Mbr(0x0c), PartitionType::Gpt(guid::VAR)] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!(DiskId::Mbr(1).to_string(), "00000001");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "00abcdef", "00abcdef-2", "0abcdef-02", "+0abcdef-02", "0xabcdef-02"] {
            assert!(text.parse::<PartitionId>().is_err(), "{text}");
        }
        for text in ["", "0c", "0x", "0x0", "0x00c", "0xg0", "0x+1"] {
            assert!(text.parse::<PartitionType>().is_err(), "{text}");
        }
    }
}
