//! Copies of an image.

use std::path::PathBuf;

use super::*;
use crate::arch::Arch;
use crate::digest::Sha256;
use crate::disk::{self, DiskInput, DiskLayout, SlotInput, TableKind};
use crate::fat::{FatData, FatFile};
use crate::inspect;

/// A disk image such as a build writes, with nothing in its root.
fn image(folder: &Path, files: Vec<FatFile>) -> PathBuf {
    let slot = |name: &str| {
        let path = folder.join(name);
        fs::write(&path, vec![0x5a; 40_000]).unwrap();
        SlotInput {
            path,
            len_bytes: 40_000,
            slot_bytes: 1 << 20,
        }
    };
    let layout = DiskLayout::plan(DiskInput {
        arch: Arch::X86_64,
        seed: Sha256::of(b"seed"),
        label: "edge_1".to_owned(),
        esp: crate::fat::plan(files, 36 << 20, "ESP", 1, 1_749_283_750).unwrap(),
        root: slot("root"),
        verity: slot("verity"),
        root_hash: Sha256::of(b"root hash"),
        table: TableKind::Gpt,
        first_partition: 1 << 20,
        loaders: Vec::new(),
    })
    .unwrap();
    let path = folder.join("edge.raw");
    disk::write(&layout, &path).unwrap();
    path
}

fn file(path: &str, len_bytes: usize) -> FatFile {
    FatFile {
        path: path.to_owned(),
        data: FatData::Bytes(vec![7; len_bytes]),
    }
}

#[test]
fn copies_of_an_image_differ_in_nothing_but_what_seeding_in_place_writes() {
    let folder = tempfile::tempdir().unwrap();
    let source = image(folder.path(), vec![file("EFI/Linux/edge_1+3.efi", 100_000)]);
    let out = folder.path().join("images");
    let before = fs::read(&source).unwrap();
    let written = seed("name\na\nb\n", &out, Some(&source), Existing::Keep).unwrap();
    assert_eq!((written.written, written.method.is_some()), (2, true));
    assert!(fs::read(&source).unwrap() == before);
    for device in fleet("name\na\nb\n") {
        let copy = out.join(format!("{}.raw", device.name));
        let in_place = folder.path().join("in-place.raw");
        fs::copy(&source, &in_place).unwrap();
        crate::seed::seed(&in_place, crate::seed::Change::Put(&device.join_file)).unwrap();
        assert!(fs::read(&copy).unwrap() == fs::read(&in_place).unwrap());
        let files = inspect::inspect(&copy).unwrap().esp_files;
        assert!(files.iter().any(|file| file.path == "join.toml"));
        let metadata = fs::metadata(&copy).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        assert!(metadata.blocks() * 512 < 4 << 20, "the holes were written");
    }
}

#[test]
fn plans_for_many_copies_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let source = image(folder.path(), vec![file("EFI/Linux/edge_1+3.efi", 100_000)]);
    let rows: String = (0..300).map(|number| format!("shop-{number}\n")).collect();
    let devices = fleet(&format!("name\n{rows}"));
    let plan = plan(devices, &folder.path().join("out"), Some(&source), Existing::Keep).unwrap();
    let alone = Image::open(&source).unwrap();
    for planned in &plan.files {
        let expected = alone.patch(&planned.device.join_file).unwrap();
        assert_eq!(planned.patch.as_ref(), Some(&expected));
    }
}

#[test]
fn a_copy_that_is_there_is_compared_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let source = image(folder.path(), vec![file("EFI/Linux/edge_1+3.efi", 100_000)]);
    let out = folder.path().join("images");
    seed("name\na\n", &out, Some(&source), Existing::Keep).unwrap();
    let again = seed("name\na\n", &out, Some(&source), Existing::Keep).unwrap();
    assert_eq!((again.written, again.unchanged, again.method), (0, 1, None));
    // A byte in what is a hole of the source, and no part of the patch.
    let copy = fs::OpenOptions::new().write(true).open(out.join("a.raw")).unwrap();
    let at = copy.metadata().unwrap().len() - (1 << 20);
    std::os::unix::fs::FileExt::write_all_at(&copy, b"x", at).unwrap();
    let error = seed("name\na\n", &out, Some(&source), Existing::Keep).unwrap_err();
    assert_eq!(error.kind(), FailureKind::Safety);
}

#[test]
fn an_image_that_cannot_be_seeded_is_refused_before_anything_is_copied() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("images");
    let refuse = |source: &Path| {
        let digest = || fs::read(source).ok().map(|bytes| Sha256::of(&bytes));
        let before = digest();
        let error = seed("name\na\n", &out, Some(source), Existing::Keep).unwrap_err();
        assert_eq!((digest(), out.exists()), (before, false));
        Failure::from(error).to_string()
    };
    let foreign = image(folder.path(), vec![file("EFI/BOOT/BOOTX64.EFI", 1)]);
    assert!(refuse(&foreign).contains("is no Skerry image"));
    let full = image(folder.path(), vec![file("EFI/Linux/edge_1+3.efi", 36_000_000)]);
    fill_volume(&full);
    let said = refuse(&full);
    assert!(
        said.contains("the file needs 512 bytes, and the FAT volume has 0 left"),
        "{said}"
    );
    assert!(refuse(folder.path()).contains("is neither a file nor a block device"));
}

/// Takes every free cluster of the image's EFI system partition.
fn fill_volume(path: &Path) {
    let esp = inspect::inspect(path).unwrap().partitions[0].clone();
    let disk = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut volume = crate::fat::update::FatUpdater::open(&disk, esp.offset, esp.len_bytes).unwrap();
    let mut len_bytes = 1 << 22;
    while len_bytes >= 512 {
        let name = format!("filler-{len_bytes}");
        match volume.put(&name, &vec![1; len_bytes]) {
            Ok(_) if len_bytes == 512 => break,
            _ => len_bytes /= 2,
        }
    }
    let mut number = 0;
    while volume.put(&format!("f{number}"), &[1; 512]).is_ok() {
        number += 1;
    }
}
