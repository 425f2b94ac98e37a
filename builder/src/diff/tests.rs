use std::fs;

use super::*;
use crate::disk::{Loader, TableKind};
use crate::inspect;
use crate::sample_image::{CAPABILITY, Sample, Start, file, link, put, text};
use crate::tree::{Content, FileData, Stat, TreePath};

fn opened(sample: &Sample) -> (tempfile::TempDir, Opened) {
    let folder = tempfile::tempdir().unwrap();
    let written = sample.write(folder.path());
    let opened = inspect::open(&written.raw).unwrap();
    (folder, opened)
}

/// What differs between the sample and what `change` makes of it.
fn difference(change: impl FnOnce(&mut Sample)) -> Difference {
    let mut changed = Sample::new();
    change(&mut changed);
    let ((_a, a), (_b, b)) = (opened(&Sample::new()), opened(&changed));
    compare(&a, &b).unwrap()
}

/// Path and aspects of each changed file but the list of contents.
fn files(difference: &Difference) -> Vec<(&str, &[Aspect])> {
    let own = format!("/{}", crate::rootfs::contents::PATH);
    let files = difference.files.iter().filter(|file| file.path != own);
    files
        .map(|file| (file.path.as_str(), file.changed.as_slice()))
        .collect()
}

#[test]
fn an_image_is_the_same_as_itself_however_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let written = Sample::new().write(folder.path());
    let [raw, zst] = [&written.raw, &written.zst].map(|path| inspect::open(path).unwrap());
    let difference = compare(&raw, &zst).unwrap();
    assert!(difference.same, "{difference:?}");
    assert_eq!(render(&difference, Shown::Largest, 80), "");
}

#[test]
fn without_a_verified_root_hash_all_files_are_read_and_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let written = Sample::new().write(folder.path());
    let a = inspect::open(&written.raw).unwrap();
    let mut b = inspect::open(&written.raw).unwrap();
    b.inspection.checks.clear();
    assert!(!have_the_same_root(&a, &b));
    assert!(compare(&a, &b).unwrap().same);
}

#[test]
fn images_that_firmware_starts_itself_are_compared_by_kernel_and_command_line_too() {
    let direct = |words| Sample {
        words,
        start: Start::Firmware,
        table: TableKind::Mbr,
        ..Sample::new()
    };
    let ((_a, a), (_b, b)) = (opened(&direct("quiet")), opened(&direct("panic=10")));
    assert!(have_the_same_root(&a, &b));
    let difference = compare(&a, &b).unwrap();
    let values: Vec<_> = difference.values.iter().map(|value| value.what).collect();
    assert_eq!(values, ["command line"]);
    let files: Vec<_> = difference.boot_files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(files, ["a/cmdline.txt"]);
}

#[test]
fn versions_go_up_down_come_and_go() {
    let difference = difference(|sample| {
        sample.versions.insert("base".into(), "1.0~rc1-1".into());
        sample.versions.insert("containerd".into(), "2.10.0".into());
        sample
            .tree
            .remove(&TreePath::parse("usr/lib/systemd/system/web.socket").unwrap());
        put(&mut sample.tree, "new", "usr/bin/new", file("new"), Stat::root(0o755));
        sample.versions.insert("new".into(), "1".into());
    });
    let changes: Vec<_> = difference
        .packages
        .iter()
        .map(|package| (package.name.as_str(), package.change))
        .collect();
    assert_eq!(
        changes,
        [
            ("base", PackageChangeKind::Downgraded),
            ("containerd", PackageChangeKind::Upgraded),
            ("new", PackageChangeKind::Added),
        ]
    );
    assert_eq!(
        files(&difference),
        [("/usr/bin/new", &[][..]), ("/usr/lib/systemd/system/web.socket", &[])]
    );
    assert_eq!(difference.files[0].owner.as_deref(), Some("new"));
}

#[test]
fn another_boot_loader_before_the_partitions_is_a_difference() {
    let boot_loader = |version: &str| {
        let mut sample = Sample::new();
        sample.loaders = vec![Loader {
            name: "u-boot-sunxi-with-spl.bin".to_owned(),
            offset: 128 << 10,
            data: FileData::from_bytes(format!("\0\0\0\0eGON.BT0{version}").into_bytes()),
        }];
        opened(&sample)
    };
    let changed = |(_a, a): (_, Opened), (_b, b): (_, Opened)| {
        let values = compare(&a, &b).unwrap().values.into_iter();
        values
            .map(|change| (change.what, change.a.is_some(), change.b.is_some()))
            .collect::<Vec<_>>()
    };
    assert_eq!(changed(boot_loader("2025.01"), boot_loader("2025.01")), []);
    let what = "boot loaders (SHA-256)";
    assert_eq!(
        changed(boot_loader("2025.01"), boot_loader("2025.04")),
        [(what, true, true)]
    );
    assert_eq!(
        changed(opened(&Sample::new()), boot_loader("2025.04")),
        [(what, false, true)]
    );
}

#[test]
fn every_way_in_which_a_file_can_differ_is_named() {
    let difference = difference(|sample| {
        let tree = &mut sample.tree;
        let plain = Stat::root(0o644);
        put(tree, "base", "usr/lib/small", file("SMALL"), plain.clone());
        put(tree, "base", "usr/bin/copy", file(text(20_000, 1)), Stat::root(0o4755));
        put(tree, "base", "usr/bin/ping", file(text(301, 2)), Stat::root(0o755));
        put(
            tree,
            "systemd",
            "etc/systemd/system/default.target",
            link("x.target"),
            Stat::root(0o777),
        );
        put(
            tree,
            "base",
            "dev/null",
            Content::CharDevice { major: 1, minor: 5 },
            Stat::root(0o666),
        );
        put(tree, "base", "run/pipe", file(""), Stat::root(0o600));
        put(tree, "base", "usr/bin/name", file(text(20_000, 1)), Stat::root(0o755));
        let owned = Stat { uid: 7, ..plain };
        put(tree, "base", "usr/share/odd \u{fc} name", file("odd"), owned);
    });
    assert_eq!(
        files(&difference),
        [
            ("/dev/null", &[Aspect::Device][..]),
            ("/etc/systemd/system/default.target", &[Aspect::Target]),
            ("/run/pipe", &[Aspect::Kind]),
            ("/usr/bin/copy", &[Aspect::Mode]),
            ("/usr/bin/name", &[Aspect::HardLink]),
            ("/usr/bin/ping", &[Aspect::Content, Aspect::Xattrs]),
            ("/usr/lib/small", &[Aspect::Content]),
            ("/usr/share/odd \u{fc} name", &[Aspect::Owner]),
        ]
    );
    let ping = difference
        .files
        .iter()
        .find(|file| file.path == "/usr/bin/ping")
        .unwrap();
    let capability = &ping.a.as_ref().unwrap().xattrs["security.capability"];
    assert_eq!(capability.len(), 2 * CAPABILITY.len());
    assert!(ping.b.as_ref().unwrap().xattrs.is_empty());
}

#[test]
fn command_line_kernel_units_and_partitions_are_compared() {
    let difference = difference(|sample| {
        sample.version = "2.0";
        sample.kernel = "6.12.9-amd64";
        sample.words = "panic=10";
        let wants = "etc/systemd/system/multi-user.target.wants/containerd.service";
        sample.tree.remove(&TreePath::parse(wants).unwrap());
        let masked = "etc/systemd/system/dbus.socket";
        put(
            &mut sample.tree,
            "systemd",
            masked,
            link("/dev/null"),
            Stat::root(0o777),
        );
    });
    let values: Vec<&str> = difference.values.iter().map(|value| value.what).collect();
    assert_eq!(values, ["system", "kernel", "command line", "root hash"]);
    let units: Vec<_> = difference
        .units
        .iter()
        .map(|unit| (unit.name.as_str(), unit.a.join(" "), unit.b.join(" ")))
        .collect();
    assert_eq!(
        units,
        [
            ("containerd.service", "multi-user.target".to_owned(), String::new()),
            ("dbus.socket", "sockets.target".to_owned(), "masked".to_owned()),
        ]
    );
    let numbers: Vec<usize> = difference.partitions.iter().map(|change| change.number).collect();
    assert_eq!(numbers, [2, 3]);
    let boot: Vec<_> = difference
        .boot_files
        .iter()
        .map(|change| (change.path.as_str(), change.a.is_some(), change.b.is_some()))
        .collect();
    assert_eq!(
        boot,
        [
            ("EFI/Linux/edge_1.0+3.efi", true, false),
            ("EFI/Linux/edge_2.0+3.efi", false, true)
        ]
    );
}

#[test]
fn the_text_shows_the_largest_files_unless_all_are_wanted() {
    let difference = difference(|sample| {
        for number in 0..30 {
            let name = format!("usr/share/many/{number:02}");
            let content = file(text(number + 1, number));
            put(&mut sample.tree, "base", &name, content, Stat::root(0o644));
        }
    });
    let short = render(&difference, Shown::Largest, 100);
    assert!(short.contains("Files: 31 added, 1 changed\n"), "{short}");
    assert!(
        short.contains("/usr/share/many/29") && !short.contains("/usr/share/many/03"),
        "{short}"
    );
    assert!(
        short.contains("  … and 12 smaller ones; `--all` shows them\n"),
        "{short}"
    );
    let long = render(&difference, Shown::All, 100);
    assert!(long.contains("/usr/share/many/03") && !long.contains("--all"), "{long}");
    assert!(
        render(&difference, Shown::All, 50)
            .lines()
            .all(|line| line.chars().count() <= 50)
    );
}

#[test]
fn roots_that_cannot_be_looked_into_are_compared_by_their_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let written = Sample::new().write(folder.path());
    let unreadable = |name: &str, byte: u8| {
        let path = folder.path().join(name);
        let mut bytes = fs::read(&written.raw).unwrap();
        bytes[written.root_offset as usize..][..4].fill(byte);
        fs::write(&path, bytes).unwrap();
        inspect::open(&path).unwrap()
    };
    let (a, again, b) = (unreadable("a", 1), unreadable("again", 1), unreadable("b", 2));
    assert!(compare(&a, &again).unwrap().same);
    let values: Vec<&str> = compare(&a, &b).unwrap().values.iter().map(|value| value.what).collect();
    assert_eq!(values, ["root partition (SHA-256)"]);
}
