//! Tells the kernel of partitions, whatever the disk's table says (include/uapi/linux/blkpg.h).

use std::fs::File;
use std::os::fd::AsRawFd as _;

use nix::errno::Errno;
use nix::libc::{c_int, c_longlong};

use crate::initrd::mbr::{Entry, SECTOR_BYTES};

const ADD_PARTITION: c_int = 1;
const DEL_PARTITION: c_int = 2;

/// `struct blkpg_partition`
#[repr(C)]
#[derive(Debug)]
pub struct Partition {
    start_bytes: c_longlong,
    len_bytes: c_longlong,
    number: c_int,
    /// Ignored by the kernel, as the next one.
    device_name: [u8; 64],
    volume_name: [u8; 64],
}

/// `struct blkpg_ioctl_arg`
#[repr(C)]
#[derive(Debug)]
pub struct Argument {
    operation: c_int,
    flags: c_int,
    data_len: c_int,
    data: *mut Partition,
}

mod ioctl {
    #![allow(unsafe_code, reason = "nix makes unsafe functions of ioctl definitions")]
    #![allow(missing_docs, reason = "the macro takes none")]

    // BLKPG
    nix::ioctl_write_ptr_bad!(blkpg, nix::request_code_none!(0x12, 105), super::Argument);
}

/// Has the kernel see partition `number` of `disk`.
pub fn add(disk: &File, number: u32, entry: Entry) -> Result<(), Errno> {
    let bytes = |sectors: u32| c_longlong::from(sectors) * SECTOR_BYTES as c_longlong;
    call(
        disk,
        ADD_PARTITION,
        partition(number, bytes(entry.first_sector), bytes(entry.sectors)),
    )
}

/// Has the kernel forget partition `number`, if it knows one and nobody uses it.
pub fn forget(disk: &File, number: u32) -> Result<(), Errno> {
    match call(disk, DEL_PARTITION, partition(number, 0, 0)) {
        Err(Errno::ENXIO) => Ok(()),
        outcome => outcome,
    }
}

fn partition(number: u32, start_bytes: c_longlong, len_bytes: c_longlong) -> Partition {
    Partition {
        start_bytes,
        len_bytes,
        number: number.cast_signed(),
        device_name: [0; 64],
        volume_name: [0; 64],
    }
}

#[allow(unsafe_code, reason = "there is no safe wrapper for this ioctl")]
fn call(disk: &File, operation: c_int, mut partition: Partition) -> Result<(), Errno> {
    let argument = Argument {
        operation,
        flags: 0,
        data_len: size_of::<Partition>() as c_int,
        data: &raw mut partition,
    };
    // SAFETY: both structs have the kernel's layout and outlive the call, which only reads them.
    unsafe { ioctl::blkpg(disk.as_raw_fd(), &raw const argument) }.map(drop)
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn the_structs_have_the_layout_of_the_header_file() {
        assert_eq!(size_of::<Partition>(), 152);
        assert_eq!(offset_of!(Partition, number), 16);
        assert_eq!(size_of::<Argument>(), 24);
        assert_eq!(offset_of!(Argument, data), 16);
    }
}
