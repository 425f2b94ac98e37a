use super::*;

fn node(content: Content) -> Node {
    Node {
        stat: Stat::root(0o644),
        content,
        origin: Origin::Package("a".into()),
    }
}

fn file(text: &str) -> Node {
    node(Content::File(FileData::from_bytes(text.as_bytes())))
}

fn path(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

#[test]
fn archive_spellings_of_a_path_are_one_path() {
    for text in ["usr/bin", "./usr/bin/", "/usr//bin", "usr/./bin"] {
        assert_eq!(path(text).as_str(), "usr/bin");
    }
    assert_eq!(path("./"), TreePath::ROOT);
}

#[test]
fn paths_that_climb_or_hide_control_characters_are_refused() {
    for text in ["../etc", "usr/../../etc", "a\nb", "a\0b", &"x".repeat(256)] {
        assert!(TreePath::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_link_target_never_leaves_the_root() {
    assert_eq!(path("usr/bin/sh").resolve_link("../../../../etc/x"), path("etc/x"));
    assert_eq!(path("sh").resolve_link("dash"), path("dash"));
    assert_eq!(path("usr/bin/sh").resolve_link("/bin/dash"), path("bin/dash"));
}

#[test]
fn files_of_the_merged_usr_folders_land_below_usr() {
    let mut tree = Tree::new();
    tree.insert(path("usr/bin"), node(Content::Dir)).unwrap();
    tree.insert(path("bin"), node(Content::Symlink("usr/bin".into())))
        .unwrap();
    tree.insert(path("bin"), node(Content::Dir)).unwrap();
    tree.insert(path("bin/sh"), file("x")).unwrap();
    assert!(tree.at("usr/bin/sh").is_some());
    assert!(tree.file("/bin/sh").is_some());
    assert!(tree.at("bin/sh").is_none());
}

#[test]
fn a_conflict_names_both_owners() {
    let mut tree = Tree::new();
    tree.insert(path("etc/x"), file("one")).unwrap();
    tree.insert(path("etc/x"), file("one")).unwrap();
    let other = Node {
        origin: Origin::Package("b".into()),
        ..file("two")
    };
    let error = tree.insert(path("etc/x"), other).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/etc/x comes from package a and from package b, and they differ"
    );
}

#[test]
fn a_file_in_the_place_of_a_folder_is_refused() {
    let mut tree = Tree::new();
    tree.insert(path("a"), file("x")).unwrap();
    let error = tree.insert(path("a/b"), file("y")).unwrap_err();
    assert!(matches!(error, TreeError::ParentIsNoFolder { .. }));
}

#[test]
fn children_and_descendants_stop_at_names_that_only_share_a_prefix() {
    let mut tree = Tree::new();
    for name in ["a/x", "a/b/y", "a-b", "a.c", "ab"] {
        tree.insert(path(name), file(name)).unwrap();
    }
    let names = |nodes: Vec<(&TreePath, &Node)>| nodes.iter().map(|(path, _)| path.to_string()).collect::<Vec<_>>();
    assert_eq!(names(tree.children(&path("a")).collect()), ["/a/b", "/a/x"]);
    assert_eq!(names(tree.below(&path("a")).collect()), ["/a/b", "/a/b/y", "/a/x"]);
    assert_eq!(tree.below(&TreePath::ROOT).count(), tree.len() - 1);
}

#[test]
fn removing_one_name_of_a_hard_linked_file_keeps_the_others() {
    let mut tree = Tree::new();
    tree.insert(path("a"), file("x")).unwrap();
    tree.insert(path("b"), node(Content::HardLink(path("a")))).unwrap();
    tree.insert(path("c"), node(Content::HardLink(path("a")))).unwrap();
    tree.remove(&path("a"));
    assert!(matches!(tree.at("b").unwrap().content, Content::File(_)));
    assert_eq!(tree.at("c").unwrap().content, Content::HardLink(path("b")));
}

#[test]
fn a_loop_of_symbolic_links_resolves_to_nothing() {
    let mut tree = Tree::new();
    tree.insert(path("a"), node(Content::Symlink("b".into()))).unwrap();
    tree.insert(path("b"), node(Content::Symlink("a".into()))).unwrap();
    assert_eq!(tree.resolve(&path("a/c")), None);
}
