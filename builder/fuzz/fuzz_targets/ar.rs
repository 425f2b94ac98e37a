//! The outer archive of a package: no bytes may panic, and every member lies inside the archive.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use skerry_builder::deb::ar::read_members;

fuzz_target!(|bytes: &[u8]| {
    let Ok(members) = read_members(&mut Cursor::new(bytes)) else { return };
    for member in members {
        let end = member.offset.checked_add(member.len_bytes).expect("offsets do not overflow");
        assert!(end <= bytes.len() as u64);
    }
});
