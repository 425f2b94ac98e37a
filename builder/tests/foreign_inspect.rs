//! The kernel, which mounts the images, `unsquashfs` and diff(1) judge what `inspect` and `diff` say of them: images with hard
//! links, capabilities and odd names, by the builder's writer and by mksquashfs.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what it calls")]

#[path = "sample/image.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod sample;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use sample::{Sample, Written, file, put};
use skerry_builder::diff::{self, Aspect};
use skerry_builder::digest::Sha256;
use skerry_builder::inspect::{self, Opened};
use skerry_builder::squashfs::read::{Entry, EntryContent, EntryPath, Image};
use skerry_builder::tree::Stat;
use tempfile::TempDir;

/// Says on the test's output that a judge is absent.
fn skip(what: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {what}");
}

fn has_tool(name: &str) -> bool {
    let found = Command::new(name).arg("--version").output().is_ok();
    if !found {
        skip(&format!("no {name}"));
    }
    found
}

fn output_of(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    output.stdout
}

/// A mounted root partition, which is given back whatever happens.
struct Mounted(TempDir);

impl Mounted {
    /// None, with the reason told, where images cannot be mounted.
    fn of(written: &Written) -> Option<Self> {
        if fs::metadata("/proc/self").is_ok_and(|own| own.uid() != 0) {
            skip("not root: images are not mounted");
            return None;
        }
        let folder = TempDir::new().unwrap();
        let len_bytes = 4 << 20;
        let options = format!("loop,ro,offset={},sizelimit={len_bytes}", written.root_offset);
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "squashfs", "-o", &options])
            .arg(&written.raw)
            .arg(folder.path());
        if mount.output().is_ok_and(|output| output.status.success()) {
            Some(Self(folder))
        } else {
            skip("this machine cannot mount a squashfs image");
            None
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// What a name is: kind, mode, owner, link count, and what its kind adds.
type Facts = (char, u32, (u32, u32), u64, String);

fn facts_of_host(path: &Path, stat: &Metadata) -> Facts {
    let kind = stat.file_type();
    let device = || {
        let (major, minor) = (
            stat.rdev() >> 8 & 0xfff,
            stat.rdev() & 0xff | stat.rdev() >> 12 & 0xf_ff00,
        );
        format!("{major}:{minor}")
    };
    let (letter, detail) = if kind.is_dir() {
        ('d', String::new())
    } else if kind.is_symlink() {
        (
            'l',
            format!("{:?}", fs::read_link(path).unwrap().as_os_str().as_bytes()),
        )
    } else if kind.is_char_device() {
        ('c', device())
    } else if kind.is_block_device() {
        ('b', device())
    } else if kind.is_fifo() {
        ('p', String::new())
    } else {
        let sha256 = Sha256::of(&fs::read(path).unwrap());
        ('f', format!("{} {sha256}", stat.len()))
    };
    (
        letter,
        stat.mode() & 0o7777,
        (stat.uid(), stat.gid()),
        stat.nlink(),
        detail,
    )
}

fn walk_host(root: &Path) -> BTreeMap<Vec<u8>, Facts> {
    let mut found = BTreeMap::new();
    let mut open = vec![(Vec::new(), root.to_owned())];
    while let Some((inside, host)) = open.pop() {
        let stat = host.symlink_metadata().unwrap();
        if stat.is_dir() {
            for entry in fs::read_dir(&host).unwrap() {
                let name = entry.unwrap().file_name();
                let mut path: Vec<u8> = inside.clone();
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend(name.as_bytes());
                open.push((path, host.join(&name)));
            }
        }
        found.insert(inside, facts_of_host(&host, &stat));
    }
    found
}

fn walk_ours(opened: &Opened) -> BTreeMap<Vec<u8>, Facts> {
    let range = opened.root_range().unwrap();
    let image = Image::open(&range).unwrap();
    let entries = &opened.root.as_ref().unwrap().entries;
    let by_path: BTreeMap<&EntryPath, &Entry> = entries.iter().map(|entry| (&entry.path, entry)).collect();
    let facts = |entry: &Entry| {
        let device = |major: u32, minor: u32| format!("{major}:{minor}");
        let real = match &entry.content {
            EntryContent::HardLink(first) => &by_path[first].content,
            content => content,
        };
        let (letter, detail) = match real {
            EntryContent::Dir => ('d', String::new()),
            EntryContent::Symlink(target) => ('l', format!("{target:?}")),
            EntryContent::CharDevice { major, minor } => ('c', device(*major, *minor)),
            EntryContent::BlockDevice { major, minor } => ('b', device(*major, *minor)),
            EntryContent::Fifo => ('p', String::new()),
            EntryContent::File(file) => {
                let sha256 = image.digest_file(file).unwrap();
                ('f', format!("{} {sha256}", file.len_bytes()))
            }
            EntryContent::HardLink(_) => unreachable!("the first name is a file"),
        };
        let stat = &entry.stat;
        (
            letter,
            u32::from(stat.mode),
            (stat.uid, stat.gid),
            u64::from(entry.links),
            detail,
        )
    };
    entries
        .iter()
        .map(|entry| (entry.path.as_bytes().to_vec(), facts(entry)))
        .collect()
}

/// All extended attributes as `name=0xvalue`, sorted.
fn xattrs_of_host(root: &Path) -> Option<Vec<String>> {
    let options = [
        "--recursive",
        "--physical",
        "--dump",
        "--match=-",
        "--encoding=hex",
        ".",
    ];
    let Ok(output) = Command::new("getfattr").args(options).current_dir(root).output() else {
        skip("no getfattr: extended attributes are not compared");
        return None;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // A host's security module may add a label of its own.
    let is_ours =
        |line: &&str| line.contains("=0x") && !line.starts_with(['#']) && !line.starts_with("security.selinux");
    let mut lines: Vec<String> = text.lines().filter(is_ours).map(str::to_owned).collect();
    lines.sort();
    Some(lines)
}

fn xattrs_of_ours(opened: &Opened) -> Vec<String> {
    let entries = &opened.root.as_ref().unwrap().entries;
    let hex = |value: &[u8]| value.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut lines: Vec<String> = entries
        .iter()
        .flat_map(|entry| &entry.stat.xattrs)
        .map(|(name, value)| format!("{name}=0x{}", hex(value)))
        .collect();
    lines.sort();
    lines
}

fn assert_agrees_with_mounting(written: &Written) {
    let Some(mounted) = Mounted::of(written) else {
        return;
    };
    let opened = inspect::open(&written.raw).unwrap();
    let theirs = walk_host(mounted.0.path());
    assert_eq!(walk_ours(&opened), theirs);
    if let Some(xattrs) = xattrs_of_host(mounted.0.path()) {
        assert_eq!(xattrs_of_ours(&opened), xattrs);
        assert!(
            xattrs.iter().any(|line| line.starts_with("security.capability=0x")),
            "{xattrs:?}"
        );
    }
    let contents = opened.inspection.contents.unwrap();
    let counts = contents.counts;
    let kinds = |letter| theirs.values().filter(|facts| facts.0 == letter).count() as u64;
    assert_eq!((counts.folders, counts.symlinks), (kinds('d'), kinds('l')));
    assert_eq!(counts.files + counts.hard_links, kinds('f'));
    assert_eq!(counts.specials, kinds('c') + kinds('b') + kinds('p'));
    // Reports show names that are no text in escaped form, by which nothing is found.
    let is_text = |path: &&str| theirs.contains_key(path.trim_start_matches('/').as_bytes());
    for folder in contents.folders.iter().filter(|folder| is_text(&folder.path.as_str())) {
        let prefix = format!("{}/", folder.path.trim_start_matches('/'));
        let below = theirs.iter().filter(|(path, _)| path.starts_with(prefix.as_bytes()));
        let names = below.filter(|(_, facts)| facts.0 == 'f').count() as u64;
        assert!(
            folder.files <= names && names <= folder.files + counts.hard_links,
            "{}",
            folder.path
        );
    }
}

#[test]
fn a_mount_shows_what_inspect_says_of_our_own_image() {
    let folder = TempDir::new().unwrap();
    let written = Sample::new().write(folder.path());
    assert_agrees_with_mounting(&written);
}

/// An image that mksquashfs made of a folder with names of any bytes.
fn odd_image(folder: &Path) -> Written {
    let source = folder.join("source");
    let odd = |bytes: &[u8]| source.join(OsStr::from_bytes(bytes));
    fs::create_dir_all(odd(b"dir \xff\xfe")).unwrap();
    fs::write(odd(b"dir \xff\xfe/new\nline"), "1").unwrap();
    fs::write(odd(b"back\\slash"), "2").unwrap();
    fs::write(odd(b"latin-\xe4\xf6\xfc"), vec![b'3'; 300_000]).unwrap();
    fs::hard_link(odd(b"latin-\xe4\xf6\xfc"), odd(b"dir \xff\xfe/linked")).unwrap();
    std::os::unix::fs::symlink(OsStr::from_bytes(b"to \xf0\x28"), odd(b"link\t")).unwrap();
    fs::write(odd(b"capable"), "x").unwrap();
    fs::set_permissions(odd(b"capable"), fs::Permissions::from_mode(0o4711)).unwrap();
    let capability: String = sample::CAPABILITY.iter().map(|byte| format!("{byte:02x}")).collect();
    let value = format!("0x{capability}");
    // Needs the right to set capabilities; without it the image has none, and nothing is compared by mounting.
    let _ = Command::new("setfattr")
        .args(["-n", "security.capability", "-v", &value])
        .arg(odd(b"capable"))
        .output();
    let root = folder.join("odd.root");
    let options = ["-comp", "zstd", "-b", "64K", "-quiet", "-no-progress"];
    output_of(Command::new("mksquashfs").arg(&source).arg(&root).args(options));
    Sample::new().write_around(folder, &root)
}

#[test]
fn a_mount_shows_what_inspect_says_of_an_image_with_names_that_are_no_text() {
    if !has_tool("mksquashfs") {
        return;
    }
    let folder = TempDir::new().unwrap();
    assert_agrees_with_mounting(&odd_image(folder.path()));
}

#[test]
fn unsquashfs_lists_the_names_modes_and_sizes_that_inspect_knows() {
    if !has_tool("unsquashfs") {
        return;
    }
    let folder = TempDir::new().unwrap();
    let written = Sample::new().write(folder.path());
    let opened = inspect::open(&written.raw).unwrap();
    let offset = written.root_offset.to_string();
    let mut command = Command::new("unsquashfs");
    command.args(["-offset", &offset, "-lln"]).arg(&written.raw);
    let listing = OsString::from_vec(output_of(&mut command));
    let listing = listing.to_string_lossy();
    let mut theirs = BTreeSet::new();
    for line in listing.lines() {
        let Some((head, path)) = line.split_once("squashfs-root") else {
            continue;
        };
        let words: Vec<&str> = head.split_whitespace().collect();
        let path = path.split(" -> ").next().unwrap().trim_start_matches('/');
        theirs.insert((path.to_owned(), words[0].to_owned(), words[1].to_owned()));
    }
    let ours: BTreeSet<(String, String, String)> = walk_ours(&opened)
        .into_iter()
        .map(|(path, (letter, mode, (uid, gid), ..))| {
            let path = String::from_utf8(path).unwrap();
            (path, mode_text(letter, mode), format!("{uid}/{gid}"))
        })
        .collect();
    assert_eq!(ours, theirs);
}

/// As ls(1) writes it; none of the sample's files is setuid or sticky.
fn mode_text(letter: char, mode: u32) -> String {
    let first = if letter == 'f' { '-' } else { letter };
    let bits = (0..9).rev().zip("rwxrwxrwx".chars());
    let rest = bits.map(|(bit, letter)| if mode >> bit & 1 == 1 { letter } else { '-' });
    std::iter::once(first).chain(rest).collect()
}

#[test]
fn diff_of_two_mounts_finds_the_files_that_our_diff_finds() {
    if !has_tool("diff") {
        return;
    }
    let mut changed = Sample::new();
    let plain = Stat::root(0o644);
    put(&mut changed.tree, "base", "usr/lib/small", file("SMALL"), plain.clone());
    put(
        &mut changed.tree,
        "base",
        "usr/share/odd \u{fc} name",
        file("longer"),
        plain.clone(),
    );
    put(&mut changed.tree, "base", "usr/share/added", file("new"), plain);
    changed.tree.remove(&sample::path("usr/bin/ping"));
    let folders = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let written = [Sample::new().write(folders[0].path()), changed.write(folders[1].path())];
    let [Some(a), Some(b)] = [&written[0], &written[1]].map(Mounted::of) else {
        return;
    };
    let [left, right] = [&a, &b].map(|mounted| mounted.0.path());
    let mut command = Command::new("diff");
    command
        .args(["--recursive", "--brief", "--no-dereference"])
        .args([left, right])
        .env("LC_ALL", "C");
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut theirs = BTreeSet::new();
    for line in text.lines() {
        let [left, right] = [left, right].map(|path| path.to_str().unwrap());
        if let Some(rest) = line.strip_prefix(&format!("Files {left}")) {
            theirs.insert(rest.split_once(" and ").unwrap().0.to_owned());
        } else if let Some(rest) = line.strip_prefix("Only in ") {
            let rest = rest.replace(left, "").replace(right, "");
            theirs.insert(rest.replacen(": ", "/", 1));
        }
    }
    let opened = [&written[0], &written[1]].map(|written| inspect::open(&written.raw).unwrap());
    let difference = diff::compare(&opened[0], &opened[1]).unwrap();
    let is_seen = |aspects: &[Aspect]| aspects.is_empty() || aspects.contains(&Aspect::Content);
    let ours: BTreeSet<String> = difference
        .files
        .iter()
        .filter(|file| is_seen(&file.changed))
        .map(|file| file.path.clone())
        .collect();
    assert_eq!(ours, theirs, "{text}");
    assert_eq!(ours.len(), 5, "four files, and the list of contents: {ours:?}");
}
