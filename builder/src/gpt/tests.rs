use std::io::Cursor;

use proptest::prelude::*;

use super::read::{Copy, GptReadError, read};
use super::*;
use crate::arch::Arch;
use crate::digest::Sha256;

const SECTORS: u64 = 4096;

fn entry(label: &str, first_sector: u64, sectors: u64) -> GptEntry {
    GptEntry {
        type_id: guid::ROOT_X86_64,
        id: Guid::derive(&Sha256::of(b"seed"), label),
        first_sector,
        sectors,
        flags: PartitionFlags::READ_ONLY,
        label: label.to_owned(),
    }
}

fn table() -> GptTable {
    GptTable {
        disk_id: Guid::from_u128(0x00112233_4455_8677_8899_aabbccddeeff),
        total_sectors: SECTORS,
        partitions: vec![entry("first", 2048, 16), entry("größe", 2064, 8)],
    }
}

fn disk(table: &GptTable) -> Vec<u8> {
    let mut bytes = table.primary().unwrap();
    bytes.resize(((table.total_sectors - BACKUP_SECTORS) * SECTOR_BYTES) as usize, 0);
    bytes.extend(table.backup().unwrap());
    bytes
}

#[test]
fn a_guid_has_its_first_three_fields_little_endian_on_disk() {
    let text = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
    let on_disk = [
        0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
    ];
    assert_eq!(guid::ESP.to_string(), text);
    assert_eq!(guid::ESP.to_disk(), on_disk);
    assert_eq!(Guid::from_disk(on_disk), text.to_uppercase().parse().unwrap());
    for bad in [
        "",
        "c12a7328f81f11d2ba4b00a0c93ec93b",
        &text[1..],
        &text.replace('c', "g"),
        &text.replacen('c', "+", 1),
    ] {
        assert!(bad.parse::<Guid>().is_err(), "{bad}");
    }
}

#[test]
fn the_partition_types_are_those_of_the_architecture_table() {
    for arch in Arch::ALL {
        assert_eq!(Guid::root_type(arch).to_string(), arch.names().root_type);
        assert_eq!(Guid::root_verity_type(arch).to_string(), arch.names().root_verity_type);
    }
}

#[test]
fn the_partition_ids_are_the_halves_of_the_root_hash() {
    let hash = "00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210"
        .parse()
        .unwrap();
    assert_eq!(
        Guid::halves_of(&hash).map(|id| id.to_string()),
        [
            "00112233-4455-6677-8899-aabbccddeeff",
            "01234567-89ab-cdef-fedc-ba9876543210"
        ]
    );
}

#[test]
fn derived_ids_depend_on_seed_and_purpose_and_are_version_8() {
    let derive = |seed: &[u8], purpose| Guid::derive(&Sha256::of(seed), purpose);
    assert_eq!(derive(b"a", "disk"), derive(b"a", "disk"));
    assert_ne!(derive(b"a", "disk"), derive(b"b", "disk"));
    assert_ne!(derive(b"a", "disk"), derive(b"a", "esp"));
    let bytes = *derive(b"a", "disk").as_bytes();
    assert_eq!((bytes[6] >> 4, bytes[8] >> 6), (8, 2));
}

#[test]
fn the_bytes_of_the_example_do_not_change() {
    let table = table();
    let digest = |bytes: Vec<u8>| Sha256::of(&bytes).to_string();
    assert_eq!(
        digest(table.primary().unwrap()),
        "5f45b43b25f5db69025f49c741a3111395aba3a3d7e50a05b0cbbce1e0ddc316"
    );
    assert_eq!(
        digest(table.backup().unwrap()),
        "6fe43ad78a30edd178f383f119c2f6a3bad10f1894b8121fe95e728210830096"
    );
}

#[test]
fn what_was_written_is_read_back_from_either_end() {
    let mut bytes = disk(&table());
    let both = read(&mut Cursor::new(&bytes)).unwrap();
    assert_eq!((both.table, both.copy), (table(), Copy::Primary));
    assert!(both.other_fault.is_none());
    bytes[600] ^= 1;
    let backup = read(&mut Cursor::new(&bytes)).unwrap();
    assert_eq!((backup.table, backup.copy), (table(), Copy::Backup));
    assert!(matches!(
        backup.other_fault,
        Some(GptReadError::Header { sector: 1, .. }) | None
    ));
}

#[test]
fn a_flipped_bit_in_the_entries_is_noticed() {
    let mut bytes = disk(&table());
    bytes[1024 + 40] ^= 1;
    let read = read(&mut Cursor::new(&bytes)).unwrap();
    assert_eq!((read.table, read.copy), (table(), Copy::Backup));
    assert!(matches!(
        read.other_fault,
        Some(GptReadError::ArrayChecksum { sector: 2 })
    ));
}

#[test]
fn on_a_larger_disk_the_primary_is_enough() {
    let mut bytes = disk(&table());
    bytes.resize(bytes.len() * 2, 0);
    let read = read(&mut Cursor::new(&bytes)).unwrap();
    assert_eq!(read.copy, Copy::Primary);
    assert_eq!(read.table.total_sectors, SECTORS * 2);
    assert!(read.other_fault.is_some());
}

#[test]
fn empty_and_cut_disks_are_refused() {
    let bytes = disk(&table());
    for len in [0, 511, 1536, 4096, 16_896] {
        assert!(read(&mut Cursor::new(&bytes[..len])).is_err(), "{len}");
        assert!(read(&mut Cursor::new(&vec![0; len])).is_err(), "{len}");
    }
}

#[test]
fn tables_that_would_lose_data_are_refused() {
    let refuse = |partitions: Vec<GptEntry>| GptTable { partitions, ..table() }.primary().unwrap_err().to_string();
    assert!(refuse(vec![entry("a", 33, 8)]).contains("not within the usable sectors"));
    assert!(refuse(vec![entry("a", 2048, SECTORS)]).contains("not within the usable sectors"));
    assert!(refuse(vec![entry("a", u64::MAX, 2)]).contains("not within the usable sectors"));
    assert!(refuse(vec![entry("a", 2048, 0)]).contains("not within the usable sectors"));
    assert_eq!(
        refuse(vec![entry("a", 2055, 8), entry("b", 2048, 8)]),
        "partitions `a` and `b` overlap at sector 2055"
    );
    assert!(refuse(vec![entry("a", 2048, 8), entry("a", 2056, 8)]).contains("have the same id"));
    assert!(refuse(vec![entry(&"x".repeat(37), 2048, 8)]).contains("longer than 36"));
    assert!(refuse((0..129).map(|i| entry(&i.to_string(), 2048 + i, 1)).collect()).contains("more than the 128"));
    let fits = GptTable {
        partitions: vec![entry(&"ü".repeat(36), 34, SECTORS - 67)],
        ..table()
    };
    assert_eq!(read(&mut Cursor::new(disk(&fits))).unwrap().table, fits);
}

#[test]
fn flags_are_shown_by_name_and_unknown_bits_as_a_number() {
    assert_eq!(
        PartitionFlags::READ_ONLY.with(PartitionFlags::NO_AUTO).to_string(),
        "read-only,no-auto"
    );
    assert_eq!(PartitionFlags(1 << 59 | 5).to_string(), "grow-file-system,0x5");
    assert_eq!(PartitionFlags::NONE.to_string(), "");
}

proptest! {
    #[test]
    fn a_damaged_table_is_read_or_refused_but_never_a_panic(
        damage in proptest::collection::vec((0_usize..2048, any::<u8>()), 1..8),
        mend in any::<bool>(),
    ) {
        let mut bytes = disk(&table());
        for (at, value) in damage {
            bytes[at] = value;
        }
        if mend {
            // With checksums that hold, the other checks are reached.
            let array = crc32::of(&bytes[1024..1024 + 16_384]);
            bytes[512 + 88..512 + 92].copy_from_slice(&array.to_le_bytes());
            bytes[512 + 16..512 + 20].fill(0);
            let header = crc32::of(&bytes[512..512 + 92]);
            bytes[512 + 16..512 + 20].copy_from_slice(&header.to_le_bytes());
        }
        if let Ok(read) = read(&mut Cursor::new(&bytes)) {
            for entry in read.table.partitions {
                prop_assert!(entry.first_sector + entry.sectors <= SECTORS);
            }
        }
    }
}
