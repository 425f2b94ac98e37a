//! Unified kernel images.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = skerry_builder::uki::read(data);
});
