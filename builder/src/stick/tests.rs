use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::*;
use crate::digest::Sha256;
use crate::failure::{Diagnose as _, FailureKind};
use crate::fat::read::FatReader;
use crate::fat::{FatData, FatFile};
use crate::seed::check_join_file;

mod rules;

const SECRET: &str = "0123456789abcdef";

fn join_file(id: &str) -> JoinFile {
    let pin = "sha256:345959acb2c3b2feb87d281961c893f62a314207ef02599f1cc4a5fb255480b3";
    let text = format!(
        "version = 1\nendpoints = [\"https://cp.example:6443\"]\ntoken = \"{id}.{SECRET}\"\nca-pins = [\"{pin}\"]\n"
    );
    check_join_file(text.as_bytes()).unwrap()
}

/// A file is under no rule about devices.
fn make(path: &Path, file: &JoinFile, content: Content) -> Result<Stick, StickError> {
    super::make(path, file, content, &BTreeSet::new())
}

/// The content of a file in the root of the stick at `path`.
fn content(path: &Path, name: &str) -> Option<String> {
    let disk = File::open(path).unwrap();
    let place = find::volume(&disk, disk.metadata().unwrap().len()).unwrap();
    let mut volume = FatReader::open(&disk, place.start, place.end - place.start).unwrap();
    let entry = volume.find(name).unwrap()?;
    Some(String::from_utf8(volume.read(&entry, 1 << 20).unwrap()).unwrap())
}

#[test]
fn a_new_file_becomes_a_stick_for_the_owner_alone_and_is_mostly_a_hole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("join.img");
    let file = join_file("abcdef");
    assert_eq!(make(&path, &file, Content::Keep).unwrap(), Stick::Made);
    assert_eq!(content(&path, "join.toml").as_deref(), Some(file.text()));
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!(
        (metadata.len(), metadata.permissions().mode() & 0o777),
        (FILE_BYTES, 0o600)
    );
    assert!(metadata.blocks() * 512 < 2 << 20, "the holes were written");
}

#[test]
fn a_stick_that_is_one_keeps_everything_but_its_join_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("join.img");
    make(&path, &join_file("abcdef"), Content::Keep).unwrap();
    let disk = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let place = find::volume(&disk, FILE_BYTES).unwrap();
    let mut volume = FatUpdater::open(&disk, place.start, place.end - place.start).unwrap();
    volume.put("join-SN1.toml", b"for one machine").unwrap();
    for content_policy in [Content::Keep, Content::Erase] {
        let made = make(&path, &join_file("bcdefg"), content_policy).unwrap();
        assert!(matches!(made, Stick::Updated(_)), "{made:?}");
    }
    assert!(!make(&path, &join_file("bcdefg"), Content::Keep).unwrap().changed());
    assert_eq!(content(&path, "join.toml").as_deref(), Some(join_file("bcdefg").text()));
    assert_eq!(content(&path, "join-SN1.toml").as_deref(), Some("for one machine"));
    let bytes = fs::read(&path).unwrap();
    assert!(
        !bytes.windows(7).any(|window| window == b"abcdef."),
        "the old token is still there"
    );
}

#[test]
fn what_is_no_stick_is_kept_unless_its_loss_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photos.img");
    let other = fat(36 << 20, "PHOTOS");
    fs::write(&path, &other).unwrap();
    let error = make(&path, &join_file("abcdef"), Content::Keep).unwrap_err();
    assert_eq!(error.kind(), FailureKind::Safety);
    assert!(error.hints().iter().any(|hint| hint.contains("--erase")));
    assert_eq!(Sha256::of(&fs::read(&path).unwrap()), Sha256::of(&other));
    assert_eq!(make(&path, &join_file("abcdef"), Content::Erase).unwrap(), Stick::Made);
    assert!(content(&path, "join.toml").is_some());
}

fn fat(len_bytes: u64, label: &str) -> Vec<u8> {
    let files = vec![FatFile {
        path: "a.jpg".to_owned(),
        data: FatData::Bytes(vec![1; 1000]),
    }];
    let mut out = io::Cursor::new(vec![0; len_bytes as usize]);
    let volume = crate::fat::plan(files, len_bytes, label, 1, 0).unwrap();
    volume.write(&mut out, 0).unwrap();
    out.into_inner()
}

#[test]
fn a_stick_without_a_partition_table_is_one_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("formatted.img");
    fs::write(&path, fat(36 << 20, LABEL)).unwrap();
    let made = make(&path, &join_file("abcdef"), Content::Keep).unwrap();
    assert!(matches!(made, Stick::Updated(_)));
    assert!(content(&path, "join.toml").is_some() && content(&path, "a.jpg").is_some());
}

#[test]
fn a_damaged_or_full_stick_is_refused_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("join.img");
    let file = join_file("abcdef");
    make(&path, &file, Content::Keep).unwrap();
    let disk = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let place = find::volume(&disk, FILE_BYTES).unwrap();
    let refuse = |file: &JoinFile| {
        let before = Sha256::of(&fs::read(&path).unwrap());
        let error = make(&path, file, Content::Keep).unwrap_err();
        assert_eq!(Sha256::of(&fs::read(&path).unwrap()), before);
        error
    };
    let mut volume = FatUpdater::open(&disk, place.start, place.end - place.start).unwrap();
    let mut number = 0;
    for len_bytes in [1 << 22, 1 << 18, 1 << 14, 512] {
        while volume.put(&format!("filler-{number}"), &vec![1; len_bytes]).is_ok() {
            number += 1;
        }
    }
    let full = refuse(&join_file("bcdefg"));
    assert_eq!(full.hints(), ["remove other files from the stick"]);
    // The chain of the join file, which begins in cluster 3, goes in a circle.
    let mut reserved = [0; 2];
    disk.read_exact_at(&mut reserved, place.start + 14).unwrap();
    let table = place.start + u64::from(u16::from_le_bytes(reserved)) * 512;
    disk.write_all_at(&[3, 0, 0, 0x0f], table + 12).unwrap();
    let broken = refuse(&file);
    assert_eq!(broken.hints(), ["`fsck.fat` may repair it"], "{broken:?}");
}

#[test]
fn a_folder_and_a_place_that_is_not_there_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = join_file("abcdef");
    let error = make(folder.path(), &file, Content::Erase).unwrap_err();
    assert!(
        error.to_string().ends_with("is neither a file nor a block device"),
        "{error}"
    );
    let absent = Path::new("/dev/no-such-stick");
    let error = make(absent, &file, Content::Erase).unwrap_err();
    assert_eq!(error.to_string(), "cannot open `/dev/no-such-stick` for writing");
    assert!(!absent.exists());
    let error = make(&folder.path().join("absent/join.img"), &file, Content::Keep).unwrap_err();
    assert!(error.to_string().starts_with("cannot write the file of "), "{error}");
}

#[test]
fn a_device_is_erased_where_other_systems_would_find_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("device");
    let len_bytes = 80 << 20;
    fs::write(&path, vec![0xaa; len_bytes]).unwrap();
    let device = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    assert_eq!(make_device(&device, &path, &join_file("abcdef")).unwrap(), Stick::Made);
    let bytes = fs::read(&path).unwrap();
    assert!(bytes[512..1 << 20].iter().all(|byte| *byte == 0));
    assert!(bytes[len_bytes - (1 << 20)..].iter().all(|byte| *byte == 0));
    assert_eq!(content(&path, "join.toml").as_deref(), Some(join_file("abcdef").text()));
    let small = StickLayout::plan(16 << 20, &join_file("abcdef")).unwrap_err();
    assert_eq!(small.hints(), ["use a stick of 64 MB or more"]);
}
