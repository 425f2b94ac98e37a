use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;
use crate::tree::dump::dump;

fn overlay(rules: &str) -> (tempfile::TempDir, PathBuf) {
    let top = tempfile::tempdir().unwrap();
    let folder = top.path().join("site");
    fs::create_dir_all(folder.join("etc/demo")).unwrap();
    fs::create_dir_all(folder.join("usr/bin")).unwrap();
    fs::write(folder.join("etc/demo/secret"), "x").unwrap();
    fs::write(folder.join("usr/bin/tool"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(folder.join("usr/bin/tool"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(folder.join("etc/demo/secret"), fs::Permissions::from_mode(0o666)).unwrap();
    symlink("../demo/secret", folder.join("etc/link")).unwrap();
    fs::write(folder.join(RULES_FILE), rules).unwrap();
    (top, folder)
}

fn ids(user: &str, group: &str) -> Option<(u32, u32)> {
    let id = |name| match name {
        "root" => Some(0),
        "demo" => Some(100),
        _ => None,
    };
    Some((id(user)?, id(group)?))
}

fn applied(rules: &str) -> String {
    let (_top, folder) = overlay(rules);
    let mut tree = Tree::new();
    load(&folder).unwrap().apply(&mut tree, &ids).unwrap();
    dump(&tree)
}

fn rules_error(rules: &str) -> (String, String) {
    let (_top, folder) = overlay(rules);
    let error = load(&folder).unwrap_err();
    let OverlayError::Rules { source, .. } = &error else {
        panic!("{error}")
    };
    let hints = error.hints().join("\n");
    let message = format!("{}: {source} {hints}", source.position());
    (message.trim_end().to_owned(), error.excerpt().unwrap())
}

#[test]
fn without_rules_only_the_executable_bit_of_the_host_counts() {
    let x = Sha256::of(b"x");
    let tool = Sha256::of(b"#!/bin/sh\n");
    let expected = format!(
        "d 0755 0 0 /\nd 0755 0 0 /etc\nd 0755 0 0 /etc/demo\nf 0644 0 0 /etc/demo/secret 1 {x}\n\
l 0777 0 0 /etc/link -> ../demo/secret\nd 0755 0 0 /usr\nd 0755 0 0 /usr/bin\nf 0755 0 0 /usr/bin/tool 10 {tool}\n"
    );
    assert_eq!(applied("version = 1\n"), expected);
}

#[test]
fn rules_set_modes_owners_and_attributes_and_the_last_one_wins() {
    let rules = r#"
version = 1
[[paths]]
match = "etc/**"
owner = "root:demo"
mode = "0600"
folder-mode = "0750"
[[paths]]
match = "/etc/demo/sec*"
mode = "640"
xattrs = { "user.a" = "text", "security.b" = "0x00fF" }
"#;
    let dump = applied(rules);
    assert!(dump.contains("\nd 0755 0 0 /etc\n"), "{dump}");
    assert!(dump.contains("\nd 0750 0 100 /etc/demo\n"), "{dump}");
    assert!(dump.contains("\nf 0640 0 100 /etc/demo/secret 1 "), "{dump}");
    assert!(dump.contains(" security.b=00ff user.a=74657874\n"), "{dump}");
    assert!(dump.contains("\nl 0777 0 100 /etc/link"), "{dump}");
}

#[test]
fn an_overlay_wins_over_packages_but_leaves_their_folders_as_they_are() {
    let package = |content, mode| Node {
        stat: Stat::root(mode),
        content,
        origin: Origin::Package("p".into()),
    };
    let path = |text| TreePath::parse(text).unwrap();
    let file = || Content::File(crate::tree::FileData::from_bytes(&b"old"[..]));
    let mut tree = Tree::new();
    tree.insert(path("etc/demo"), package(Content::Dir, 0o2700)).unwrap();
    tree.insert(path("etc/demo/secret"), package(file(), 0o600)).unwrap();
    tree.insert(path("etc/link"), package(file(), 0o600)).unwrap();
    tree.insert(path("opt/bin"), package(Content::Dir, 0o755)).unwrap();
    tree.insert(path("usr"), package(Content::Symlink("opt".into()), 0o777))
        .unwrap();
    let (_top, folder) = overlay("version = 1\n");
    load(&folder).unwrap().apply(&mut tree, &ids).unwrap();
    assert_eq!(tree.at("etc/demo").unwrap().stat.mode, 0o2700);
    assert_eq!(tree.file("etc/demo/secret").unwrap().read().unwrap(), b"x");
    assert_eq!(
        tree.at("etc/link").unwrap().content,
        Content::Symlink("../demo/secret".into())
    );
    assert!(tree.at("opt/bin/tool").is_some());
    assert_eq!(tree.at("opt/bin/tool").unwrap().origin, Origin::Overlay("site".into()));
}

#[test]
fn a_file_in_the_place_of_a_folder_is_refused() {
    let (_top, folder) = overlay("version = 1\n");
    let mut tree = Tree::new();
    let dir = Node {
        stat: Stat::root(0o755),
        content: Content::Dir,
        origin: Origin::Package("p".into()),
    };
    tree.insert(TreePath::parse("usr/bin/tool").unwrap(), dir).unwrap();
    let error = load(&folder).unwrap().apply(&mut tree, &ids).unwrap_err();
    assert_eq!(error.to_string(), "overlay site does not fit the rest of the image");
}

#[test]
fn mistakes_in_the_rules_are_shown_where_they_are() {
    let (message, excerpt) = rules_error("version = 1\n[[paths]]\nmatch = \"etc/**\"\nmoed = \"0640\"\n");
    assert_eq!(message, "4:1: unknown key `moed` did you mean `mode`?");
    assert_eq!(excerpt, "  |\n4 | moed = \"0640\"\n  | ^^^^");
    let rule = |rest: &str| rules_error(&format!("version = 1\n[[paths]]\nmatch = \"etc/**\"\n{rest}\n")).0;
    assert!(rule("mode = 0640").starts_with("4:8: "));
    assert_eq!(rule("mode = 640"), "4:8: this is of type integer and not a string");
    assert_eq!(
        rule("mode = \"0689\""),
        "4:8: a mode is three or four octal digits, such as `0640`"
    );
    assert_eq!(rule("owner = \"root\""), "4:9: an owner is `user:group`");
    assert_eq!(
        rule("xattrs = { \"user.a\" = \"0xabc\" }"),
        "4:23: this is not hexadecimal"
    );
    assert_eq!(
        rule("xattrs = { a = \"\" }"),
        "4:12: extended attributes begin with `user.`, `trusted.`, `security.`"
    );
    assert_eq!(rule(""), "3:9: this rule sets nothing");
    assert_eq!(rules_error("version = 2").0, "1:11: the version is not 1");
    assert_eq!(rules_error("").0, "1:1: `version = 1` is missing");
    assert_eq!(
        rules_error("version = 1\npaths = 3").0,
        "2:9: `paths` is not a list of `[[paths]]`"
    );
}

#[test]
fn a_rule_that_matches_nothing_is_an_error() {
    let rule = |text: &str| rules_error(&format!("version = 1\n[[paths]]\n{text}\n"));
    let (message, excerpt) = rule("match = \"etc/dmeo/*\"\nmode = \"0600\"");
    assert_eq!(message, "3:9: this rule matches nothing in the overlay");
    assert_eq!(excerpt, "  |\n3 | match = \"etc/dmeo/*\"\n  |         ^^^^^^^^^^^^");
    let (message, _) = rule("match = \"etc/demo\"\nmode = \"0600\"");
    assert_eq!(message, "3:9: this rule has a `mode` but matches no file");
    let (message, _) = rule("match = \"usr/bin/tool\"\nfolder-mode = \"0700\"");
    assert_eq!(message, "3:9: this rule has a `folder-mode` but matches no folder");
}

#[test]
fn names_and_kinds_that_cannot_be_in_an_image_are_refused() {
    let (_top, folder) = overlay("version = 1\n");
    let bad = folder.join("etc/a\nb");
    fs::write(&bad, "").unwrap();
    let error = load(&folder).unwrap_err().to_string();
    assert!(error.starts_with("the name `") && error.contains(r"a\nb"), "{error}");
    fs::remove_file(&bad).unwrap();
    let bad = folder.join(std::ffi::OsStr::from_bytes(b"etc/\xff"));
    fs::write(&bad, "").unwrap();
    assert!(matches!(load(&folder), Err(OverlayError::BadName { what: "name", .. })));
    fs::remove_file(&bad).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.join("etc/s")).unwrap();
    assert!(matches!(load(&folder), Err(OverlayError::SpecialFile { .. })));
    assert!(matches!(load(&folder.join("missing")), Err(OverlayError::Read { .. })));
}

#[test]
fn an_owner_without_an_account_is_refused() {
    let rules = "version = 1\n[[paths]]\nmatch = \"usr/bin/tool\"\nowner = \"root:nobody\"\n";
    let (_top, folder) = overlay(rules);
    let error = load(&folder).unwrap().apply(&mut Tree::new(), &ids).unwrap_err();
    let expected =
        "/usr/bin/tool of overlay site shall belong to `root:nobody`, which are not both accounts of the image";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn the_digest_follows_what_is_in_the_image_and_nothing_else() {
    let digest = |change: &dyn Fn(&Path)| {
        let (_top, folder) = overlay("version = 1\n");
        change(&folder);
        load(&folder).unwrap().digest
    };
    let plain = digest(&|_| {});
    let mode = |path: &str, mode| {
        let path = path.to_owned();
        move |folder: &Path| fs::set_permissions(folder.join(&path), fs::Permissions::from_mode(mode)).unwrap()
    };
    assert_eq!(plain, digest(&mode("etc/demo/secret", 0o600)));
    assert_eq!(plain, digest(&mode("etc/demo", 0o700)));
    assert_eq!(
        plain,
        digest(&|folder| fs::write(folder.join(RULES_FILE), "version = 1 # x").unwrap())
    );
    assert_ne!(plain, digest(&mode("etc/demo/secret", 0o755)));
    assert_ne!(
        plain,
        digest(&|folder| fs::write(folder.join("etc/demo/secret"), "y").unwrap())
    );
    assert_ne!(
        plain,
        digest(&|folder| fs::rename(folder.join("etc/link"), folder.join("etc/lint")).unwrap())
    );
}
