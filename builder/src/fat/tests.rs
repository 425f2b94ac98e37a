use std::io::Cursor;

use proptest::prelude::*;

use super::boot_sector::{BACKUP_SECTOR, BootSector, Geometry, MIN_CLUSTERS, SECTOR_BYTES};
use super::read::{FatKind, FatReader};
use super::*;

const MIB: u64 = 1 << 20;
/// 2025-06-07T08:09:11Z.
const TIME: u64 = 1_749_283_751;

fn bytes(path: &str, content: &[u8]) -> FatFile {
    FatFile {
        path: path.to_owned(),
        data: FatData::Bytes(content.to_vec()),
    }
}

fn example() -> Vec<FatFile> {
    vec![
        bytes("loader/loader.conf", b"timeout 0\n"),
        bytes("EFI/Linux/edge-x86_64_1+3.efi", &[7; 10_000]),
        bytes("EFI/BOOT/BOOTX64.EFI", &[9; 4_096]),
        bytes("empty", b""),
    ]
}

fn volume(files: Vec<FatFile>) -> FatVolume {
    plan(files, 36 * MIB, "ESP", 0x1234_abcd, TIME).unwrap()
}

fn written(volume: &FatVolume) -> Vec<u8> {
    let mut out = Cursor::new(vec![0; volume.volume_bytes() as usize]);
    volume.write(&mut out, 0).unwrap();
    out.into_inner()
}

#[test]
fn the_smallest_volume_has_just_enough_clusters_and_a_smaller_one_is_refused_with_the_minimum() {
    let minimum = Geometry::minimum_bytes();
    assert_eq!(Geometry::for_volume(minimum).unwrap().clusters, MIN_CLUSTERS);
    match Geometry::for_volume(minimum - 1) {
        Err(FatError::VolumeTooSmall { minimum_bytes, .. }) => assert_eq!(minimum_bytes, minimum),
        other => panic!("{other:?}"),
    }
    assert_eq!(minimum, 34_109_952);
}

#[test]
fn every_size_has_enough_clusters_and_a_table_for_all_of_them() {
    for mib in [
        34, 64, 100, 128, 256, 260, 300, 512, 1024, 8191, 8192, 20_000, 100_000, 2_000_000,
    ] {
        let geometry = Geometry::for_volume(mib * MIB).unwrap();
        assert!(
            geometry.clusters >= MIN_CLUSTERS && geometry.clusters < 0x0fff_fff6,
            "{mib}: {geometry:?}"
        );
        assert!(
            geometry.fat_sectors * 128 >= geometry.clusters + 2,
            "{mib}: {geometry:?}"
        );
        assert_eq!(geometry.cluster_offset(2) % 4096, 0, "{mib}: {geometry:?}");
        let end = geometry.cluster_offset(geometry.clusters + 1) + geometry.cluster_bytes();
        assert!(end <= mib * MIB, "{mib}: {geometry:?}");
    }
    assert!(matches!(
        Geometry::for_volume(1 << 41),
        Err(FatError::VolumeTooLarge { .. })
    ));
}

#[test]
fn the_bytes_of_the_example_do_not_change() {
    // A change here changes the digest of every image: let it be on purpose.
    let image = written(&volume(example()));
    assert_eq!(
        Sha256::of(&image).to_string(),
        "c1cf05524aeec0476a2baf1f478d30dbee89e2a8830967ad7e50ee9e75ee8eb1"
    );
}

#[test]
fn the_order_of_the_files_does_not_matter() {
    let mut reversed = example();
    reversed.reverse();
    assert_eq!(volume(reversed), volume(example()));
}

#[test]
fn what_was_written_is_read_back() {
    let image = written(&volume(example()));
    let mut reader = FatReader::open(Cursor::new(&image), 0, image.len() as u64).unwrap();
    let mut listed: Vec<_> = reader
        .list()
        .unwrap()
        .into_iter()
        .map(|entry| (entry.path, entry.len_bytes))
        .collect();
    listed.sort();
    let expected = [
        ("EFI", 0),
        ("EFI/BOOT", 0),
        ("EFI/BOOT/BOOTX64.EFI", 4_096),
        ("EFI/Linux", 0),
        ("EFI/Linux/edge-x86_64_1+3.efi", 10_000),
        ("empty", 0),
        ("loader", 0),
        ("loader/loader.conf", 10),
    ];
    assert_eq!(listed, expected.map(|(path, len)| (path.to_owned(), len)));
    let uki = reader.find("efi/linux/EDGE-x86_64_1+3.EFI").unwrap().unwrap();
    assert_eq!(uki.kind, FatKind::File);
    assert_eq!(reader.read(&uki, 10_000).unwrap(), [7; 10_000]);
    assert_eq!(reader.read_range(&uki, 9_990, 100).unwrap(), [7; 10]);
    assert!(reader.read_range(&uki, 10_000, 1).unwrap().is_empty());
    assert!(reader.read(&uki, 9_999).is_err());
    assert!(reader.find("empty/below").unwrap().is_none());
    assert_eq!(reader.boot_sector().serial, 0x1234_abcd);
    assert_eq!(reader.boot_sector().label.to_string(), "ESP");
}

#[test]
fn only_the_data_range_holds_data_and_the_backup_is_the_boot_sector() {
    let volume = volume(example());
    let image = written(&volume);
    let end = volume.data_range().end as usize;
    assert!(image[end..].iter().all(|byte| *byte == 0));
    let backup = (BACKUP_SECTOR * SECTOR_BYTES) as usize;
    assert_eq!(image[..1024], image[backup..backup + 1024]);
}

#[test]
fn a_boot_sector_survives_the_round_trip() {
    let sector: [u8; 512] = written(&volume(Vec::new()))[..512].try_into().unwrap();
    let parsed = BootSector::parse(&sector, 36 * MIB).unwrap();
    assert_eq!(parsed.to_bytes(), sector);
    assert_eq!(BootSector::parse(&sector, 35 * MIB).unwrap_err().field, "BPB_TotSec32");
}

#[test]
fn a_host_file_range_is_copied_and_a_shrunken_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernel");
    std::fs::write(&path, b"0123456789").unwrap();
    let host = |offset, len_bytes| FatFile {
        path: "part".to_owned(),
        data: FatData::Host {
            path: path.clone(),
            offset,
            len_bytes,
        },
    };
    let image = written(&volume(vec![host(2, 5)]));
    let mut reader = FatReader::open(Cursor::new(&image), 0, image.len() as u64).unwrap();
    let entry = reader.find("part").unwrap().unwrap();
    assert_eq!(reader.read(&entry, 100).unwrap(), b"23456");
    let error = volume(vec![host(5, 6)])
        .write(&mut Cursor::new(Vec::new()), 0)
        .unwrap_err();
    assert!(matches!(
        error,
        FatError::ShortSource {
            expected_bytes: 6,
            found_bytes: 5,
            ..
        }
    ));
}

#[test]
fn names_that_fat_cannot_hold_or_tell_apart_are_refused() {
    let refuse = |paths: &[&str]| {
        let files = paths.iter().map(|path| bytes(path, b"x")).collect();
        plan(files, 36 * MIB, "ESP", 0, TIME).unwrap_err().to_string()
    };
    for path in [
        "",
        "/a",
        "a//b",
        "a/../b",
        "a:b",
        "a.",
        "a ",
        " a",
        "a\nb",
        &"n".repeat(256),
    ] {
        assert!(refuse(&[path]).contains("cannot be stored on FAT"), "{path:?}");
    }
    assert_eq!(
        refuse(&["a/b", "A/c"]),
        "`a/b` and `A` are the same name on FAT, which ignores case"
    );
    assert_eq!(
        refuse(&["d/x", "d/X"]),
        "`d/x` and `d/X` are the same name on FAT, which ignores case"
    );
    assert_eq!(
        refuse(&["a", "a/b"]),
        "`a/b` and `a` are the same name on FAT, which ignores case"
    );
    for label in ["", "esp", "TWELVE CHARS", " A"] {
        assert!(plan(Vec::new(), 36 * MIB, label, 0, TIME).is_err(), "{label:?}");
    }
}

#[test]
fn files_that_do_not_fit_say_how_much_room_they_need() {
    let host = |len_bytes| FatFile {
        path: "big".to_owned(),
        data: FatData::Host {
            path: PathBuf::from("big"),
            offset: 0,
            len_bytes,
        },
    };
    match plan(vec![host(40 * MIB)], 36 * MIB, "ESP", 0, TIME) {
        Err(FatError::Full {
            needed_bytes,
            available_bytes,
        }) => {
            assert_eq!(needed_bytes, 40 * MIB + 512);
            assert!(available_bytes < 36 * MIB);
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        plan(vec![host(1 << 32)], 36 * MIB, "ESP", 0, TIME),
        Err(FatError::FileTooLarge { .. })
    ));
}

#[test]
fn short_names_follow_the_rules_for_numeric_tails() {
    let mut taken = std::collections::BTreeSet::new();
    let mut short = |name: &str| {
        let (short, long) = dir_entry::encode_name(name, &mut taken);
        (String::from_utf8(short.to_vec()).unwrap(), long.len())
    };
    assert_eq!(short("BOOTX64.EFI"), ("BOOTX64 EFI".to_owned(), 0));
    assert_eq!(short("Linux"), ("LINUX      ".to_owned(), 1));
    assert_eq!(short("edge_1+3.efi"), ("EDGE_1~1EFI".to_owned(), 1));
    assert_eq!(short("edge_1+4.efi"), ("EDGE_1~2EFI".to_owned(), 1));
    assert_eq!(short("loader.conf"), ("LOADER~1CON".to_owned(), 1));
    assert_eq!(short(".hidden"), ("HIDDEN~1   ".to_owned(), 1));
    assert_eq!(
        short("größe.tar.gz"),
        ("GR__ET~1GZ ".replace("GR__ET", "GR_SSE").to_owned(), 1)
    );
    assert_eq!(short("exactly13char"), ("EXACTL~1   ".to_owned(), 1));
    assert_eq!(short("exactly14chars"), ("EXACTL~2   ".to_owned(), 2));
}

fn name() -> impl Strategy<Value = String> {
    "[A-Za-z0-9+_.é-]{1,40}".prop_filter("a name FAT can hold", |name| dir_entry::name_fault(name).is_none())
}

/// The first MiB and a half: boot sectors, tables, folders and files of the example.
fn used_part() -> &'static [u8] {
    static IMAGE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    IMAGE.get_or_init(|| {
        let volume = volume(example());
        let mut image = written(&volume);
        image.truncate(volume.data_range().end as usize);
        image
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_set_of_names_is_listed_as_it_was_given(
        names in proptest::collection::btree_map(name().prop_map(|n| dir_entry::folded(&n)), name(), 0..40)
    ) {
        let mut folded = std::collections::BTreeSet::new();
        let names: Vec<String> = names.into_values().filter(|n| folded.insert(dir_entry::folded(n))).collect();
        let files = names.iter().map(|name| bytes(&format!("d/{name}"), name.as_bytes())).collect();
        let volume = volume(files);
        let mut out = Cursor::new(Vec::new());
        volume.write(&mut out, 0).unwrap();
        let mut reader = FatReader::open(out, 0, 36 * MIB).unwrap();
        let listed: std::collections::BTreeSet<_> =
            reader.list().unwrap().into_iter().filter(|e| e.kind == FatKind::File).map(|e| e.path).collect();
        prop_assert_eq!(listed, names.iter().map(|name| format!("d/{name}")).collect());
    }

    #[test]
    fn a_damaged_volume_is_read_or_refused_but_never_a_panic(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..12)
    ) {
        let mut image = used_part().to_vec();
        let first_folder = Geometry::for_volume(36 * MIB).unwrap().cluster_offset(2) as usize;
        for (at, value, in_folders) in damage {
            // Most bytes of the volume are zeros of the tables: aim at what is read.
            let at = if in_folders { first_folder + at.index(2_560) } else { at.index(8_192) / 4096 * (32 * 512) + at.index(600) };
            image[at] = value;
        }
        if let Ok(mut reader) = FatReader::open(Cursor::new(&image), 0, 36 * MIB) {
            for entry in reader.list().unwrap_or_default() {
                let _ = reader.read(&entry, MIB);
            }
        }
    }
}
