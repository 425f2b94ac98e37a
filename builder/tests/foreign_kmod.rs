//! kmod's own programs judge the module indexes: `depmod` writes the same, `modprobe` finds its way by ours.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says what it skips, and stops where something fails"
)]

#[allow(dead_code, reason = "the crate's own tests use the rest")]
#[path = "../src/elf/sample.rs"]
mod sample;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use skerry_builder::rootfs::depmod;
use skerry_builder::rootfs::modules::{self, KeepRequest, NoCache};
use skerry_builder::tree::{Content, FileData, Node, Origin, Stat, Tree, TreePath};

const VERSION: &str = "6.12-test";

fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    let found = folders.map(|folder| folder.join(name)).find(|file| file.is_file());
    if found.is_none() {
        println!("skipped: no {name}");
    }
    found
}

fn put(tree: &mut Tree, relative: &str, bytes: Vec<u8>) {
    let path = TreePath::parse(&format!("usr/lib/modules/{VERSION}/{relative}")).unwrap();
    let node = Node {
        stat: Stat::root(0o644),
        content: Content::File(FileData::from_bytes(bytes)),
        origin: Origin::Package("linux-image".into()),
    };
    tree.insert(path, node).unwrap();
}

/// top → mid-dle → low, with aliases that share beginnings, symbols, a device node and built-in modules.
fn kernel() -> Tree {
    let mut tree = Tree::new();
    let low = sample::module(
        &[
            "name=low",
            "depends=",
            "alias=pci:v00008086d0000100Esv*sd*bc*sc*i*",
            "alias=low-alias",
        ],
        &["low_one", "low_two"],
        &[],
    );
    let middle = sample::module(
        &[
            "name=mid_dle",
            "depends=low",
            "alias=pci:v00008086d0000153[3-6]sv*sd*bc*sc*i*",
            "alias=shared",
        ],
        &["mid_entry"],
        &["low_one"],
    );
    let top = sample::module(
        &[
            "name=top",
            "depends=mid-dle,low",
            "softdep=pre: lone",
            "alias=devname:net/top",
            "alias=char-major-10-200",
            "alias=shared",
        ],
        &[],
        &["mid_entry", "low_two"],
    );
    let lone = sample::module(
        &["name=lone", "depends=", "alias=pci:v00001AF4d*sv*sd*bc*sc*i*"],
        &[],
        &[],
    );
    put(&mut tree, "kernel/drivers/low.ko", low);
    put(&mut tree, "kernel/drivers/mid-dle.ko", middle);
    put(&mut tree, "kernel/net/top.ko", top);
    put(&mut tree, "kernel/net/lone.ko", lone);
    put(
        &mut tree,
        "kernel/sound/gone.ko",
        sample::module(&["name=gone"], &[], &[]),
    );
    let order = "kernel/sound/gone.ko\nkernel/net/top.ko\nkernel/drivers/low.ko\nkernel/drivers/mid-dle.ko\nkernel/net/lone.ko\n";
    put(&mut tree, "modules.order", order.into());
    put(
        &mut tree,
        "modules.builtin",
        "kernel/drivers/built-in.ko\nkernel/fs/ext2.ko\n".into(),
    );
    let modinfo = "built_in.alias=acpi*:PNP0[A-C]01:*\0built_in.license=GPL\0ext2.alias=fs-ext2\0";
    put(&mut tree, "modules.builtin.modinfo", modinfo.into());
    tree
}

/// Our indexes, and the same modules without any, both below `host`.
fn write_both(host: &Path) -> (PathBuf, PathBuf) {
    let patterns = ["kernel/drivers".to_owned(), "kernel/net".to_owned()];
    let request = KeepRequest {
        kernel_version: VERSION,
        patterns: &patterns,
    };
    let mut tree = kernel();
    let kept = modules::keep(&mut tree, &request, &NoCache).unwrap();
    assert_eq!(kept.modules.len(), 4);
    let (ours, theirs) = (host.join("ours"), host.join("theirs"));
    let mut bare = tree.clone();
    depmod::write(&mut tree, VERSION, &kept.modules).unwrap();
    // depmod reads the kernel's lists, among them the order that we have cut down.
    let order = TreePath::parse(&format!("usr/lib/modules/{VERSION}/modules.order")).unwrap();
    bare.replace(order.clone(), tree.get(&order).unwrap().clone()).unwrap();
    for (root, tree) in [(&ours, &tree), (&theirs, &bare)] {
        for (path, node) in tree.iter() {
            // kmod looks below /lib, as in a root without merged /usr.
            let path = root.join(path.as_str().strip_prefix("usr/").unwrap_or(path.as_str()));
            match &node.content {
                Content::File(data) => fs::write(path, data.read().unwrap()).unwrap(),
                _ => fs::create_dir_all(path).unwrap(),
            }
        }
    }
    (ours, theirs)
}

fn run(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {arguments:?}: {stderr}", program.display());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn depmod_writes_the_same_indexes() {
    let Some(depmod) = tool("depmod") else { return };
    let host = tempfile::tempdir().unwrap();
    let (ours, theirs) = write_both(host.path());
    run(&depmod, &["-b", theirs.to_str().unwrap(), VERSION]);
    let read = |root: &Path, name: &str| fs::read(root.join(format!("lib/modules/{VERSION}/{name}")));
    for name in [
        "modules.dep",
        "modules.alias",
        "modules.symbols",
        "modules.softdep",
        "modules.devname",
    ] {
        let lines = |root| -> BTreeSet<String> {
            let text = String::from_utf8(read(root, name).unwrap()).unwrap();
            text.lines().map(str::to_owned).collect()
        };
        assert_eq!(lines(&ours), lines(&theirs), "{name}");
    }
    let binaries = [
        "modules.dep.bin",
        "modules.alias.bin",
        "modules.symbols.bin",
        "modules.builtin.bin",
        "modules.builtin.alias.bin",
    ];
    for name in binaries {
        match read(&theirs, name) {
            Ok(bytes) => assert_eq!(read(&ours, name).unwrap(), bytes, "{name}"),
            Err(_) => println!("skipped: this depmod writes no {name}"),
        }
    }
}

#[test]
fn modprobe_finds_modules_dependencies_and_aliases_by_our_indexes() {
    let Some(modprobe) = tool("modprobe") else { return };
    let host = tempfile::tempdir().unwrap();
    let (ours, _) = write_both(host.path());
    // Without the text files, modprobe has only the tries to go by.
    for name in ["modules.dep", "modules.alias", "modules.symbols"] {
        fs::remove_file(ours.join(format!("lib/modules/{VERSION}/{name}"))).unwrap();
    }
    let ask = |arguments: &[&str]| {
        let root = ["-d", ours.to_str().unwrap(), "-S", VERSION];
        run(&modprobe, &[&root, arguments].concat())
    };
    let shown = ask(&["--show-depends", "top"]);
    let files: Vec<&str> = shown
        .lines()
        .filter_map(|line| line.trim_end().rsplit('/').next())
        .collect();
    assert_eq!(files, ["low.ko", "mid-dle.ko", "lone.ko", "top.ko"]);
    assert_eq!(
        ask(&["-R", "pci:v00008086d00001534sv00000000sd00000000bc02sc00i00"]),
        "mid_dle\n"
    );
    assert_eq!(
        ask(&["-R", "pci:v00008086d0000100Esv00000000sd00000000bc02sc00i00"]),
        "low\n"
    );
    assert_eq!(
        ask(&["-R", "pci:v00001AF4d00001000sv00000000sd00000000bc02sc00i00"]),
        "lone\n"
    );
    assert_eq!(ask(&["-R", "low_alias"]), "low\n");
    assert_eq!(ask(&["-R", "symbol:mid_entry"]), "mid_dle\n");
    let shared: BTreeSet<String> = ask(&["-R", "shared"]).lines().map(str::to_owned).collect();
    assert_eq!(shared, BTreeSet::from(["mid_dle".to_owned(), "top".to_owned()]));
    assert_eq!(ask(&["--show-depends", "built-in"]), "builtin built_in\n");
}
