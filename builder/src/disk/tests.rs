use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::*;
use crate::failure::Diagnose as _;
use crate::fat::{self, FatData, FatFile};
use crate::gpt::{GptError, Guid};
use crate::partition_id::PartitionId;

mod boards;

const MIB: u64 = 1 << 20;

fn slot(path: &Path, len_bytes: u64, slot_bytes: u64) -> SlotInput {
    SlotInput {
        path: path.to_owned(),
        len_bytes,
        slot_bytes,
    }
}

fn input(folder: &Path) -> DiskInput {
    let root = folder.join("root");
    let verity = folder.join("verity");
    fs::write(&root, vec![0xaa; 300_000]).unwrap();
    fs::write(&verity, vec![0xbb; 8_192]).unwrap();
    let boot = FatFile {
        path: "EFI/BOOT/BOOTX64.EFI".to_owned(),
        data: FatData::Bytes(vec![0xcc; 5_000]),
    };
    DiskInput {
        arch: Arch::X86_64,
        seed: Sha256::of(b"seed"),
        label: "edge_1.0".to_owned(),
        esp: fat::plan(vec![boot], 34 * MIB, "ESP", 1, 0).unwrap(),
        root: slot(&root, 300_000, 3 * MIB / 2),
        verity: slot(&verity, 8_192, 8_192),
        root_hash: Sha256::of(b"root hash"),
        table: TableKind::Gpt,
        first_partition: MIB,
        loaders: Vec::new(),
    }
}

#[test]
fn partitions_follow_one_another_at_whole_mebibytes() {
    let folder = tempfile::tempdir().unwrap();
    let layout = DiskLayout::plan(input(folder.path())).unwrap();
    let places: Vec<_> = layout
        .partitions
        .iter()
        .map(|partition| {
            (
                partition.label.as_str(),
                partition.offset() / MIB,
                partition.len_bytes() / MIB,
            )
        })
        .collect();
    assert_eq!(
        places,
        [("esp", 1, 34), ("edge_1.0", 35, 2), ("edge_1.0_verity", 37, 1)]
    );
    assert_eq!(layout.len_bytes(), 39 * MIB);
    let half = Guid::halves_of(&Sha256::of(b"root hash")).map(PartitionId::Gpt);
    assert_eq!([layout.partitions[1].id, layout.partitions[2].id], half);
    assert_eq!(layout.partitions[1].flags, PartitionFlags::READ_ONLY);
    assert_eq!(layout.partitions[0].flags, PartitionFlags::NONE);
}

#[test]
fn the_same_input_gives_the_same_bytes_and_all_data_lies_in_the_ranges() {
    let folder = tempfile::tempdir().unwrap();
    let layout = DiskLayout::plan(input(folder.path())).unwrap();
    let [first, second] = ["first.raw", "second.raw"].map(|name| folder.path().join(name));
    let ranges = write(&layout, &first).unwrap();
    write(&layout, &second).unwrap();
    let bytes = fs::read(&first).unwrap();
    assert_eq!(bytes.len() as u64, layout.len_bytes());
    assert!(bytes == fs::read(&second).unwrap());
    let mut from = 0;
    for range in &ranges {
        assert!(
            bytes[from..range.start as usize].iter().all(|byte| *byte == 0),
            "before {range:?}"
        );
        from = range.end as usize;
    }
    assert_eq!(from, bytes.len());
    assert_eq!(ranges[0].start, 0);
    assert_eq!(
        bytes[35 * MIB as usize..][..300_001],
        [vec![0xaa; 300_000], vec![0]].concat()
    );
    assert!(
        fs::metadata(&first).unwrap().blocks() * 512 < 2 * MIB,
        "the image is sparse"
    );
    assert_eq!(
        Sha256::of(&bytes).to_string(),
        "0532d961aa3f12b189fd3b1e24ce6606e387dc06dbbce4ce011c82b7ddd25192",
        "a change here changes the digest of every image: let it be on purpose"
    );
}

#[test]
fn content_larger_than_its_slot_is_refused_with_the_size_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let mut input = input(folder.path());
    input.root.slot_bytes = 299_999;
    let error = DiskLayout::plan(input).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the root file system has 300000 bytes, but its partition is planned with 299999 bytes"
    );
    assert_eq!(
        error.hints(),
        ["plan at least 1 MiB for the root file system, with room for future versions"]
    );
}

#[test]
fn a_label_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut input = input(folder.path());
    input.label = "x".repeat(30);
    assert!(matches!(
        DiskLayout::plan(input),
        Err(DiskError::Table {
            source: GptError::LabelTooLong { .. }
        })
    ));
}

#[test]
fn a_failed_write_leaves_the_old_image_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let out = tempfile::tempdir().unwrap();
    let layout = DiskLayout::plan(input(folder.path())).unwrap();
    let image = out.path().join("edge.raw");
    fs::write(&image, b"old").unwrap();
    fs::write(folder.path().join("root"), b"shrunk").unwrap();
    match write(&layout, &image) {
        Err(DiskError::ShortSource {
            expected_bytes: 300_000,
            found_bytes: 6,
            ..
        }) => {}
        other => panic!("{other:?}"),
    }
    let mut old = String::new();
    fs::File::open(&image).unwrap().read_to_string(&mut old).unwrap();
    assert_eq!(old, "old");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1);
}
