//! `dpkg-deb` as the judge of our package reader: packages made by it, listed and unpacked by both.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use skerry_builder::deb::archive::{DebArchive, Part};
use skerry_builder::deb::unpack::{PendingFile, UnpackCache, unpack};
use skerry_builder::deb::{ScriptKind, UnpackedDeb};
use skerry_builder::digest::Sha256;
use skerry_builder::tree::Content;

/// A cache of one entry.
struct OneFile(PathBuf);

struct Pending(File);

impl UnpackCache for OneFile {
    fn open(&self, _: &Sha256) -> io::Result<Option<File>> {
        match File::open(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    fn create(&self, _: &Sha256) -> io::Result<Box<dyn PendingFile>> {
        let file = File::options().read(true).write(true).create_new(true).open(&self.0)?;
        Ok(Box::new(Pending(file)))
    }
}

impl Write for Pending {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Seek for Pending {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.0.seek(position)
    }
}

impl PendingFile for Pending {
    fn commit(self: Box<Self>) -> io::Result<File> {
        Ok(self.0)
    }
}

const CONTROL: &str = "Package: demo\nVersion: 1:2.0~rc1-3\nArchitecture: amd64\nMaintainer: A B <a@b.example>\n\
Depends: libc6 (>= 2.36),\n other\nDescription: a package\n of odd things\n .\n end\n";

/// Whether the judge is here; says so if not.
fn have_dpkg_deb() -> bool {
    let found = Command::new("dpkg-deb").arg("--version").output().is_ok();
    if !found {
        // Not `eprintln!`, which the test harness swallows.
        io::stderr().write_all(b"skipped: no dpkg-deb\n").unwrap();
    }
    found
}

fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
    output.stdout
}

fn write(path: &Path, content: &[u8], mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A folder with one of everything that a package can hold.
fn make_source(top: &Path) {
    write(&top.join("DEBIAN/control"), CONTROL.as_bytes(), 0o644);
    write(&top.join("DEBIAN/conffiles"), b"/etc/demo.conf\n", 0o644);
    write(&top.join("DEBIAN/postinst"), b"#!/bin/sh\nset -e\n", 0o755);
    write(&top.join("DEBIAN/triggers"), b"activate-noawait ldconfig\n", 0o644);
    write(&top.join("etc/demo.conf"), b"a = 1\n", 0o640);
    let program: Vec<u8> = (0..60_000_u32)
        .flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 7).to_le_bytes())
        .collect();
    write(&top.join("usr/bin/demo"), &program, 0o4755);
    write(&top.join("usr/bin/writer"), b"x", 0o2755);
    fs::hard_link(top.join("usr/bin/demo"), top.join("usr/bin/other-name")).unwrap();
    symlink("../bin/demo", top.join("usr/bin/link")).unwrap();
    symlink(format!("/{}", "t".repeat(150)), top.join("usr/bin/long-link")).unwrap();
    write(&top.join("usr/share/odd names/with  blanks"), b"", 0o644);
    write(
        &top.join("usr/share/Főtanúsítvány-*?[x]'\"$.crt"),
        b"certificate",
        0o644,
    );
    let deep = (0..30).fold(top.join("usr/share"), |folder, level| {
        folder.join(format!("level-{level:02}"))
    });
    write(&deep.join("n".repeat(200)), b"deep", 0o600);
    fs::hard_link(deep.join("n".repeat(200)), deep.join("second")).unwrap();
    fs::create_dir_all(top.join("var/lib/demo")).unwrap();
    fs::set_permissions(top.join("var/lib/demo"), fs::Permissions::from_mode(0o1770)).unwrap();
    run("mkfifo", &[top.join("var/lib/demo/pipe").to_str().unwrap()]);
}

fn build(folder: &Path, compression: &str) -> PathBuf {
    let source = folder.join("source");
    make_source(&source);
    let package = folder.join("demo.deb");
    let arguments = [
        "--root-owner-group",
        compression,
        "--build",
        source.to_str().unwrap(),
        package.to_str().unwrap(),
    ];
    run("dpkg-deb", &arguments);
    package
}

fn unpacked(package: &Path) -> UnpackedDeb {
    let key = Sha256::of(&fs::read(package).unwrap());
    unpack(package, &key, &OneFile(package.with_extension("cache"))).unwrap()
}

/// An entry as `dpkg-deb --contents` (that is, `tar -tv`) shows it, without the date.
fn list(unpacked: &UnpackedDeb) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for entry in &unpacked.entries {
        let (kind, size, tail) = match &entry.content {
            Content::Dir => ('d', 0, if entry.path.as_str().is_empty() { "" } else { "/" }.to_owned()),
            Content::File(data) => ('-', data.len_bytes, String::new()),
            Content::Symlink(target) => ('l', 0, format!(" -> {target}")),
            Content::HardLink(target) => ('h', 0, format!(" link to ./{}", target.as_str())),
            Content::Fifo => ('p', 0, String::new()),
            other => panic!("{other:?}"),
        };
        let mut line = format!(
            "{kind}{} {}/{} {size} ./",
            permissions(entry.mode),
            entry.user,
            entry.group
        );
        write!(line, "{}{tail}", entry.path.as_str()).unwrap();
        lines.insert(line);
    }
    lines
}

fn permissions(mode: u16) -> String {
    let triple = |shift: u16, special: u16, letters: (char, char)| {
        let bit = |mask: u16, letter: char| if mode >> shift & mask != 0 { letter } else { '-' };
        let last = match (mode & special != 0, mode >> shift & 1 != 0) {
            (true, true) => letters.0,
            (true, false) => letters.1,
            (false, _) => bit(1, 'x'),
        };
        [bit(4, 'r'), bit(2, 'w'), last].into_iter().collect::<String>()
    };
    triple(6, 0o4000, ('s', 'S')) + &triple(3, 0o2000, ('s', 'S')) + &triple(0, 0o1000, ('t', 'T'))
}

/// Takes date and time out of a line of `tar -tv`, and one blank for each run of blanks before them.
fn without_date(line: &str) -> String {
    let mut rest = line;
    let mut words = Vec::new();
    for _ in 0..5 {
        let (word, tail) = rest.trim_start_matches(' ').split_once(' ').unwrap();
        words.push(word);
        rest = tail;
    }
    format!("{} {} {} {rest}", words[0], words[1], words[2])
}

#[test]
fn dpkg_deb_lists_the_same_entries() {
    if !have_dpkg_deb() {
        return;
    }
    for compression in ["-Zxz", "-Zzstd", "-Zgzip", "-Znone"] {
        let folder = tempfile::tempdir().unwrap();
        let package = build(folder.path(), compression);
        let listing = run(
            "sh",
            &[
                "-c",
                "dpkg-deb --fsys-tarfile \"$0\" | tar --quoting-style=literal -tv",
                package.to_str().unwrap(),
            ],
        );
        let theirs: BTreeSet<String> = String::from_utf8(listing).unwrap().lines().map(without_date).collect();
        assert_eq!(list(&unpacked(&package)), theirs, "{compression}");
        let contents = run("dpkg-deb", &["--contents", package.to_str().unwrap()]);
        assert_eq!(String::from_utf8(contents).unwrap().lines().count(), theirs.len());
    }
}

#[test]
fn dpkg_deb_decompresses_to_the_same_bytes() {
    if !have_dpkg_deb() {
        return;
    }
    for compression in ["-Zxz", "-Zzstd", "-Zgzip", "-Znone"] {
        let folder = tempfile::tempdir().unwrap();
        let package = build(folder.path(), compression);
        let archive = DebArchive::open(&package).unwrap();
        for (part, option) in [(Part::Data, "--fsys-tarfile"), (Part::Control, "--ctrl-tarfile")] {
            let mut ours = Vec::new();
            archive.tar(part).unwrap().read_to_end(&mut ours).unwrap();
            let theirs = run("dpkg-deb", &[option, package.to_str().unwrap()]);
            assert_eq!(Sha256::of(&ours), Sha256::of(&theirs), "{compression} {option}");
        }
    }
}

#[test]
fn dpkg_deb_extracts_the_same_tree_and_control_files() {
    if !have_dpkg_deb() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let package = build(folder.path(), "-Zxz");
    let (text, top) = (package.to_str().unwrap(), folder.path().join("theirs"));
    run("dpkg-deb", &["--extract", text, top.to_str().unwrap()]);
    run(
        "dpkg-deb",
        &["--control", text, folder.path().join("control").to_str().unwrap()],
    );
    let unpacked = unpacked(&package);
    let control_file = |name: &str| fs::read(folder.path().join("control").join(name)).unwrap();
    assert_eq!(
        unpacked.scripts[&ScriptKind::Postinst].sha256,
        Sha256::of(&control_file("postinst"))
    );
    assert_eq!(unpacked.triggers, ["activate-noawait ldconfig"]);
    assert_eq!(unpacked.conffiles[0].to_string(), "/etc/demo.conf");
    for (name, value) in &unpacked.control.fields {
        let theirs = run("dpkg-deb", &["--field", text, name]);
        let theirs = String::from_utf8(theirs).unwrap();
        // dpkg folds relations into one line and keeps the blanks before continuations.
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&theirs), words(value), "{name}");
    }
    let mut inodes = BTreeMap::new();
    for entry in &unpacked.entries {
        let path = top.join(entry.path.as_str());
        let stat = fs::symlink_metadata(&path).unwrap();
        match &entry.content {
            Content::Dir => assert!(stat.is_dir()),
            Content::File(data) => {
                assert_eq!(Sha256::of(&data.read().unwrap()), Sha256::of(&fs::read(&path).unwrap()));
                assert_eq!(data.sha256, Sha256::of(&fs::read(&path).unwrap()));
                inodes.insert(entry.path.clone(), stat.ino());
            }
            Content::HardLink(target) => assert_eq!(inodes[target], stat.ino()),
            Content::Symlink(target) => assert_eq!(fs::read_link(&path).unwrap(), Path::new(target)),
            Content::Fifo => assert!(stat.file_type().is_fifo()),
            other => panic!("{other:?}"),
        }
        if !stat.is_symlink() {
            assert_eq!(u32::from(entry.mode), stat.mode() & 0o7777, "{path:?}");
        }
    }
    assert_eq!(inodes.len(), 6);
}
