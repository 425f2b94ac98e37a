//! Other people's tools judge the disk images and what lies beside them: sgdisk, sfdisk, fsck.fat, mtools, zstd, sha256sum
//! and the validators of the SPDX and CycloneDX projects.

#![allow(clippy::unwrap_used, reason = "a failed expectation is what a test is for")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use skerry_builder::arch::Arch;
use skerry_builder::artifacts::sbom::{self, GoModule, SbomInput, SbomOrigin, SbomPackage};
use skerry_builder::artifacts::{self, CompressInput, sums};
use skerry_builder::digest::Sha256;
use skerry_builder::disk::{self, DiskInput, DiskLayout, SlotInput, TableKind};
use skerry_builder::fat::{self, FatData, FatFile};
use skerry_builder::partition_id::PartitionId;
use skerry_builder::seed::{Change, check_join_file, seed};
use skerry_builder::tree::FileData;

const MIB: u64 = 1 << 20;
/// 2025-06-07T08:09:10Z.
const TIME: u64 = 1_749_283_750;
const UKI: &str = "EFI/Linux/edge-x86_64_1+3.efi";

/// The folders where administrators' tools are, which a user's `PATH` may lack.
const TOOL_PATH: &str = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";

fn say(line: &str) {
    // Not `println!`, which the test harness keeps to itself: a skip has to be seen.
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Runs a tool in UTC; `None`, with a word about it, where it is not installed.
fn run(tool: &str, args: &[&str]) -> Option<Output> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/bin");
    let mut command = Command::new(tool);
    command
        .args(args)
        .env("PATH", format!("{TOOL_PATH}:{}", own.display()))
        .env("TZ", "UTC")
        .env("LC_ALL", "C")
        .env("MTOOLS_SKIP_CHECK", "1");
    match command.output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            say(&format!("skipped: no {tool}"));
            None
        }
        Err(error) => panic!("{tool}: {error}"),
    }
}

/// The standard output of a tool that has to succeed.
fn judge(tool: &str, args: &[&str]) -> Option<String> {
    let output = run(tool, args)?;
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(
        output.status.success(),
        "{tool} {args:?}: {}\n{out}\n{err}",
        output.status
    );
    Some(out)
}

fn file(path: &str, content: Vec<u8>) -> FatFile {
    FatFile {
        path: path.to_owned(),
        data: FatData::Bytes(content),
    }
}

fn uki() -> Vec<u8> {
    (0..3_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

fn files() -> Vec<FatFile> {
    let many = (0..200).map(|n| file(&format!("many/a file with a long name {n}.conf"), vec![b'x'; n]));
    let fixed = [
        file("EFI/BOOT/BOOTX64.EFI", vec![1; 100_001]),
        file(UKI, uki()),
        file("loader/loader.conf", b"timeout 0\n".to_vec()),
        file("loader/entries.srel", b"type1\n".to_vec()),
        file("Grüße.txt", b"hallo\n".to_vec()),
        file("empty", Vec::new()),
    ];
    many.chain(fixed).collect()
}

/// Writes volumes of several sizes: those with 1, 2 and 8 sectors per cluster.
fn volumes(folder: &Path) -> Vec<PathBuf> {
    [40, 100, 300]
        .map(|mib| {
            let volume = fat::plan(files(), mib * MIB, "ESP", 0x1a2b_3c4d, TIME).unwrap();
            let path = folder.join(format!("{mib}.fat"));
            let mut out = fs::File::create(&path).unwrap();
            out.set_len(mib * MIB).unwrap();
            volume.write(&mut out, 0).unwrap();
            path
        })
        .to_vec()
}

#[test]
fn fsck_fat_finds_nothing_to_repair() {
    let folder = tempfile::tempdir().unwrap();
    for volume in volumes(folder.path()) {
        let Some(report) = judge("fsck.fat", &["-n", "-v", volume.to_str().unwrap()]) else {
            return;
        };
        assert!(report.contains(": 212 files, "), "{report}");
        for complaint in ["differ", "wrong", "bad", "Unused", "orphan", "Auto", "unclean", "Dirty"] {
            assert!(!report.contains(complaint), "{report}");
        }
    }
}

#[test]
fn mtools_list_and_copy_what_was_put_in() {
    let folder = tempfile::tempdir().unwrap();
    for volume in volumes(folder.path()) {
        let volume = volume.to_str().unwrap();
        let Some(listing) = judge("mdir", &["-i", volume, "-/", "-a", "::"]) else {
            return;
        };
        for wanted in [
            "edge-x86_64_1+3.efi",
            "BOOTX64  EFI",
            "loader.conf",
            "2025-06-07",
            "8:09",
            "1A2B-3C4D",
            "is ESP",
        ] {
            assert!(listing.contains(wanted), "{wanted} is not in\n{listing}");
        }
        let copy = folder.path().join("copy.efi");
        judge(
            "mcopy",
            &["-n", "-i", volume, &format!("::{UKI}"), copy.to_str().unwrap()],
        );
        assert!(fs::read(&copy).unwrap() == uki());
        // Firmware and systemd-boot rename the file when they count a boot.
        judge(
            "mren",
            &["-i", volume, &format!("::{UKI}"), "::EFI/Linux/edge-x86_64_1+2-1.efi"],
        );
        judge("fsck.fat", &["-n", volume]);
        fs::remove_file(&copy).unwrap();
    }
}

fn image(folder: &Path) -> (DiskLayout, PathBuf) {
    let slot = |name: &str, len: usize, slot_bytes| {
        let path = folder.join(name);
        fs::write(&path, vec![0x5a; len]).unwrap();
        SlotInput {
            path,
            len_bytes: len as u64,
            slot_bytes,
        }
    };
    let layout = DiskLayout::plan(DiskInput {
        arch: Arch::X86_64,
        seed: Sha256::of(b"seed"),
        label: "edge-x86_64_1".to_owned(),
        esp: fat::plan(files(), 64 * MIB, "ESP", 1, TIME).unwrap(),
        root: slot("root", 3_000_000, 8 * MIB),
        verity: slot("verity", 40_000, MIB),
        root_hash: Sha256::of(b"root hash"),
        table: TableKind::Gpt,
        first_partition: 1 << 20,
        loaders: Vec::new(),
    })
    .unwrap();
    let path = folder.join("edge.raw");
    disk::write(&layout, &path).unwrap();
    (layout, path)
}

#[test]
fn sgdisk_finds_no_problems_and_reads_the_partitions_as_planned() {
    let folder = tempfile::tempdir().unwrap();
    let (layout, path) = image(folder.path());
    let path = path.to_str().unwrap();
    let Some(report) = judge("sgdisk", &["-v", path]) else {
        return;
    };
    assert!(report.contains("No problems found"), "{report}");
    for (partition, number) in layout.partitions.iter().zip(1..) {
        let report = judge("sgdisk", &["-i", &number.to_string(), path]).unwrap();
        for wanted in [
            partition.type_id.to_string().to_uppercase(),
            partition.id.to_string().to_uppercase(),
            format!("First sector: {} ", partition.first_sector),
            format!("Partition size: {} sectors", partition.sectors),
            format!("Attribute flags: {:016X}", partition.flags.0),
            format!("Partition name: '{}'", partition.label),
        ] {
            assert!(report.contains(&wanted), "{wanted} is not in\n{report}");
        }
    }
    let summary = judge("sgdisk", &["-p", path]).unwrap();
    assert!(
        summary.contains(&layout.disk_id().to_string().to_uppercase()),
        "{summary}"
    );
}

#[test]
fn sfdisk_verifies_the_image_and_dumps_it_as_planned() {
    let folder = tempfile::tempdir().unwrap();
    let (layout, path) = image(folder.path());
    let path = path.to_str().unwrap();
    let Some(_) = judge("sfdisk", &["--verify", path]) else {
        return;
    };
    let dump = judge("sfdisk", &["--dump", path]).unwrap();
    for partition in &layout.partitions {
        let line = dump
            .lines()
            .find(|line| line.contains(&format!("name=\"{}\"", partition.label)))
            .unwrap();
        assert!(line.contains(&partition.id.to_string().to_uppercase()), "{line}");
        assert_eq!(line.contains("GUID:60"), partition.label != "esp", "{line}");
    }
    assert!(
        dump.contains(&format!("label-id: {}", layout.disk_id().to_string().to_uppercase())),
        "{dump}"
    );
}

#[test]
fn sgdisk_moves_the_backup_table_to_the_end_of_a_larger_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (layout, path) = image(folder.path());
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(layout.len_bytes() * 3)
        .unwrap();
    let text = path.to_str().unwrap();
    let Some(_) = judge("sgdisk", &["-e", text]) else {
        return;
    };
    let report = judge("sgdisk", &["-v", text]).unwrap();
    assert!(report.contains("No problems found"), "{report}");
    let read = skerry_builder::gpt::read::read(&mut fs::File::open(&path).unwrap()).unwrap();
    assert!(read.other_fault.is_none());
    let entries = read.table.partitions.iter();
    let ids: Vec<PartitionId> = entries.map(|entry| PartitionId::Gpt(entry.id)).collect();
    assert_eq!(
        ids,
        layout
            .partitions
            .iter()
            .map(|partition| partition.id)
            .collect::<Vec<_>>()
    );
}

#[test]
fn mtools_read_a_seeded_join_file_and_fsck_fat_finds_nothing_to_repair() {
    const JOIN: &str = "version = 1\nendpoints = [\"https://cp.example:6443\"]\ntoken = \"abcdef.0123456789abcdef\"\n\
        ca-pins = [\"sha256:345959acb2c3b2feb87d281961c893f62a314207ef02599f1cc4a5fb255480b3\"]\n";
    let folder = tempfile::tempdir().unwrap();
    let (layout, path) = image(folder.path());
    let offset = layout.partitions[0].first_sector * 512;
    let volume = format!("{}@@{offset}", path.display());
    // fsck.fat knows no offsets.
    let volume_alone = folder.path().join("esp.fat");
    let check = || {
        let bytes = fs::read(&path).unwrap();
        let len = (layout.partitions[0].sectors * 512) as usize;
        fs::write(&volume_alone, &bytes[offset as usize..][..len]).unwrap();
        judge("fsck.fat", &["-n", "-v", volume_alone.to_str().unwrap()])
    };
    let file = check_join_file(JOIN.as_bytes()).unwrap();
    for change in [Change::Put(&file), Change::Remove, Change::Put(&file)] {
        seed(&path, change).unwrap();
        let Some(report) = check() else {
            return;
        };
        for complaint in ["differ", "wrong", "bad", "Unused", "orphan", "Auto", "unclean", "Dirty"] {
            assert!(!report.contains(complaint), "{report}");
        }
    }
    let Some(text) = judge("mtype", &["-i", &volume, "::join.toml"]) else {
        return;
    };
    assert_eq!(text, JOIN);
    let listing = judge("mdir", &["-i", &volume, "::"]).unwrap();
    assert!(
        listing.contains("2025-06-07") && listing.contains("join.toml"),
        "{listing}"
    );
}

#[test]
fn zstd_decompresses_the_image_and_sha256sum_agrees_with_the_sums() {
    let folder = tempfile::tempdir().unwrap();
    let (layout, raw) = image(folder.path());
    let zst = folder.path().join("edge.raw.zst");
    let ranges = layout.ranges();
    let done = artifacts::compress(&CompressInput {
        raw: &raw,
        zst: &zst,
        ranges: &ranges,
    })
    .unwrap();
    let sums = folder.path().join("SHA256SUMS");
    let text = sums::to_text([("edge.raw", done.raw.sha256), ("edge.raw.zst", done.zst.sha256)]);
    artifacts::write_bytes(&sums, text.as_bytes()).unwrap();
    let mut check = Command::new("sha256sum");
    let status = check
        .args(["--check", "--strict", "--quiet", "SHA256SUMS"])
        .current_dir(folder.path())
        .status();
    assert!(status.unwrap().success());
    let copy = folder.path().join("copy.raw");
    let Some(_) = judge(
        "zstd",
        &["-d", "-q", zst.to_str().unwrap(), "-o", copy.to_str().unwrap()],
    ) else {
        return;
    };
    assert!(fs::read(&copy).unwrap() == fs::read(&raw).unwrap());
}

fn bill_of_materials() -> SbomInput {
    let package = |name: &str, licence: &str, origin| SbomPackage {
        name: name.to_owned(),
        version: "1:2.0~rc1+dfsg-3".to_owned(),
        arch: "amd64".to_owned(),
        source: Some("gcc-14 (14.2.0-19)".to_owned()),
        sha256: Sha256::of(name.as_bytes()),
        licences: vec![licence.to_owned(), "MIT".to_owned()],
        origin,
        download: Some("pool/main/x.deb".to_owned()),
        modules: Vec::new(),
    };
    let go = SbomOrigin::Go {
        module: "github.com/containerd/containerd/v2".to_owned(),
    };
    let module = |path: &str| GoModule {
        path: path.to_owned(),
        version: "v0.42.0".to_owned(),
        sum: Some("h1:x=".to_owned()),
    };
    let debian = SbomOrigin::Deb {
        release: Some("13".to_owned()),
    };
    SbomInput {
        image: "edge-x86_64".to_owned(),
        image_version: "1".to_owned(),
        timestamp: TIME,
        digest: Sha256::of(b"lock"),
        packages: vec![
            package("libstdc++6", "GPL-3+ with GCC exception", debian),
            SbomPackage {
                modules: vec![module("golang.org/x/net"), module("stdlib")],
                ..package("containerd", "Apache-2.0", go)
            },
            SbomPackage {
                download: Some("https://example.org/tool".to_owned()),
                ..package("tool", "BSD-3-clause", SbomOrigin::File)
            },
        ],
    }
}

#[test]
fn the_spdx_validator_accepts_the_sbom() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edge.spdx.json");
    fs::write(&path, sbom::spdx::to_json(&bill_of_materials())).unwrap();
    judge("pyspdxtools", &["--infile", path.to_str().unwrap()]);
}

#[test]
fn the_cyclonedx_validator_accepts_the_sbom_and_refuses_a_broken_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edge.cdx.json");
    let text = sbom::cyclonedx::to_json(&bill_of_materials());
    fs::write(&path, &text).unwrap();
    if judge("cyclonedx-validate", &[path.to_str().unwrap()]).is_none() {
        return;
    }
    fs::write(&path, text.replace("\"MIT\"", "\"no licence of the list\"")).unwrap();
    let refused = run("cyclonedx-validate", &[path.to_str().unwrap()]).unwrap();
    assert!(!refused.status.success());
}

#[test]
fn go_tells_the_same_modules_of_its_own_program() {
    let go = |arguments: &[&str]| Command::new("go").args(arguments).env("GOTOOLCHAIN", "local").output();
    let Ok(root) = go(&["env", "GOROOT"]) else {
        return say("skipped: no go");
    };
    let program = Path::new(String::from_utf8(root.stdout).unwrap().trim()).join("bin/go");
    let told = go(&["version", "-m", program.to_str().unwrap()]).unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    let version = told.lines().next().unwrap().rsplit_once(": go").unwrap().1;
    let mut expected = vec![("stdlib".to_owned(), version.split(' ').next().unwrap().to_owned())];
    for line in told.lines() {
        match line.trim_start().split('\t').collect::<Vec<_>>().as_slice() {
            ["dep", path, version, ..] => expected.push(((*path).to_owned(), (*version).to_owned())),
            // What stands in for the line before.
            ["=>", path, version, ..] => *expected.last_mut().unwrap() = ((*path).to_owned(), (*version).to_owned()),
            _ => {}
        }
    }
    let found = sbom::go_modules::read(&FileData::from_host_file(&program).unwrap()).unwrap();
    let found: Vec<_> = found.into_iter().map(|module| (module.path, module.version)).collect();
    assert_eq!(found, expected);
}
