//! Squashfs images.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(image) = skerry_builder::squashfs::read::Image::open(data) {
        let _ = image.dump();
    }
});
