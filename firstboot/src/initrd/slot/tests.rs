use std::io;
use std::process::Command;

use proptest::prelude::*;

use super::*;

const SALT: &[u8] = &[0xab, 0x01];
/// Used by the file system: its end is padded by 4096 - 904 bytes.
const BYTES_USED: u64 = 3 * 4096 + 904;
const HASHES_AT: usize = 4 * 4096;

#[derive(Clone)]
struct Image(Vec<u8>);

impl Slot for Image {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let range = self.0.get(start..).and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(range.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn len_bytes(&self) -> u64 {
        self.0.len() as u64
    }
}

fn salted(block: &[u8]) -> [u8; 32] {
    Sha256::new_with_prefix(SALT).chain_update(block).finalize().into()
}

/// A slot of four blocks of data with their hashes behind them, and its root hash.
fn golden() -> (Image, RootHash) {
    let mut bytes: Vec<u8> = (0..HASHES_AT).map(|at| (at / 7) as u8).collect();
    bytes[..4].copy_from_slice(b"hsqs");
    bytes[40..48].copy_from_slice(&BYTES_USED.to_le_bytes());
    let mut top = bytes.chunks_exact(4096).flat_map(salted).collect::<Vec<_>>();
    top.resize(4096, 0);
    let mut superblock = vec![0; 4096];
    superblock[..6].copy_from_slice(b"verity");
    superblock[8] = 1;
    superblock[12] = 1;
    superblock[32..38].copy_from_slice(b"sha256");
    superblock[65] = 0x10;
    superblock[69] = 0x10;
    superblock[72] = 4;
    superblock[80] = 2;
    superblock[88..90].copy_from_slice(SALT);
    bytes.extend(superblock);
    bytes.extend(&top);
    // The slot has room for later versions.
    bytes.resize(16 * 4096, 0);
    (Image(bytes), RootHash::from_bytes(salted(&top)))
}

fn refused(change: impl FnOnce(&mut Vec<u8>)) -> String {
    let (mut image, root_hash) = golden();
    change(&mut image.0);
    hash_area(&image, &root_hash).unwrap_err().to_string()
}

#[test]
fn a_slot_is_known_by_the_hash_of_its_topmost_block() {
    let (image, root_hash) = golden();
    assert_eq!(hash_area(&image, &root_hash).unwrap(), HASHES_AT as u64);
    assert_eq!(refused(|bytes| bytes[HASHES_AT + 4096] ^= 1), "it holds another image");
    assert_eq!(refused(|bytes| bytes[HASHES_AT + 88] ^= 1), "it holds another image");
}

#[test]
fn a_file_system_that_ends_at_a_block_has_no_padding() {
    let (mut image, root_hash) = golden();
    image.0[40..48].copy_from_slice(&(HASHES_AT as u64).to_le_bytes());
    // The superblock of the file system is part of the first block, of which the hashes are not checked here.
    assert_eq!(hash_area(&image, &root_hash).unwrap(), HASHES_AT as u64);
    image.0[40..48].copy_from_slice(&(HASHES_AT as u64 + 1).to_le_bytes());
    let error = hash_area(&image, &root_hash).unwrap_err();
    assert_eq!(error.to_string(), "the hashes at 20480 cannot be used");
}

#[test]
fn what_is_not_there_or_does_not_fit_is_said() {
    assert_eq!(refused(|bytes| bytes.fill(0)), "it holds no squashfs");
    assert_eq!(
        refused(|bytes| bytes.truncate(40)),
        "it cannot be read at 0",
        "a partition shorter than a superblock"
    );
    let no_room = "its squashfs of 13192 bytes leaves no room for hashes in 20480 bytes";
    assert_eq!(refused(|bytes| bytes.truncate(5 * 4096)), no_room);
    assert_eq!(
        refused(|bytes| bytes[40..48].fill(0xff)),
        "its squashfs of 18446744073709551615 bytes leaves no room for hashes in 65536 bytes"
    );
    assert_eq!(
        refused(|bytes| bytes[HASHES_AT..].fill(0)),
        "the hashes at 16384 cannot be used"
    );
    assert_eq!(
        refused(|bytes| bytes[HASHES_AT + 72] = 5),
        "its hashes cover 20480 bytes, but begin at 16384"
    );
}

#[test]
#[allow(clippy::print_stdout, reason = "a skipped test says so")]
fn a_slot_made_by_mksquashfs_and_veritysetup_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (content, slot) = (folder.path().join("content"), folder.path().join("slot"));
    std::fs::create_dir(&content).unwrap();
    // Noise, so that it stays long enough for a tree of two levels.
    let noise: Vec<u8> = (0..40_000_u32).flat_map(|at| salted(&at.to_le_bytes())).collect();
    std::fs::write(content.join("noise"), noise).unwrap();
    let made = Command::new("mksquashfs").args([&content, &slot]).output();
    let Ok(made) = made else {
        return println!("skipped: no mksquashfs");
    };
    assert!(made.status.success(), "{made:?}");
    let offset = std::fs::metadata(&slot).unwrap().len();
    assert!(offset > 129 * 4096 && offset.is_multiple_of(4096));
    let formatted = Command::new("veritysetup")
        .arg("format")
        .arg(format!("--data-blocks={}", offset / 4096))
        .arg(format!("--hash-offset={offset}"))
        .args([&slot, &slot])
        .output();
    let Ok(formatted) = formatted else {
        return println!("skipped: no veritysetup");
    };
    assert!(formatted.status.success(), "{formatted:?}");
    let said = String::from_utf8(formatted.stdout).unwrap();
    let root_hash = said.lines().find_map(|line| line.strip_prefix("Root hash:"));
    let root_hash: RootHash = root_hash.unwrap().trim().parse().unwrap();
    let image = Image(std::fs::read(&slot).unwrap());
    assert_eq!(hash_area(&image, &root_hash).unwrap(), offset);
}

proptest! {
    #[test]
    fn no_damage_makes_it_stumble(
        at in prop_oneof![0..48_usize, HASHES_AT..HASHES_AT + 512, Just(40_usize)],
        value in any::<[u8; 8]>(),
        len in 0..16 * 4096_usize,
    ) {
        let (mut image, root_hash) = golden();
        image.0[at..at + 8].copy_from_slice(&value);
        let _ = hash_area(&image, &root_hash);
        image.0.truncate(len);
        if let Ok(offset) = hash_area(&image, &root_hash) {
            prop_assert!(offset + 8192 <= len as u64);
        }
    }
}
