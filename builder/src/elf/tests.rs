use proptest::prelude::*;

use super::sample;
use super::sections::Sections;
use super::*;

fn library() -> Vec<u8> {
    sample::shared_object(
        62,
        Some("libone.so.1"),
        &["libc.so.6", "libtwo.so.2"],
        Some("$ORIGIN/../lib:/opt/lib"),
    )
}

#[test]
fn a_shared_objects_loader_facts_are_read() {
    let facts = parse(&library()).unwrap().unwrap();
    assert_eq!(facts.machine, 62);
    assert_eq!(facts.class, Class::Bits64);
    assert_eq!(facts.object_type, 3);
    assert_eq!(facts.soname.as_deref(), Some("libone.so.1"));
    assert_eq!(facts.needed, ["libc.so.6", "libtwo.so.2"]);
    assert_eq!(facts.search_paths, ["$ORIGIN/../lib", "/opt/lib"]);
    assert_eq!(facts.interpreter, None);
}

#[test]
fn a_file_of_the_tree_gives_the_same_facts_as_its_bytes() {
    let data = FileData::from_bytes(library());
    assert_eq!(read(&data).unwrap(), parse(&library()).unwrap());
}

#[test]
fn other_files_are_no_elf_files_and_no_errors() {
    assert_eq!(parse(b"").unwrap(), None);
    assert_eq!(parse(b"#!/bin/sh\necho a script that is long enough\n").unwrap(), None);
    assert_eq!(parse(b"\x7fELF").unwrap(), None, "too short to be one");
}

#[test]
fn of_32_bit_and_big_endian_files_only_the_header_is_read() {
    let mut bytes = library();
    bytes[4] = 1;
    let facts = parse(&bytes).unwrap().unwrap();
    assert_eq!((facts.class, facts.soname), (Class::Bits32, None));
    bytes[5] = 2;
    assert_eq!(parse(&bytes).unwrap().unwrap().machine, 62 << 8);
}

#[test]
fn a_string_table_outside_of_all_segments_is_refused() {
    let mut bytes = library();
    bytes[64 + 16..64 + 24].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(parse(&bytes), Err(ElfError::Unmapped { .. })));
}

#[test]
fn a_cut_file_names_the_structure_that_is_missing() {
    let bytes = library();
    let error = parse(&bytes[..100]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the program header table at offset 64 lies beyond the end of the ELF file"
    );
}

#[test]
fn sections_and_symbols_of_a_module_are_found_by_name() {
    let bytes = sample::module(&["license=GPL"], &["exported"], &["imported"]);
    let sections = Sections::parse(&bytes).unwrap();
    assert_eq!(sections.by_name(".modinfo").unwrap(), Some(&b"license=GPL\0"[..]));
    assert_eq!(sections.by_name(".missing").unwrap(), None);
    let symbols: Vec<&[u8]> = sections.defined_symbols().unwrap().collect();
    assert_eq!(symbols, [&b"__ksymtab_exported"[..], b"__crc_exported", b"exported"]);
}

proptest! {
    #[test]
    fn broken_files_never_panic(at in 0_usize..400, value: u8, len in 0_usize..800) {
        for mut bytes in [library(), sample::module(&["a=b"], &["x"], &[])] {
            let at = at % bytes.len();
            bytes[at] = value;
            bytes.truncate(len);
            let _ = parse(&bytes);
            if let Ok(sections) = Sections::parse(&bytes) {
                let _ = sections.by_name(".modinfo");
                let _ = sections.defined_symbols().map(Iterator::count);
            }
        }
    }
}
