//! glibc's `ldconfig` judges the library cache: it reads ours, and writes the same entries in the same order.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says what it skips, and stops where something fails"
)]

#[allow(dead_code, reason = "the crate's own tests use the rest")]
#[path = "../src/elf/sample.rs"]
mod sample;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use skerry_builder::arch::Arch;
use skerry_builder::rootfs::ldcache;
use skerry_builder::tree::{Content, FileData, Node, Origin, Stat, Tree, TreePath};

fn ldconfig() -> Option<PathBuf> {
    let folders = ["/usr/sbin", "/sbin"].map(Path::new);
    let found = folders
        .map(|folder| folder.join("ldconfig"))
        .into_iter()
        .find(|file| file.is_file());
    if found.is_none() {
        println!("skipped: no ldconfig");
    }
    found
}

fn put(tree: &mut Tree, path: &str, content: Content) {
    let node = Node {
        stat: Stat::root(0o755),
        content,
        origin: Origin::Package("test".into()),
    };
    tree.insert(TreePath::parse(path).unwrap(), node).unwrap();
}

/// Versions that sort by number, development links, a link that no package shipped, a name that is no soname.
fn libraries() -> Tree {
    let mut tree = Tree::new();
    let folder = format!("usr/lib/{}", Arch::X86_64.names().multiarch);
    let file = |bytes: Vec<u8>| Content::File(FileData::from_bytes(bytes));
    let mut library = |name: &str, soname: Option<&str>| {
        let needed: &[&str] = if name.starts_with("libc.") { &[] } else { &["libc.so.6"] };
        let bytes = sample::shared_object(62, soname, needed, None);
        put(&mut tree, &format!("{folder}/{name}"), file(bytes));
    };
    library("libc.so.6", Some("libc.so.6"));
    library("libz.so.1.3.1", Some("libz.so.1"));
    library("liba9.so.1", Some("liba9.so.1"));
    library("liba10.so.1", Some("liba10.so.1"));
    library("libfoo-2.40.so", Some("libfoo-2.40.so"));
    library("libfull.so.1.0", Some("libfull.so.1.0"));
    library("libplain.so.3", None);
    library("plugin.so", Some("plugin.so"));
    let mut link =
        |name: &str, target: &str| put(&mut tree, &format!("{folder}/{name}"), Content::Symlink(target.into()));
    link("libz.so", "libz.so.1.3.1");
    link("libfull.so.1", "libfull.so.1.0");
    link("libfull.so", "libfull.so.1");
    link("libgone.so.1", "nowhere.so");
    let text = |text: &str| Content::File(FileData::from_bytes(text.as_bytes()));
    put(&mut tree, "lib", Content::Symlink("usr/lib".into()));
    put(&mut tree, "etc/ld.so.conf", text("include /etc/ld.so.conf.d/*.conf\n"));
    put(&mut tree, "etc/ld.so.conf.d/a.conf", text("# ours first\n/opt/lib\n"));
    let folders = "/lib/x86_64-linux-gnu\n/usr/lib/x86_64-linux-gnu\n";
    put(&mut tree, "etc/ld.so.conf.d/x86_64-linux-gnu.conf", text(folders));
    let own = sample::shared_object(62, Some("libz.so.1"), &["libc.so.6"], None);
    put(&mut tree, "opt/lib/libz.so.1", file(own));
    tree
}

/// The lines about libraries of `ldconfig -p`.
fn entries(ldconfig: &Path, cache: &Path) -> Vec<String> {
    let output = Command::new(ldconfig).arg("-p").arg("-C").arg(cache).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| line.contains(" => "));
    lines.map(|line| line.trim().to_owned()).collect()
}

#[test]
fn ldconfig_reads_our_cache() {
    let Some(ldconfig) = ldconfig() else { return };
    let host = tempfile::tempdir().unwrap();
    let mut tree = libraries();
    let written = ldcache::write(&mut tree, Arch::X86_64).unwrap();
    let cache = host.path().join("ld.so.cache");
    fs::write(&cache, tree.file("etc/ld.so.cache").unwrap().read().unwrap()).unwrap();
    let expected: Vec<String> = written
        .entries
        .iter()
        .map(|entry| format!("{} (libc6,x86-64) => {}", entry.soname, entry.path))
        .collect();
    assert_eq!(entries(&ldconfig, &cache), expected);
}

#[test]
fn ldconfig_writes_the_same_entries_and_links() {
    let Some(ldconfig) = ldconfig() else { return };
    if !cfg!(target_arch = "x86_64") {
        println!("skipped: this ldconfig is not for x86_64");
        return;
    }
    let host = tempfile::tempdir().unwrap();
    let mut tree = libraries();
    for (path, node) in tree.iter() {
        let path = host.path().join(path.as_str());
        match &node.content {
            Content::File(data) => fs::write(path, data.read().unwrap()).unwrap(),
            Content::Symlink(target) => symlink(target, path).unwrap(),
            _ => fs::create_dir_all(path).unwrap(),
        }
    }
    let output = Command::new(&ldconfig).arg("-r").arg(host.path()).output().unwrap();
    if !output.status.success() {
        println!(
            "skipped: ldconfig -r needs root: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        return;
    }
    let theirs = entries(&ldconfig, &host.path().join("etc/ld.so.cache"));
    let written = ldcache::write(&mut tree, Arch::X86_64).unwrap();
    let ours = host.path().join("ours.cache");
    fs::write(&ours, tree.file("etc/ld.so.cache").unwrap().read().unwrap()).unwrap();
    assert_eq!(entries(&ldconfig, &ours), theirs);
    assert_eq!(written.links.len(), 1);
    for link in &written.links {
        let Content::Symlink(target) = &tree.get(link).unwrap().content else {
            panic!("{link} is no link");
        };
        let made = fs::read_link(host.path().join(link.as_str())).unwrap();
        assert_eq!(made, Path::new(target));
    }
}
