use super::*;

const IMAGE: ImageName = ImageName {
    name: "edge-x86_64",
    version: "2026.11",
    pretty_name: None,
};

fn text_of(tree: &Tree, path: &str) -> String {
    String::from_utf8(tree.file(path).unwrap().read().unwrap()).unwrap()
}

#[test]
fn packages_that_write_into_bin_end_up_below_usr() {
    let mut tree = Tree::new();
    before(&mut tree).unwrap();
    tree.insert(path("bin/true"), BY.file(0o755, "")).unwrap();
    assert!(tree.at("usr/bin/true").is_some());
    // base-files ships some of the same folders and links.
    tree.insert(path("tmp"), BY.folder(0o755)).unwrap();
    tree.insert(path("var/run"), BY.folder(0o755)).unwrap();
    tree.insert(path("lib"), BY.link("usr/lib")).unwrap();
    assert_eq!(tree.at("tmp").unwrap().stat.mode, 0o1777);
}

#[test]
fn the_image_names_itself_and_its_debian() {
    let mut tree = Tree::new();
    before(&mut tree).unwrap();
    let debian = "NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"13\"\nVERSION_CODENAME=trixie\nDEBIAN_VERSION_FULL=13.8\n";
    tree.insert(path("usr/lib/os-release"), BY.file(0o644, debian)).unwrap();
    after(&mut tree, &IMAGE).unwrap();
    let expected = "\
PRETTY_NAME=\"Skerry edge-x86_64 (Debian 13)\"
NAME=\"Skerry\"
ID=\"skerry\"
ID_LIKE=\"debian\"
VERSION=\"2026.11\"
VERSION_ID=\"2026.11\"
IMAGE_ID=\"edge-x86_64\"
IMAGE_VERSION=\"2026.11\"
VERSION_CODENAME=\"trixie\"
DEBIAN_VERSION_FULL=\"13.8\"
";
    assert_eq!(text_of(&tree, "etc/os-release"), expected);
}

#[test]
fn a_name_cannot_break_out_of_its_quotes() {
    let image = ImageName {
        name: "a\"b$(c)\n",
        version: "1",
        pretty_name: None,
    };
    let text = os_release::text(&Tree::new(), &image);
    assert!(text.contains("IMAGE_ID=\"a\\\"b\\$(c)\"\n"));
}

#[test]
fn the_device_s_own_files_are_not_in_the_image() {
    let mut tree = Tree::new();
    before(&mut tree).unwrap();
    after(&mut tree, &IMAGE).unwrap();
    for absent in [
        "etc/machine-id",
        "etc/hostname",
        "etc/fstab",
        "etc/localtime",
        "etc/ssh",
    ] {
        assert!(tree.at(absent).is_none(), "{absent}");
    }
    assert!(tree.file("etc/.updated").is_some() && tree.file("var/.updated").is_some());
    assert_eq!(text_of(&tree, "etc/resolv.conf"), "");
}

#[test]
fn names_are_looked_up_with_the_libraries_that_are_there() {
    let mut tree = Tree::new();
    let base = nsswitch::text(&tree);
    assert!(base.contains("passwd: files\n") && base.contains("hosts: files dns\n"));
    for library in ["systemd", "myhostname", "resolve"] {
        let place = format!("usr/lib/aarch64-linux-gnu/libnss_{library}.so.2");
        tree.insert(path(&place), BY.file(0o644, "ELF")).unwrap();
    }
    let full = nsswitch::text(&tree);
    assert!(full.contains("gshadow: files systemd\n"));
    assert!(full.contains("hosts: files myhostname resolve [!UNAVAIL=return] dns\n"));
}

#[test]
fn links_follow_what_is_installed() {
    let mut tree = Tree::new();
    before(&mut tree).unwrap();
    for place in [
        "usr/lib/systemd/systemd-resolved",
        "usr/share/zoneinfo/Etc/UTC",
        "usr/share/openssh/sshd_config",
        "usr/bin/dash",
    ] {
        tree.insert(path(place), BY.file(0o644, "x")).unwrap();
    }
    tree.insert(path("usr/bin/sh"), BY.link("dash")).unwrap();
    after(&mut tree, &IMAGE).unwrap();
    assert!(tree.file("etc/localtime").is_some());
    assert_eq!(
        tree.at("etc/resolv.conf").unwrap().content,
        BY.link("../run/systemd/resolve/stub-resolv.conf").content
    );
    assert!(text_of(&tree, "etc/ssh/sshd_config.d/10-skerry.conf").contains("PasswordAuthentication no\n"));
    assert_eq!(
        text_of(&tree, "etc/shells"),
        "# /etc/shells: valid login shells\n/bin/sh\n/usr/bin/sh\n/bin/dash\n/usr/bin/dash\n"
    );
}

/// What KKP's node labeler looks for in the name that kubelet reports, in lower case.
const KKP_NAMES: [&str; 5] = ["ubuntu", "flatcar container linux", "rhel", "rocky linux", "amzn2"];

#[test]
fn k7_the_name_in_the_docs_is_one_that_kkp_labels_and_all_else_stays_true() {
    let docs = include_str!("../../../../docs/kkp.md");
    let line = docs.lines().find_map(|line| line.strip_prefix("pretty-name = "));
    let name = line.unwrap().trim_matches('"');
    let known = |text: &str| KKP_NAMES.iter().any(|name| text.to_lowercase().contains(name));
    let named = ImageName {
        pretty_name: Some(name),
        ..IMAGE
    };
    let (own, default) = (
        os_release::text(&Tree::new(), &named),
        os_release::text(&Tree::new(), &IMAGE),
    );
    let split = |text: &str| {
        let (pretty, rest) = text.split_once('\n').unwrap();
        (pretty.to_owned(), rest.to_owned())
    };
    assert_eq!(split(&own).0, format!("PRETTY_NAME=\"{name}\""));
    assert!(known(&own) && !known(&default), "{default}");
    assert_eq!(split(&own).1, split(&default).1);
    for key in KKP_NAMES {
        assert!(docs.contains(&format!("`{key}`")), "{key}");
    }
}

#[test]
fn the_clock_of_a_machine_never_shows_a_time_before_the_image_s() {
    let mut tree = Tree::new();
    before(&mut tree).unwrap();
    after(&mut tree, &IMAGE).unwrap();
    // Only its time counts, which is that of everything in the image.
    assert_eq!(text_of(&tree, "usr/lib/clock-epoch"), "");
}
