//! K4: what the programs of a node call is in its image. What is missing shows on one machine in a thousand, months later.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::collections::BTreeMap;
use std::fs::File;

use skerry_builder::squashfs::{FileRange, read};
use skerry_qemu_tests::image::Image;

/// Who calls what (Kubernetes 1.36, containerd 2.3, CNI plugins 1.9, read from their sources, and our own).
const CALLED: [(&str, &[&str]); 4] = [
    (
        "kubelet",
        &[
            "mount",
            "umount",
            "systemd-run",
            "iptables",
            "iptables-save",
            "iptables-restore",
            "ip6tables",
            "ip6tables-save",
            "ip6tables-restore",
            "journalctl",
            "dumpe2fs",
            "e2fsck",
            "mke2fs",
            "resize2fs",
            "tune2fs",
            "losetup",
        ],
    ),
    ("containerd", &["containerd-shim-runc-v2", "crun", "modprobe"]),
    ("CNI plugins", &["nft", "iptables"]),
    (
        "skerry-node",
        &[
            "mke2fs",
            "mount",
            "umount",
            "modprobe",
            "swapon",
            "networkctl",
            "systemctl",
        ],
    ),
];
/// Where programs are looked for; links lead from the other folders of the search path there.
const FOLDERS: [&str; 2] = ["usr/bin", "usr/sbin"];

/// Lines of the image's description by path.
fn tree() -> BTreeMap<String, String> {
    let file = File::open(Image::edge().artifact("root")).unwrap();
    let range = FileRange::whole(&file).unwrap();
    let dump = read::Image::open(&range).unwrap().dump().unwrap();
    dump.lines()
        .map(|line| {
            let path = line.split(' ').nth(4).unwrap();
            (path.trim_start_matches('/').to_owned(), line.to_owned())
        })
        .collect()
}

/// Where a relative link at `path` leads.
fn beside(path: &str, target: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The file that a path leads to, over links.
fn resolve<'t>(tree: &'t BTreeMap<String, String>, path: &str) -> Option<&'t str> {
    let mut path = path.to_owned();
    for _ in 0..8 {
        let line = tree.get(&path)?;
        let Some((_, target)) = line.split_once(" -> ") else {
            return Some(line);
        };
        path = match target.strip_prefix('/') {
            Some(absolute) => absolute.to_owned(),
            None => beside(&path, target),
        };
    }
    None
}

#[test]
fn every_program_that_another_one_calls_is_in_the_image_and_can_be_executed() {
    let tree = tree();
    for (caller, programs) in CALLED {
        for program in programs {
            let found = FOLDERS
                .iter()
                .find_map(|folder| resolve(&tree, &format!("{folder}/{program}")));
            let line = found.unwrap_or_else(|| panic!("{caller} calls {program}, which is not in the image"));
            let mode = u32::from_str_radix(line.split(' ').nth(1).unwrap(), 8).unwrap();
            assert_eq!(mode & 0o111, 0o111, "{line}");
        }
    }
}
