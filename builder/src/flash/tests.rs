use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use nix::errno::Errno;
use proptest::prelude::*;

use super::*;
use crate::arch::Arch;
use crate::disk::TableKind;
use crate::failure::{Diagnose as _, FailureKind};
use crate::gpt::{BACKUP_SECTORS, GptEntry, GptTable, Guid, PartitionFlags, SECTOR_BYTES, read};
use crate::progress::Silent;

mod faulty;

use faulty::{Fault, Faulty};

const MIB: usize = 1 << 20;
/// A little more than one block, so that there is more than one.
const IMAGE_BYTES: usize = 6 * MIB;
/// Bytes of the image's own partition.
const DATA: Range<usize> = MIB..4 * MIB + MIB / 2;

/// The partition table of an image recognised by `id`, on a disk of `len` bytes.
fn table(id: &str, len: usize) -> GptTable {
    let seed = Sha256::of(id.as_bytes());
    let entry = GptEntry {
        type_id: Guid::root_type(Arch::X86_64),
        id: Guid::derive(&seed, "root"),
        first_sector: DATA.start as u64 / SECTOR_BYTES,
        sectors: (DATA.end - DATA.start) as u64 / SECTOR_BYTES,
        flags: PartitionFlags::NONE,
        label: id.to_owned(),
    };
    GptTable {
        disk_id: Guid::derive(&seed, "disk"),
        total_sectors: len as u64 / SECTOR_BYTES,
        partitions: vec![entry],
    }
}

/// A disk of `len` bytes with that table at both ends, and zeros where nothing is.
fn disk(id: &str, len: usize) -> Vec<u8> {
    let (primary, backup) = (table(id, len).primary().unwrap(), table(id, len).backup().unwrap());
    let mut bytes = vec![0; len];
    bytes[..primary.len()].copy_from_slice(&primary);
    bytes[len - backup.len()..].copy_from_slice(&backup);
    for (at, sector) in bytes[DATA].chunks_exact_mut(512).enumerate() {
        sector.fill((at % 251) as u8 ^ id.as_bytes()[0]);
    }
    bytes
}

/// An image, and what a manifest says of it.
fn image(id: &str) -> (Vec<u8>, FlashPlan) {
    let bytes = disk(id, IMAGE_BYTES);
    let backup_start = IMAGE_BYTES - (BACKUP_SECTORS * SECTOR_BYTES) as usize;
    let cut = CUT_BYTES as usize;
    let ranges = [0..cut, cut..DATA.end, backup_start..IMAGE_BYTES].map(|range| HashedRange {
        offset: range.start as u64,
        len_bytes: (range.end - range.start) as u64,
        sha256: Sha256::of(&bytes[range]),
    });
    let plan = FlashPlan::new(IMAGE_BYTES as u64, ranges.into(), TableKind::Gpt).unwrap();
    (bytes, plan)
}

/// An image in memory.
struct InMemory(Vec<u8>);

impl ImageReader for InMemory {
    fn read_range(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let part = self.0.get(offset as usize..).and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

fn flash_all(media: Vec<Faulty>, bytes: &[u8], plan: &FlashPlan) -> (Outcome, Vec<Faulty>) {
    let named = |medium| Named {
        name: "/dev/test".to_owned(),
        medium,
    };
    let media: Vec<Named<Faulty>> = media.into_iter().map(named).collect();
    let context = Context {
        stop: &AtomicBool::new(false),
        reporter: &Silent,
        nonce: 7,
    };
    let outcome = flash(plan, &mut InMemory(bytes.to_vec()), &media, &context);
    (outcome, media.into_iter().map(|named| named.medium).collect())
}

fn flash_one(medium: Faulty) -> (Result<Written, MediumError>, Faulty) {
    let (bytes, plan) = image("new");
    let (mut outcome, mut media) = flash_all(vec![medium], &bytes, &plan);
    outcome.image.unwrap();
    (outcome.media.remove(0), media.remove(0))
}

/// Whether firmware would find a partition table with this image's id, at the start or the end.
fn starts(content: &[u8], id: &str) -> bool {
    let table = read::read(&mut io::Cursor::new(content));
    table.is_ok_and(|found| found.table.disk_id == Guid::derive(&Sha256::of(id.as_bytes()), "disk"))
}

/// Whether all that the image's partitions hold is there.
fn is_whole(content: &[u8], id: &str) -> bool {
    content[DATA] == disk(id, IMAGE_BYTES)[DATA]
}

fn assert_flashed(content: &[u8]) {
    let (bytes, plan) = image("new");
    for range in plan
        .ranges
        .iter()
        .map(|range| range.offset as usize..(range.offset + range.len_bytes) as usize)
    {
        assert!(content[range.clone()] == bytes[range.clone()], "{range:?} differs");
    }
}

/// A medium with another installation, whose backup table is at its end, where systemd-repart puts it.
fn used(len: usize) -> Vec<u8> {
    let mut content = disk("old", len);
    content[DATA.end..len - MIB].fill(0x55);
    content
}

/// Calls before the image's first write: two ends cleared, flushed, and read in four pieces each. On media of 8 MiB there is
/// one mark more, on media of 11 MiB there are two.
const BEFORE_THE_IMAGE: usize = 11;

#[test]
fn the_image_arrives_and_the_rest_of_the_medium_stays_but_for_its_end() {
    for len in [IMAGE_BYTES, IMAGE_BYTES + MIB / 2, 11 * MIB] {
        let (outcome, medium) = flash_one(Faulty::new(used(len), BTreeMap::new()));
        outcome.unwrap();
        let content = medium.content();
        assert_flashed(&content);
        assert!(starts(&content, "new"));
        let tail = IMAGE_BYTES.max(len - MIB)..len;
        assert!(
            content[tail].iter().all(|byte| *byte == 0),
            "something of the old disk is at the end"
        );
        if len == 11 * MIB {
            assert_eq!(content[7 * MIB], 0x55);
            // No mark is left.
            assert_eq!(content[8 * MIB..8 * MIB + 4096], [0; 4096]);
        }
    }
}

#[test]
fn a_medium_that_is_too_small_is_not_touched() {
    let before = vec![9; IMAGE_BYTES - 512];
    let (outcome, medium) = flash_one(Faulty::new(before.clone(), BTreeMap::new()));
    assert!(matches!(outcome, Err(MediumError::TooSmall { .. })));
    assert!(medium.content() == before);
}

#[test]
fn a_medium_of_half_the_size_it_claims_is_found_out() {
    // The image would fit and come back right: only the marks tell.
    for (real, claimed) in [(8, 16), (8, 64), (16, 32), (7, 14), (9, 40)] {
        let (outcome, medium) = flash_one(Faulty::lying(real * MIB, claimed * MIB));
        let error = outcome.unwrap_err();
        assert_eq!(
            error.kind(),
            FailureKind::Verification,
            "{real} of {claimed} MiB: {error}"
        );
        assert!(!starts(&medium.content(), "new"));
    }
}

#[test]
fn a_medium_smaller_than_the_image_that_claims_more_is_found_out_by_reading_back() {
    let (outcome, medium) = flash_one(Faulty::lying(4 * MIB, 8 * MIB));
    let error = outcome.unwrap_err();
    assert!(matches!(error, MediumError::Differs { .. }), "{error}");
    assert!(!starts(&medium.content(), "new"));
}

#[test]
fn a_worn_out_card_that_keeps_nothing_is_found_out_at_once() {
    let faults = (0..64).map(|call| (call, Fault::Dropped)).collect();
    let (outcome, medium) = flash_one(Faulty::new(used(8 * MIB), faults));
    let error = outcome.unwrap_err();
    assert!(
        matches!(&error, MediumError::Unchanged { range } if *range == (0..MIB as u64)),
        "{error}"
    );
    assert!(error.hints()[0].contains("worn out"));
    assert!(medium.content() == used(8 * MIB));
}

#[test]
fn an_old_backup_table_that_stays_is_found_before_anything_else_is_written() {
    // The second call is to clear the end. Firmware would take the table there once the one at the start is gone.
    let (outcome, medium) = flash_one(Faulty::new(used(8 * MIB), BTreeMap::from([(1, Fault::Dropped)])));
    let error = outcome.unwrap_err();
    let tail = 7 * MIB as u64..8 * MIB as u64;
    assert!(
        matches!(&error, MediumError::Unchanged { range } if *range == tail),
        "{error}"
    );
    assert!(is_whole(&medium.content(), "old"));
}

#[test]
fn a_flipped_bit_is_told_with_its_place() {
    let faults = BTreeMap::from([(BEFORE_THE_IMAGE + 2, Fault::Flipped(99))]);
    let (outcome, medium) = flash_one(Faulty::new(vec![0; 11 * MIB], faults));
    let error = outcome.unwrap_err();
    assert!(
        matches!(&error, MediumError::Differs { range } if range.start <= 4 * MIB as u64),
        "{error}"
    );
    assert!(error.to_string().contains("bytes at byte "), "{error}");
    assert_eq!(error.kind(), FailureKind::Verification);
    assert!(!starts(&medium.content(), "new"));
}

#[test]
fn a_medium_that_vanishes_is_told_as_such() {
    for errno in [Errno::ENODEV, Errno::ENXIO, Errno::ENOMEDIUM] {
        let (outcome, _) = flash_one(Faulty::new(
            vec![0; 8 * MIB],
            BTreeMap::from([(BEFORE_THE_IMAGE + 1, Fault::Vanished(errno))]),
        ));
        let error = outcome.unwrap_err();
        assert!(error.hints()[0].contains("has vanished"), "{error}");
        assert_eq!(error.kind(), FailureKind::Request);
    }
}

#[test]
fn one_failing_medium_does_not_stop_the_others() {
    let (bytes, plan) = image("new");
    let vanishing = Faulty::new(
        used(8 * MIB),
        BTreeMap::from([(BEFORE_THE_IMAGE + 2, Fault::Vanished(Errno::EIO))]),
    );
    let media = vec![
        Faulty::new(vec![1; 8 * MIB], BTreeMap::new()),
        vanishing,
        Faulty::new(vec![2; 8 * MIB], BTreeMap::new()),
    ];
    let (outcome, media) = flash_all(media, &bytes, &plan);
    outcome.image.unwrap();
    let results: Vec<bool> = outcome.media.iter().map(Result::is_ok).collect();
    assert_eq!(results, [true, false, true]);
    assert_flashed(&media[0].content());
    assert_flashed(&media[2].content());
    let content = media[1].content();
    assert!(!starts(&content, "new") && !starts(&content, "old"));
}

#[test]
fn an_image_that_is_cut_off_or_changed_leaves_no_valid_medium() {
    let (bytes, plan) = image("new");
    let mut changed = bytes.clone();
    changed[DATA.end - 1] ^= 1;
    for bytes in [&bytes[..DATA.end], &changed[..]] {
        let (outcome, media) = flash_all(vec![Faulty::new(used(8 * MIB), BTreeMap::new())], bytes, &plan);
        match outcome.image.unwrap_err() {
            ImageError::Differs { range } => assert_eq!(range.offset, 4 * MIB as u64),
            error => assert!(matches!(error, ImageError::Read { .. }), "{error}"),
        }
        assert!(matches!(outcome.media[0], Err(MediumError::NoImage)));
        let content = media[0].content();
        assert!(!starts(&content, "new") && !starts(&content, "old"));
    }
}

#[test]
fn whoever_stops_it_leaves_no_valid_medium() {
    let (bytes, plan) = image("new");
    let media = [Named {
        name: "/dev/test".to_owned(),
        medium: Faulty::new(used(8 * MIB), BTreeMap::new()),
    }];
    let context = Context {
        stop: &AtomicBool::new(true),
        reporter: &Silent,
        nonce: 7,
    };
    let outcome = flash(&plan, &mut InMemory(bytes), &media, &context);
    outcome.image.unwrap();
    let error = outcome.media.into_iter().next().unwrap().unwrap_err();
    assert_eq!(error.kind(), FailureKind::Interrupted);
    let content = media[0].medium.content();
    assert!(!starts(&content, "new") && !starts(&content, "old"));
}

fn fault() -> impl Strategy<Value = Fault> {
    let errno = prop_oneof![
        Just(Errno::EIO),
        Just(Errno::ENODEV),
        Just(Errno::ENXIO),
        Just(Errno::EREMOTEIO)
    ];
    prop_oneof![
        any::<usize>().prop_map(Fault::Short),
        any::<usize>().prop_map(Fault::Torn),
        any::<usize>().prop_map(Fault::Flipped),
        Just(Fault::Dropped),
        errno.clone().prop_map(Fault::Error),
        errno.prop_map(Fault::Vanished),
    ]
}

/// A run without faults makes some forty calls.
fn faults() -> impl Strategy<Value = BTreeMap<usize, Fault>> {
    proptest::collection::btree_map(0..45_usize, fault(), 1..4)
}

/// The sizes that matter: the image's own, a little more, and with room for marks.
fn sizes() -> impl Strategy<Value = usize> {
    prop_oneof![Just(IMAGE_BYTES), Just(IMAGE_BYTES + 4096), Just(11 * MIB)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_a_medium_does_success_means_that_the_image_is_there(faults in faults(), len in sizes()) {
        let (outcome, medium) = flash_one(Faulty::new(used(len), faults));
        let content = medium.content();
        if outcome.is_ok() {
            assert_flashed(&content);
        }
        // A valid table means that all of the image it belongs to is there.
        prop_assert!(!starts(&content, "new") || is_whole(&content, "new"));
        prop_assert!(!starts(&content, "old") || is_whole(&content, "old"));
    }

    #[test]
    fn a_power_cut_at_any_moment_leaves_the_old_image_the_new_one_or_none(
        at in 0..45_usize,
        len in sizes(),
        survivors: u64,
    ) {
        // A cut is a medium that is gone from one call on, and loses what it has not flushed.
        let cut = BTreeMap::from([(at, Fault::Vanished(Errno::EIO))]);
        let (_, medium) = flash_one(Faulty::new(used(len), cut));
        let content = medium.after_power_cut(|write| survivors >> (write % 64) & 1 == 1);
        prop_assert!(!starts(&content, "new") || is_whole(&content, "new"));
        prop_assert!(!starts(&content, "old") || is_whole(&content, "old"));
        let (again, medium) = flash_one(Faulty::new(content, BTreeMap::new()));
        again.unwrap();
        assert_flashed(&medium.content());
    }
}
