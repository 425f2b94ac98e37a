use super::*;
use crate::apt::index;
use crate::arch::Arch;

const LINES: &str = "
Package: aa\nDepends: bb, adduser | passwd\n
Package: bb\nDepends: libc6 (>= 1)\nProvides: beebee\n
Package: libc6\n
Package: adduser\n
Package: passwd\n
Package: extra\nDepends: more, libc6\n
Package: more\n
Package: broken\nDepends: gone\n
Package: rival\nConflicts: bb\n
Package: mawk\nProvides: awk\n";

fn explained(name: &str) -> String {
    let fields = "Version: 1\nArchitecture: amd64\nFilename: pool/x.deb\nSize: 1048577\n\
        SHA256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n";
    let text: String = LINES
        .trim()
        .split("\n\n")
        .map(|stanza| format!("{}\n{fields}\n", stanza.trim()))
        .collect();
    let universe = Universe::new(Arch::X86_64, vec![(0, index::parse(&text).unwrap())]).unwrap();
    let request = Request {
        packages: ["aa".to_owned()].into(),
        excluded: ["adduser".to_owned()].into(),
    };
    let selection = resolve::resolve(&universe, &request).unwrap();
    explain(&universe, &request, &selection, name)
}

#[test]
fn a_package_that_is_in_shows_its_chain() {
    assert_eq!(explained("aa"), "`aa` 1 is in:\n\naa 1 (requested)");
    assert_eq!(
        explained("libc6"),
        "`libc6` 1 is in:\n\naa 1 (requested)\n└─ Depends: bb → bb 1\n   └─ Depends: libc6 (>= 1) → libc6 1\n\n\
        selected packages that name it: `bb`"
    );
}

#[test]
fn a_package_that_nobody_asks_for_tells_what_it_would_cost() {
    assert_eq!(
        explained("extra"),
        "`extra` is not in: neither `packages` nor a selected package asks for it\n\
        version 1 could be added; it would bring `more` (3 MiB to download)"
    );
    assert!(explained("more").ends_with("version 1 could be added and would bring nothing else (2 MiB to download)"));
}

#[test]
fn a_package_that_cannot_be_added_tells_why() {
    assert_eq!(
        explained("broken"),
        "`broken` is not in, and cannot be added: `Depends: gone`, which broken 1 has, cannot be satisfied\n\n\
        broken 1 (requested)\n└─ Depends: gone: there is no `gone`"
    );
    let text = explained("rival");
    assert!(
        text.starts_with("`rival` is not in, and cannot be added: rival 1 and bb 1 exclude each other"),
        "{text}"
    );
}

#[test]
fn an_excluded_package_tells_who_would_want_it() {
    assert_eq!(
        explained("adduser"),
        "`adduser` is not in: `without` names it\naa has `Depends: adduser | passwd`"
    );
}

#[test]
fn names_that_are_no_packages_are_told_apart() {
    assert_eq!(
        explained("beebee"),
        "`beebee` is a virtual package; selected packages that provide it: `bb`"
    );
    assert_eq!(
        explained("awk"),
        "`awk` is a virtual package that nothing selected provides; it could be `mawk`"
    );
    assert_eq!(explained("libc7"), "there is no package `libc7`; did you mean `libc6`?");
    assert_eq!(explained("systemd"), "there is no package `systemd`");
}
