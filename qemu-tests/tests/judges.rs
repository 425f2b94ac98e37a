//! Foreign tools judge the image that users get. An absent tool is reported as a skip.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "test code")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{File, Metadata};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use skerry_builder::digest::{HashingReader, Sha256};
use skerry_builder::lock::Lock;
use skerry_builder::squashfs::{FileRange, read};
use skerry_qemu_tests::image::{Image, repository};
use skerry_qemu_tests::tools::judge;
use tempfile::TempDir;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn artifact(ending: &str) -> String {
    text(&Image::edge().artifact(ending)).to_owned()
}

fn digest(path: &Path) -> (Sha256, u64) {
    let mut reader = HashingReader::new(File::open(path).unwrap());
    std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
    reader.finish()
}

/// A partition's bytes as a file of its own.
fn partition(label: &str, folder: &Path) -> PathBuf {
    let manifest = Image::edge().manifest();
    let partitions = manifest["partitions"].as_array().unwrap();
    let found = partitions.iter().find(|partition| partition["label"] == label).unwrap();
    let mut raw = File::open(Image::edge().artifact("raw")).unwrap();
    raw.seek(SeekFrom::Start(found["offset"].as_u64().unwrap())).unwrap();
    let path = folder.join(label);
    let mut out = File::create(&path).unwrap();
    std::io::copy(&mut raw.take(found["len_bytes"].as_u64().unwrap()), &mut out).unwrap();
    path
}

/// The root file system unpacked by unsquashfs; none if it is not installed.
fn unpacked(folder: &Path) -> Option<PathBuf> {
    let tree = folder.join("tree");
    judge("unsquashfs", &["-q", "-n", "-d", text(&tree), &artifact("root")]).map(|_| tree)
}

#[test]
fn sgdisk_finds_no_problem_in_the_partition_table() {
    if let Some(report) = judge("sgdisk", &["-v", &artifact("raw")]) {
        assert!(report.contains("No problems found"), "{report}");
    }
}

#[test]
fn fsck_finds_the_efi_system_partition_clean() {
    let folder = TempDir::new().unwrap();
    let Some(report) = judge("fsck.fat", &["-n", "-v", text(&partition("esp", folder.path()))]) else {
        return;
    };
    let clusters = report.lines().find_map(|line| line.trim().split_once(" data clusters"));
    let clusters: u32 = clusters.unwrap().0.parse().unwrap();
    // Fewer would be FAT16 for firmware that counts, whatever the boot sector says.
    assert!(
        report.contains("2 FATs, 32 bit entries") && clusters >= 65_525,
        "{report}"
    );
}

#[test]
fn veritysetup_accepts_the_root_and_refuses_one_with_a_flipped_bit() {
    let folder = TempDir::new().unwrap();
    let manifest = Image::edge().manifest();
    let (verity, root_hash) = (artifact("verity"), manifest["root_hash"].as_str().unwrap());
    let Some(_) = judge("veritysetup", &["verify", &artifact("root"), &verity, root_hash]) else {
        return;
    };
    let damaged = folder.path().join("damaged");
    let mut bytes = std::fs::read(artifact("root")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    let mut command = Command::new("veritysetup");
    command
        .args(["verify", text(&damaged), &verity, root_hash])
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin");
    let outcome = command.output().unwrap();
    assert!(!outcome.status.success(), "a flipped bit was not noticed");
}

#[test]
fn unsquashfs_unpacks_the_tree_that_our_reader_describes() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: only root can unpack owners and devices");
        return;
    }
    let folder = TempDir::new().unwrap();
    let Some(tree) = unpacked(folder.path()) else { return };
    let file = File::open(Image::edge().artifact("root")).unwrap();
    let range = FileRange::whole(&file).unwrap();
    let ours = read::Image::open(&range).unwrap().dump().unwrap();
    let theirs = dump(&tree);
    let (ours, theirs): (BTreeSet<&str>, BTreeSet<&str>) = (ours.lines().collect(), theirs.lines().collect());
    let differences: Vec<_> = ours.symmetric_difference(&theirs).take(20).collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

/// A folder in the format of `tree::dump`: of several names of one file, the first is the file.
fn dump(top: &Path) -> String {
    let mut paths = vec![PathBuf::new()];
    collect(top, Path::new(""), &mut paths);
    paths.sort_by(|left, right| text(left).cmp(text(right)));
    let mut first_names: BTreeMap<u64, (PathBuf, u64)> = BTreeMap::new();
    let mut dumped = String::new();
    for path in paths {
        let metadata = std::fs::symlink_metadata(top.join(&path)).unwrap();
        let mut detail = detail(&top.join(&path), &metadata);
        if metadata.is_file() {
            let (first, names) = first_names.entry(metadata.ino()).or_insert_with(|| (path.clone(), 0));
            *names += 1;
            if *names > 1 {
                detail = ('h', format!(" = /{}", first.display()));
            }
        }
        let mode = metadata.permissions().mode() & 0o7777;
        let (uid, gid) = (metadata.uid(), metadata.gid());
        let attributes = attributes(&top.join(&path), &metadata);
        writeln!(
            dumped,
            "{} {mode:04o} {uid} {gid} /{}{}{attributes}",
            detail.0,
            path.display(),
            detail.1
        )
        .unwrap();
    }
    for (path, names) in first_names.values() {
        let links = std::fs::symlink_metadata(top.join(path)).unwrap().nlink();
        assert_eq!(links, *names, "{} has links from outside", path.display());
    }
    dumped
}

fn collect(top: &Path, below: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(top.join(below)).unwrap() {
        let path = below.join(entry.unwrap().file_name());
        if std::fs::symlink_metadata(top.join(&path)).unwrap().is_dir() {
            collect(top, &path, paths);
        }
        paths.push(path);
    }
}

fn detail(path: &Path, metadata: &Metadata) -> (char, String) {
    let kind = metadata.file_type();
    let device = || format!(" {}:{}", metadata.rdev() >> 8 & 0xfff, metadata.rdev() & 0xff);
    if kind.is_dir() {
        ('d', String::new())
    } else if kind.is_symlink() {
        ('l', format!(" -> {}", text(&std::fs::read_link(path).unwrap())))
    } else if kind.is_char_device() {
        ('c', device())
    } else if kind.is_block_device() {
        ('b', device())
    } else if kind.is_fifo() {
        ('p', String::new())
    } else {
        let (sha256, len_bytes) = digest(path);
        ('f', format!(" {len_bytes} {sha256}"))
    }
}

/// Extended attributes as `getfattr` sees them; only files have any in an image.
fn attributes(path: &Path, metadata: &Metadata) -> String {
    // Starting a program for each of thousands of files would take longer than all the rest.
    let may_have_some = metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
    if !may_have_some || metadata.len() == 0 {
        return String::new();
    }
    let outcome = Command::new("getfattr")
        .args(["--absolute-names", "-d", "-m-", "-e", "hex"])
        .arg(path)
        .output();
    let Ok(outcome) = outcome else { return String::new() };
    let lines = String::from_utf8(outcome.stdout).unwrap();
    let pairs = lines.lines().filter_map(|line| line.split_once("=0x"));
    pairs.map(|(name, value)| format!(" {name}={value}")).collect()
}

#[test]
fn objdump_lists_the_sections_of_the_unified_kernel_image() {
    let Some(report) = judge("objdump", &["-h", &artifact("efi")]) else {
        return;
    };
    for section in [".linux", ".initrd", ".cmdline", ".osrel", ".uname"] {
        assert!(report.contains(section), "{section} is not in\n{report}");
    }
}

#[test]
fn zstd_finds_the_raw_image_in_the_compressed_one() {
    let Some(_) = judge("zstd", &["-t", "-q", &artifact("raw.zst")]) else {
        return;
    };
    let mut zstd = Command::new("zstd")
        .args(["-dc", &artifact("raw.zst")])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = HashingReader::new(zstd.stdout.take().unwrap());
    std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
    assert!(zstd.wait().unwrap().success());
    assert_eq!(reader.finish(), digest(&Image::edge().artifact("raw")));
}

#[test]
fn sha256sum_agrees_with_all_sums() {
    let script = format!(
        "cd '{}' && sha256sum -c --strict SHA256SUMS",
        Image::edge().folder.display()
    );
    let Some(report) = judge("sh", &["-c", &script]) else {
        return;
    };
    assert_eq!(
        report.lines().filter(|line| line.ends_with(": OK")).count(),
        8,
        "{report}"
    );
}

#[test]
fn the_manifest_agrees_with_the_files() {
    let manifest = Image::edge().manifest();
    for artifact in manifest["artifacts"].as_array().unwrap() {
        let name = artifact["file"].as_str().unwrap();
        let (sha256, len_bytes) = digest(&Image::edge().folder.join(name));
        assert_eq!(artifact["len_bytes"].as_u64(), Some(len_bytes), "{name}");
        assert_eq!(artifact["sha256"].as_str(), Some(sha256.to_string().as_str()), "{name}");
    }
    let mut raw = File::open(Image::edge().artifact("raw")).unwrap();
    for range in manifest["ranges"].as_array().unwrap() {
        raw.seek(SeekFrom::Start(range["offset"].as_u64().unwrap())).unwrap();
        let mut bytes = Vec::new();
        (&mut raw)
            .take(range["len_bytes"].as_u64().unwrap())
            .read_to_end(&mut bytes)
            .unwrap();
        assert_eq!(
            range["sha256"].as_str().unwrap(),
            Sha256::of(&bytes).to_string(),
            "{range}"
        );
    }
}

#[test]
fn the_bill_of_materials_lists_every_locked_package_and_component() {
    let lock = std::fs::read_to_string(repository().join("images/edge-x86_64.lock")).unwrap();
    let lock = Lock::parse("edge-x86_64.lock", &lock).unwrap();
    let sbom: Value = serde_json::from_slice(&std::fs::read(Image::edge().artifact("spdx.json")).unwrap()).unwrap();
    let listed = sbom["packages"].as_array().unwrap().iter();
    let listed: BTreeSet<(&str, &str)> = listed
        .filter_map(|package| Some((package["name"].as_str()?, package["versionInfo"].as_str()?)))
        .collect();
    for package in &lock.packages {
        let version = package.version.to_string();
        assert!(
            listed.contains(&(package.name.as_str(), version.as_str())),
            "{} {version}",
            package.name
        );
    }
    for component in &lock.components {
        let prefix = format!("{}/", component.name);
        assert!(
            listed.iter().any(|(name, _)| name.starts_with(&prefix)),
            "{}",
            component.name
        );
    }
}

#[test]
fn the_validators_of_both_formats_accept_the_bills_of_materials() {
    judge("pyspdxtools", &["--infile", &artifact("spdx.json")]);
    judge("cyclonedx-validate", &[&artifact("cdx.json")]);
}

#[test]
fn both_bills_of_materials_name_the_modules_that_are_linked_into_kubelet() {
    let read =
        |ending| -> Value { serde_json::from_slice(&std::fs::read(Image::edge().artifact(ending)).unwrap()).unwrap() };
    let names = |document: &Value, list: &str| -> BTreeSet<String> {
        let items = document[list].as_array().unwrap().iter();
        items
            .filter_map(|item| item["name"].as_str().map(str::to_owned))
            .collect()
    };
    let (spdx, cyclonedx) = (
        names(&read("spdx.json"), "packages"),
        names(&read("cdx.json"), "components"),
    );
    for module in ["stdlib", "k8s.io/api", "golang.org/x/net", "google.golang.org/grpc"] {
        assert!(spdx.contains(module) && cyclonedx.contains(module), "{module}");
    }
    // Beside what both list, SPDX has the image itself.
    assert_eq!(spdx.difference(&cyclonedx).count(), 1);
}

#[test]
fn modprobe_finds_the_modules_that_machines_boot_with() {
    let folder = TempDir::new().unwrap();
    let Some(tree) = unpacked(folder.path()) else { return };
    let kernel = Image::edge().manifest()["kernel"].as_str().unwrap().to_owned();
    // modprobe looks below /lib, which is a link to usr/lib in the image.
    for module in ["ext4", "nvme", "virtio_net", "overlay", "usb_storage", "sdhci_pci"] {
        let arguments = ["-d", text(&tree), "-S", &kernel, "--show-depends", module];
        let Some(report) = judge("modprobe", &arguments) else {
            return;
        };
        for path in report.lines().filter_map(|line| line.strip_prefix("insmod ")) {
            assert!(Path::new(path.trim()).is_file(), "{module}: {path}");
        }
        assert!(report.contains(".ko"), "{module}: {report}");
    }
}

#[test]
fn ldconfig_reads_the_cache_of_libraries() {
    let folder = TempDir::new().unwrap();
    let Some(tree) = unpacked(folder.path()) else { return };
    let cache = tree.join("etc/ld.so.cache");
    let Some(report) = judge("ldconfig", &["-p", "-C", text(&cache)]) else {
        return;
    };
    let listed: Vec<&str> = report
        .lines()
        .filter_map(|line| line.split_once(" => "))
        .map(|(_, path)| path)
        .collect();
    assert!(listed.iter().any(|path| path.ends_with("/libc.so.6")), "{report}");
    for path in listed {
        let below = tree.join(path.trim_start_matches('/'));
        assert!(std::fs::symlink_metadata(&below).is_ok(), "{path} is in the cache only");
    }
}

#[test]
fn cpio_lists_the_initrd() {
    if judge("cpio", &["--version"]).is_none() || judge("zstd", &["--version"]).is_none() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let initrd = folder.path().join("initrd");
    std::fs::write(&initrd, Image::edge().section(".initrd")).unwrap();
    let script = format!("zstd -dcq < '{}' | cpio -t --quiet", initrd.display());
    let listed = judge("sh", &["-c", &script]).unwrap();
    let names: BTreeSet<&str> = listed.lines().collect();
    assert!(names.contains("init"), "{listed}");
    assert!(names.iter().any(|name| name.ends_with("/dm-verity.ko.xz")), "{listed}");
}
