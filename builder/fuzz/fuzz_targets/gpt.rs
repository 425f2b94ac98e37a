//! Partition tables, as found on any disk.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = skerry_builder::gpt::read::read(&mut std::io::Cursor::new(data));
});
