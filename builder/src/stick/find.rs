//! Finds the volume of a stick that is one already.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use crate::fat::update::FatUpdater;
use crate::gpt::{SECTOR_BYTES, read};
use crate::mbr::{MbrRecord, MbrTable};

use super::LABEL;

/// Where on `disk`, which has `len_bytes`, the volume with the label is: all of it, or a partition of either kind of table.
pub(super) fn volume(disk: &File, len_bytes: u64) -> Option<Range<u64>> {
    let mut sector = [0; SECTOR_BYTES as usize];
    disk.read_exact_at(&mut sector, 0).ok()?;
    let whole = std::iter::once(0..len_bytes);
    let gpt = read::read(&mut &*disk)
        .map(|read| read.table.partitions)
        .unwrap_or_default();
    let gpt = gpt.into_iter().map(|entry| {
        let start = entry.first_sector * SECTOR_BYTES;
        start..start + entry.sectors * SECTOR_BYTES
    });
    let mbr = MbrTable::parse(&sector)
        .map(|table| table.partitions)
        .unwrap_or_default();
    let mbr = mbr.into_iter().filter(MbrRecord::is_fat);
    let mbr = mbr.map(|record| record.offset()..record.offset() + record.len_bytes());
    let mut places = whole.chain(mbr).chain(gpt);
    places.find(|place| place.end <= len_bytes && is_ours(disk, place))
}

fn is_ours(disk: &File, place: &Range<u64>) -> bool {
    FatUpdater::open(disk, place.start, place.end - place.start).is_ok_and(|volume| volume.label() == LABEL)
}
