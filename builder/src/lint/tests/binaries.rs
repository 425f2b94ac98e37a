//! The smallest binaries that a lint takes for real ones.

use std::io::Write as _;

use crate::lint::elf_file::{HEADER_LEN, Linkage};

/// A program or library for x86_64; empty texts leave a part out.
pub(super) fn program(interpreter: &str, needed: &[&str], runpath: &str) -> Vec<u8> {
    let linkage = Linkage {
        interpreter: (!interpreter.is_empty()).then(|| interpreter.to_owned()),
        needed: needed.iter().map(|name| (*name).to_owned()).collect(),
        search_path: (!runpath.is_empty()).then(|| runpath.to_owned()),
    };
    elf(62, &linkage)
}

/// A 64-bit little-endian ELF file that is loaded at 0x10000 as a whole.
pub(super) fn elf(machine: u16, linkage: &Linkage) -> Vec<u8> {
    const BASE: u64 = 0x10000;
    let tables = HEADER_LEN + 3 * 56;
    let mut strings = vec![0];
    let mut add = |text: &str| {
        let at = strings.len() as u64;
        strings.extend_from_slice(text.as_bytes());
        strings.push(0);
        at
    };
    let interpreter = linkage.interpreter.as_deref().map(&mut add);
    let mut tags: Vec<(u64, u64)> = linkage.needed.iter().map(|name| (1, add(name))).collect();
    tags.extend(linkage.search_path.as_deref().map(|path| (29, add(path))));
    tags.extend([(5, BASE + tables as u64), (0, 0)]);
    let dynamic = tables + strings.len();
    let len = (dynamic + tags.len() * 16) as u64;
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(HEADER_LEN, 0);
    bytes[16..18].copy_from_slice(&3_u16.to_le_bytes());
    bytes[18..20].copy_from_slice(&machine.to_le_bytes());
    bytes[32..40].copy_from_slice(&(HEADER_LEN as u64).to_le_bytes());
    bytes[54..56].copy_from_slice(&56_u16.to_le_bytes());
    let interpreter = interpreter.map_or((0, 0, 0), |at| {
        (
            3,
            tables as u64 + at,
            linkage.interpreter.as_ref().unwrap().len() as u64 + 1,
        )
    });
    let segments = [(1_u32, 0, len), (2, dynamic as u64, len - dynamic as u64), interpreter];
    bytes[56..58].copy_from_slice(&3_u16.to_le_bytes());
    for (kind, offset, len) in segments {
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        for number in [offset, BASE + offset, BASE + offset, len, len, 1] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
    bytes.extend_from_slice(&strings);
    for (tag, value) in tags {
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes
}

/// A PE file as far as its machine.
pub(super) fn efi(machine: u16) -> Vec<u8> {
    let mut bytes = b"MZ".to_vec();
    bytes.resize(0x80, 0);
    bytes[0x3c] = 0x80;
    bytes.extend_from_slice(b"PE\0\0");
    bytes.extend_from_slice(&machine.to_le_bytes());
    bytes.resize(512, 0);
    bytes
}

pub(super) fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
