//! Join files of all forms: no bytes may panic, what is read is written and read again as the same, and no message shows
//! the token that the seeds hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skerry_firstboot::join_config::{parse, parse_strict};

const SECRET: &str = "0123456789abcdef";

fuzz_target!(|bytes: &[u8]| {
    let parsed = match parse(bytes) {
        Ok(parsed) => parsed,
        Err(error) => {
            let told = format!("{error} {error:?} {} {}", error.excerpt().unwrap_or_default(), error.advice());
            assert!(!told.contains(SECRET), "{told}");
            return;
        }
    };
    assert!(!parsed.warnings.iter().any(|warning| warning.contains(SECRET)));
    let written = parsed.config.to_toml().expect("what a file says can be written");
    let again = parse_strict(written.expose().as_bytes()).expect("what is written can be read");
    assert_eq!(again.config, parsed.config);
});
