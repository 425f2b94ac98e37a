use std::fs;

use proptest::prelude::*;

use super::*;
use crate::artifacts::Artifact;
use crate::disk::{self, DiskInput, DiskLayout, SlotInput};
use crate::fat::{self, FatData, FatFile};

const MIB: u64 = 1 << 20;

fn root_hash() -> Sha256 {
    Sha256::of(b"root hash")
}

/// A PE file with text sections as a UKI has them, each padded to 512 bytes.
fn uki(sections: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = vec![0; 1024];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[0x3c] = 0x80;
    bytes[0x80..0x84].copy_from_slice(b"PE\0\0");
    bytes[0x86] = sections.len() as u8;
    bytes[0x94] = 16; // an optional header of that size
    for ((name, content), at) in sections.iter().zip((0x80 + 24 + 16..).step_by(40)) {
        let offset = bytes.len() as u32;
        bytes[at..at + name.len()].copy_from_slice(name.as_bytes());
        bytes[at + 8..at + 12].copy_from_slice(&(content.len() as u32).to_le_bytes());
        bytes[at + 16..at + 20].copy_from_slice(&512_u32.to_le_bytes());
        bytes[at + 20..at + 24].copy_from_slice(&offset.to_le_bytes());
        bytes.extend(content.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes
}

fn squashfs() -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    bytes[..4].copy_from_slice(b"hsqs");
    bytes[4] = 77;
    bytes[12..16].copy_from_slice(&131_072_u32.to_le_bytes());
    bytes[20] = 6;
    bytes[28] = 4;
    bytes[40..48].copy_from_slice(&4_000_u64.to_le_bytes());
    bytes
}

fn verity() -> Vec<u8> {
    let mut bytes = vec![0; 8192];
    bytes[..8].copy_from_slice(b"verity\0\0");
    (bytes[8], bytes[12]) = (1, 1);
    bytes[16..32].copy_from_slice(Guid::from_u128(0x1234).as_bytes());
    bytes[32..38].copy_from_slice(b"sha256");
    bytes[64..68].copy_from_slice(&4096_u32.to_le_bytes());
    bytes[68..72].copy_from_slice(&4096_u32.to_le_bytes());
    bytes[72] = 1;
    bytes[80] = 2;
    bytes[88..90].copy_from_slice(&[0xab, 0xcd]);
    bytes
}

/// Writes `edge.raw` into `folder`.
fn write_image(folder: &Path) -> PathBuf {
    let uki = uki(&[
        (".osrel", "ID=skerry\nPRETTY_NAME=\"Skerry edge 1.0\"\n"),
        (".uname", "6.12.0-1-amd64"),
        (".cmdline", &format!("roothash={} quiet\n", root_hash())),
    ]);
    let file = |path: &str, bytes| FatFile {
        path: path.to_owned(),
        data: FatData::Bytes(bytes),
    };
    let files = vec![
        file("EFI/Linux/edge_1.0+3.efi", uki),
        file("loader/loader.conf", b"timeout 0\n".to_vec()),
    ];
    let slot = |name: &str, bytes: Vec<u8>| {
        let path = folder.join(name);
        fs::write(&path, &bytes).unwrap();
        SlotInput {
            path,
            len_bytes: bytes.len() as u64,
            slot_bytes: MIB,
        }
    };
    let layout = DiskLayout::plan(DiskInput {
        arch: Arch::X86_64,
        seed: Sha256::of(b"seed"),
        label: "edge_1.0".to_owned(),
        esp: fat::plan(files, 34 * MIB, "ESP", 1, 0).unwrap(),
        root: slot("root", squashfs()),
        verity: slot("verity", verity()),
        root_hash: root_hash(),
    })
    .unwrap();
    let raw = folder.join("edge.raw");
    disk::write(&layout, &raw).unwrap();
    raw
}

fn write_manifest(folder: &Path, root_hash: Sha256) {
    let package = |name: &str, installed_bytes| PackageSize {
        name: name.to_owned(),
        version: "1.0-1".to_owned(),
        installed_bytes,
    };
    let raw = folder.join("edge.raw");
    let manifest = Manifest {
        version: manifest::VERSION,
        image: "edge".to_owned(),
        image_version: "1.0".to_owned(),
        arch: Arch::X86_64,
        timestamp: 1_749_283_750,
        root_hash,
        kernel: "6.12.0-1-amd64".to_owned(),
        command_line: String::new(),
        artifacts: vec![Artifact {
            kind: ArtifactKind::Raw,
            file: "edge.raw".to_owned(),
            len_bytes: fs::metadata(&raw).unwrap().len(),
            sha256: Sha256::of(b""),
        }],
        partitions: Vec::new(),
        ranges: Vec::new(),
        packages: vec![package("small", 1_000), package("large", 90_000_000)],
    };
    fs::write(folder.join(manifest::FILE_NAME), manifest.to_json()).unwrap();
}

#[test]
fn an_image_tells_its_partitions_files_kernel_and_root_hash() {
    let folder = tempfile::tempdir().unwrap();
    let inspection = inspect(&write_image(folder.path())).unwrap();
    assert_eq!(inspection.findings, [""; 0]);
    let labels: Vec<_> = inspection
        .partitions
        .iter()
        .map(|partition| partition.label.as_str())
        .collect();
    assert_eq!(labels, ["esp", "edge_1.0", "edge_1.0_verity"]);
    let paths: Vec<_> = inspection.esp_files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["EFI/Linux/edge_1.0+3.efi", "loader/loader.conf"]);
    let uki = inspection.uki.unwrap();
    assert_eq!(uki.command_line, Some(format!("roothash={} quiet", root_hash())));
    assert_eq!(uki.root_hash, Some(root_hash()));
    assert_eq!(uki.kernel.as_deref(), Some("6.12.0-1-amd64"));
    assert_eq!(uki.os_name.as_deref(), Some("Skerry edge 1.0"));
    let verity = inspection.verity.unwrap();
    assert_eq!(
        (verity.algorithm.as_str(), verity.data_blocks, verity.salt.as_str()),
        ("sha256", 1, "abcd")
    );
    let root = inspection.root.unwrap();
    assert_eq!(
        (root.compressor, root.block_bytes, root.inodes, root.used_bytes),
        ("zstd", 131_072, 77, 4_000)
    );
    assert!(inspection.build.is_none());
}

#[test]
fn the_report_is_laid_out_for_people_and_stays_within_the_width() {
    let folder = tempfile::tempdir().unwrap();
    write_image(folder.path());
    write_manifest(folder.path(), root_hash());
    let inspection = inspect(folder.path()).unwrap();
    let hash = root_hash();
    let [root_id, verity_id] = Guid::halves_of(&hash);
    let esp_id = inspection.partitions[0].id;
    let expected = format!(
        "\
file         edge.raw, 38.0 MiB
image        edge 1.0 for x86_64, 2025-06-07T08:09:10Z
kernel image EFI/Linux/edge_1.0+3.efi, 2.5 KiB
system       Skerry edge 1.0
kernel       6.12.0-1-amd64
command line roothash={hash} quiet
root hash    {hash}
root         squashfs, zstd, blocks of 128.0 KiB, 77 inodes, 3.9 KiB
verity       sha256, 1 blocks of 4.0 KiB

Partitions
  #  Label            Size      Type                Flags      Id
  1  esp              34.0 MiB  esp                            {esp_id}
  2  edge_1.0         1.0 MiB   root-x86-64         read-only  {root_id}
  3  edge_1.0_verity  1.0 MiB   root-x86-64-verity  read-only  {verity_id}

EFI system partition
  2.5 KiB  EFI/Linux/edge_1.0+3.efi
  10 B     loader/loader.conf

Packages: 2, 85.8 MiB
  85.8 MiB  large  1.0-1
  1000 B    small  1.0-1
"
    );
    assert_eq!(render(&inspection, 120), expected);
    assert!(render(&inspection, 60).lines().all(|line| line.chars().count() <= 60));
}

#[test]
fn the_manifest_beside_an_image_counts_only_if_it_is_about_it() {
    let folder = tempfile::tempdir().unwrap();
    let raw = write_image(folder.path());
    write_manifest(folder.path(), root_hash());
    assert_eq!(inspect(&raw).unwrap().build.unwrap().packages[0].name, "large");
    write_manifest(folder.path(), Sha256::of(b"other"));
    let inspection = inspect(&raw).unwrap();
    assert!(inspection.build.is_none());
    assert!(
        inspection.findings[0].starts_with("the manifest is about another image"),
        "{:?}",
        inspection.findings
    );
    let moved = folder.path().join("moved.raw");
    fs::rename(&raw, &moved).unwrap();
    assert!(inspect(&moved).unwrap().findings.is_empty());
}

#[test]
fn a_changed_partition_id_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let raw = write_image(folder.path());
    let mut read = crate::gpt::read::read(&mut File::open(&raw).unwrap()).unwrap().table;
    read.partitions[1].id = Guid::from_u128(1);
    let mut bytes = fs::read(&raw).unwrap();
    let primary = read.primary().unwrap();
    bytes[..primary.len()].copy_from_slice(&primary);
    fs::write(&raw, bytes).unwrap();
    let inspection = inspect(&raw).unwrap();
    assert_eq!(
        inspection.findings,
        ["no root partition has the id that the kernel command line asks for"]
    );
}

#[test]
fn what_is_no_image_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    assert!(matches!(inspect(&path), Err(InspectError::Open { .. })));
    fs::write(&path, vec![0; 4096]).unwrap();
    assert!(matches!(inspect(&path), Err(InspectError::NoTable { .. })));
    fs::write(&path, zstd::bulk::compress(&[0; 1 << 16], 1).unwrap()).unwrap();
    assert!(matches!(inspect(&path), Err(InspectError::Compressed { .. })));
    assert!(matches!(inspect(folder.path()), Err(InspectError::NoManifest { .. })));
    fs::write(folder.path().join(manifest::FILE_NAME), "{}").unwrap();
    assert!(matches!(inspect(folder.path()), Err(InspectError::BadManifest { .. })));
}

#[test]
fn a_manifest_cannot_point_outside_of_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    write_image(folder.path());
    write_manifest(folder.path(), root_hash());
    let path = folder.path().join(manifest::FILE_NAME);
    let text = fs::read_to_string(&path).unwrap().replace("edge.raw", "../edge.raw");
    fs::write(&path, text).unwrap();
    assert!(matches!(inspect(folder.path()), Err(InspectError::NoRaw { .. })));
}

#[test]
fn control_characters_from_the_image_do_not_reach_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let mut inspection = inspect(&write_image(folder.path())).unwrap();
    inspection.partitions[0].label = "a\u{1b}[2Jb\u{202e}".to_owned();
    inspection.findings.push("x\u{7}".repeat(100));
    let text = render(&inspection, 80);
    assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{text}");
    assert!(text.contains("a\\u{1b}[2Jb\\u{202e}"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_kernel_image_is_read_or_refused_but_never_a_panic(
        damage in proptest::collection::vec((0_usize..320, any::<u8>()), 1..6),
        len in 0_usize..3_000,
    ) {
        let mut bytes = uki(&[(".uname", "6.12"), (".cmdline", "quiet")]);
        for (at, value) in damage {
            bytes[at] = value;
        }
        bytes.truncate(len);
        let mut read = |offset: u64, len_bytes: u64| {
            let start = (offset as usize).min(bytes.len());
            let end = start.saturating_add(len_bytes as usize).min(bytes.len());
            Ok(bytes[start..end].to_vec())
        };
        if let Ok(sections) = pe::sections(&mut read) {
            for section in sections.values() {
                let _ = section.read(&mut read);
            }
        }
    }

    #[test]
    fn superblocks_of_any_bytes_are_read_or_refused(
        noise in proptest::collection::vec(any::<u8>(), 512),
        signature in prop_oneof![Just(*b"verity\0\0"), Just(*b"hsqs\0\0\0\0")],
    ) {
        let mut sector: [u8; 512] = noise.try_into().unwrap();
        sector[..8].copy_from_slice(&signature);
        sector[8..16].copy_from_slice(&[1, 0, 0, 0, 1, 0, 0, 0]);
        sector[28..32].copy_from_slice(&[4, 0, 0, 0]);
        let _ = (VeritySuperblock::parse(&sector), RootSuperblock::parse(&sector));
    }
}
