use proptest::prelude::*;

use super::*;

const BASH: &str = "Package: bash\nVersion: 5.2.37-2+b5\nArchitecture: amd64\nEssential: yes\n\
Description: GNU Bourne Again SHell\n Bash is an sh-compatible\n .\n  indented\nDepends:\n base-files,\n debianutils\n";

#[test]
fn fields_and_their_continuations_are_read() {
    let control = Control::parse(BASH).unwrap();
    assert_eq!(
        (control.name.as_str(), control.version.as_str()),
        ("bash", "5.2.37-2+b5")
    );
    assert_eq!(control.architecture, "amd64");
    assert_eq!(control.field("essential"), Some("yes"));
    assert_eq!(
        control.field("Description"),
        Some("GNU Bourne Again SHell\nBash is an sh-compatible\n.\n indented")
    );
    assert_eq!(control.field("Depends"), Some("\nbase-files,\ndebianutils"));
}

#[test]
fn malformed_control_files_are_refused_with_the_line() {
    let error = |text: &str| Control::parse(text).unwrap_err().to_string();
    assert_eq!(error(" x\n"), "line 1 is neither a field nor a continuation");
    assert_eq!(
        error("Package: ab\nnonsense\n"),
        "line 2 is neither a field nor a continuation"
    );
    assert_eq!(
        error("Package: ab\nPACKAGE: cd\n"),
        "line 2 has the field `PACKAGE` for the second time"
    );
    assert_eq!(error(""), "there are 0 paragraphs and not one");
    assert_eq!(error(&format!("{BASH}\nA: b\n")), "there are 2 paragraphs and not one");
    assert_eq!(
        error(&BASH.replace("5.2.37-2+b5", "")),
        "the field `Version` is missing or malformed"
    );
    assert_eq!(
        error(&BASH.replace(": bash", ": ../x")),
        "the field `Package` is missing or malformed"
    );
}

#[test]
fn licence_names_come_from_machine_readable_copyright_files_only() {
    let text = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: x\n\n\
Files: *\nCopyright: me\nLicense: GPL-2+ and LGPL-2.1\n\nFiles: debian/*\nLicense: Expat\n Permission is\n .\n hereby\n\n\
License: Expat\n again\n";
    assert_eq!(licences(text), ["Expat", "GPL-2+ and LGPL-2.1"]);
    assert!(licences("This is free software.\n\nLicense: x").is_empty());
    assert!(licences("License: x\n").is_empty());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[ -~\n\t#:é]{0,200}") {
        let _ = Control::parse(&text);
        let _ = licences(&format!("Format: x\n{text}"));
    }

    #[test]
    fn paragraphs_written_are_paragraphs_read(values in prop::collection::btree_map("[A-Z][a-z]{1,8}", "[!-~]([ -~]{0,20}[!-~])?", 1..6)) {
        let text: String = values.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        prop_assert_eq!(parse_paragraphs(&format!("# c\n{text}\n\n{text}")).unwrap(), vec![values.clone(), values]);
    }
}
