//! A folder of artifacts as `skerry build` leaves it, with something else in its root.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use skerry_builder::arch::Arch;
use skerry_builder::artifacts::manifest::{self, Manifest, ManifestPartition};
use skerry_builder::artifacts::{Artifact, ArtifactKind, CompressInput, Compressed, FileDigest, compress};
use skerry_builder::digest::Sha256;
use skerry_builder::disk::{self, DiskInput, DiskLayout, SlotInput, TableKind};
use skerry_builder::fat::{self, FatData, FatFile};

use super::loop_device::LoopDevice;

pub const MIB: u64 = 1 << 20;
/// 2025-06-07T08:09:10Z.
const TIME: u64 = 1_749_283_750;
const ROOT_HASH: &[u8] = b"root hash";

/// An image with its manifest.
pub struct Made {
    folder: tempfile::TempDir,
    pub manifest: Manifest,
    pub ranges: Vec<Range<u64>>,
}

/// Bytes that do not compress, the same each time.
fn noise(len: u64) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let word = |_| {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..len / 8).flat_map(word).collect()
}

/// An image of an ESP with one large file, a root file system of so many bytes, and verity data.
fn layout(folder: &Path, root_bytes: u64, table: TableKind) -> DiskLayout {
    let slot = |name: &str, len_bytes: u64, slot_bytes: u64| {
        let path = folder.join(name);
        fs::write(&path, noise(len_bytes)).unwrap();
        SlotInput {
            path,
            len_bytes,
            slot_bytes,
        }
    };
    let uki = FatFile {
        path: "EFI/Linux/edge_1+3.efi".to_owned(),
        data: FatData::Bytes(noise(3 * MIB)),
    };
    DiskLayout::plan(DiskInput {
        arch: Arch::X86_64,
        seed: Sha256::of(b"seed"),
        label: "edge_1".to_owned(),
        esp: fat::plan(vec![uki], 36 * MIB, "ESP", 1, TIME).unwrap(),
        root: slot("edge.root", root_bytes, root_bytes + 3 * MIB),
        verity: slot("edge.verity", 96 << 10, MIB),
        root_hash: Sha256::of(ROOT_HASH),
        table,
        first_partition: 1 << 20,
        loaders: Vec::new(),
    })
    .unwrap()
}

fn manifest_of(layout: &DiskLayout, made: Compressed) -> Manifest {
    let artifact = |kind, file: &str, digest: FileDigest| Artifact {
        kind,
        file: file.to_owned(),
        len_bytes: digest.len_bytes,
        sha256: digest.sha256,
    };
    Manifest {
        version: manifest::VERSION,
        image: "edge".to_owned(),
        image_version: "1".to_owned(),
        arch: Arch::X86_64,
        timestamp: TIME,
        root_hash: Sha256::of(ROOT_HASH),
        kernel: "6.12".to_owned(),
        command_line: "quiet".to_owned(),
        artifacts: vec![
            artifact(ArtifactKind::Raw, "edge.raw", made.raw),
            artifact(ArtifactKind::RawZst, "edge.raw.zst", made.zst),
        ],
        board: None,
        loaders: Vec::new(),
        partitions: ManifestPartition::list(&layout.partitions),
        ranges: made.ranges,
        packages: Vec::new(),
    }
}

impl Made {
    pub fn small() -> Self {
        Self::with_root_of(9 * MIB)
    }

    /// An image whose root file system has so many bytes.
    pub fn with_root_of(len_bytes: u64) -> Self {
        Self::new(len_bytes, TableKind::Gpt)
    }

    /// An image for a board with an MBR.
    pub fn for_board() -> Self {
        Self::new(9 * MIB, TableKind::Mbr)
    }

    fn new(len_bytes: u64, table: TableKind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = layout(folder.path(), len_bytes, table);
        let [raw, zst] = ["edge.raw", "edge.raw.zst"].map(|name| folder.path().join(name));
        let ranges = disk::write(&layout, &raw).unwrap();
        let input = CompressInput {
            raw: &raw,
            zst: &zst,
            ranges: &ranges,
        };
        let manifest = manifest_of(&layout, compress(&input).unwrap());
        let made = Self {
            folder,
            manifest,
            ranges,
        };
        made.write_manifest();
        made
    }

    /// Writes the manifest as it is now.
    pub fn write_manifest(&self) {
        fs::write(self.path().join(manifest::FILE_NAME), self.manifest.to_json()).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn named(&self, name: &str) -> String {
        let path: PathBuf = self.path().join(name);
        path.to_str().unwrap().to_owned()
    }

    pub fn folder(&self) -> String {
        self.named("")
    }

    pub fn raw(&self) -> String {
        self.named("edge.raw")
    }

    pub fn zst(&self) -> String {
        self.named("edge.raw.zst")
    }

    pub fn data_bytes(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }

    /// Where the root file system begins.
    pub fn root_offset(&self) -> u64 {
        self.manifest.partitions[1].offset
    }

    /// Root and verity are on the device as they were built.
    pub fn assert_has_root(&self, device: &LoopDevice) {
        let image = fs::read(self.raw()).unwrap();
        for partition in &self.manifest.partitions[1..] {
            let (offset, len) = (partition.offset as usize, partition.data_bytes as usize);
            let content = device.read(partition.offset, len);
            assert!(
                content[..] == image[offset..offset + len],
                "{} differs",
                partition.label
            );
        }
    }

    /// All that the image has is on the device.
    pub fn assert_on(&self, device: &LoopDevice) {
        let (image, content) = (fs::read(self.raw()).unwrap(), device.content());
        for range in &self.ranges {
            let range = range.start as usize..range.end as usize;
            assert!(image[range.clone()] == content[range.clone()], "{range:?} differs");
        }
    }
}
