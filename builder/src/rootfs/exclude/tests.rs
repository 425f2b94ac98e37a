use super::super::made::{By, path};
use super::*;
use crate::tree::dump::dump;

fn patterns(list: &[&str]) -> Vec<String> {
    list.iter().map(|pattern| (*pattern).to_owned()).collect()
}

fn tree_of(files: &[&str]) -> Tree {
    let mut tree = Tree::new();
    for file in files {
        tree.insert(path(file), By("test").file(0o644, *file)).unwrap();
    }
    tree
}

fn paths(tree: &Tree) -> Vec<&str> {
    tree.iter()
        .map(|(path, _)| path.as_str())
        .filter(|path| path.contains('.'))
        .collect()
}

#[test]
fn the_last_pattern_decides_and_folders_of_kept_files_stay() {
    let mut tree = tree_of(&["doc/a/copyright.x", "doc/a/long.x", "doc/b/long.x", "bin/true.x"]);
    tree.get_mut(&path("doc/a")).unwrap().stat.mode = 0o700;
    let unused = apply(&mut tree, &patterns(&["doc/**", "!doc/*/copyright.x", "nowhere/*"])).unwrap();
    assert_eq!(paths(&tree), ["bin/true.x", "doc/a/copyright.x"]);
    assert_eq!(tree.at("doc/a").unwrap().stat.mode, 0o700);
    assert!(tree.at("doc/b").is_none());
    assert_eq!(unused, ["nowhere/*"]);
}

#[test]
fn a_star_stays_within_one_part_of_a_path() {
    let mut tree = tree_of(&["lib/x/man.a", "lib/y/z/man.a"]);
    apply(&mut tree, &patterns(&["/lib/*/man.a"])).unwrap();
    assert_eq!(paths(&tree), ["lib/y/z/man.a"]);
}

#[test]
fn other_names_of_a_dropped_file_keep_its_content() {
    let mut tree = tree_of(&["a/one.f"]);
    let link = || Node {
        content: Content::HardLink(path("a/one.f")),
        ..By("test").folder(0o644)
    };
    tree.insert(path("b/three.f"), link()).unwrap();
    tree.insert(path("b/two.f"), link()).unwrap();
    let mut untouched = tree.clone();
    apply(&mut tree, &patterns(&["a"])).unwrap();
    assert_eq!(tree.file("b/two.f").unwrap().read().unwrap(), b"a/one.f");
    assert!(dump(&tree).contains("/b/two.f = /b/three.f"));
    // One at a time gives the same tree.
    untouched.remove(&path("a"));
    assert_eq!(dump(&tree), dump(&untouched));
}

#[test]
fn no_match_leaves_the_tree_as_it_is_and_a_broken_pattern_is_named() {
    let mut tree = tree_of(&["a.b"]);
    let before = tree.clone();
    assert_eq!(apply(&mut tree, &patterns(&["c"])).unwrap(), ["c"]);
    assert_eq!(tree, before);
    let error = apply(&mut tree, &patterns(&["a[b"])).unwrap_err();
    assert_eq!(error.to_string(), "the exclude pattern `a[b` is not valid");
}

#[test]
fn the_standard_patterns_are_valid() {
    Matcher::new(&patterns(STANDARD)).unwrap();
}

#[test]
fn of_a_kernel_package_only_the_modules_stay_in_either_layout() {
    let mut tree = tree_of(&[
        "boot/vmlinuz-6.12",
        "usr/lib/linux-image-6.12/rockchip/a.dtb",
        "usr/lib/modules/6.12/kernel/fs/ext4.ko",
        "usr/lib/modules/7.3/System.map",
        "usr/lib/modules/7.3/config",
        "usr/lib/modules/7.3/dtb/rockchip/a.dtb",
        "usr/lib/modules/7.3/kernel/fs/ext4.ko",
        "usr/lib/modules/7.3/vmlinuz",
    ]);
    apply(&mut tree, &patterns(STANDARD)).unwrap();
    let is_file = |node: &Node| node.content != Content::Dir;
    let left: Vec<_> = tree.iter().filter(|(_, node)| is_file(node)).collect();
    let left: Vec<_> = left.iter().map(|(path, _)| path.as_str()).collect();
    let modules = [
        "usr/lib/modules/6.12/kernel/fs/ext4.ko",
        "usr/lib/modules/7.3/kernel/fs/ext4.ko",
    ];
    assert_eq!(left, modules);
}
