use proptest::prelude::*;

use super::*;
use crate::rootfs::modules::info::ModuleInfo;

fn module(name: &str, depends: &[&str]) -> Module {
    Module {
        name: name.to_owned(),
        relative_path: format!("kernel/{name}.ko"),
        info: ModuleInfo {
            depends: depends.iter().map(|name| (*name).to_owned()).collect(),
            ..ModuleInfo::default()
        },
    }
}

fn dependency_file(modules: &[Module]) -> Result<Vec<String>, DepmodError> {
    order::dependency_lines(modules, &BTreeSet::from(["inside".to_owned()]))
}

#[test]
fn each_module_lists_all_that_it_needs_users_before_what_they_use() {
    let modules = [
        module("low", &[]),
        module("top", &["low", "mid-dle"]),
        module("mid_dle", &["low", "inside"]),
    ];
    assert_eq!(
        dependency_file(&modules).unwrap(),
        [
            "kernel/low.ko:",
            "kernel/top.ko: kernel/mid_dle.ko kernel/low.ko",
            "kernel/mid_dle.ko: kernel/low.ko",
        ]
    );
}

#[test]
fn a_circle_and_a_missing_module_are_refused_by_name() {
    let circle = [module("a", &["b"]), module("b", &["a"]), module("c", &[])];
    let error = dependency_file(&circle).unwrap_err();
    assert_eq!(error.to_string(), "kernel modules need each other in a circle: a, b");
    let error = dependency_file(&[module("a", &["gone"])]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "kernel module `a` needs `gone`, which is not among the modules kept"
    );
}

fn with(name: &str, change: impl FnOnce(&mut ModuleInfo)) -> Module {
    let mut module = module(name, &[]);
    change(&mut module.info);
    module
}

#[test]
fn the_text_files_have_one_line_per_fact() {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let modules = [
        with("tun", |info| {
            info.aliases = texts(&["devname:net/tun", "char-major-10-200"]);
            info.exports = texts(&["tun_get_socket"]);
        }),
        with("ppp", |info| info.aliases = texts(&["char-major-108-*", "devname:ppp"])),
        with("ext4", |info| {
            info.soft_depends = texts(&["pre: crypto-crc32c"]);
            info.weak_depends = texts(&["mbcache"]);
        }),
    ];
    let after_comment = |text: String| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(after_comment(device_names(&modules)), ["tun net/tun c10:200"]);
    assert_eq!(after_comment(symbols(&modules)), ["alias symbol:tun_get_socket tun"]);
    assert_eq!(
        after_comment(soft_dependencies(&modules)),
        ["softdep ext4 pre: crypto-crc32c"]
    );
    assert_eq!(after_comment(weak_dependencies(&modules)), ["weakdep ext4 mbcache"]);
    assert_eq!(after_comment(aliases(&modules)).len(), 4);
    assert_eq!(
        kept_order(&modules, "kernel/net/tun.ko\nkernel/gone.ko\nkernel/fs/ext4.ko\n"),
        "kernel/net/tun.ko\nkernel/fs/ext4.ko\n"
    );
}

#[test]
fn all_files_land_in_the_versions_folder_and_can_be_written_again() {
    let mut tree = Tree::new();
    write(&mut tree, "6.12", &[module("a", &[])]).unwrap();
    let first = tree.clone();
    write(&mut tree, "6.12", &[module("a", &[])]).unwrap();
    assert_eq!(tree, first);
    let folder = TreePath::parse("usr/lib/modules/6.12").unwrap();
    assert_eq!(tree.children(&folder).count(), 12);
    let index = tree
        .file("usr/lib/modules/6.12/modules.dep.bin")
        .unwrap()
        .read()
        .unwrap();
    assert_eq!(Index::parse(&index).unwrap().get("a"), [(0, "kernel/a.ko:".to_owned())]);
}

/// Written by hand from the format's description: root → 'a' (prefix "sk", value) and 'o' → "n" (value) → 'e' (value).
#[test]
fn the_index_has_these_bytes() {
    let entries = [("ask", "1"), ("on", "2"), ("one", "3")];
    let entries = entries.map(|(key, value)| (7, (key.to_owned(), value.to_owned())));
    let mut golden = b"\xb0\x07\xf4\x57\0\x02\0\x01".to_vec();
    let root_at = 12 + 13 + 10 + 18;
    golden.extend([0x20, 0, 0, root_at]);
    golden.extend(b"sk\0\0\0\0\x01\0\0\0\x071\0"); // 12: "ask"
    golden.extend(b"\0\0\0\x01\0\0\0\x073\0"); // 25: "one"
    golden.extend(b"n\0ee\x40\0\0\x19\0\0\0\x01\0\0\0\x072\0"); // 35: "on"
    golden.extend(b"ao\xc0\0\0\x0c");
    golden.extend([0; 13 * 4]);
    golden.extend(b"\xe0\0\0\x23");
    // The node of "on" is 18 bytes: "n\0", two bytes of range, a reference, a count, a priority, "2\0".
    assert_eq!(golden.len(), usize::from(root_at) + 2 + 15 * 4);
    assert_eq!(Index::collect(entries.into_iter()).unwrap().to_bytes().unwrap(), golden);
}

#[test]
fn keys_and_values_that_the_format_cannot_hold_are_refused() {
    let mut index = Index::default();
    assert!(index.insert("é".to_owned(), String::new(), 0).is_err());
    assert!(index.insert("a\0b".to_owned(), String::new(), 0).is_err());
    assert!(index.insert("a".to_owned(), "x\0".to_owned(), 0).is_err());
    assert!(index.insert("a".repeat(5000), String::new(), 0).is_err());
}

#[test]
fn an_index_whose_nodes_hold_themselves_is_refused() {
    let mut bytes = b"\xb0\x07\xf4\x57\0\x02\0\x01\x20\0\0\x0caa\x20\0\0\x0c".to_vec();
    assert!(Index::parse(&bytes).is_err());
    bytes[0] = 0;
    assert_eq!(Index::parse(&bytes), Err(IndexError::Broken(0)));
}

proptest! {
    #[test]
    fn what_was_written_is_read_back(entries in prop::collection::vec(("[a-e*]{0,6}", "[x-z]{0,3}", 0_usize..4), 0..40)) {
        let index = Index::collect(entries.into_iter().map(|(key, value, priority)| (priority, (key, value)))).unwrap();
        prop_assert_eq!(Index::parse(&index.to_bytes().unwrap()).unwrap(), index);
    }

    #[test]
    fn broken_indexes_never_panic(at in 8_usize..200, value: u8) {
        let entries = ["ask", "ate", "on", "once", "one"].map(|key| (1, (key.to_owned(), key.to_owned())));
        let mut bytes = Index::collect(entries.into_iter()).unwrap().to_bytes().unwrap();
        let at = at % bytes.len();
        bytes[at] = value;
        let _ = Index::parse(&bytes);
    }
}
