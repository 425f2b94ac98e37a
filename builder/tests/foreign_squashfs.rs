//! unsquashfs, the kernel and the crate `backhand` judge the images that the builder writes; an image of mksquashfs
//! judges the builder's reader.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what it calls")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::io::{BufReader, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::process::Command;

use skerry_builder::digest::Sha256;
use skerry_builder::squashfs::read::Image;
use skerry_builder::squashfs::{FileRange, NoCache, Settings, write};
use skerry_builder::tree::{Content, FileData, Node, Origin, Stat, Tree, TreePath, dump};
use tempfile::{NamedTempFile, TempDir};

const SETTINGS: Settings = Settings {
    block_size: 16_384,
    level: 5,
    timestamp: 1_700_000_000,
};

/// Says on the test's output that a judge is absent.
fn skip(what: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {what}");
}

fn has_tool(name: &str) -> bool {
    let found = Command::new(name).arg("-version").output().is_ok();
    if !found {
        skip(&format!("no {name}"));
    }
    found
}

fn is_root() -> bool {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !is_root {
        skip("not root: owners, devices and mounts are not compared");
    }
    is_root
}

fn path(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

fn put(tree: &mut Tree, name: &str, content: Content, stat: Stat) {
    let origin = Origin::Package(name.split('/').next().unwrap_or_default().into());
    tree.insert(path(name), Node { stat, content, origin }).unwrap();
}

fn file(bytes: Vec<u8>) -> Content {
    Content::File(FileData::from_bytes(bytes))
}

/// Text whose lines differ, so that it shrinks to about a third.
fn text(lines: usize, salt: usize) -> Vec<u8> {
    (0..lines)
        .flat_map(|line| format!("line {line} of {salt}: {}\n", line * line + salt * 7919).into_bytes())
        .collect()
}

fn with_xattrs(mode: u16, pairs: &[(&str, &[u8])]) -> Stat {
    Stat {
        xattrs: pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
            .collect(),
        ..Stat::root(mode)
    }
}

fn put_specials(tree: &mut Tree) {
    let null = Content::CharDevice { major: 1, minor: 3 };
    put(tree, "dev/null", null, Stat::root(0o666));
    let disk = Content::BlockDevice { major: 259, minor: 700 };
    put(tree, "dev/nvme", disk, Stat::root(0o660));
    put(tree, "dev/pipe", Content::Fifo, Stat::root(0o622));
    let soft = Content::Symlink("../many".into());
    put(tree, "data/soft", soft, Stat::root(0o777));
}

/// Something of everything, with folders of more than one metadata block.
fn sample() -> Tree {
    let mut tree = Tree::new();
    for number in 0..1500 {
        let name = format!("many/file-with-quite-a-long-name-{number:04}");
        put(&mut tree, &name, file(text(number % 40, number)), Stat::root(0o644));
    }
    put(&mut tree, "data/large", file(text(40_000, 1)), Stat::root(0o600));
    put(&mut tree, "data/copy", file(text(40_000, 1)), Stat::root(0o640));
    put(&mut tree, "data/exact", file(vec![b'x'; 32_768]), Stat::root(0o644));
    put(&mut tree, "data/empty", file(Vec::new()), Stat::root(0o444));
    let holes = [vec![0; 40_000], text(500, 2), vec![0; 70_000]].concat();
    put(&mut tree, "data/holes", file(holes), Stat::root(0o644));
    let link = Content::HardLink(path("data/large"));
    put(&mut tree, "data/link", link, Stat::root(0o600));
    put_specials(&mut tree);
    put(&mut tree, "tmp", Content::Dir, Stat::root(0o1777));
    // Version 2 of the attribute: cap_net_raw, effective.
    let capability = b"\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    let capable = with_xattrs(0o755, &[("security.capability", capability), ("user.note", b"hello")]);
    put(&mut tree, "usr/bin/ping", file(text(100, 3)), capable);
    let opaque = with_xattrs(0o700, &[("trusted.overlay.opaque", b"y")]);
    put(&mut tree, "var/opaque", Content::Dir, opaque);
    let owned = Stat {
        uid: 1000,
        gid: 65_534,
        ..Stat::root(0o6755)
    };
    put(&mut tree, "usr/bin/su", file(text(50, 4)), owned);
    tree
}

fn image_file(tree: &Tree, settings: &Settings) -> NamedTempFile {
    let mut image = NamedTempFile::new().unwrap();
    write(tree, settings, &NoCache, &mut image).unwrap();
    image
}

fn output_of(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn unpack(image: &Path, root: &Path) {
    let options = ["-quiet", "-no-progress", "-dest"];
    output_of(Command::new("unsquashfs").args(options).arg(root).arg(image));
}

/// A tree on the host, in the words of our dump but without attributes; and the link counts.
fn dump_host(root: &Path) -> (String, BTreeMap<String, u64>) {
    let mut found = BTreeMap::new();
    let mut open = vec![(TreePath::ROOT, root.to_owned())];
    while let Some((inside, host)) = open.pop() {
        let stat = host.symlink_metadata().unwrap();
        if stat.is_dir() {
            for entry in std::fs::read_dir(&host).unwrap() {
                let entry = entry.unwrap();
                open.push((inside.join(entry.file_name().to_str().unwrap()).unwrap(), entry.path()));
            }
        }
        found.insert(inside, (host, stat));
    }
    let mut first_names = BTreeMap::new();
    let mut links = BTreeMap::new();
    let mut text = String::new();
    for (inside, (host, stat)) in &found {
        links.insert(inside.to_string(), stat.nlink());
        text.push_str(&host_line(inside, host, stat, &mut first_names));
    }
    (text, links)
}

fn host_line(inside: &TreePath, host: &Path, stat: &Metadata, first_names: &mut BTreeMap<u64, TreePath>) -> String {
    let kind = stat.file_type();
    let (major, minor) = (
        stat.rdev() >> 8 & 0xfff,
        stat.rdev() & 0xff | stat.rdev() >> 12 & 0xf_ff00,
    );
    let (letter, detail) = match first_names.get(&stat.ino()) {
        Some(first) if kind.is_file() => ('h', format!(" = {first}")),
        _ if kind.is_dir() => ('d', String::new()),
        _ if kind.is_symlink() => ('l', format!(" -> {}", std::fs::read_link(host).unwrap().display())),
        _ if kind.is_char_device() => ('c', format!(" {major}:{minor}")),
        _ if kind.is_block_device() => ('b', format!(" {major}:{minor}")),
        _ if kind.is_fifo() => ('p', String::new()),
        _ => {
            first_names.insert(stat.ino(), inside.clone());
            (
                'f',
                format!(" {} {}", stat.len(), Sha256::of(&std::fs::read(host).unwrap())),
            )
        }
    };
    let mode = stat.mode() & 0o7777;
    format!("{letter} {mode:04o} {} {} {inside}{detail}\n", stat.uid(), stat.gid())
}

fn dump_without_xattrs(tree: &Tree) -> String {
    let mut plain = tree.clone();
    for (path, _) in tree.iter() {
        plain.get_mut(path).unwrap().stat.xattrs.clear();
    }
    dump::dump(&plain)
}

fn assert_xattrs_of_the_sample(root: &Path) {
    let options = [
        "--recursive",
        "--physical",
        "--dump",
        "--match=-",
        "--encoding=hex",
        ".",
    ];
    let Ok(output) = Command::new("getfattr").args(options).current_dir(root).output() else {
        return skip("no getfattr: extended attributes are not compared");
    };
    let found = String::from_utf8(output.stdout).unwrap();
    // A host's security module may add a label of its own.
    let is_ours = |line: &&str| line.contains('=') && !line.starts_with("security.selinux");
    let attributes: BTreeSet<&str> = found.lines().filter(is_ours).collect();
    let expected = [
        "security.capability=0x0100000200200000000000000000000000000000",
        "trusted.overlay.opaque=0x79",
        "user.note=0x68656c6c6f",
    ];
    assert_eq!(attributes, BTreeSet::from(expected), "{found}");
    assert!(found.contains("# file: usr/bin/ping\n"), "{found}");
}

#[test]
fn unsquashfs_lists_every_name_and_no_other() {
    if !has_tool("unsquashfs") {
        return;
    }
    let tree = sample();
    let image = image_file(&tree, &SETTINGS);
    let listing = output_of(Command::new("unsquashfs").arg("-lln").arg(image.path()));
    let rows: Vec<&str> = listing.lines().filter(|line| line.contains("squashfs-root")).collect();
    assert_eq!(rows.len(), tree.len());
    let row = |name: &str| rows.iter().find(|row| row.split(' ').any(|word| word == name)).unwrap();
    assert!(row("squashfs-root/usr/bin/su").starts_with("-rwsr-sr-x 1000/65534"));
    assert!(row("squashfs-root/tmp").starts_with("drwxrwxrwt 0/0"));
    let words: Vec<&str> = row("squashfs-root/dev/null").split_whitespace().collect();
    assert!(words.concat().contains("0/01,3"), "{words:?}");
    assert!(row("squashfs-root/data/soft").ends_with("squashfs-root/data/soft -> ../many"));
}

#[test]
fn unsquashfs_unpacks_the_tree_that_was_packed() {
    if !has_tool("unsquashfs") || !is_root() {
        return;
    }
    for settings in [SETTINGS, Settings::default(), Settings { level: 15, ..SETTINGS }] {
        let (tree, folder) = (sample(), TempDir::new().unwrap());
        let image = image_file(&tree, &settings);
        let root = folder.path().join("root");
        unpack(image.path(), &root);
        let (found, links) = dump_host(&root);
        assert_eq!(found, dump_without_xattrs(&tree));
        assert_eq!((links["/data/large"], links["/data/copy"]), (2, 1));
        assert_xattrs_of_the_sample(&root);
    }
}

/// A mount point that is given back whatever happens.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn the_kernel_mounts_the_image_and_shows_the_tree() {
    if !is_root() {
        return;
    }
    let (tree, folder) = (sample(), TempDir::new().unwrap());
    let image = image_file(&tree, &SETTINGS);
    let mut mount = Command::new("mount");
    mount
        .args(["-t", "squashfs", "-o", "loop,ro"])
        .arg(image.path())
        .arg(folder.path());
    if !mount.output().is_ok_and(|output| output.status.success()) {
        return skip("this machine cannot mount a squashfs image");
    }
    let mounted = Mounted(folder.path());
    let (found, links) = dump_host(mounted.0);
    assert_eq!(found, dump_without_xattrs(&tree));
    assert_eq!((links["/data/large"], links["/"], links["/usr"]), (2, 8, 3));
    assert_xattrs_of_the_sample(mounted.0);
    let holes = mounted.0.join("data/holes").metadata().unwrap();
    assert!(holes.blocks() * 512 < holes.len() / 2, "the holes take room");
    // Each name of a folder with an index is looked up by itself.
    for number in 0..1500 {
        let name = format!("many/file-with-quite-a-long-name-{number:04}");
        assert!(mounted.0.join(&name).exists(), "{name}");
    }
}

#[test]
fn backhand_reads_every_file() {
    let tree = sample();
    let image = image_file(&tree, &SETTINGS);
    let reader = BufReader::new(image.reopen().unwrap());
    let theirs = backhand::FilesystemReader::from_reader(reader).unwrap();
    let mut names = BTreeSet::new();
    for node in theirs.files() {
        let name = node.fullpath.to_str().unwrap().to_owned();
        if let backhand::InnerNode::File(file) = &node.inner {
            let mut content = Vec::new();
            theirs.file(file).reader().read_to_end(&mut content).unwrap();
            let ours = tree.file(&name).unwrap().read().unwrap();
            assert!(content == ours, "{name}");
        }
        names.insert(name);
    }
    assert_eq!(names, tree.iter().map(|(path, _)| path.to_string()).collect());
}

#[test]
fn our_reader_understands_what_mksquashfs_writes() {
    if !has_tool("mksquashfs") || !has_tool("unsquashfs") || !is_root() {
        return;
    }
    let (tree, folder) = (sample(), TempDir::new().unwrap());
    let (root, packed) = (folder.path().join("root"), folder.path().join("packed"));
    unpack(image_file(&tree, &SETTINGS).path(), &root);
    let options = ["-comp", "zstd", "-b", "64K", "-quiet", "-no-progress"];
    output_of(Command::new("mksquashfs").arg(&root).arg(&packed).args(options));
    let file = std::fs::File::open(&packed).unwrap();
    let source = FileRange::whole(&file).unwrap();
    assert_eq!(Image::open(&source).unwrap().dump().unwrap(), dump::dump(&tree));
}
