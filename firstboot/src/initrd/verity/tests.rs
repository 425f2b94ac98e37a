use proptest::prelude::*;

use super::*;
use crate::initrd::disks::tests::device_at;

fn golden() -> [u8; SUPERBLOCK_BYTES] {
    let mut bytes = [0; SUPERBLOCK_BYTES];
    bytes[..6].copy_from_slice(b"verity");
    bytes[8] = 1;
    bytes[12] = 1;
    bytes[16..32].copy_from_slice(b"0123456789abcdef");
    bytes[32..38].copy_from_slice(b"sha256");
    bytes[65] = 0x10;
    bytes[69] = 0x10;
    bytes[72] = 25;
    bytes[80] = 2;
    bytes[88..90].copy_from_slice(&[0xab, 0x01]);
    bytes
}

/// Hashes at this place of device 8:1.
fn hashes(offset_bytes: u64) -> HashArea {
    HashArea {
        device: device_at("/sys/devices/sda/sda1", None),
        offset_bytes,
    }
}

#[test]
fn a_superblock_becomes_the_parameters_of_a_target() {
    let superblock = Superblock::parse(&golden()).unwrap();
    let root_hash = RootHash::from_bytes([0x5a; 32]);
    assert_eq!(
        superblock.target_parameters("254:1", &hashes(0), &root_hash),
        format!(
            "1 254:1 8:1 4096 4096 25 1 sha256 {} ab01 1 restart_on_corruption",
            "5a".repeat(32)
        )
    );
    assert_eq!(superblock.data_bytes(), 25 * 4096);
    assert_eq!(
        superblock.device_uuid(),
        "CRYPT-VERITY-30313233343536373839616263646566-root"
    );
}

#[test]
fn without_salt_the_parameter_is_a_dash() {
    let mut bytes = golden();
    bytes[80] = 0;
    let superblock = Superblock::parse(&bytes).unwrap();
    let parameters = superblock.target_parameters("1:1", &hashes(0), &RootHash::from_bytes([0; 32]));
    assert!(parameters.contains(" - 1 restart_on_corruption"), "{parameters}");
}

#[test]
fn the_tree_begins_in_the_block_behind_the_superblock_wherever_the_hashes_lie() {
    let superblock = Superblock::parse(&golden()).unwrap();
    let parameters = superblock.target_parameters("8:1", &hashes(25 * 4096), &RootHash::from_bytes([0; 32]));
    assert!(
        parameters.starts_with("1 8:1 8:1 4096 4096 25 26 sha256 00"),
        "{parameters}"
    );
}

#[test]
fn every_field_out_of_bounds_is_named() {
    let parse = |at: usize, value: &[u8]| {
        let mut bytes = golden();
        bytes[at..at + value.len()].copy_from_slice(value);
        Superblock::parse(&bytes)
    };
    let refused = |at, value: &[u8]| parse(at, value).unwrap_err().to_string();
    assert_eq!(parse(0, b"x"), Err(SuperblockError::NoMagic));
    assert!(refused(8, &[2]).contains("version 2"));
    assert!(refused(12, &[0]).contains("hash type 0"));
    assert!(refused(35, b"512").contains("`sha512`"));
    assert!(refused(64, &[1]).contains("data block size 4097"));
    assert!(refused(69, &[0x20]).contains("hash block size 8192"));
    assert!(refused(72, &[0]).contains("number of blocks 0"));
    assert!(refused(72, &[0xff; 8]).contains("number of blocks"));
    assert!(refused(80, &[1, 1]).contains("salt size 257"));
}

#[test]
#[allow(clippy::print_stdout, reason = "a skipped test says so")]
fn a_superblock_written_by_veritysetup_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (data, hashes) = (folder.path().join("data"), folder.path().join("hashes"));
    std::fs::write(&data, vec![7; 10 * 4096]).unwrap();
    let outcome = std::process::Command::new("veritysetup")
        .args(["format", "--uuid=30313233-3435-3637-3839-616263646566", "--salt=ab01"])
        .args([&data, &hashes])
        .output();
    let Ok(outcome) = outcome else {
        println!("skipped: no veritysetup");
        return;
    };
    assert!(outcome.status.success(), "{outcome:?}");
    let bytes = std::fs::read(&hashes).unwrap();
    let superblock = Superblock::parse(bytes[..SUPERBLOCK_BYTES].try_into().unwrap()).unwrap();
    let mut expected = Superblock::parse(&golden()).unwrap();
    expected.data_blocks = 10;
    expected.uuid = *b"0123456789abcdef";
    assert_eq!(superblock, expected);
}

proptest! {
    #[test]
    fn no_superblock_makes_it_stumble(at in 8..440_usize, value in any::<[u8; 8]>()) {
        let mut bytes = golden();
        bytes[at..at + 8].copy_from_slice(&value);
        if let Ok(superblock) = Superblock::parse(&bytes) {
            prop_assert!(superblock.data_bytes() > 0 && superblock.salt.len() <= 256);
        }
    }
}
