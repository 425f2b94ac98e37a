//! What an image is written to.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::errno::Errno;
use nix::libc;

use crate::device::{DiskFacts, ioctl};
use crate::gpt::SECTOR_BYTES;

/// A disk, or something in a test that behaves like a bad one. Offsets and lengths are multiples of a sector.
pub trait Medium: Sync {
    /// Its size in bytes.
    fn len_bytes(&self) -> u64;
    /// Reads some bytes from `offset` on, from the medium itself and not from a copy in memory; tells how many.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes some of `bytes` at `offset`; tells how many.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Returns when everything that was written is there for good.
    fn sync(&self) -> io::Result<()>;
}

/// Writes all of `bytes`.
pub fn write_all(medium: &dyn Medium, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        let count = medium.write_at(&bytes[done..], offset + done as u64);
        done += whole_sectors(count, bytes.len() - done, io::ErrorKind::WriteZero)?;
    }
    Ok(())
}

/// Fills `buffer`.
pub fn read_all(medium: &dyn Medium, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < buffer.len() {
        let count = medium.read_at(&mut buffer[done..], offset + done as u64);
        done += whole_sectors(count, buffer.len() - done, io::ErrorKind::UnexpectedEof)?;
    }
    Ok(())
}

/// How far one call got. After a part of a sector the next call begins with that sector again, since direct I/O knows
/// nothing smaller; a call that got nowhere is an error of the kind `nothing`.
fn whole_sectors(count: io::Result<usize>, wanted: usize, nothing: io::ErrorKind) -> io::Result<usize> {
    let sector = SECTOR_BYTES as usize;
    match count {
        Ok(count) if count >= wanted => Ok(wanted),
        Ok(count) if count >= sector => Ok(count / sector * sector),
        Ok(_) => Err(nothing.into()),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        Err(error) => Err(error),
    }
}

/// A block device that nobody else uses, read and written past the page cache.
#[derive(Debug)]
pub struct BlockDevice {
    direct: File,
    len_bytes: u64,
}

impl BlockDevice {
    /// Opens the disk, and makes sure that it is still the one that `facts` tell of: a name can get another disk at any time.
    ///
    /// The kernel refuses (`EBUSY`) a disk that is mounted or held, also where this process cannot see it, such as in another
    /// container, and keeps it from being mounted while it is open (open(2), `O_EXCL`).
    pub fn open(facts: &DiskFacts) -> io::Result<Self> {
        let mut direct = File::options()
            .read(true)
            .write(true)
            .custom_flags(libc::O_EXCL | libc::O_DIRECT)
            .open(&facts.path)?;
        let number = direct.metadata()?.rdev();
        let number = format!("{}:{}", nix::sys::stat::major(number), nix::sys::stat::minor(number));
        let len_bytes = direct.seek(SeekFrom::End(0))?;
        if number != facts.number || len_bytes != facts.len_bytes {
            return Err(io::Error::from_raw_os_error(Errno::ESTALE as i32));
        }
        // Pages that others have read before would be written out or given back in place of what is on the medium.
        // Where the right to do so is missing, direct reads pass by them all the same.
        let _unneeded = ioctl::forget_buffers(&direct);
        Ok(Self { direct, len_bytes })
    }

    /// Has the kernel show the new partitions.
    pub fn read_partitions(&self) -> Result<(), Errno> {
        ioctl::read_partitions(&self.direct)
    }

    /// The same disk for ordinary reads and writes, while it stays closed for others.
    pub fn buffered(&self, path: &Path) -> io::Result<File> {
        File::options().read(true).write(true).open(path)
    }
}

impl Medium for BlockDevice {
    fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.direct.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.direct.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        // Also empties the cache inside of the device.
        self.direct.sync_all()
    }
}
