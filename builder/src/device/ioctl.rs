//! What only an ioctl can ask of a block device.

use std::fs::File;
use std::os::fd::AsRawFd as _;

use nix::errno::Errno;

mod raw {
    #![allow(unsafe_code, reason = "nix makes unsafe functions of ioctl definitions")]
    #![allow(missing_docs, reason = "the macro's functions are private to this file")]

    // linux/fs.h
    nix::ioctl_none!(blkrrpart, 0x12, 95);
    nix::ioctl_none!(blkflsbuf, 0x12, 97);
}

/// Has the kernel read the partition table again (BLKRRPART).
#[allow(unsafe_code, reason = "there is no safe wrapper for this ioctl")]
pub fn read_partitions(disk: &File) -> Result<(), Errno> {
    // SAFETY: the request takes no argument, and the descriptor is open for as long as `disk` is borrowed.
    unsafe { raw::blkrrpart(disk.as_raw_fd()) }.map(drop)
}

/// Has the kernel write out and forget what it keeps of the disk in memory (BLKFLSBUF).
#[allow(unsafe_code, reason = "there is no safe wrapper for this ioctl")]
pub fn forget_buffers(disk: &File) -> Result<(), Errno> {
    // SAFETY: the request takes no argument, and the descriptor is open for as long as `disk` is borrowed.
    unsafe { raw::blkflsbuf(disk.as_raw_fd()) }.map(drop)
}
