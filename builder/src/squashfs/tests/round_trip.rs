//! Random trees, written and read back.

use proptest::prelude::*;

use super::*;

fn content() -> impl Strategy<Value = Content> {
    let bytes = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..30),
        (0_usize..20_000, any::<u64>()).prop_map(|(len, seed)| noise(len, seed)),
        (0_usize..30_000, 0_u8..3).prop_map(|(len, byte)| vec![byte; len]),
    ];
    prop_oneof![
        4 => bytes.prop_map(file),
        1 => "[a-z./]{1,40}".prop_map(Content::Symlink),
        1 => Just(Content::Dir),
        1 => (0_u32..4096, 0_u32..1 << 20).prop_map(|(major, minor)| Content::CharDevice { major, minor }),
        1 => Just(Content::Fifo),
        1 => Just(Content::HardLink(path("!"))),
    ]
}

fn stat() -> impl Strategy<Value = Stat> {
    let names = "(user|trusted|security)\\.[a-z]{1,9}";
    let xattrs = proptest::collection::btree_map(names, proptest::collection::vec(any::<u8>(), 0..60), 0..3);
    (0_u16..0o10000, any::<u32>(), 0_u32..5, xattrs).prop_map(|(mode, uid, gid, xattrs)| Stat {
        mode,
        uid,
        gid,
        xattrs,
    })
}

fn tree() -> impl Strategy<Value = Tree> {
    let name = "[a-c]{1,2}(/[a-c]{1,2}){0,3}";
    proptest::collection::vec((name, stat(), content()), 0..40).prop_map(|nodes| {
        let mut tree = Tree::new();
        // Sorts before all other names, so that it is the file and its links are links in the dump as well.
        put(&mut tree, "!", file(*b"linked"));
        let linked = Stat::root(0o644);
        for (name, stat, content) in nodes {
            let stat = if matches!(content, Content::HardLink(_)) {
                linked.clone()
            } else {
                stat
            };
            let origin = Origin::Package(name.split('/').next_back().unwrap_or_default().into());
            // Names that collide or lead through a file are left out.
            let _ = tree.insert(path(&name), Node { stat, content, origin });
        }
        tree
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_tree_is_read_back_as_written(tree in tree()) {
        prop_assert_eq!(dump_of(&bytes_of(&tree, &SMALL)), dump::dump(&tree));
    }
}
