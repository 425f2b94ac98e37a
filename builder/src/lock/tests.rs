use proptest::prelude::*;

use super::*;

const GOLDEN: &str = r#"# Written by `skerry lock`; do not edit.
version = 1
spec-digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
timestamp = 1795252544

archives = [
    { archive = "debian", suite = "trixie", components = ["main", "contrib"], date = 1795252544, inrelease-sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
]

packages = [
    { name = "crun", version = "1.21-1", architecture = "amd64", archive = "debian", path = "pool/main/c/crun/crun_1.21-1_amd64.deb", len-bytes = 12, sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
    { name = "linux-image-amd64", version = "6.12.117-1", architecture = "amd64", source = "linux-signed-amd64 (6.12.117+1)", archive = "debian", path = "pool/l.deb", len-bytes = 34, sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
]

[[components]]
name = "kubelet"
version = "v1.36.3"
recipe = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
files = [
    { name = "bin/kubelet", len-bytes = 56, sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
]
"#;

fn package(name: &str, version: &str, source: &str, path: &str, len_bytes: u64) -> LockedPackage {
    LockedPackage {
        name: name.to_owned(),
        version: version.parse().unwrap(),
        architecture: "amd64".to_owned(),
        source: source.to_owned(),
        archive: "debian".to_owned(),
        path: path.to_owned(),
        len_bytes,
        sha256: Sha256::of(b"abc"),
    }
}

fn lock() -> Lock {
    let digest = Sha256::of(b"abc");
    Lock {
        version: LOCK_VERSION,
        spec_digest: digest,
        timestamp: 1_795_252_544,
        archives: vec![LockedArchive {
            archive: "debian".to_owned(),
            suite: "trixie".to_owned(),
            components: vec!["main".to_owned(), "contrib".to_owned()],
            date: 1_795_252_544,
            inrelease_sha256: digest,
        }],
        packages: vec![
            package("crun", "1.21-1", "crun", "pool/main/c/crun/crun_1.21-1_amd64.deb", 12),
            package(
                "linux-image-amd64",
                "6.12.117-1",
                "linux-signed-amd64 (6.12.117+1)",
                "pool/l.deb",
                34,
            ),
        ],
        components: vec![LockedComponent {
            name: "kubelet".to_owned(),
            recipe: digest,
            version: "v1.36.3".to_owned(),
            files: vec![LockedFile {
                name: "bin/kubelet".to_owned(),
                len_bytes: 56,
                sha256: digest,
            }],
        }],
    }
}

#[test]
fn the_text_is_the_golden_one_whatever_the_order_in_memory() {
    assert_eq!(lock().to_toml(), GOLDEN);
    let mut shuffled = lock();
    shuffled.packages.reverse();
    assert_eq!(shuffled.to_toml(), GOLDEN);
    assert_eq!(shuffled.digest(), Sha256::of(GOLDEN.as_bytes()));
}

#[test]
fn the_golden_text_reads_as_the_lock() {
    assert_eq!(Lock::parse("x.lock", GOLDEN).unwrap(), lock());
}

#[test]
fn a_lock_of_nothing_reads_back() {
    let empty = Lock {
        archives: Vec::new(),
        packages: Vec::new(),
        components: Vec::new(),
        ..lock()
    };
    assert_eq!(Lock::parse("x.lock", &empty.to_toml()).unwrap(), empty);
}

fn failed(from: &str, to: &str) -> String {
    assert!(GOLDEN.contains(from), "{from}");
    Lock::parse("images/x.lock", &GOLDEN.replacen(from, to, 1))
        .unwrap_err()
        .to_string()
}

#[test]
fn a_newer_version_is_told_as_such_even_with_unknown_keys() {
    let newer = GOLDEN.replacen("version = 1\n", "version = 2\nsurprise = true\n", 1);
    let error = Lock::parse("x.lock", &newer).unwrap_err();
    assert_eq!(
        error.to_string(),
        "x.lock has version 2, and this Skerry reads up to version 1"
    );
    assert_eq!(
        failed("version = 1", "version = 0"),
        "images/x.lock:2:11: there is no such version of lock files"
    );
}

/// The message about `to`, which the error has to point at.
fn refused(from: &str, to: &str) -> String {
    let text = GOLDEN.replacen(from, to, 1);
    let before = &text[..text.find(to).unwrap()];
    let (line, column) = (before.lines().count(), before.lines().last().unwrap().len() + 1);
    let error = failed(from, to);
    let place = format!("images/x.lock:{line}:{column}: ");
    error
        .strip_prefix(&place)
        .unwrap_or_else(|| panic!("not at {place}: {error}"))
        .to_owned()
}

#[test]
fn errors_point_at_the_text() {
    assert_eq!(
        refused("\"1.21-1\"", "\"1_21\""),
        "`1_21` is no Debian version: `_` is not allowed there"
    );
    assert_eq!(refused("\"crun\"", "\"Crun\""), "this is no package name");
    assert_eq!(
        refused("\"pool/l.deb\"", "\"../l.deb\""),
        "this is no plain relative path"
    );
    assert_eq!(
        refused("\"bin/kubelet\"", "\"/kubelet\""),
        "this is no plain relative path"
    );
    assert_eq!(
        refused("\"ba7816bf", "\"a7816bf"),
        format!(
            "`{}` is not a SHA-256 digest (64 hex digits)",
            &Sha256::of(b"abc").to_string()[1..]
        )
    );
    assert!(refused("len-bytes = 12", "size = 12").starts_with("unknown key `size`, expected one of"));
    assert!(failed("architecture = \"amd64\", a", "a").ends_with("missing field `architecture`"));
    assert!(failed("timestamp =", "timestamp").starts_with("images/x.lock:4:"));
}

#[test]
fn an_error_shows_the_line_and_a_caret() {
    let error = Lock::parse("x.lock", &GOLDEN.replacen("\"crun\"", "\"Crun\"", 1)).unwrap_err();
    let excerpt = crate::failure::Diagnose::excerpt(&error).unwrap();
    assert!(
        excerpt.starts_with("   |\n11 |     { name = \"Crun\", version"),
        "{excerpt}"
    );
    assert!(excerpt.ends_with("\n   |              ^^^^^^"), "{excerpt}");
}

#[test]
fn what_is_there_twice_is_refused() {
    assert_eq!(
        failed("\"linux-image-amd64\"", "\"crun\""),
        "images/x.lock:12:14: `crun` is there twice"
    );
    let component = &GOLDEN[GOLDEN.find("\n[[components]]").unwrap()..];
    let error = Lock::parse("x.lock", &format!("{GOLDEN}{component}")).unwrap_err();
    assert_eq!(error.to_string(), "x.lock:24:8: `kubelet` is there twice");
}

#[test]
fn a_conflict_left_by_version_control_is_refused() {
    let text = GOLDEN.replacen("packages = [\n", "packages = [\n<<<<<<< HEAD\n", 1);
    assert!(
        Lock::parse("x.lock", &text)
            .unwrap_err()
            .to_string()
            .starts_with("x.lock:1")
    );
}

#[test]
fn the_changes_between_locks_are_counted_and_listed() {
    let old = lock();
    let mut new = lock();
    new.packages[0] = package("crun", "1.21-2", "crun", "pool/c.deb", 12);
    new.packages[1] = package("linux-image-amd64", "6.12.90-1", "linux", "pool/l.deb", 34);
    new.packages
        .push(package("mount", "2.41-5", "util-linux", "pool/m.deb", 1));
    new.components[0].files[0].sha256 = Sha256::of(b"else");
    let diff = new.changes_since(&old);
    assert_eq!(
        diff.to_string(),
        "1 upgraded, 1 downgraded, 1 rebuilt, 1 added
upgraded crun 1.21-1 → 1.21-2
downgraded linux-image-amd64 6.12.117-1 → 6.12.90-1
added mount 2.41-5
rebuilt kubelet v1.36.3"
    );
    new.components[0].version = "v1.36.10".to_owned();
    new.packages.remove(0);
    assert_eq!(
        new.changes_since(&old).summary(),
        "1 upgraded, 1 downgraded, 1 added, 1 removed"
    );
    assert_eq!(old.changes_since(&old).to_string(), "no changes");
    assert!(old.changes_since(&old).is_empty());
}

prop_compose! {
    fn any_digest()(bytes: [u8; 32]) -> Sha256 { Sha256::from_bytes(bytes) }
}

prop_compose! {
    fn any_package()(
        version in "([0-9]:)?[0-9][0-9a-z.+~]{0,6}(-[0-9a-z.~+]{1,4})?",
        (architecture, source, archive) in ("amd64|all", any::<String>(), "[a-z-]{1,9}"),
        (path, len_bytes, sha256) in ("pool(/[a-z0-9_.+~]{0,5}[a-z]){1,4}", 0..=i64::MAX as u64, any_digest()),
    ) -> LockedPackage {
        let version = version.parse().unwrap();
        LockedPackage { name: String::new(), version, architecture, source, archive, path, len_bytes, sha256 }
    }
}

prop_compose! {
    fn any_component()(
        (version, recipe) in (any::<String>(), any_digest()),
        files in prop::collection::btree_map("[a-z]{1,4}(/[a-z]{1,4})?", (0..=i64::MAX as u64, any_digest()), 0..3),
    ) -> LockedComponent {
        let files = files.into_iter().map(|(name, (len_bytes, sha256))| LockedFile { name, len_bytes, sha256 });
        LockedComponent { name: String::new(), recipe, version, files: files.collect() }
    }
}

prop_compose! {
    fn any_lock()(
        (spec_digest, timestamp, suite, inrelease_sha256) in (any_digest(), 0..1_u64 << 40, any::<String>(), any_digest()),
        parts in prop::collection::vec(any::<String>(), 0..3),
        packages in prop::collection::btree_map("[a-z0-9][a-z0-9.+-]{1,8}", any_package(), 0..6),
        components in prop::collection::btree_map(any::<String>(), any_component(), 0..3),
    ) -> Lock {
        let archive = LockedArchive { archive: "debian".to_owned(), suite, components: parts, date: timestamp, inrelease_sha256 };
        let packages = packages.into_iter().map(|(name, package)| LockedPackage { name, ..package });
        let components = components.into_iter().map(|(name, component)| LockedComponent { name, ..component });
        Lock {
            version: LOCK_VERSION, spec_digest, timestamp, archives: vec![archive],
            packages: packages.collect(), components: components.collect(),
        }
    }
}

proptest! {
    #[test]
    fn every_lock_reads_back_from_its_text(lock in any_lock()) {
        let text = lock.to_toml();
        let read = Lock::parse("x.lock", &text).unwrap();
        prop_assert_eq!(&read, &lock);
        prop_assert_eq!(read.to_toml(), text);
    }

    #[test]
    fn a_damaged_lock_is_read_or_refused(at in 0..GOLDEN.len(), with in "[ -~\n]{0,3}") {
        if GOLDEN.is_char_boundary(at) {
            let _ = Lock::parse("x.lock", &format!("{}{with}{}", &GOLDEN[..at], &GOLDEN[at..]));
            let _ = Lock::parse("x.lock", &GOLDEN[..at]);
        }
    }
}
