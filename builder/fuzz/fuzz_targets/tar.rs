//! The inner archives of a package: no bytes may panic, and no path leaves the image.
#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use skerry_builder::deb::tar::{TarEntry, TarError, TarKind, read_entries};

fuzz_target!(|bytes: &[u8]| {
    let _ = read_entries(bytes, &mut |entry: TarEntry, content: &mut dyn Read| {
        assert!(!entry.path.as_str().split('/').any(|part| part == ".."));
        assert!(entry.mode <= 0o7777);
        let count = std::io::copy(content, &mut std::io::sink()).expect("memory can be read");
        if let TarKind::File { offset, len_bytes } = entry.kind {
            assert!(count <= len_bytes && offset <= bytes.len() as u64);
        }
        Ok::<_, TarError>(())
    });
});
