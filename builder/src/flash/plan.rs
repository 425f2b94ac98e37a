//! What is written where, from a manifest that may say anything.

use std::ops::Range;

use crate::artifacts::ArtifactKind;
use crate::artifacts::manifest::Manifest;
use crate::artifacts::ranges::{CUT_BYTES, HashedRange};
use crate::disk::{ALIGNMENT_BYTES, TableKind};
use crate::gpt::{BACKUP_SECTORS, SECTOR_BYTES};

/// Bytes at either end of a disk that are zeros while it is being written: partition tables, and what other systems put
/// there to know their disks by (LVM, ZFS, software RAID, firmware RAID).
pub const EDGE_BYTES: u64 = ALIGNMENT_BYTES;

/// A plan for any medium that is large enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlashPlan {
    /// The image's size in bytes.
    pub image_bytes: u64,
    /// What is written and read back, in order.
    pub ranges: Vec<HashedRange>,
    /// The kind of partition table.
    pub table: TableKind,
}

/// What in a manifest no image of ours has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No disk image.
    #[error("it names no disk image")]
    NoImage,
    /// An image that is no number of sectors, or too small for its partition tables.
    #[error("its disk image has {0} bytes")]
    ImageSize(u64),
    /// A range that cannot be written as it is.
    #[error("its range of {len_bytes} bytes at byte {offset} is empty, too long, or not made of whole sectors")]
    Shape {
        /// Where it begins.
        offset: u64,
        /// Its length.
        len_bytes: u64,
    },
    /// A range that begins before the one ahead of it ends, or that leaves the image.
    #[error("its range of {len_bytes} bytes at byte {offset} overlaps another one or leaves the image")]
    Place {
        /// Where it begins.
        offset: u64,
        /// Its length.
        len_bytes: u64,
    },
    /// A partition table that is not part of the ranges.
    #[error("its ranges leave out bytes {from} to {to}, where a partition table is")]
    NoTable {
        /// The table's first byte.
        from: u64,
        /// The byte after its last.
        to: u64,
    },
}

impl FlashPlan {
    /// The plan for the image that `manifest` describes.
    pub fn of(manifest: &Manifest) -> Result<Self, PlanError> {
        let raw = manifest.artifacts.iter().find(|file| file.kind == ArtifactKind::Raw);
        let image_bytes = raw.ok_or(PlanError::NoImage)?.len_bytes;
        Self::new(image_bytes, manifest.ranges.clone(), manifest.table_kind())
    }

    /// A plan from an image's size in bytes, its ranges and the kind of its partition table.
    pub fn new(image_bytes: u64, ranges: Vec<HashedRange>, table: TableKind) -> Result<Self, PlanError> {
        if image_bytes < 2 * EDGE_BYTES || !image_bytes.is_multiple_of(SECTOR_BYTES) {
            return Err(PlanError::ImageSize(image_bytes));
        }
        let mut end = 0;
        for range in &ranges {
            let (offset, len_bytes) = (range.offset, range.len_bytes);
            let whole = offset.is_multiple_of(SECTOR_BYTES) && len_bytes.is_multiple_of(SECTOR_BYTES);
            if !whole || !(1..=CUT_BYTES).contains(&len_bytes) {
                return Err(PlanError::Shape { offset, len_bytes });
            }
            if offset < end || offset.saturating_add(len_bytes) > image_bytes {
                return Err(PlanError::Place { offset, len_bytes });
            }
            end = offset + len_bytes;
        }
        let plan = Self {
            image_bytes,
            ranges,
            table,
        };
        for table in plan.withheld() {
            let covered: u64 = plan.ranges.iter().map(|range| overlap(&bytes_of(range), &table)).sum();
            if covered < table.end - table.start {
                let (from, to) = (table.start, table.end);
                return Err(PlanError::NoTable { from, to });
            }
        }
        Ok(plan)
    }

    /// How many bytes are written, those of the partition tables included.
    pub fn data_bytes(&self) -> u64 {
        self.ranges.iter().map(|range| range.len_bytes).sum()
    }

    /// The partition tables, in the order in which they are written when all the rest is there: the backup first. On a disk
    /// of exactly the image's size firmware would take it for the table if the one at the start is missing.
    pub fn withheld(&self) -> Vec<Range<u64>> {
        let backup_bytes = BACKUP_SECTORS * SECTOR_BYTES;
        let first = 0..EDGE_BYTES;
        match self.table {
            TableKind::Gpt => vec![self.image_bytes - backup_bytes..self.image_bytes, first],
            TableKind::Mbr => vec![first],
        }
    }
}

/// The bytes that a range takes.
pub fn bytes_of(range: &HashedRange) -> Range<u64> {
    range.offset..range.offset + range.len_bytes
}

/// The bytes of `range` that are in none of `holes`, in order.
pub fn without(range: Range<u64>, holes: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut rest = vec![range];
    for hole in holes {
        let around = |part: Range<u64>| {
            let before = part.start..part.end.min(hole.start);
            let after = part.start.max(hole.end)..part.end;
            [before, after]
        };
        rest = rest
            .into_iter()
            .flat_map(around)
            .filter(|part| part.start < part.end)
            .collect();
    }
    rest
}

/// The bytes that `range` and `other` share.
pub fn common(range: &Range<u64>, other: &Range<u64>) -> Range<u64> {
    range.start.max(other.start)..range.end.min(other.end)
}

fn overlap(range: &Range<u64>, other: &Range<u64>) -> u64 {
    let shared = common(range, other);
    shared.end.saturating_sub(shared.start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Sha256;

    const MIB: u64 = 1 << 20;
    const BACKUP: u64 = BACKUP_SECTORS * SECTOR_BYTES;

    fn range(offset: u64, len_bytes: u64) -> HashedRange {
        HashedRange {
            offset,
            len_bytes,
            sha256: Sha256::of(b""),
        }
    }

    fn plan(ranges: &[(u64, u64)]) -> Result<FlashPlan, PlanError> {
        plan_of(ranges, TableKind::Gpt)
    }

    fn plan_of(ranges: &[(u64, u64)], table: TableKind) -> Result<FlashPlan, PlanError> {
        let ranges = ranges.iter().map(|(offset, len)| range(*offset, *len));
        FlashPlan::new(8 * MIB, ranges.collect(), table)
    }

    #[test]
    fn an_image_with_an_mbr_has_no_table_at_its_end() {
        let plan = plan_of(&[(0, MIB)], TableKind::Mbr).unwrap();
        assert_eq!(plan.withheld(), vec![0..MIB; 1]);
        assert!(matches!(
            plan_of(&[(512, MIB)], TableKind::Mbr),
            Err(PlanError::NoTable { .. })
        ));
    }

    #[test]
    fn a_manifest_that_no_image_has_is_refused() {
        let tail = (8 * MIB - BACKUP, BACKUP);
        assert_eq!(plan(&[(0, MIB), tail]).unwrap().data_bytes(), MIB + BACKUP);
        let shape = |offset, len_bytes| PlanError::Shape { offset, len_bytes };
        let place = |offset, len_bytes| PlanError::Place { offset, len_bytes };
        for (ranges, error) in [
            (vec![(0, MIB + 1)], shape(0, MIB + 1)),
            (vec![(3, 512)], shape(3, 512)),
            (vec![(0, 0)], shape(0, 0)),
            (vec![(0, 5 * MIB)], shape(0, 5 * MIB)),
            (vec![(0, MIB), (512, 512)], place(512, 512)),
            (vec![(0, MIB), (8 * MIB, 512)], place(8 * MIB, 512)),
            (vec![(u64::MAX - 511, 512)], place(u64::MAX - 511, 512)),
            (vec![(512, MIB), tail], PlanError::NoTable { from: 0, to: MIB }),
            (
                vec![(0, MIB)],
                PlanError::NoTable {
                    from: 8 * MIB - BACKUP,
                    to: 8 * MIB,
                },
            ),
        ] {
            assert_eq!(plan(&ranges).unwrap_err(), error, "{ranges:?}");
        }
        assert_eq!(
            FlashPlan::new(MIB, vec![], TableKind::Gpt).unwrap_err(),
            PlanError::ImageSize(MIB)
        );
        assert_eq!(
            FlashPlan::new(8 * MIB + 1, vec![], TableKind::Gpt).unwrap_err(),
            PlanError::ImageSize(8 * MIB + 1)
        );
    }

    #[test]
    fn what_is_held_back_is_cut_out_of_a_range() {
        // As pairs: a list of one range is easily taken for something else.
        let cut = |holes: &[Range<u64>]| -> Vec<(u64, u64)> {
            let parts = without(0..10, holes);
            parts.into_iter().map(|part| (part.start, part.end)).collect()
        };
        let (start, middle, end) = (0..3, 4..6, 8..12);
        assert_eq!(cut(&[end.clone(), start]), [(3, 8)]);
        assert_eq!(cut(std::slice::from_ref(&middle)), [(0, 4), (6, 10)]);
        assert_eq!(cut(&[middle, end]), [(0, 4), (6, 8)]);
        assert_eq!(cut(std::slice::from_ref(&(0..10))), []);
        assert_eq!(cut(std::slice::from_ref(&(20..30))), [(0, 10)]);
    }
}
