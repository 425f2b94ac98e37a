//! Writes a planned disk image as a sparse file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

use super::staged::StagedFile;
use super::{DiskError, DiskLayout, Partition, PartitionSource, SourceFile, Table, places};

/// Writes `layout` to the file `out`, which appears when it is whole; returns [`DiskLayout::ranges`].
///
/// Only data is written, the rest are holes. The partition table comes last: without it nothing takes the file for a disk.
pub fn write(layout: &DiskLayout, out: &Path) -> Result<Vec<Range<u64>>, DiskError> {
    let gpt = |source| DiskError::Table { source };
    let failed = |what: &str| {
        let (what, path) = (what.to_owned(), out.to_owned());
        move |source| DiskError::Write { what, path, source }
    };
    let (primary, backup) = match &layout.table {
        Table::Gpt(table) => (table.primary().map_err(gpt)?, table.backup().map_err(gpt)?),
        Table::Mbr(table) => (table.to_bytes().to_vec(), Vec::new()),
    };
    let mut staged = StagedFile::create(out).map_err(failed("the beginning"))?;
    let file = staged.file();
    file.set_len(layout.len_bytes()).map_err(failed("the size"))?;
    for partition in &layout.partitions {
        write_partition(file, partition, out)?;
    }
    for loader in &layout.loaders {
        let bytes = loader.data.read().map_err(|source| DiskError::ReadLoader {
            name: loader.name.clone(),
            source,
        })?;
        let written = file.seek(SeekFrom::Start(loader.offset));
        written
            .and_then(|_| file.write_all(&bytes))
            .map_err(failed("a boot loader"))?;
    }
    for (what, offset, bytes) in [
        ("the backup partition table", layout.backup_range().start, backup),
        ("the partition table", 0, primary),
    ] {
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.write_all(&bytes))
            .map_err(failed(what))?;
    }
    staged.commit().map_err(failed("the name"))?;
    Ok(layout.ranges())
}

fn write_partition(image: &mut File, partition: &Partition, out: &Path) -> Result<(), DiskError> {
    match &partition.source {
        PartitionSource::Fat(volume) => volume
            .write(image, partition.offset())
            .map_err(|source| DiskError::Esp { source }),
        PartitionSource::Files(files) => {
            let starts = places(files).0;
            files
                .iter()
                .zip(starts)
                .try_for_each(|(file, start)| copy(file, partition, image, (start, out)))
        }
    }
}

/// Copies a file to `start` (bytes) of its partition.
fn copy(
    file: &SourceFile,
    partition: &Partition,
    image: &mut File,
    (start, out): (u64, &Path),
) -> Result<(), DiskError> {
    let SourceFile { path, len_bytes } = file;
    let label = || partition.label.clone();
    let source = File::open(path).map_err(|source| DiskError::ReadSource {
        label: label(),
        path: path.clone(),
        source,
    })?;
    // From file to file, `io::copy` lets the kernel do it (copy_file_range).
    let found_bytes = image
        .seek(SeekFrom::Start(partition.offset() + start))
        .and_then(|_| io::copy(&mut source.take(*len_bytes), image))
        .map_err(|source| DiskError::Write {
            what: format!("partition `{}`", partition.label),
            path: out.to_owned(),
            source,
        })?;
    if found_bytes < *len_bytes {
        return Err(DiskError::ShortSource {
            label: label(),
            path: path.clone(),
            expected_bytes: *len_bytes,
            found_bytes,
        });
    }
    Ok(())
}
