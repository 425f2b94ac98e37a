//! Small PE files for tests. The tests of the whole crate include this file too, so it uses nothing of ours.

/// A PE32+ file for `machine` with these sections, 512 bytes each, and room for `room` more section headers.
pub fn pe(machine: u16, sections: &[&str], room: usize) -> Vec<u8> {
    let (signature_at, optional_len) = (0x40, 112 + 16 * 8);
    let table_at = signature_at + 24 + optional_len;
    let headers_len = (table_at + (sections.len() + room) * 40).next_multiple_of(512);
    let size_of_image = 0x1000 * (sections.len() as u32 + 1);
    let mut file = vec![0; headers_len];
    let mut set = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    set(0, b"MZ");
    set(0x3c, &(signature_at as u32).to_le_bytes());
    set(signature_at, b"PE\0\0");
    let coff = signature_at + 4;
    set(coff, &machine.to_le_bytes());
    set(coff + 2, &(sections.len() as u16).to_le_bytes());
    set(coff + 4, &0x1234_5678_u32.to_le_bytes());
    set(coff + 16, &(optional_len as u16).to_le_bytes());
    set(coff + 18, &0x022e_u16.to_le_bytes());
    let optional = coff + 20;
    set(optional, &0x020b_u16.to_le_bytes());
    let words = [
        (8, 0x200 * sections.len() as u32),
        (16, 0x1000),
        (32, 0x1000),
        (36, 0x200),
        (56, size_of_image),
        (60, headers_len as u32),
        (108, 16),
    ];
    for (at, word) in words {
        set(optional + at, &word.to_le_bytes());
    }
    set(optional + 68, &10_u16.to_le_bytes());
    for (index, name) in sections.iter().enumerate() {
        let at = table_at + index * 40;
        set(at, name.as_bytes());
        let raw_at = (headers_len + index * 0x200) as u32;
        let words = [0x100, 0x1000 * (index as u32 + 1), 0x200, raw_at, 0, 0, 0, 0x4000_0040];
        for (slot, word) in words.into_iter().enumerate() {
            set(at + 8 + slot * 4, &u32::to_le_bytes(word));
        }
    }
    for name in sections {
        let mut content = name.as_bytes().to_vec();
        content.resize(0x200, 0xaa);
        file.extend(content);
    }
    file
}
