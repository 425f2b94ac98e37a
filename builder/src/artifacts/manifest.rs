//! `manifest.json`: what a build made, for people, for `flash`, `serve` and `inspect`, and for programs.
//!
//! Within a version, fields are only added; the reader ignores those that it does not know.

use serde::{Deserialize, Serialize};

use super::ranges::HashedRange;
use super::{Artifact, ArtifactError};
use crate::arch::Arch;
use crate::digest::Sha256;
use crate::disk::{Loader, Partition, TableKind};
use crate::gpt::PartitionFlags;
use crate::partition_id::{PartitionId, PartitionType};
use crate::rootfs::repart::LEAST_VAR_BYTES;

/// The file's name.
pub const FILE_NAME: &str = "manifest.json";
/// The version of the format. 1: the first.
pub const VERSION: u64 = 1;

/// The manifest of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`VERSION`].
    pub version: u64,
    /// The image's name.
    pub image: String,
    /// The image's version.
    pub image_version: String,
    /// The architecture.
    pub arch: Arch,
    /// The lock's time, in seconds since 1970.
    pub timestamp: u64,
    /// The root hash of the verity data.
    pub root_hash: Sha256,
    /// The kernel's release, as `uname -r` prints it.
    pub kernel: String,
    /// The kernel command line inside of the UKI.
    pub command_line: String,
    /// The files of the build, without the manifest and what is made from it.
    pub artifacts: Vec<Artifact>,
    /// The board that the image is for, if its firmware is no UEFI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board: Option<String>,
    /// Boot loaders outside of partitions, by place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loaders: Vec<ManifestLoader>,
    /// The partitions of the disk image, by number.
    pub partitions: Vec<ManifestPartition>,
    /// The parts of the disk image that hold data.
    pub ranges: Vec<HashedRange>,
    /// What is installed, by name.
    pub packages: Vec<PackageSize>,
}

/// A boot loader outside of partitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestLoader {
    /// Its file's name.
    pub name: String,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub len_bytes: u64,
    /// Its digest.
    pub sha256: Sha256,
}

impl ManifestLoader {
    /// The entries for the boot loaders of a disk.
    pub fn list(loaders: &[Loader]) -> Vec<Self> {
        let entry = |loader: &Loader| Self {
            name: loader.name.clone(),
            offset: loader.offset,
            len_bytes: loader.data.len_bytes,
            sha256: loader.data.sha256,
        };
        loaders.iter().map(entry).collect()
    }
}

/// A partition of the disk image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestPartition {
    /// Its number, from 1.
    pub number: u32,
    /// Its label.
    pub label: String,
    /// Its type.
    pub type_id: PartitionType,
    /// Its own id, the PARTUUID.
    pub id: PartitionId,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its size in bytes.
    pub len_bytes: u64,
    /// How many of them hold data, from its beginning on.
    pub data_bytes: u64,
    /// Its attribute bits.
    pub flags: PartitionFlags,
}

impl ManifestPartition {
    /// The entries for the partitions of a disk.
    pub fn list(partitions: &[Partition]) -> Vec<Self> {
        let entry = |(partition, number): (&Partition, u32)| Self {
            number,
            label: partition.label.clone(),
            type_id: partition.type_id,
            id: partition.id,
            offset: partition.offset(),
            len_bytes: partition.len_bytes(),
            data_bytes: partition.data_range().end - partition.offset(),
            flags: partition.flags,
        };
        partitions.iter().zip(1..).map(entry).collect()
    }
}

/// An installed package or component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageSize {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What its files take in the tree, uncompressed, in bytes.
    pub installed_bytes: u64,
}

impl Manifest {
    /// The kind of partition table on the disk.
    pub fn table_kind(&self) -> TableKind {
        let is_mbr = |partition: &ManifestPartition| matches!(partition.id, PartitionId::Mbr { .. });
        match self.partitions.iter().any(is_mbr) {
            true => TableKind::Mbr,
            false => TableKind::Gpt,
        }
    }

    /// The least size in bytes of a disk on which the first boot finds room for what it makes: slot B, unless it lies in
    /// the image already (MBR), and var.
    pub fn least_disk_bytes(&self) -> u64 {
        let ends = self
            .partitions
            .iter()
            .map(|part| part.offset.saturating_add(part.len_bytes));
        let slots = self.partitions.iter().filter(|part| !part.type_id.is_esp());
        let second = match self.table_kind() {
            TableKind::Gpt => slots.fold(0, |sum: u64, part| sum.saturating_add(part.len_bytes)),
            TableKind::Mbr => 0,
        };
        ends.max()
            .unwrap_or_default()
            .saturating_add(second)
            .saturating_add(LEAST_VAR_BYTES)
    }

    /// The file's text.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("the manifest has no maps and no fallible fields");
        text + "\n"
    }

    /// Reads a manifest's text.
    pub fn from_json(text: &str) -> Result<Self, ArtifactError> {
        #[derive(Deserialize)]
        struct Version {
            version: u64,
        }
        let bad = |source: serde_json::Error| {
            let (line, column) = (source.line(), source.column());
            ArtifactError::Manifest { line, column, source }
        };
        // The version first: a newer file may differ in all else.
        let Version { version: found } = serde_json::from_str(text).map_err(bad)?;
        if found != VERSION {
            return Err(ArtifactError::ManifestVersion { found, known: VERSION });
        }
        serde_json::from_str(text).map_err(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifacts::ArtifactKind;
    use crate::gpt::guid;

    fn manifest() -> Manifest {
        Manifest {
            version: VERSION,
            image: "edge".to_owned(),
            image_version: "1.0".to_owned(),
            arch: Arch::X86_64,
            timestamp: 1_749_283_750,
            root_hash: Sha256::of(b"root"),
            kernel: "6.12.0-1-amd64".to_owned(),
            command_line: "roothash=x quiet".to_owned(),
            artifacts: vec![Artifact {
                kind: ArtifactKind::RawZst,
                file: "edge.raw.zst".to_owned(),
                len_bytes: 3,
                sha256: Sha256::of(b"raw"),
            }],
            board: Some("rock64".to_owned()),
            loaders: vec![ManifestLoader {
                name: "idbloader.img".to_owned(),
                offset: 1 << 15,
                len_bytes: 5,
                sha256: Sha256::of(b"loader"),
            }],
            partitions: vec![ManifestPartition {
                number: 1,
                label: "esp".to_owned(),
                type_id: PartitionType::Gpt(guid::ESP),
                id: PartitionId::Gpt(crate::gpt::Guid::NIL),
                offset: 1 << 20,
                len_bytes: 1 << 25,
                data_bytes: 1 << 21,
                flags: PartitionFlags::READ_ONLY,
            }],
            ranges: vec![HashedRange {
                offset: 0,
                len_bytes: 3,
                sha256: Sha256::of(b"raw"),
            }],
            packages: vec![PackageSize {
                name: "crun".to_owned(),
                version: "1.21-1".to_owned(),
                installed_bytes: 512,
            }],
        }
    }

    #[test]
    fn a_manifest_survives_the_round_trip_and_unknown_fields_are_ignored() {
        let text = manifest().to_json();
        assert_eq!(Manifest::from_json(&text).unwrap(), manifest());
        let extended = text.replacen('{', "{\n  \"later\": [1],", 1);
        assert_eq!(Manifest::from_json(&extended).unwrap(), manifest());
        assert!(text.contains(r#""kind": "raw-zst""#) && text.ends_with("}\n"), "{text}");
    }

    #[test]
    fn a_disk_needs_room_for_a_second_slot_only_where_the_image_has_one() {
        let part = |number: u8, type_id, id| ManifestPartition {
            number: number.into(),
            type_id,
            id,
            offset: u64::from(number) << 28,
            len_bytes: 1 << 28,
            ..manifest().partitions.remove(0)
        };
        let gpt = |number, type_id| {
            part(
                number,
                PartitionType::Gpt(type_id),
                PartitionId::Gpt(crate::gpt::Guid::NIL),
            )
        };
        let mbr = |number, kind| {
            part(
                number,
                PartitionType::Mbr(kind),
                PartitionId::Mbr { signature: 1, number },
            )
        };
        let one = [
            gpt(1, guid::ESP),
            gpt(2, guid::ROOT_X86_64),
            gpt(3, guid::ROOT_VERITY_X86_64),
        ];
        let two = [
            mbr(1, crate::mbr::FAT32_LBA),
            mbr(2, crate::mbr::LINUX),
            mbr(3, crate::mbr::LINUX),
        ];
        for (partitions, expected) in [(one, 6 << 28), (two, 4 << 28)] {
            let mut manifest = manifest();
            manifest.partitions = partitions.to_vec();
            assert_eq!(manifest.least_disk_bytes(), expected + LEAST_VAR_BYTES);
        }
    }

    #[test]
    fn a_newer_version_and_a_broken_text_are_told_apart() {
        let newer = Manifest::from_json(r#"{"version": 2, "all": "different"}"#).unwrap_err();
        assert_eq!(
            newer.to_string(),
            "the manifest has version 2; this Skerry reads version 1"
        );
        let broken = Manifest::from_json("{\"version\": 1,\n").unwrap_err();
        assert_eq!(broken.to_string(), "the manifest is not valid at line 2, column 0");
        assert!(Manifest::from_json(&manifest().to_json().replace("edge.raw.zst\",", "\"")).is_err());
    }
}
