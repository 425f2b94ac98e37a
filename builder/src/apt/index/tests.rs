use proptest::prelude::*;

use super::*;

const LIBC: &str = "Package: libc6
Source: glibc
Version: 2.41-12
Installed-Size: 13312
Architecture: amd64
Replaces: libc6-amd64
Depends: libgcc-s1
Conflicts: libc6-x32 (<< 2.38-3~)
Breaks: locales (<< 2.41), locales-all (<< 2.41)
Multi-Arch: same
Priority: optional
Filename: pool/main/g/glibc/libc6_2.41-12_amd64.deb
Size: 2847516
SHA256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
";

#[test]
fn an_entry_has_what_resolver_and_lock_need() {
    let entry = parse(LIBC).unwrap().remove(0);
    assert_eq!((entry.name.as_str(), entry.version.as_str()), ("libc6", "2.41-12"));
    assert_eq!(
        (entry.source.name.as_str(), entry.source.version.as_str()),
        ("glibc", "2.41-12")
    );
    assert_eq!(
        (entry.architecture.as_str(), entry.multi_arch),
        ("amd64", MultiArch::Same)
    );
    assert_eq!((entry.essential, entry.priority), (Essential::No, Priority::Optional));
    assert_eq!((entry.depends.as_str(), entry.pre_depends.as_str()), ("libgcc-s1", ""));
    assert_eq!((entry.len_bytes, entry.installed_kib), (2_847_516, 13_312));
    assert_eq!(entry.filename, "pool/main/g/glibc/libc6_2.41-12_amd64.deb");
    assert_eq!(entry.sha256, Sha256::of(b"abc"));
}

#[test]
fn a_source_of_another_version_is_kept() {
    let entry = parse(&LIBC.replace("Source: glibc", "Source: glibc-signed (2.41+1)"))
        .unwrap()
        .remove(0);
    assert_eq!(
        (entry.source.name.as_str(), entry.source.version.as_str()),
        ("glibc-signed", "2.41+1")
    );
    assert_eq!(entry.source_text(), "glibc-signed (2.41+1)");
    let entry = parse(&LIBC.replace("Source: glibc\n", "")).unwrap().remove(0);
    assert_eq!(
        (entry.source.name.as_str(), entry.source.version.as_str()),
        ("libc6", "2.41-12")
    );
    assert_eq!(entry.source_text(), "libc6");
}

#[test]
fn a_bad_value_is_refused_with_its_line() {
    let failed = |from: &str, to: &str| parse(&LIBC.replace(from, to)).unwrap_err().to_string();
    assert_eq!(
        failed("Size: 2847516", "Size: many"),
        "the package index is malformed: line 13: `many` is no valid Size"
    );
    assert_eq!(
        failed("pool/main/g", "pool/../../etc"),
        "the package index is malformed: line 12: `pool/../../etc/glibc/libc6_2.41-12_amd64.deb` is no valid Filename"
    );
    assert_eq!(
        failed("SHA256: ba", "SHA256: "),
        format!(
            "the package index is malformed: line 14: `{}` is no valid SHA256",
            &Sha256::of(b"abc").to_string()[2..]
        )
    );
    assert_eq!(
        failed("2.41-12\nI", "2_41\nI"),
        "the package index is malformed: line 3: Version"
    );
    assert_eq!(
        failed("Multi-Arch: same", "Multi-Arch: maybe"),
        "the package index is malformed: line 10: `maybe` is no valid Multi-Arch"
    );
}

#[test]
fn a_missing_field_is_named() {
    let error = parse(&LIBC.replace("Filename", "File-name")).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "line 1 (byte 0): the stanza has no field `Filename`");
}

#[test]
fn paths_stay_below_the_archive() {
    assert!(is_archive_path("pool/main/c/c++/c++_1%3a2.0~rc1+b1_all.deb"));
    for path in [
        "",
        "/etc/passwd",
        "a//b",
        "a/../b",
        "./a",
        "a/",
        "a b",
        "a?b",
        "a\\b",
        "a#b",
    ] {
        assert!(!is_archive_path(path), "{path}");
    }
}

proptest! {
    #[test]
    fn a_damaged_index_is_read_or_refused(at in 0..LIBC.len(), with in "[ -~\n\t]{0,4}", cut in 0..40_usize) {
        let end = (at + cut).min(LIBC.len());
        let _ = parse(&format!("{}{with}{}", &LIBC[..at], &LIBC[end..]));
    }
}
