//! Control files and copyright files: no text may panic, and a control file that is read has the fields it must have.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skerry_builder::deb::control::{Control, licences, parse_paragraphs};

fuzz_target!(|text: &str| {
    if let Ok(control) = Control::parse(text) {
        assert_eq!(control.field("Package"), Some(control.name.as_str()));
        assert!(!control.version.is_empty() && !control.architecture.is_empty());
    }
    let _ = parse_paragraphs(text);
    let _ = licences(text);
});
