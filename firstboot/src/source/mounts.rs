//! Mounting, behind a trait: tests have neither the right to mount nor a disk to mount.

use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// File systems that a stick may have, with their options for reading only and for writing.
const FILE_SYSTEMS: [(&str, &str, &str); 4] = [
    ("vfat", "umask=0077", "umask=0077"),
    // The journal of a stick that was pulled out is not replayed: reading changes nothing.
    ("ext4", "noload", ""),
    ("iso9660", "", ""),
    ("squashfs", "", ""),
];

/// How long a file system may be busy that nobody uses any more.
const BUSY: Duration = Duration::from_secs(5);
const BUSY_AGAIN: Duration = Duration::from_millis(20);

/// What may be done with a mounted file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    ReadOnly,
    /// Reading and writing.
    ReadWrite,
}

/// What is done with file systems.
pub trait Mounts {
    /// Mounts the file system on `device` at the folder `at`.
    fn mount(&self, device: &Path, at: &Path, access: Access) -> io::Result<()>;
    /// Unmounts what is mounted at the folder `at`.
    fn unmount(&self, at: &Path) -> io::Result<()>;
    /// Changes how the file system at the folder `at` may be used.
    fn remount(&self, at: &Path, access: Access) -> io::Result<()>;
}

/// The kernel's.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemMounts;

fn flags(access: Access) -> MsFlags {
    let harmless = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    match access {
        Access::ReadOnly => harmless | MsFlags::MS_RDONLY,
        Access::ReadWrite => harmless,
    }
}

impl Mounts for SystemMounts {
    fn mount(&self, device: &Path, at: &Path, access: Access) -> io::Result<()> {
        for (kind, reading, writing) in FILE_SYSTEMS {
            let options = match access {
                Access::ReadOnly => reading,
                Access::ReadWrite => writing,
            };
            match mount(Some(device), at, Some(kind), flags(access), Some(options)) {
                // Another file system, or one that this kernel does not know.
                Err(Errno::EINVAL | Errno::ENODEV) => {}
                outcome => return Ok(outcome?),
            }
        }
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "it holds none of the file systems vfat, ext4, iso9660 and squashfs",
        ))
    }

    /// A program that is being started at this moment holds, until it begins, every file that was open when it was
    /// forked: then the file system is busy for a moment, and is waited for.
    fn unmount(&self, at: &Path) -> io::Result<()> {
        let deadline = Instant::now() + BUSY;
        loop {
            match umount2(at, MntFlags::UMOUNT_NOFOLLOW) {
                Err(Errno::EBUSY) if Instant::now() < deadline => sleep(BUSY_AGAIN),
                outcome => return Ok(outcome?),
            }
        }
    }

    fn remount(&self, at: &Path, access: Access) -> io::Result<()> {
        Ok(mount(
            None::<&str>,
            at,
            None::<&str>,
            flags(access) | MsFlags::MS_REMOUNT,
            None::<&str>,
        )?)
    }
}
