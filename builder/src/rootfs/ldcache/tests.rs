use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;
use crate::elf::sample;

fn put(tree: &mut Tree, path: &str, content: Content) {
    let node = Node {
        stat: Stat::root(0o644),
        content,
        origin: Origin::Package("test".into()),
    };
    tree.insert(TreePath::parse(path).unwrap(), node).unwrap();
}

fn library(machine: u16, soname: &str) -> Content {
    Content::File(FileData::from_bytes(sample::shared_object(
        machine,
        Some(soname),
        &[],
        None,
    )))
}

fn text(text: &str) -> Content {
    Content::File(FileData::from_bytes(text.as_bytes()))
}

fn link(target: &str) -> Content {
    Content::Symlink(target.to_owned())
}

/// A merged-/usr tree with Debian's configuration.
fn tree() -> Tree {
    let mut tree = Tree::new();
    put(&mut tree, "lib", link("usr/lib"));
    put(&mut tree, "etc/ld.so.conf", text("include ld.so.conf.d/*.conf\n"));
    put(
        &mut tree,
        "etc/ld.so.conf.d/libc.conf",
        text("# default\n/usr/local/lib\n"),
    );
    let multiarch = "/lib/x86_64-linux-gnu\n/usr/lib/x86_64-linux-gnu\n";
    put(&mut tree, "etc/ld.so.conf.d/x86_64-linux-gnu.conf", text(multiarch));
    put(
        &mut tree,
        "usr/lib/x86_64-linux-gnu/liba.so.1.9",
        library(62, "liba.so.1"),
    );
    put(
        &mut tree,
        "usr/lib/x86_64-linux-gnu/liba.so.1.10",
        library(62, "liba.so.1"),
    );
    put(
        &mut tree,
        "usr/lib/x86_64-linux-gnu/libb.so.2",
        library(62, "libb.so.2"),
    );
    put(&mut tree, "usr/lib/x86_64-linux-gnu/libb.so", link("libb.so.2"));
    put(
        &mut tree,
        "usr/lib/x86_64-linux-gnu/libarm.so.1",
        library(183, "libarm.so.1"),
    );
    put(&mut tree, "usr/lib/x86_64-linux-gnu/libtext.so", text("INPUT(-la)"));
    put(&mut tree, "usr/lib/x86_64-linux-gnu/libgone.so.1", link("nowhere"));
    put(
        &mut tree,
        "usr/lib/x86_64-linux-gnu/plugin.so",
        library(62, "plugin.so"),
    );
    put(&mut tree, "usr/local/lib/libb.so.2", library(62, "libb.so.2"));
    tree
}

#[test]
fn libraries_of_the_configured_folders_are_listed_largest_name_first() {
    let mut tree = tree();
    let written = write(&mut tree, Arch::X86_64).unwrap();
    let paths: Vec<&str> = written.entries.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/usr/local/lib/libb.so.2",
            "/lib/x86_64-linux-gnu/libb.so.2",
            "/lib/x86_64-linux-gnu/libb.so",
            "/lib/x86_64-linux-gnu/liba.so.1",
        ]
    );
    let bytes = tree.file("etc/ld.so.cache").unwrap().read().unwrap();
    assert_eq!(format::parse(&bytes).unwrap(), written.entries);
}

#[test]
fn a_missing_soname_link_is_made_to_the_newest_file_and_a_second_run_changes_nothing() {
    let mut tree = tree();
    let written = write(&mut tree, Arch::X86_64).unwrap();
    assert_eq!(written.links.len(), 1);
    let made = tree.at("usr/lib/x86_64-linux-gnu/liba.so.1").unwrap();
    assert_eq!(made.content, link("liba.so.1.10"));
    let first = tree.clone();
    let again = write(&mut tree, Arch::X86_64).unwrap();
    assert_eq!((again.links.len(), tree), (0, first));
}

#[test]
fn only_libraries_of_the_images_machine_are_listed() {
    let written = write(&mut tree(), Arch::Aarch64).unwrap();
    let sonames: Vec<String> = written.entries.into_iter().map(|entry| entry.soname).collect();
    assert_eq!(sonames, ["libarm.so.1"]);
}

#[test]
fn a_broken_library_is_named() {
    let mut tree = tree();
    let bytes = sample::shared_object(62, Some("libc.so.6"), &[], None);
    put(
        &mut tree,
        "usr/lib/libcut.so.1",
        Content::File(FileData::from_bytes(&bytes[..100])),
    );
    let error = write(&mut tree, Arch::X86_64).unwrap_err();
    assert_eq!(error.to_string(), "cannot read shared library /usr/lib/libcut.so.1");
}

#[test]
fn files_that_include_each_other_are_refused() {
    let mut tree = Tree::new();
    put(&mut tree, "etc/ld.so.conf", text("include /etc/ld.so.conf\n"));
    let error = write(&mut tree, Arch::X86_64).unwrap_err();
    assert!(matches!(error, LdCacheError::Conf(ConfError::TooDeep { .. })));
}

#[test]
fn numbers_in_names_compare_as_numbers_and_before_everything_else() {
    assert_eq!(compare_names("liba.so.10", "liba.so.9"), Ordering::Greater);
    assert_eq!(compare_names("liba.so.1", "liba.so"), Ordering::Greater);
    assert_eq!(compare_names("lib1", "liba"), Ordering::Greater);
    assert_eq!(compare_names("liba", "lib1"), Ordering::Less);
    assert_eq!(compare_names("liba.so.07", "liba.so.7"), Ordering::Equal);
}

#[test]
fn the_cache_has_these_bytes() {
    let entry = Entry {
        soname: "liba.so.1".to_owned(),
        path: "/lib/liba.so.1".to_owned(),
    };
    let mut golden = b"glibc-ld.so.cache1.1\x01\0\0\0\x19\0\0\0\x02\0\0\0".to_vec();
    golden.extend([0; 16]);
    golden.extend(b"\x03\x0a\0\0\x48\0\0\0\x52\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    golden.extend(b"liba.so.1\0/lib/liba.so.1\0");
    assert_eq!(format::to_bytes(&[entry], Arch::Aarch64), golden);
}

proptest! {
    #[test]
    fn broken_caches_never_panic(at in 0_usize..200, value: u8, len in 0_usize..200) {
        let entries: Vec<Entry> = ["libb.so.2", "liba.so.1"]
            .map(|soname| Entry { soname: soname.to_owned(), path: format!("/lib/{soname}") })
            .to_vec();
        let mut bytes = format::to_bytes(&entries, Arch::X86_64);
        let at = at % bytes.len();
        bytes[at] = value;
        bytes.truncate(len);
        let _ = format::parse(&bytes);
    }
}
