//! Opens the disk to be seeded, unless somebody else uses it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::libc;
use nix::sys::stat::{major, minor};

use super::SeedError;

/// Opens a file or block device for reading and writing.
pub(crate) fn open(path: &Path) -> Result<File, SeedError> {
    let failed = |source| SeedError::Open {
        path: path.to_owned(),
        source,
    };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    let kind = metadata.file_type();
    if !kind.is_file() && !kind.is_block_device() {
        return Err(SeedError::NoDisk { path: path.to_owned() });
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    if kind.is_block_device() {
        // The kernel then refuses a disk that is mounted, in whole or in part, and keeps others from mounting it
        // (open(2), "O_EXCL").
        options.custom_flags(libc::O_EXCL);
    }
    options.open(path).map_err(|source| match source.raw_os_error() {
        Some(libc::EBUSY) => SeedError::InUse {
            path: path.to_owned(),
            mounts: mounts_of(metadata.rdev()),
        },
        _ => failed(source),
    })
}

/// Where the device and its partitions are mounted.
fn mounts_of(device: u64) -> Vec<String> {
    let own = format!("{}:{}", major(device), minor(device));
    let folder = PathBuf::from("/sys/dev/block").join(&own);
    let partitions = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let numbers = partitions.filter_map(|entry| std::fs::read_to_string(entry.path().join("dev")).ok());
    let devices: Vec<String> = numbers.map(|number| number.trim().to_owned()).chain([own]).collect();
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mount_points(&table, &devices)
}

/// The mount points of `devices` (`major:minor`) in the text of proc_pid_mountinfo(5).
fn mount_points(table: &str, devices: &[String]) -> Vec<String> {
    let lines = table.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(2);
        let device = fields.next()?;
        let point = fields.nth(1)?;
        devices.iter().any(|wanted| wanted == device).then(|| point.to_owned())
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_points_of_a_disk_s_partitions_are_found_by_number() {
        let table = "22 1 259:2 / / rw shared:1 - ext4 /dev/nvme0n1p2 rw\n\
            36 22 8:17 / /media/My\\040Stick rw,nosuid shared:9 - vfat /dev/sdb1 rw\n\
            37 22 8:170 / /mnt rw - ext4 /dev/sdk10 rw\n";
        let devices = ["8:16", "8:17"].map(str::to_owned);
        assert_eq!(mount_points(table, &devices), ["/media/My\\040Stick"]);
        assert!(mount_points("garbage\n", &devices).is_empty());
    }
}
