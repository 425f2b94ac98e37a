use std::io::Write as _;
use std::process::{Command, Stdio};

use super::*;
use crate::tree::{Content as NodeContent, Node, Origin, Stat, TreePath};

const VERSION: &str = "6.12.0-test";
const DEP: &str = "kernel/fs/squashfs.ko.xz:\nkernel/fs/overlay.ko.xz:\nkernel/md/dm-verity.ko.xz: kernel/md/dm-mod.ko.xz\n\
                   kernel/md/dm-mod.ko.xz:\nkernel/fs/ext4.ko.xz:\nkernel/nvme.ko.xz:\nkernel/sound.ko.xz:\n";
const SOFTDEP: &str = "# made by depmod\nsoftdep ext4 pre: nvme\nsoftdep sound pre: ext4\n";
const ALIAS: &str = "alias pci:v*d*sv*sd*bc01sc08i02* nvme\nalias pci:v1* sound\nalias fs-ext4 ext4\n";

fn tree(missing: &str) -> Tree {
    let mut tree = Tree::new();
    let mut files = vec![
        ("modules.dep", DEP),
        ("modules.softdep", SOFTDEP),
        ("modules.alias", ALIAS),
        ("modules.builtin", "kernel/drivers/virtio/virtio_pci.ko\n"),
    ];
    files.extend(DEP.lines().filter_map(|line| Some((line.split_once(':')?.0, "module"))));
    for (name, text) in files.into_iter().filter(|(name, _)| *name != missing) {
        let path = TreePath::parse(&format!("usr/lib/modules/{VERSION}/{name}")).unwrap();
        let node = Node {
            stat: Stat::root(0o644),
            content: NodeContent::File(FileData::from_bytes(text.as_bytes())),
            origin: Origin::Package("linux".into()),
        };
        tree.insert(path, node).unwrap();
    }
    tree
}

fn initrd(tree: &Tree, modules: &[&str]) -> Result<Initrd, InitrdError> {
    let init = FileData::from_bytes(*b"program");
    let modules: Vec<_> = modules.iter().map(|name| (*name).to_owned()).collect();
    assemble(&InitrdInput {
        tree,
        kernel_version: VERSION,
        init: &init,
        modules: &modules,
        timestamp: 1_700_000_000,
    })
}

fn unpacked(initrd: &Initrd) -> Vec<u8> {
    zstd::decode_all(&initrd.bytes[..]).unwrap()
}

#[test]
fn only_what_is_needed_gets_in_with_the_indexes_cut_to_it() {
    let initrd = initrd(&tree(""), &["-absent", "virtio_pci"]).unwrap();
    let expected = [
        "fs/ext4",
        "fs/overlay",
        "fs/squashfs",
        "md/dm-mod",
        "md/dm-verity",
        "nvme",
    ];
    assert_eq!(initrd.modules, expected.map(|name| format!("kernel/{name}.ko.xz")));
    let text = String::from_utf8(unpacked(&initrd)).unwrap();
    assert!(text.contains("squashfs\ndm_verity\noverlay\n"));
    assert!(text.contains("softdep ext4 pre: nvme\n") && text.contains("bc01sc08i02* nvme\n"));
    assert!(!text.contains("sound") && !text.contains("# made by"));
}

#[test]
fn the_same_input_gives_the_same_bytes_and_their_digest() {
    let (one, other) = (initrd(&tree(""), &[]).unwrap(), initrd(&tree(""), &[]).unwrap());
    assert_eq!(one, other);
    assert_eq!(one.sha256, Sha256::of(&one.bytes));
}

#[test]
#[allow(clippy::print_stdout, reason = "a skipped test says so")]
fn cpio_lists_what_was_put_in() {
    let archive = unpacked(&initrd(&tree(""), &[]).unwrap());
    let child = Command::new("cpio")
        .args(["-tv", "--quiet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        println!("skipped: no cpio");
        return;
    };
    child.stdin.take().unwrap().write_all(&archive).unwrap();
    let outcome = child.wait_with_output().unwrap();
    assert!(outcome.status.success());
    let listing = String::from_utf8(outcome.stdout).unwrap();
    let names: Vec<_> = listing.lines().filter_map(|line| line.split(' ').next_back()).collect();
    assert_eq!(names[..4], ["dev", "init", "lib", "lib/modules"]);
    assert!(names.contains(&"lib/modules/6.12.0-test/kernel/md/dm-verity.ko.xz"));
    assert!(
        listing.contains("-rwxr-xr-x   1 root     root            7"),
        "{listing}"
    );
    assert!(
        listing.contains("drwxr-xr-x   2 root     root            0"),
        "{listing}"
    );
}

#[test]
fn what_is_missing_is_named_and_the_hint_says_where_to_look() {
    let error = initrd(&tree("modules.softdep"), &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the image has no /usr/lib/modules/6.12.0-test/modules.softdep"
    );
    let error = initrd(&tree("kernel/nvme.ko.xz"), &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "modules.dep of kernel 6.12.0-test names kernel/nvme.ko.xz, which the image does not have"
    );
    let error = initrd(&tree(""), &["nvmee"]).unwrap_err();
    assert!(error.hints()[0].contains("`-nvmee`"));
    assert!(matches!(error, InitrdError::Modules { .. }));
}

#[test]
fn more_than_memory_should_hold_is_refused() {
    let mut content = Content {
        len_bytes: CONTENT_MAX_BYTES,
        ..Content::default()
    };
    assert!(matches!(
        content.add_file("a", FILE, vec![0]),
        Err(InitrdError::TooLarge)
    ));
}
