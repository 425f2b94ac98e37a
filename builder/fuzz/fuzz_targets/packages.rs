//! Package indexes and the relations in them.
#![no_main]

use skerry_builder::apt::{index, relation};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for entry in index::parse(text).unwrap_or_default() {
        let _ = relation::parse_dependencies(&entry.depends);
        let _ = relation::parse_provides(&entry.provides);
    }
});
