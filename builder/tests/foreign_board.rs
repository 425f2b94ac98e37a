//! Other people's tools judge the disks of boards: sfdisk and fdisk the MBR, veritysetup the slot that holds root file
//! system and verity data together.

#![allow(clippy::unwrap_used, reason = "a failed expectation is what a test is for")]
#![expect(dead_code, reason = "this test needs only a part of the sample image")]

#[path = "sample/image.rs"]
mod sample;

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::process::Command;

use skerry_builder::disk::{Loader, TableKind};
use skerry_builder::inspect::inspect;
use skerry_builder::tree::FileData;

use sample::{Sample, Written};

/// The standard output of a tool that has to succeed; `None`, with a word about it, where it is not installed.
fn judge(tool: &str, args: &[&str]) -> Option<String> {
    let mut command = Command::new(tool);
    command
        .args(args)
        .env("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin")
        .env("LC_ALL", "C");
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // Not `println!`, which the test harness keeps to itself: a skip has to be seen.
            let word = format!("skipped: no {tool}\n");
            std::io::stderr().write_all(word.as_bytes()).unwrap();
            return None;
        }
        Err(error) => panic!("{tool}: {error}"),
    };
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success(), "{tool} {args:?}: {out}\n{err}");
    Some(out)
}

fn board(table: TableKind) -> (tempfile::TempDir, Written) {
    let folder = tempfile::tempdir().unwrap();
    let mut sample = Sample::new();
    sample.table = table;
    sample.loaders = vec![Loader {
        name: "idbloader.img".to_owned(),
        offset: 32 << 10,
        data: FileData::from_bytes(vec![0xdd; 135_168]),
    }];
    let written = sample.write(folder.path());
    (folder, written)
}

#[test]
fn sfdisk_verifies_the_tables_of_boards_with_a_boot_loader_before_the_first_partition() {
    for table in [TableKind::Mbr, TableKind::Gpt] {
        let (_folder, written) = board(table);
        let path = written.raw.to_str().unwrap();
        let Some(report) = judge("sfdisk", &["--verify", path]) else {
            return;
        };
        assert!(report.contains("No errors detected"), "{report}");
    }
}

#[test]
fn sfdisk_reads_the_partitions_of_an_mbr_as_planned() {
    let (_folder, written) = board(TableKind::Mbr);
    let path = written.raw.to_str().unwrap();
    let Some(dump) = judge("sfdisk", &["--dump", path]) else {
        return;
    };
    let inspection = inspect(&written.raw).unwrap();
    assert!(dump.contains("label: dos\n"), "{dump}");
    assert!(
        dump.contains(&format!("label-id: 0x{}\n", inspection.disk_id)),
        "{dump}"
    );
    for (partition, kind) in inspection.partitions.iter().zip(["c", "83", "83"]) {
        let mut lines = dump.lines().filter(|line| line.contains("start="));
        let line = lines.nth(partition.number - 1).unwrap();
        let numbers: Vec<String> = line.split([' ', ',']).map(str::to_owned).collect();
        let [start, size] = [partition.offset, partition.len_bytes].map(|bytes| (bytes / 512).to_string());
        assert!(numbers.contains(&start) && numbers.contains(&size), "{line}");
        assert!(line.ends_with(&format!("type={kind}")), "{line}");
    }
}

#[test]
fn veritysetup_verifies_a_slot_in_which_the_verity_data_follows_the_root() {
    let (folder, written) = board(TableKind::Mbr);
    let inspection = inspect(&written.raw).unwrap();
    let used = inspection.root.as_ref().unwrap().used_bytes;
    let hash_offset = used.next_multiple_of(4096).to_string();
    let slot = folder.path().join("slot");
    let partition = &inspection.partitions[1];
    let mut bytes = vec![0; partition.len_bytes as usize];
    let raw = File::open(&written.raw).unwrap();
    raw.read_exact_at(&mut bytes, partition.offset).unwrap();
    fs::write(&slot, &bytes).unwrap();
    let (path, root_hash) = (slot.to_str().unwrap(), written.root_hash.to_string());
    let option = format!("--hash-offset={hash_offset}");
    if judge("veritysetup", &["verify", &option, path, path, &root_hash]).is_none() {
        return;
    }
    bytes[5000] ^= 1;
    fs::write(&slot, &bytes).unwrap();
    let refused = Command::new("/usr/sbin/veritysetup")
        .args(["verify", &option, path, path, &root_hash])
        .output()
        .unwrap();
    assert!(!refused.status.success(), "a changed slot has to be refused");
}
