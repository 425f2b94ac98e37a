//! FAT volumes; seed it with the used part of one.
#![no_main]

use std::io::Cursor;

use skerry_builder::fat::read::FatReader;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(mut reader) = FatReader::open(Cursor::new(data), 0, 1 << 36) else { return };
    for entry in reader.list().unwrap_or_default() {
        let _ = reader.read(&entry, 1 << 20);
    }
});
