//! Writes a planned volume.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use super::boot_sector::{BACKUP_SECTOR, BootSector, FATS, FS_INFO_SECTOR, FsInfo, ROOT_CLUSTER, SECTOR_BYTES};
use super::{FatData, FatError, FatVolume, PlacedFile, table};

impl FatVolume {
    /// The volume's size in bytes, a multiple of 512.
    pub fn volume_bytes(&self) -> u64 {
        u64::from(self.geometry.total_sectors) * SECTOR_BYTES
    }

    /// What a copy of the volume has to carry, in bytes from its start. Nothing leaves gaps, so it is one stretch; zeros
    /// in it count, since a disk may hold something else there.
    pub fn data_range(&self) -> Range<u64> {
        0..self.geometry.cluster_offset(self.next_free_cluster)
    }

    /// The paths and lengths of the files, by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, u64)> {
        self.files
            .iter()
            .map(|placed| (placed.file.path.as_str(), placed.file.data.len_bytes()))
    }

    /// Writes the volume at byte `offset` of `out`, the boot sector last.
    ///
    /// Sectors that are zero are left out: `out` has to be zero there, as a new sparse file is.
    pub fn write<W: Write + Seek>(&self, out: &mut W, offset: u64) -> Result<(), FatError> {
        for placed in &self.files {
            self.write_file(out, offset, placed)?;
        }
        for folder in &self.folders {
            let at = offset + self.geometry.cluster_offset(folder.first_cluster);
            write_at(out, at, &folder.bytes, || "a folder".to_owned())?;
        }
        let fat = table::of_runs(&self.chains());
        for index in 0..FATS {
            write_at(out, offset + self.geometry.fat_offset(index), &fat, || {
                "the allocation table".to_owned()
            })?;
        }
        let used = self.next_free_cluster - table::FIRST_CLUSTER;
        let info = FsInfo {
            free_clusters: self.geometry.clusters - used,
            next_free: if self.geometry.contains(self.next_free_cluster) {
                self.next_free_cluster
            } else {
                u32::MAX
            },
        };
        let boot = BootSector {
            geometry: self.geometry,
            root_cluster: ROOT_CLUSTER,
            serial: self.serial,
            label: self.label,
        };
        for start in [BACKUP_SECTOR, 0] {
            let at = offset + start * SECTOR_BYTES;
            write_at(out, at + FS_INFO_SECTOR * SECTOR_BYTES, &info.to_bytes(), || {
                "FSInfo".to_owned()
            })?;
            write_at(out, at, &boot.to_bytes(), || "the boot sector".to_owned())?;
        }
        Ok(())
    }

    /// The runs of clusters in use, in order.
    fn chains(&self) -> Vec<Range<u32>> {
        let clusters = |len_bytes: u64| len_bytes.div_ceil(self.geometry.cluster_bytes()) as u32;
        let folders = self
            .folders
            .iter()
            .map(|folder| (folder.first_cluster, clusters(folder.bytes.len() as u64)));
        let files = self
            .files
            .iter()
            .map(|placed| (placed.first_cluster, clusters(placed.file.data.len_bytes())));
        let runs = folders.chain(files).filter(|(_, count)| *count > 0);
        runs.map(|(first, count)| first..first + count).collect()
    }

    fn write_file<W: Write + Seek>(&self, out: &mut W, offset: u64, placed: &PlacedFile) -> Result<(), FatError> {
        if placed.file.data.len_bytes() == 0 {
            return Ok(());
        }
        let at = offset + self.geometry.cluster_offset(placed.first_cluster);
        let what = || format!("`{}`", placed.file.path);
        match &placed.file.data {
            FatData::Bytes(bytes) => write_at(out, at, bytes, what),
            FatData::Host {
                path,
                offset,
                len_bytes,
            } => {
                let failed = |source| FatError::OpenSource {
                    path: path.clone(),
                    source,
                };
                let mut source = File::open(path).map_err(failed)?;
                source.seek(SeekFrom::Start(*offset)).map_err(failed)?;
                // From file to file, `io::copy` lets the kernel do it (copy_file_range).
                let copied = out
                    .seek(SeekFrom::Start(at))
                    .and_then(|_| io::copy(&mut source.take(*len_bytes), out))
                    .map_err(|source| FatError::Write {
                        what: what(),
                        offset: at,
                        source,
                    })?;
                if copied < *len_bytes {
                    let (expected_bytes, found_bytes) = (*len_bytes, copied);
                    return Err(FatError::ShortSource {
                        path: path.clone(),
                        expected_bytes,
                        found_bytes,
                    });
                }
                Ok(())
            }
        }
    }
}

fn write_at<W: Write + Seek>(
    out: &mut W,
    offset: u64,
    bytes: &[u8],
    what: impl FnOnce() -> String,
) -> Result<(), FatError> {
    out.seek(SeekFrom::Start(offset))
        .and_then(|_| out.write_all(bytes))
        .map_err(|source| FatError::Write {
            what: what(),
            offset,
            source,
        })
}
