//! Boot loaders outside of partitions, known by what they begin with.

use std::io::{Read, Seek, SeekFrom};

use serde::Serialize;

use crate::artifacts::manifest::Manifest;

/// A boot loader outside of partitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiskLoader {
    /// Its file's name, or what it looks like.
    pub name: String,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its length in bytes, if that is known.
    pub len_bytes: Option<u64>,
}

/// Where boot ROMs look, what is there, and after how many bytes: Rockchip's header (its first four bytes, enciphered),
/// Allwinner's eGON at either place, and U-Boot's second part (a flattened image tree) at Rockchip's.
const KNOWN: [(u64, usize, &[u8], &str); 5] = [
    (8 << 10, 4, b"eGON.BT0", "Allwinner boot loader"),
    (32 << 10, 0, &[0x3b, 0x8c, 0xdc, 0xfc], "Rockchip boot loader"),
    (128 << 10, 4, b"eGON.BT0", "Allwinner boot loader"),
    (256 << 10, 0, &[0xd0, 0x0d, 0xfe, 0xed], "U-Boot image tree"),
    (8 << 20, 0, &[0xd0, 0x0d, 0xfe, 0xed], "U-Boot image tree"),
];

/// What is seen on the disk before its first partition, by place.
pub(super) fn find<R: Read + Seek>(disk: &mut R, first_partition: u64) -> Vec<DiskLoader> {
    let mut begins_with = |(offset, at, magic, _): &(u64, usize, &[u8], &str)| {
        let mut bytes = vec![0; at + magic.len()];
        let read = disk.seek(SeekFrom::Start(*offset));
        read.and_then(|_| disk.read_exact(&mut bytes)).is_ok() && bytes.ends_with(magic)
    };
    KNOWN
        .iter()
        .filter(|(offset, ..)| *offset < first_partition)
        .filter(|known| begins_with(known))
        .map(|(offset, _, _, name)| DiskLoader {
            name: (*name).to_owned(),
            offset: *offset,
            len_bytes: None,
        })
        .collect()
}

/// What the manifest says of them.
pub(super) fn listed(manifest: &Manifest) -> Vec<DiskLoader> {
    let loader = |loader: &crate::artifacts::manifest::ManifestLoader| DiskLoader {
        name: loader.name.clone(),
        offset: loader.offset,
        len_bytes: Some(loader.len_bytes),
    };
    manifest.loaders.iter().map(loader).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn boot_loaders_are_known_by_place_and_beginning() {
        let mut disk = vec![0; 1 << 20];
        disk[32 << 10..][..4].copy_from_slice(&[0x3b, 0x8c, 0xdc, 0xfc]);
        disk[(128 << 10) + 4..][..8].copy_from_slice(b"eGON.BT0");
        let mut found = find(&mut Cursor::new(&disk), 1 << 20);
        assert_eq!(found.pop().unwrap().offset, 128 << 10);
        assert_eq!(found.pop().unwrap().name, "Rockchip boot loader");
        assert_eq!(found, []);
        // The same bytes in a partition are somebody's file.
        assert_eq!(find(&mut Cursor::new(&disk), 32 << 10), []);
        assert_eq!(find(&mut Cursor::new(&[0; 100]), 1 << 20), []);
    }
}
