use std::collections::BTreeMap;
use std::io::{self, Cursor};

use proptest::prelude::*;

use super::*;
use crate::digest::Sha256;
use crate::fat::read::{FatKind, FatReader};
use crate::fat::{FatData, FatFile, plan};

const MIB: u64 = 1 << 20;
const VOLUME: u64 = 36 * MIB;
/// 2025-06-07T08:09:11Z.
const TIME: u64 = 1_749_283_751;
/// The volume does not begin at the medium's start, as on a disk.
const OFFSET: u64 = MIB;
const NAME: &str = "join.toml";

/// One write or the wait for all before it.
#[derive(Debug, Clone)]
enum Step {
    Write(u64, Vec<u8>),
    Sync,
}

/// A disk in memory that remembers what was done to it.
#[derive(Debug, Clone)]
struct Disk {
    bytes: Vec<u8>,
    steps: Vec<Step>,
}

impl Medium for &mut Disk {
    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        buffer.copy_from_slice(&self.bytes[offset as usize..][..buffer.len()]);
        Ok(())
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.bytes[offset as usize..][..bytes.len()].copy_from_slice(bytes);
        self.steps.push(Step::Write(offset, bytes.to_vec()));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.steps.push(Step::Sync);
        Ok(())
    }
}

fn file(path: &str, content: &[u8]) -> FatFile {
    FatFile {
        path: path.to_owned(),
        data: FatData::Bytes(content.to_vec()),
    }
}

fn others() -> Vec<FatFile> {
    vec![
        file("EFI/Linux/edge-x86_64_1+3.efi", &[7; 10_000]),
        file("EFI/BOOT/BOOTX64.EFI", &[9; 4_096]),
        file("loader/loader.conf", b"timeout 0\n"),
    ]
}

fn disk(files: Vec<FatFile>) -> Disk {
    let volume = plan(files, VOLUME, "ESP", 0x1234_abcd, TIME).unwrap();
    let mut out = Cursor::new(vec![0; (OFFSET + VOLUME) as usize]);
    volume.write(&mut out, OFFSET).unwrap();
    Disk {
        bytes: out.into_inner(),
        steps: Vec::new(),
    }
}

fn updater(disk: &mut Disk) -> FatUpdater<&mut Disk> {
    FatUpdater::open(disk, OFFSET, VOLUME).unwrap()
}

/// All files by path, as the reader sees them.
fn listing(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut reader = FatReader::open(Cursor::new(bytes), OFFSET, VOLUME).unwrap();
    let files = reader
        .list()
        .unwrap()
        .into_iter()
        .filter(|entry| entry.kind == FatKind::File);
    files
        .map(|entry| (entry.path.clone(), reader.read(&entry, MIB).unwrap()))
        .collect()
}

fn with(content: Option<&[u8]>) -> BTreeMap<String, Vec<u8>> {
    let own = content.map(|content| file(NAME, content));
    let files = others().into_iter().chain(own);
    files
        .map(|file| match file.data {
            FatData::Bytes(bytes) => (file.path, bytes),
            FatData::Host { .. } => unreachable!("the tests' files are in memory"),
        })
        .collect()
}

#[test]
fn a_file_is_added_replaced_and_removed_and_nothing_else_changes() {
    let mut disk = disk(others());
    let before = disk.bytes.clone();
    let long = vec![b'x'; 3_000];
    for (content, expected) in [
        (b"short".as_slice(), Updated::Added),
        (&long, Updated::Replaced),
        (&long, Updated::Unchanged),
        (b"", Updated::Replaced),
        (b"again", Updated::Replaced),
    ] {
        assert_eq!(updater(&mut disk).put(NAME, content).unwrap(), expected);
        assert_eq!(listing(&disk.bytes), with(Some(content)));
        assert_eq!(
            updater(&mut disk).put("JOIN.TOML", content).unwrap(),
            Updated::Unchanged
        );
    }
    assert_eq!(updater(&mut disk).remove(NAME).unwrap(), Updated::Removed);
    assert_eq!(updater(&mut disk).remove(NAME).unwrap(), Updated::Unchanged);
    assert_eq!(listing(&disk.bytes), with(None));
    assert_eq!(disk.bytes[..OFFSET as usize], before[..OFFSET as usize]);
}

#[test]
fn the_bytes_of_an_added_file_do_not_change() {
    let mut disk = disk(others());
    updater(&mut disk).put(NAME, b"version = 1\n").unwrap();
    assert_eq!(
        Sha256::of(&disk.bytes[OFFSET as usize..]).to_string(),
        "265af87334080e1994f54d9a096d5d3549c99e10868270c435f06cd74622448f"
    );
}

#[test]
fn what_was_replaced_or_removed_is_nowhere_on_the_disk() {
    let secret = b"token = abcdef.0123456789abcdef";
    let holds = |disk: &Disk| disk.bytes.windows(secret.len()).any(|window| window == secret);
    let mut disk = disk(others());
    updater(&mut disk).put(NAME, secret).unwrap();
    assert!(holds(&disk));
    updater(&mut disk).put(NAME, b"nothing").unwrap();
    assert!(!holds(&disk));
    updater(&mut disk).put(NAME, secret).unwrap();
    updater(&mut disk).remove(NAME).unwrap();
    assert!(!holds(&disk));
}

#[test]
fn both_tables_stay_equal_and_the_hints_count_what_is_free() {
    let mut disk = disk(others());
    for content in [vec![1; 5_000], vec![2; 600]] {
        updater(&mut disk).put(NAME, &content).unwrap();
        let updater = updater(&mut disk);
        let geometry = updater.boot.geometry;
        let free = updater.free_clusters().count() as u32;
        let part = |offset: u64, len: u64| &disk.bytes[(OFFSET + offset) as usize..][..len as usize];
        let table_bytes = u64::from(geometry.fat_sectors) * SECTOR_BYTES;
        assert!(part(geometry.fat_offset(0), table_bytes) == part(geometry.fat_offset(1), table_bytes));
        assert_eq!(part(SECTOR_BYTES + 488, 4), free.to_le_bytes());
    }
}

#[test]
fn a_full_volume_is_told_and_not_touched() {
    let mut disk = disk(others());
    let room = {
        let updater = updater(&mut disk);
        updater.free_clusters().count() * updater.boot.geometry.cluster_bytes() as usize
    };
    updater(&mut disk).put("filler", &vec![1; room - 1024]).unwrap();
    disk.steps.clear();
    let error = updater(&mut disk).put(NAME, &[2; 1025]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the file needs 1536 bytes, and the FAT volume has 1024 left"
    );
    assert!(disk.steps.is_empty());
    updater(&mut disk).put(NAME, &[2; 1024]).unwrap();
}

#[test]
fn names_that_are_folders_or_none_are_refused() {
    let mut disk = disk(others());
    let mut refuse = |name: &str| updater(&mut disk).put(name, b"x").unwrap_err().to_string();
    assert_eq!(refuse("efi"), "`efi` is a folder on the FAT volume");
    assert!(refuse("a/b").contains("cannot be stored on FAT"));
    assert!(matches!(
        updater(&mut disk).put(&"n".repeat(200), b"x"),
        Err(FatUpdateError::RootFull)
    ));
}

#[test]
fn a_volume_that_is_not_ours_is_refused_before_anything_is_written() {
    let mut disk = disk(others());
    disk.bytes[OFFSET as usize + EXT_FLAGS_AT] = NOT_MIRRORED;
    assert!(matches!(
        FatUpdater::open(&mut disk, OFFSET, VOLUME),
        Err(FatUpdateError::NotMirrored)
    ));
    assert!(matches!(
        FatUpdater::open(&mut disk, 0, VOLUME),
        Err(FatUpdateError::Read(FatReadError::NotFat32 { .. }))
    ));
    assert!(disk.steps.is_empty());
}

/// Every disk that a power cut can leave: all that was synced, and of the writes since then each sector or not.
fn cuts(before: &[u8], steps: &[Step], mut look: impl FnMut(&[u8])) {
    let mut synced = before.to_vec();
    let mut pending: Vec<(u64, &[u8])> = Vec::new();
    let mut choice = 0x9e37_79b9_7f4a_7c15_u64;
    for step in steps {
        let sectors = match step {
            Step::Write(offset, bytes) => {
                let parts = bytes.chunks(SECTOR_BYTES as usize).zip(0..);
                pending.extend(parts.map(|(part, index)| (offset + index * SECTOR_BYTES, part)));
                continue;
            }
            Step::Sync => std::mem::take(&mut pending),
        };
        let count = sectors.len();
        let singles = (0..count.min(8)).map(|one| move |index: usize| index == one);
        let mut tries: Vec<Box<dyn Fn(usize) -> bool>> = singles.map(|keep| Box::new(keep) as _).collect();
        tries.push(Box::new(|_| false));
        for _ in 0..4 {
            choice = choice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let bits = choice;
            tries.push(Box::new(move |index| bits.rotate_left(index as u32) & 1 == 1));
        }
        for keep in tries {
            let kept = sectors.iter().enumerate().filter(|(index, _)| keep(*index));
            let undo: Vec<(usize, Vec<u8>)> = kept
                .map(|(_, (offset, part))| {
                    let place = &mut synced[*offset as usize..][..part.len()];
                    let old = place.to_vec();
                    place.copy_from_slice(part);
                    (*offset as usize, old)
                })
                .collect();
            look(&synced);
            for (offset, old) in undo.into_iter().rev() {
                synced[offset..][..old.len()].copy_from_slice(&old);
            }
        }
        for (offset, part) in sectors {
            synced[offset as usize..][..part.len()].copy_from_slice(part);
        }
    }
    look(&synced);
}

/// Runs `change` and looks at every cut of it; returns how many showed the outcome.
fn check_cuts(disk: &mut Disk, old: Option<&[u8]>, new: Option<&[u8]>, others: &BTreeMap<String, Vec<u8>>) {
    let before = disk.bytes.clone();
    disk.steps.clear();
    match new {
        Some(content) => updater(disk).put(NAME, content).unwrap(),
        None => updater(disk).remove(NAME).unwrap(),
    };
    let expected = |content: Option<&[u8]>| {
        let mut files = others.clone();
        files.extend(content.map(|content| (NAME.to_owned(), content.to_vec())));
        files
    };
    let (as_before, as_after) = (expected(old), expected(new));
    let mut seen = [0, 0];
    cuts(&before, &disk.steps, |bytes| {
        let files = listing(bytes);
        assert!(files == as_before || files == as_after, "{:?}", files.keys());
        seen[usize::from(files == as_after)] += 1;
    });
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}

#[test]
fn a_power_cut_at_any_moment_leaves_the_old_file_or_the_new_one() {
    let mut disk = disk(others());
    let others = with(None);
    let (first, second) = (vec![1; 2_000], vec![2; 900]);
    check_cuts(&mut disk, None, Some(&first), &others);
    check_cuts(&mut disk, Some(&first), Some(&second), &others);
    check_cuts(&mut disk, Some(&second), Some(b""), &others);
    check_cuts(&mut disk, Some(b""), None, &others);
}

#[test]
fn a_root_folder_of_any_fill_takes_the_file_even_where_it_has_to_grow() {
    // The label and 13 to 16 entries: the new one fits, goes past a sector's end, begins a new cluster.
    for count in 13..17 {
        let mut files: Vec<_> = (0..count)
            .map(|number| file(&format!("F{number}"), &[number]))
            .collect();
        let mut disk = disk(std::mem::take(&mut files));
        let others = listing(&disk.bytes);
        check_cuts(&mut disk, None, Some(b"version = 1\n"), &others);
        check_cuts(&mut disk, Some(b"version = 1\n"), None, &others);
        check_cuts(&mut disk, None, Some(&[3; 5_000]), &others);
    }
}

#[test]
fn stale_entries_after_the_end_of_the_list_stay_invisible() {
    let mut disk = disk(vec![file("F", b"x")]);
    // Label, F, the end; the slot after the two of the new file holds what an older system left there.
    let root = updater(&mut disk).boot.geometry.cluster_offset(2) + OFFSET;
    let stale = root as usize + 4 * ENTRY_BYTES;
    let entry = DirEntry {
        attribute: Attribute::File,
        first_cluster: 0,
        len_bytes: 0,
        time: updater(&mut disk).root.time(),
    };
    disk.bytes[stale..][..ENTRY_BYTES].copy_from_slice(&entry.to_bytes(b"STALE      "));
    assert_eq!(listing(&disk.bytes).len(), 1);
    updater(&mut disk).put(NAME, b"new").unwrap();
    assert_eq!(listing(&disk.bytes).into_keys().collect::<Vec<_>>(), ["F", NAME]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_order_of_changes_leaves_what_the_last_ones_say(
        changes in proptest::collection::vec((0..4_usize, proptest::option::of(0..3_000_usize)), 1..24)
    ) {
        let mut disk = disk(others());
        let mut expected = with(None);
        for (name, len) in changes {
            let name = ["join.toml", "join.txt", "A", "a name that takes four entries of a folder.conf"][name];
            match len {
                Some(len) => {
                    updater(&mut disk).put(name, &vec![name.as_bytes()[0]; len]).unwrap();
                    expected.insert(name.to_owned(), vec![name.as_bytes()[0]; len]);
                }
                None => {
                    updater(&mut disk).remove(name).unwrap();
                    expected.remove(name);
                }
            }
        }
        prop_assert_eq!(listing(&disk.bytes), expected);
    }

    #[test]
    fn a_damaged_volume_is_changed_or_refused_but_never_a_panic(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..12)
    ) {
        let mut disk = disk(others());
        let first_folder = (updater(&mut disk).boot.geometry.cluster_offset(2) + OFFSET) as usize;
        for (at, value, in_folders) in damage {
            let at = match in_folders {
                true => first_folder + at.index(1_024),
                false => OFFSET as usize + at.index(8_192) / 4096 * (32 * 512) + at.index(600),
            };
            disk.bytes[at] = value;
        }
        if let Ok(mut updater) = FatUpdater::open(&mut disk, OFFSET, VOLUME) {
            let _ = updater.put(NAME, &[1; 1_000]);
            let _ = updater.remove(NAME);
        }
    }
}
