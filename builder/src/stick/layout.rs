//! What a new stick looks like, and how it is written.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::digest::Sha256;
use crate::disk::ALIGNMENT_BYTES;
use crate::fat::{self, FatData, FatFile, FatVolume};
use crate::gpt::SECTOR_BYTES;
use crate::mbr::{self, MbrTable};
use crate::seed::JoinFile;

use super::{LABEL, StickError};

/// The largest volume: what Windows itself formats with FAT32, and far more than join files need.
const MAX_VOLUME_BYTES: u64 = 32 << 30;
/// How much is erased at the end of the disk, where a GPT has its second half; and within the volume at the least, where
/// other file systems have their marks (btrfs: 64 KiB from the start).
const MARKS_BYTES: u64 = 1 << 20;

/// A planned stick.
#[derive(Debug)]
pub(super) struct StickLayout {
    disk_bytes: u64,
    volume: FatVolume,
    serial: u32,
}

impl StickLayout {
    /// The stick with `file` on a disk of `disk_bytes`.
    pub(super) fn plan(disk_bytes: u64, file: &JoinFile) -> Result<Self, StickError> {
        let room = disk_bytes.saturating_sub(ALIGNMENT_BYTES).min(MAX_VOLUME_BYTES);
        // What is told of a join file has no secret in it.
        let serial = fat::serial_from(&Sha256::of(file.to_string().as_bytes()));
        let files = vec![FatFile {
            path: file.name().to_owned(),
            data: FatData::Bytes(file.text().as_bytes().to_vec()),
        }];
        let volume =
            fat::plan(files, room, LABEL, serial, 0).map_err(|source| StickError::Plan { disk_bytes, source })?;
        Ok(Self {
            disk_bytes,
            volume,
            serial,
        })
    }

    /// Where the volume is, in bytes.
    fn place(&self) -> Range<u64> {
        ALIGNMENT_BYTES..ALIGNMENT_BYTES + self.volume.volume_bytes()
    }

    /// Makes all of a device zero that tells what was on it, or that the volume expects to be zero.
    pub(super) fn erase(&self, target: &File, path: &Path) -> Result<(), StickError> {
        let used = self.volume.data_range().end.max(MARKS_BYTES);
        let end = self.disk_bytes - self.disk_bytes % SECTOR_BYTES;
        // The old table first: from here on nothing takes the device for what it was.
        let ranges = [
            0..self.place().start,
            end.saturating_sub(MARKS_BYTES).max(self.place().start)..end,
            self.place().start..(self.place().start + used).min(end),
        ];
        let zeros = vec![0; 1 << 20];
        for range in ranges {
            let mut at = range.start;
            while at < range.end {
                let count = (range.end - at).min(zeros.len() as u64);
                target
                    .write_all_at(&zeros[..count as usize], at)
                    .map_err(StickError::write(path, "over the old content"))?;
                at += count;
            }
            target
                .sync_data()
                .map_err(StickError::write(path, "over the old content"))?;
        }
        Ok(())
    }

    /// Writes the stick to what is zero, its table last.
    pub(super) fn write<W: Write + Seek>(&self, target: &mut W, path: &Path) -> Result<(), StickError> {
        let place = self.place();
        self.volume
            .write(target, place.start)
            .map_err(|source| StickError::Format {
                path: path.to_owned(),
                source,
            })?;
        let sectors = (place.end - place.start) / SECTOR_BYTES;
        let table = MbrTable::new(self.serial, &[(mbr::FAT32_LBA, place.start / SECTOR_BYTES, sectors)])
            .expect("a volume of at most 32 GiB ends before 2 TiB");
        target
            .flush()
            .and_then(|()| target.seek(SeekFrom::Start(0)))
            .and_then(|_| target.write_all(&table.to_bytes()))
            .map_err(StickError::write(path, "the partition table"))
    }
}
