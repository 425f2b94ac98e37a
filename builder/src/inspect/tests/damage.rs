//! Images that are damaged, cut off, foreign or hostile.

use std::io::Write as _;

use super::*;
use crate::failure::{Diagnose as _, FailureKind};
use crate::gpt::Guid;

/// Changes one byte of a file.
fn flip(path: &Path, offset: u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[!byte[0]], offset).unwrap();
}

fn failed(inspection: &Inspection) -> Vec<(&str, &str)> {
    let failed = inspection.failed_checks();
    failed
        .map(|check| (check.subject.as_str(), check.detail.as_str()))
        .collect()
}

#[test]
fn a_flipped_bit_in_the_root_is_found_and_named_with_its_place_on_the_disk() {
    let (_folder, written) = written();
    let offset = written.root_offset + 3 * 4096 + 5;
    flip(&written.raw, offset);
    let inspection = inspect(&written.raw).unwrap();
    let checks = failed(&inspection);
    let block = written.root_offset + 3 * 4096;
    assert_eq!(checks[0].0, "root file system (verity)");
    assert_eq!(
        checks[0].1,
        format!(
            "the root does not match its root hash: block 3 of the image (offset 12288) does not match its digest in the \
             hash tree; this is partition 2, byte {block} of the disk"
        )
    );
}

#[test]
fn a_flipped_bit_in_the_hash_tree_is_found() {
    let (_folder, written) = written();
    flip(&written.raw, written.verity_offset + 4096 + 40);
    let inspection = inspect(&written.raw).unwrap();
    let checks = failed(&inspection);
    assert_eq!(checks.len(), 1);
    assert!(
        checks[0].1.ends_with(&format!(
            "this is partition 3, byte {} of the disk",
            written.verity_offset + 4096
        )),
        "{checks:?}"
    );
}

#[test]
fn changed_files_of_a_folder_are_named_with_the_range_that_differs() {
    let (folder, written) = written();
    flip(&written.raw, written.root_offset + 20);
    flip(&written.zst, 100);
    let inspection = inspect(folder.path()).unwrap();
    let checks = failed(&inspection);
    let subjects: Vec<&str> = checks.iter().map(|(subject, _)| *subject).collect();
    assert!(
        subjects.contains(&"edge.raw") && subjects.contains(&"edge.raw.zst"),
        "{checks:?}"
    );
    let raw = checks.iter().find(|(subject, _)| *subject == "edge.raw").unwrap().1;
    assert!(
        raw.starts_with(
            "its SHA-256 is not that of SHA256SUMS and manifest.json; the first range that differs is that of"
        ),
        "{raw}"
    );
    assert!(
        raw.ends_with(&format!("bytes at byte {}", written.root_offset)),
        "{raw}"
    );
}

#[test]
fn sums_that_are_none_or_lead_elsewhere_are_wrong() {
    let (folder, _written) = written();
    let path = folder.path().join("SHA256SUMS");
    fs::write(&path, "nonsense\n").unwrap();
    let inspection = inspect(folder.path()).unwrap();
    assert_eq!(
        failed(&inspection),
        [("SHA256SUMS", "line 1 is no digest with a file's name")]
    );
    fs::write(&path, format!("{}  ../secret\n", Sha256::of(b""))).unwrap();
    let inspection = inspect(folder.path()).unwrap();
    assert_eq!(
        failed(&inspection),
        [("../secret", "SHA256SUMS names a file outside of the folder")]
    );
}

#[test]
fn a_compressed_image_that_is_cut_off_is_told_with_its_offset() {
    let (folder, written) = written();
    let whole = fs::read(&written.zst).unwrap();
    let cut = folder.path().join("cut.raw.zst");
    for len in [whole.len() / 2, 30, 6] {
        fs::write(&cut, &whole[..len]).unwrap();
        let error = inspect(&cut).unwrap_err();
        assert_eq!(error.kind(), FailureKind::Verification);
        let text = error.to_string();
        assert!(
            text.contains(&format!("is cut off: it ends at byte {len}, after ")),
            "{len}: {text}"
        );
    }
    // Between two frames zstd sees a whole file; the partition table does not.
    let first_frame = zstd::zstd_safe::find_frame_compressed_size(&whole).unwrap();
    fs::write(&cut, &whole[..first_frame]).unwrap();
    let error = inspect(&cut).unwrap_err();
    assert_eq!(error.kind(), FailureKind::Verification);
    assert!(
        error
            .to_string()
            .contains("is cut off: it has 4194304 bytes, and its partition table is for at least "),
        "{error}"
    );
}

#[test]
fn a_compressed_image_with_a_flipped_bit_is_told_with_its_offset() {
    let (_folder, written) = written();
    flip(&written.zst, 200);
    let error = inspect(&written.zst).unwrap_err();
    assert_eq!(error.kind(), FailureKind::Verification);
    assert!(error.to_string().contains("cannot decompress"), "{error}");
}

#[test]
fn an_image_compressed_by_another_tool_is_read_as_well() {
    let (folder, written) = written();
    let path = folder.path().join("other.zst");
    let mut encoder = zstd::Encoder::new(File::create(&path).unwrap(), 1).unwrap();
    encoder.write_all(&fs::read(&written.raw).unwrap()).unwrap();
    encoder.finish().unwrap();
    let inspection = inspect(&path).unwrap();
    assert_eq!(outcomes(&inspection), [("root file system (verity)", Outcome::Passed)]);
}

#[test]
fn a_root_whose_tables_are_damaged_is_a_failed_check_and_no_panic() {
    let (_folder, written) = written();
    // The superblock's position of the inode table.
    for offset in 64..72 {
        flip(&written.raw, written.root_offset + offset);
    }
    let inspection = inspect(&written.raw).unwrap();
    assert!(inspection.contents.is_none());
    let checks = failed(&inspection);
    let subjects: Vec<&str> = checks.iter().map(|(subject, _)| *subject).collect();
    assert_eq!(subjects, ["root file system (verity)", "root file system (squashfs)"]);
    assert!(checks[1].1.contains("it is in partition 2, at byte "), "{checks:?}");
}

#[test]
fn a_root_of_another_tool_is_a_finding_and_no_failure() {
    let (_folder, written) = written();
    let file = fs::OpenOptions::new().write(true).open(&written.raw).unwrap();
    file.write_all_at(&[0; 4096], written.root_offset).unwrap();
    let verity = written.verity_offset;
    file.write_all_at(&[0; 4096], verity).unwrap();
    let inspection = inspect(&written.raw).unwrap();
    assert!(
        inspection
            .findings
            .contains(&"the root partition holds no squashfs".to_owned()),
        "{:?}",
        inspection.findings
    );
}

#[test]
fn a_changed_partition_id_is_found() {
    let (_folder, written) = written();
    let raw = &written.raw;
    let mut read = crate::gpt::read::read(&mut File::open(raw).unwrap()).unwrap().table;
    read.partitions[1].id = Guid::from_u128(1);
    let primary = read.primary().unwrap();
    let file = fs::OpenOptions::new().write(true).open(raw).unwrap();
    file.write_all_at(&primary, 0).unwrap();
    let inspection = inspect(raw).unwrap();
    assert_eq!(
        inspection.findings,
        ["no root partition has the id that the kernel command line asks for"]
    );
    assert_eq!(outcomes(&inspection), [("root file system (verity)", Outcome::Skipped)]);
}

#[test]
fn what_is_no_image_is_refused_with_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    assert!(matches!(inspect(&path), Err(InspectError::Open { .. })));
    fs::write(&path, vec![0; 4096]).unwrap();
    assert!(matches!(
        inspect(&path),
        Err(InspectError::NoTable { foreign: None, .. })
    ));
    for (bytes, what) in [(&b"QFI\xfb"[..], "QEMU"), (b"\xfd7zXZ\0", "xz"), (b"hsqs", "squashfs")] {
        let mut content = bytes.to_vec();
        content.resize(4096, 0);
        fs::write(&path, content).unwrap();
        let error = inspect(&path).unwrap_err();
        assert_eq!(error.kind(), FailureKind::Request);
        assert!(error.hints()[0].contains(what), "{:?}", error.hints());
    }
    assert!(matches!(inspect(folder.path()), Err(InspectError::NoManifest { .. })));
    fs::write(folder.path().join(manifest::FILE_NAME), "{}").unwrap();
    assert!(matches!(inspect(folder.path()), Err(InspectError::BadManifest { .. })));
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(matches!(inspect(&pipe), Err(InspectError::NoFile { .. })));
}

#[test]
fn a_raw_image_that_is_cut_off_is_told() {
    let (_folder, written) = written();
    let file = fs::OpenOptions::new().write(true).open(&written.raw).unwrap();
    file.set_len(written.root_offset + 100_000).unwrap();
    let error = inspect(&written.raw).unwrap_err();
    assert_eq!(error.kind(), FailureKind::Verification);
    assert!(matches!(error, InspectError::Short { .. }), "{error}");
}

#[test]
fn a_manifest_cannot_point_outside_of_its_folder() {
    let (folder, _written) = written();
    let path = folder.path().join(manifest::FILE_NAME);
    let text = fs::read_to_string(&path)
        .unwrap()
        .replace("\"edge.raw\"", "\"../edge.raw\"")
        .replace("\"edge.raw.zst\"", "\"../edge.raw.zst\"");
    fs::write(&path, text).unwrap();
    assert!(matches!(inspect(folder.path()), Err(InspectError::NoRaw { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_damaged_image_is_read_or_refused_but_never_a_panic(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        thread_local! {
            static IMAGE: (tempfile::TempDir, Written, Vec<u8>) = {
                let (folder, written) = written();
                let bytes = fs::read(&written.raw).unwrap();
                (folder, written, bytes)
            };
        }
        IMAGE.with(|(_folder, written, bytes)| {
            // Partition tables, the start of each partition, and the tables of the root: where structure is.
            let places = [0, 1 << 20, written.root_offset, written.verity_offset];
            let file = fs::OpenOptions::new().write(true).open(&written.raw).unwrap();
            for (index, value) in &damage {
                let at = places[index.index(4)] as usize + index.index(9_000);
                file.write_all_at(&[*value], at as u64).unwrap();
            }
            let _ = inspect(&written.raw).map(|inspection| render(&inspection, 80).len() + html::page(&inspection).len());
            for place in places {
                let at = place as usize;
                file.write_all_at(&bytes[at..at + 9_000], place).unwrap();
            }
        });
    }
}
