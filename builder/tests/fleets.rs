//! `skerry seed --fleet` and `--stick` as users run them, and what other people's tools say of a stick.

#![allow(clippy::unwrap_used, reason = "a failed expectation is what a test is for")]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use skerry_builder::fleet::columns;
use skerry_firstboot::join_config::parse_strict;

const SECRET: &str = "0123456789abcdef";
/// Where the partition of a stick begins, in bytes.
const PARTITION: &str = "1048576";

fn skerry(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_skerry"))
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(!out.contains(SECRET) && !err.contains(SECRET), "{out}{err}");
    (output.status.code(), out, err)
}

/// A folder with a join file.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "version = 1\nendpoints = [\"https://cp.example:6443\"]\ntoken = \"abcdef.{SECRET}\"\n\
         ca-pins = [\"sha256:345959acb2c3b2feb87d281961c893f62a314207ef02599f1cc4a5fb255480b3\"]\n"
    );
    fs::write(folder.path().join("join.toml"), text).unwrap();
    folder
}

fn say(line: &str) {
    // Not `println!`, which the test harness keeps to itself: a skip has to be seen.
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// What a foreign tool prints; none, with a word about it, if it is not installed or this takes root.
fn tool(name: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(name);
    command
        .args(arguments)
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .env("LC_ALL", "C");
    match command.output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            say(&format!("skipped: no {name}"));
            None
        }
        Err(error) => panic!("{name}: {error}"),
        Ok(output) => {
            let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            assert!(output.status.success(), "{name} {arguments:?}\n{out}{err}");
            Some(out)
        }
    }
}

/// A loop device; gone with its value.
struct Loop(String);

impl Loop {
    /// None, with a word about it, where there can be none.
    fn new(path: &Path, offset: &str) -> Option<Self> {
        let arguments = ["--find", "--show", "--offset", offset, path.to_str().unwrap()];
        let made = Command::new("/usr/sbin/losetup").args(arguments).output();
        match made {
            Ok(output) if output.status.success() => {
                Some(Self(String::from_utf8(output.stdout).unwrap().trim().to_owned()))
            }
            _ => {
                say("skipped: loop devices need losetup and root");
                None
            }
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        Command::new("/usr/sbin/losetup")
            .args(["--detach", &self.0])
            .status()
            .unwrap();
    }
}

/// A mounted volume; unmounted with its value.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        Command::new("umount").arg(self.0).status().unwrap();
    }
}

#[test]
fn a_thousand_devices_get_join_files_with_their_own_names_and_addresses() {
    let folder = folder();
    let address = |number: u32| format!("10.1.{}.{}/16", number / 250, number % 250 + 1);
    let row = |number| format!("shop-{number},{},10.1.255.254,row={}\r\n", address(number), number % 7);
    let rows: String = (0..1000).map(row).collect();
    fs::write(
        folder.path().join("devices.csv"),
        format!("\u{feff}Name,Address,Gateway,Labels\r\n{rows}"),
    )
    .unwrap();
    let arguments = [
        "seed",
        "--fleet",
        "devices.csv",
        "--join",
        "join.toml",
        "--out",
        "joins",
        "--json",
    ];
    let (code, out, err) = skerry(folder.path(), &arguments);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("Seeded 1000 join files, in joins"), "{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&report["version"], &report["written"]), (&1.into(), &1000.into()));
    for number in 0..1000 {
        let device = &report["devices"][number as usize];
        assert_eq!(device["name"], format!("shop-{number}"));
        assert_eq!(device["token-id"], "abcdef");
        let text = fs::read(folder.path().join(device["file"].as_str().unwrap())).unwrap();
        let settings = parse_strict(&text).unwrap().config.settings;
        assert_eq!(settings.name, format!("shop-{number}"));
        assert_eq!(settings.network.addresses[0].to_string(), address(number));
        assert_eq!(settings.labels["row"], (number % 7).to_string());
    }
    let (code, out, err) = skerry(folder.path(), &arguments[..7]);
    assert_eq!((code, out.as_str()), (Some(0), "joins\n"));
    assert!(err.contains("Seeded 0 join files, 1000 unchanged, in joins"), "{err}");
}

#[test]
fn all_mistakes_of_a_list_are_shown_and_nothing_is_written() {
    let folder = folder();
    let list = format!("name,adress\nshop-1,192.0.2.1/24\n\nshop-2,{SECRET}\n");
    fs::write(folder.path().join("devices.csv"), &list).unwrap();
    let run = || {
        skerry(
            folder.path(),
            &[
                "seed",
                "--fleet",
                "devices.csv",
                "--join",
                "join.toml",
                "--out",
                "joins",
            ],
        )
    };
    let (code, out, err) = run();
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert_eq!(
        err,
        "error: devices.csv has 1 mistake\ndevices.csv:1: unknown column `adress`\n\nhint: did you mean `address`?\n"
    );
    fs::write(folder.path().join("devices.csv"), list.replace("adress", "address")).unwrap();
    let (code, _, err) = run();
    assert_eq!(code, Some(1));
    assert_eq!(
        err,
        "error: devices.csv has 1 mistake\ndevices.csv:4: column `address`: it is no address with the length of its \
         network's prefix\n\nhint: give addresses such as `192.0.2.10/24`\n"
    );
    assert!(!folder.path().join("joins").exists());
}

#[test]
fn other_files_in_the_way_are_refused_for_safety() {
    let folder = folder();
    fs::write(folder.path().join("devices.csv"), "name\nshop-1\n").unwrap();
    fs::write(folder.path().join("shop-1.toml"), "mine").unwrap();
    let base = ["seed", "--fleet", "devices.csv", "--join", "join.toml", "--out", "."];
    let (code, _, err) = skerry(folder.path(), &base);
    assert_eq!(code, Some(5));
    assert!(
        err.starts_with("error: 1 file with other content is in the way: ./shop-1.toml\n"),
        "{err}"
    );
    let forced: Vec<&str> = base.iter().copied().chain(["--force"]).collect();
    assert_eq!(skerry(folder.path(), &forced).0, Some(0));
}

#[test]
fn arguments_that_do_not_go_together_are_a_usage_error() {
    let folder = folder();
    for arguments in [
        &["--fleet", "devices.csv", "--join", "join.toml"][..],
        &["--stick", "a.img"],
        &["--stick", "a.img", "b.raw", "--join", "join.toml"],
        &[
            "--stick",
            "a.img",
            "--fleet",
            "devices.csv",
            "--join",
            "join.toml",
            "--out",
            "x",
        ],
        &["a.raw", "--join", "join.toml", "--erase"],
        &["a.raw", "--join", "join.toml", "--force"],
        &["a.raw", "--join", "join.toml", "--allow-fixed-disk"],
        &["--fleet", "-", "--join", "-", "--out", "x"],
        &[
            "--fleet",
            "d.csv",
            "--join",
            "join.toml",
            "--out",
            "x",
            "--file-name",
            "same.toml",
        ],
    ] {
        let all: Vec<&str> = ["seed"].iter().chain(arguments).copied().collect();
        let (code, out, err) = skerry(folder.path(), &all);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
    }
}

#[test]
fn the_documentation_lists_every_column() {
    let text = include_str!("../../docs/fleets.md");
    for known in &columns::KNOWN {
        let name = format!("| `{}` |", known.names[0]);
        assert!(text.contains(&name), "{name}");
    }
}

#[test]
fn other_tools_take_a_stick_for_a_sound_fat_volume_with_the_label() {
    let folder = folder();
    let (code, _, err) = skerry(folder.path(), &["seed", "--stick", "stick.img", "--join", "join.toml"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(
        err.starts_with("made stick.img a stick with join.toml: token abcdef for "),
        "{err}"
    );
    let stick = folder.path().join("stick.img");
    let volume = folder.path().join("volume");
    fs::write(&volume, &fs::read(&stick).unwrap()[1 << 20..]).unwrap();
    tool("fsck.fat", &["-n", volume.to_str().unwrap()]);
    if let Some(listing) = tool("mdir", &["-i", &format!("{}@@{PARTITION}", stick.display()), "::"]) {
        assert!(
            listing.contains("SKERRY-JOIN") && listing.contains("join.toml"),
            "{listing}"
        );
    }
    if let Some(facts) = tool(
        "blkid",
        &["-p", "-O", PARTITION, "-o", "export", stick.to_str().unwrap()],
    ) {
        assert!(
            facts.contains("\nLABEL=SKERRY-JOIN\n") && facts.contains("VERSION=FAT32\n"),
            "{facts}"
        );
    }
    if let Some(table) = tool("sfdisk", &["-d", stick.to_str().unwrap()]) {
        assert!(
            table.contains("label: dos") && table.contains("start=        2048, size=       79872, type=c"),
            "{table}"
        );
    }
    mounted_by_the_kernel(folder.path(), &stick);
}

/// The kernel's own driver finds the join file.
fn mounted_by_the_kernel(folder: &Path, stick: &Path) {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !known.lines().any(|line| line.ends_with("\tvfat")) {
        return say("skipped: the kernel has no vfat (`modprobe vfat` may load it)");
    }
    let Some(device) = Loop::new(stick, PARTITION) else {
        return;
    };
    let point = folder.join("mounted");
    fs::create_dir(&point).unwrap();
    tool("mount", &["-o", "ro", &device.0, point.to_str().unwrap()]);
    let _mounted = Mounted(&point);
    let there = fs::read_to_string(point.join("join.toml")).unwrap();
    assert_eq!(there, fs::read_to_string(folder.join("join.toml")).unwrap());
}

#[test]
fn a_mounted_device_is_refused_whatever_was_asked_for() {
    let folder = folder();
    let disk = folder.path().join("disk");
    File::create(&disk).unwrap().set_len(64 << 20).unwrap();
    if tool("mke2fs", &["-q", "-t", "ext4", disk.to_str().unwrap()]).is_none() {
        return;
    }
    let Some(device) = Loop::new(&disk, "0") else {
        return;
    };
    let point = folder.path().join("mounted");
    fs::create_dir(&point).unwrap();
    tool("mount", &[&device.0, point.to_str().unwrap()]);
    let _mounted = Mounted(&point);
    fs::write(point.join("photo"), "precious").unwrap();
    let (code, _, err) = skerry(
        folder.path(),
        &[
            "seed",
            "--stick",
            &device.0,
            "--join",
            "join.toml",
            "--erase",
            "--allow-fixed-disk",
        ],
    );
    assert_eq!(code, Some(5), "{err}");
    let expected = format!(
        "error: `{}` is not made a stick: it is mounted at {}\n",
        device.0,
        point.display()
    );
    assert!(
        err.starts_with(&expected) && err.contains("hint: unmount it first: "),
        "{err}"
    );
    assert_eq!(fs::read_to_string(point.join("photo")).unwrap(), "precious");
}

#[test]
fn a_device_with_something_else_becomes_a_stick_only_when_asked() {
    let folder = folder();
    let disk = folder.path().join("disk");
    let size = 96_usize << 20;
    fs::write(&disk, vec![0xaa; size]).unwrap();
    let Some(device) = Loop::new(&disk, "0") else { return };
    let run = |more: &[&str]| {
        let arguments = ["seed", "--stick", &device.0, "--join", "join.toml"];
        skerry(folder.path(), &[&arguments[..], more].concat())
    };
    let (code, _, err) = run(&["--erase"]);
    assert_eq!(code, Some(5), "{err}");
    assert!(
        err.contains("it is not a removable medium") && err.contains("`--allow-fixed-disk`"),
        "{err}"
    );
    let fixed = "--allow-fixed-disk";
    let (code, _, err) = run(&[fixed]);
    assert_eq!(code, Some(5), "{err}");
    assert!(err.contains("hint: `--erase` erases all that is on it\n"), "{err}");
    assert!(fs::read(&disk).unwrap().iter().all(|byte| *byte == 0xaa));
    assert_eq!(run(&["--erase", fixed]).0, Some(0));
    let (code, _, err) = run(&[fixed]);
    assert!(
        code == Some(0) && err.starts_with("unchanged: join.toml on the stick "),
        "{err}"
    );
    let volume = folder.path().join("volume");
    fs::write(&volume, &fs::read(&disk).unwrap()[1 << 20..]).unwrap();
    tool("fsck.fat", &["-n", volume.to_str().unwrap()]);
}
