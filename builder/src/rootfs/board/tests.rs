use std::sync::Arc;

use super::*;
use crate::definition::Size;
use crate::disk::TableKind;
use crate::tree::{Content, Node, Stat};

fn insert(tree: &mut Tree, package: &str, path: &str) {
    let node = Node {
        stat: Stat::root(0o644),
        content: Content::File(FileData::from_bytes(path.as_bytes().to_vec())),
        origin: Origin::Package(Arc::from(package)),
    };
    tree.insert(TreePath::parse(path).unwrap(), node).unwrap();
}

fn tree(device_trees: &str) -> Tree {
    let mut tree = Tree::new();
    insert(&mut tree, "u-boot-rockchip", "usr/lib/u-boot/rock/idbloader.img");
    insert(&mut tree, "u-boot-rockchip", "usr/share/doc/u-boot-rockchip/copyright");
    insert(&mut tree, "kernel", &format!("{device_trees}/rockchip/rock.dtb"));
    insert(&mut tree, "libc6", "usr/lib/libc.so.6");
    tree
}

fn board() -> BoardSpec {
    BoardSpec {
        name: "rock".to_owned(),
        title: "Rock".to_owned(),
        packages: vec!["u-boot-rockchip".to_owned()],
        partition_table: TableKind::Gpt,
        first_partition: 16 << 20,
        loaders: vec![LoaderDefinition {
            file: "usr/lib/u-boot/rock/idbloader.img".to_owned(),
            offset: Size::from_bytes(32 << 10),
        }],
        files: BTreeMap::from([(
            "dtb/rock.dtb".to_owned(),
            BoardFile::DeviceTree("rockchip/rock.dtb".to_owned()),
        )]),
        device_trees: vec!["rockchip/rock.dtb".to_owned()],
        initrd_modules: Vec::new(),
        command_line: Vec::new(),
    }
}

#[test]
fn boot_loaders_leave_the_root_and_their_licences_stay() {
    let mut tree = tree("usr/lib/linux-image-6.12");
    let taken = take(&mut tree, &board(), "6.12").unwrap();
    assert_eq!(
        (taken.loaders[0].name.as_str(), taken.loaders[0].offset),
        ("idbloader.img", 32 << 10)
    );
    assert_eq!(taken.files["dtb/rock.dtb"], taken.device_trees[0]);
    assert!(tree.at("usr/lib/u-boot").is_none());
    assert!(tree.at("usr/share/doc/u-boot-rockchip/copyright").is_some());
    assert!(tree.at("usr/lib/libc.so.6").is_some());
}

#[test]
fn device_trees_are_found_beside_the_modules_of_kernel_7() {
    let mut tree = tree("usr/lib/modules/7.2/dtb");
    assert_eq!(take(&mut tree, &board(), "7.2").unwrap().device_trees.len(), 1);
}

#[test]
fn what_is_missing_is_named_with_what_is_beside_it() {
    let mut wrong = board();
    wrong.device_trees = vec!["rockchip/rocky.dtb".to_owned()];
    let error = take(&mut tree("usr/lib/linux-image-6.12"), &wrong, "6.12").unwrap_err();
    assert_eq!(
        error.to_string(),
        "board `rock` needs the device tree `rockchip/rocky.dtb`, which kernel 6.12 does not have"
    );
    assert_eq!(error.hints(), ["beside it are: rock.dtb"]);
    let mut wrong = board();
    wrong.loaders[0].file = "usr/lib/u-boot/rock/idb.img".to_owned();
    let error = take(&mut tree("usr/lib/linux-image-6.12"), &wrong, "6.12").unwrap_err();
    assert_eq!(error.hints(), ["beside it are: idbloader.img"]);
}

#[test]
fn linux_itself_is_not_looked_for_in_the_packages() {
    let mut direct = board();
    let parts = [BoardFile::Kernel, BoardFile::Initrd, BoardFile::CommandLine];
    let parts = ["vmlinuz", "initrd", "cmdline.txt"]
        .map(str::to_owned)
        .into_iter()
        .zip(parts);
    direct.files.extend(parts);
    let taken = take(&mut tree("usr/lib/modules/7.2/dtb"), &direct, "7.2").unwrap();
    assert_eq!(taken.files.into_keys().collect::<Vec<_>>(), ["dtb/rock.dtb"]);
}
