//! Mounting, behind a trait: tests have neither the right to mount nor a disk to mount.

use std::io;
use std::path::Path;

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

    fn unmount(&self, at: &Path) -> io::Result<()> {
        Ok(umount2(at, MntFlags::UMOUNT_NOFOLLOW)?)
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
