use std::io::Write as _;
use std::sync::Mutex;

use super::*;
use crate::elf::sample;
use crate::tree::{Content, FileData, Node, Origin, Stat};

const VERSION: &str = "6.12-test";

fn put(tree: &mut Tree, relative: &str, bytes: Vec<u8>) {
    let path = TreePath::parse(&format!("usr/lib/modules/{VERSION}/{relative}")).unwrap();
    let node = Node {
        stat: Stat::root(0o644),
        content: Content::File(FileData::from_bytes(bytes)),
        origin: Origin::Package("linux-image".into()),
    };
    tree.insert(path, node).unwrap();
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// ext4 → jbd2, mbcache; ext4 ⇢ crypto-crc32c; e1000 stands alone; broken is no module at all.
fn tree() -> Tree {
    let mut tree = Tree::new();
    let module = |info: &[&str]| sample::module(info, &["exported"], &[]);
    let ext4 = module(&[
        "depends=mbcache,jbd2",
        "softdep=pre: crypto-crc32c",
        "alias=fs-ext4",
        "vermagic=6.12 SMP",
    ]);
    put(&mut tree, "kernel/fs/ext4/ext4.ko.xz", xz(&ext4));
    put(
        &mut tree,
        "kernel/fs/jbd2/jbd2.ko.zst",
        zstd::encode_all(&module(&["depends="])[..], 1).unwrap(),
    );
    put(
        &mut tree,
        "kernel/fs/mbcache.ko",
        module(&["depends=vmlinux-part", "softdep=pre: nowhere-at-all"]),
    );
    put(
        &mut tree,
        "kernel/crypto/crc32c_generic.ko",
        module(&["alias=crypto-crc32c"]),
    );
    put(&mut tree, "kernel/crypto/md5.ko", module(&["alias=crypto-md5"]));
    put(
        &mut tree,
        "kernel/drivers/net/intel/e1000.ko",
        module(&["alias=pci:v00008086d*", "softdep=post: e1000-phy"]),
    );
    put(&mut tree, "kernel/drivers/net/intel/e1000-phy.ko", module(&[]));
    put(&mut tree, "kernel/sound/broken.ko", b"no module".to_vec());
    put(
        &mut tree,
        "modules.order",
        b"kernel/fs/mbcache.ko\nkernel/fs/ext4/ext4.ko\n".to_vec(),
    );
    put(&mut tree, "modules.builtin", b"kernel/vmlinux-part.ko\n".to_vec());
    tree
}

fn request(patterns: &[String]) -> KeepRequest<'_> {
    KeepRequest {
        kernel_version: VERSION,
        patterns,
    }
}

fn names(patterns: &[&str]) -> Result<Vec<String>, ModulesError> {
    let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    let kept = select(&tree(), &request(&patterns), &NoCache)?;
    Ok(kept.modules.into_iter().map(|module| module.name).collect())
}

#[test]
fn dependencies_stay_too_and_come_in_the_order_of_the_kernel() {
    assert_eq!(
        names(&["kernel/fs/ext4"]).unwrap(),
        ["mbcache", "ext4", "crc32c_generic", "jbd2"]
    );
}

#[test]
fn folders_globs_files_and_module_names_are_patterns() {
    let net = ["e1000_phy", "e1000"];
    assert_eq!(names(&["kernel/drivers/net"]).unwrap(), net);
    assert_eq!(names(&["kernel/drivers/**"]).unwrap(), net);
    assert_eq!(names(&["kernel/drivers/net/*/e1000.ko"]).unwrap(), net);
    assert_eq!(names(&["e1000-phy"]).unwrap(), ["e1000_phy"]);
    assert_eq!(
        names(&["kernel/drivers/net/intel/e1000-phy.ko"]).unwrap(),
        ["e1000_phy"]
    );
}

#[test]
fn an_excluded_module_is_not_brought_back_by_a_soft_dependency() {
    assert_eq!(names(&["kernel/drivers", "!e1000-phy"]).unwrap(), ["e1000"]);
    assert_eq!(
        names(&["kernel/fs/ext4", "!mbcache"]).unwrap()[0],
        "mbcache",
        "a hard dependency stays"
    );
}

#[test]
fn a_pattern_that_matches_nothing_is_refused_with_the_nearest_name() {
    let cases = [
        ("kernel/driver/net/**", "did you mean `kernel/drivers/net/**`?"),
        ("kernel/fs/ext5", "did you mean `kernel/fs/ext4`?"),
        ("e100", "did you mean `e1000`?"),
        ("!e100", "did you mean `!e1000`?"),
    ];
    for (pattern, hint) in cases {
        let error = names(&[pattern]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("module pattern `{pattern}` matches no module of kernel {VERSION}")
        );
        assert_eq!(error.hints(), [hint]);
    }
    assert!(names(&["qqqqqqqqqqqq"]).unwrap_err().hints().is_empty());
    assert!(matches!(names(&["kernel/["]), Err(ModulesError::BadPattern { .. })));
}

#[test]
fn an_unknown_kernel_version_names_those_that_are_there() {
    let request = KeepRequest {
        kernel_version: "5.10",
        patterns: &[],
    };
    let error = select(&tree(), &request, &NoCache).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there are no kernel modules in /usr/lib/modules/5.10"
    );
    assert_eq!(error.hints(), [format!("kernel versions with modules: {VERSION}")]);
    let outside = KeepRequest {
        kernel_version: "../../../etc",
        patterns: &[],
    };
    assert!(matches!(
        select(&tree(), &outside, &NoCache),
        Err(ModulesError::NoModules { .. })
    ));
}

#[test]
fn what_no_module_provides_is_reported_and_a_missing_dependency_refused() {
    let patterns = ["mbcache".to_owned()];
    let kept = select(&tree(), &request(&patterns), &NoCache).unwrap();
    let users = &kept.unresolved_soft["nowhere_at_all"];
    assert_eq!(users.iter().collect::<Vec<_>>(), ["mbcache"]);

    let mut tree = tree();
    put(
        &mut tree,
        "kernel/needy.ko",
        sample::module(&["depends=gone"], &[], &[]),
    );
    let error = select(&tree, &request(&["needy".to_owned()]), &NoCache).unwrap_err();
    assert_eq!(
        error.to_string(),
        "kernel module `needy` needs `gone`, which the kernel package does not have"
    );
}

#[test]
fn only_what_stays_is_read_so_a_broken_module_elsewhere_is_no_matter() {
    assert!(names(&["kernel/fs"]).is_ok());
    let error = names(&["kernel/sound"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot read kernel module /usr/lib/modules/{VERSION}/kernel/sound/broken.ko")
    );
}

#[test]
fn the_rest_and_its_empty_folders_leave_the_tree_and_all_is_counted() {
    let mut tree = tree();
    let kept = keep(&mut tree, &request(&["ext4".to_owned()]), &NoCache).unwrap();
    assert_eq!(
        (kept.matched.count, kept.dependencies.count, kept.removed.count),
        (1, 3, 4)
    );
    let at = |relative: &str| tree.at(&format!("usr/lib/modules/{VERSION}/{relative}"));
    assert!(at("kernel/fs/jbd2/jbd2.ko.zst").is_some());
    assert!(at("modules.order").is_some());
    assert!(at("kernel/crypto").is_some());
    assert!(at("kernel/crypto/md5.ko").is_none());
    assert!(at("kernel/drivers").is_none());
    assert!(at("kernel/sound").is_none());
}

#[test]
fn two_files_of_one_module_are_refused() {
    let mut tree = tree();
    put(&mut tree, "updates/e1000.ko", sample::module(&[], &[], &[]));
    let error = select(&tree, &request(&["e1000".to_owned()]), &NoCache).unwrap_err();
    assert!(matches!(error, ModulesError::Ambiguous { name, .. } if name == "e1000"));
}

#[derive(Default)]
struct MemoryCache(Mutex<BTreeMap<Sha256, Vec<u8>>>);

impl ModuleInfoCache for MemoryCache {
    fn get(&self, key: &Sha256) -> Option<Vec<u8>> {
        self.0.lock().unwrap().get(key).cloned()
    }

    fn put(&self, key: &Sha256, value: &[u8]) {
        self.0.lock().unwrap().insert(*key, value.to_vec());
    }
}

#[test]
fn the_cache_gives_the_same_selection_and_a_change_of_patterns_or_files_misses_it() {
    let cache = MemoryCache::default();
    let entries = || cache.0.lock().unwrap().len();
    let (ext4, both) = (["ext4".to_owned()], ["ext4".to_owned(), "md5".to_owned()]);
    let first = select(&tree(), &request(&ext4), &cache).unwrap();
    assert_eq!(select(&tree(), &request(&ext4), &cache).unwrap(), first);
    assert_eq!(entries(), 1);
    select(&tree(), &request(&both), &cache).unwrap();
    assert_eq!(entries(), 2);
    let mut changed = tree();
    put(&mut changed, "kernel/new.ko", sample::module(&[], &[], &[]));
    select(&changed, &request(&ext4), &cache).unwrap();
    assert_eq!(entries(), 3);

    let damaged: Vec<Sha256> = cache.0.lock().unwrap().keys().copied().collect();
    damaged.iter().for_each(|key| cache.put(key, b"{"));
    assert_eq!(select(&tree(), &request(&ext4), &cache).unwrap(), first);
}

#[test]
fn modules_say_what_they_need_offer_and_are_made_for() {
    let bytes = sample::module(
        &[
            "depends=a,b-c",
            "alias=x-*",
            "firmware=f.bin",
            "weakdep=w",
            "vermagic=6.12 SMP",
            "author=nobody",
        ],
        &["two", "one"],
        &["imported"],
    );
    let info = ModuleInfo::parse(&bytes).unwrap();
    assert_eq!(info.depends, ["a", "b-c"]);
    assert_eq!(info.aliases, ["x-*"]);
    assert_eq!(info.firmware, ["f.bin"]);
    assert_eq!(info.weak_depends, ["w"]);
    assert_eq!(info.vermagic, "6.12 SMP");
    assert_eq!(info.exports, ["one", "two"]);
    assert_eq!(info.machine, 62);
    assert!(matches!(ModuleInfo::parse(b"text"), Err(InfoError::Elf(_))));
}

#[test]
fn dashes_and_underscores_are_one_in_names_but_not_in_ranges() {
    assert_eq!(module_name("kernel/a/dm-verity.ko.xz"), "dm_verity");
    assert_eq!(alias_key("pci:v[0-9]d-x"), "pci:v[0-9]d_x");
    let list = "a.alias=x\0a.license=GPL\0b.alias=y=z\0";
    assert_eq!(builtin_aliases(list).collect::<Vec<_>>(), [("a", "x"), ("b", "y=z")]);
}
