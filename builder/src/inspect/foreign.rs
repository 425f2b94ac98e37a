//! Recognises files that are no disk image with a GUID partition table by their first bytes, to say what they are instead.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// A file of another kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreign(&'static str);

/// Where a mark is, the mark, and what to do with such a file.
const MARKS: [(u64, &[u8], &str); 10] = [
    (
        0,
        b"QFI\xfb",
        "it is a QEMU disk: `qemu-img convert -O raw FILE FILE.raw` makes a raw image of it",
    ),
    (
        0,
        b"KDMV",
        "it is a VMware disk: `qemu-img convert -O raw FILE FILE.raw` makes a raw image of it",
    ),
    (0, b"\x1f\x8b", "it is compressed by gzip: decompress it first"),
    (0, b"\xfd7zXZ\0", "it is compressed by xz: decompress it first"),
    (0, b"BZh", "it is compressed by bzip2: decompress it first"),
    (0, b"PK\x03\x04", "it is a zip archive: unpack it first"),
    (
        0,
        b"hsqs",
        "it is a file system (squashfs) without a disk around it: name the `.raw` beside it",
    ),
    (0, b"MZ", "it is a kernel image for UEFI: name the `.raw` beside it"),
    (32_769, b"CD001", "it is an ISO 9660 image without a partition table"),
    // The last, because some of the above can have it as well.
    (
        510,
        b"\x55\xaa",
        "it has a boot sector, perhaps with an MBR partition table: only GUID partition tables are read",
    ),
];

impl Foreign {
    /// What to do with it.
    pub const fn hint(self) -> &'static str {
        self.0
    }

    /// What `file` is, if it is known.
    pub(super) fn of(file: &File) -> Option<Self> {
        let is = |offset, mark: &[u8]| {
            let mut bytes = vec![0; mark.len()];
            file.read_exact_at(&mut bytes, offset).is_ok() && bytes == mark
        };
        let (.., hint) = MARKS.into_iter().find(|(offset, mark, _)| is(*offset, mark))?;
        Some(Self(hint))
    }
}
