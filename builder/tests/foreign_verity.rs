//! `veritysetup` judges the hash trees that the builder writes.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what it calls")]

use std::io::Write as _;
use std::process::Command;

use skerry_builder::squashfs::FileRange;
use skerry_builder::verity;
use tempfile::NamedTempFile;

const SALT: [u8; 32] = [0xc3; 32];
const UUID: [u8; 16] = [0xab; 16];
const UUID_TEXT: &str = "abababab-abab-abab-abab-abababababab";

/// Whether the tool is there; says that the test is skipped where it is not.
fn has_veritysetup() -> bool {
    let found = Command::new("veritysetup").arg("--version").output().is_ok();
    if !found {
        let _ = writeln!(std::io::stderr(), "skipped: no veritysetup");
    }
    found
}

fn run(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("veritysetup").args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

fn data_file(blocks: usize) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    for block in 0..blocks {
        let bytes = (block as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
        file.write_all(&bytes.repeat(512)).unwrap();
    }
    file
}

fn path_of(file: &NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

#[test]
fn veritysetup_accepts_the_tree_and_writes_the_same_one() {
    if !has_veritysetup() {
        return;
    }
    for blocks in [1, 2, 128, 129, 3000, 128 * 128 + 1] {
        let data = data_file(blocks);
        let mut tree = NamedTempFile::new().unwrap();
        let source = FileRange::whole(data.as_file()).unwrap();
        let verity = verity::build(&source, SALT, UUID, &mut tree).unwrap();
        let root_hash = verity.root_hash.to_string();

        let (is_good, text) = run(&["verify", path_of(&data), path_of(&tree), &root_hash]);
        assert!(is_good, "{blocks} blocks: {text}");

        let theirs = NamedTempFile::new().unwrap();
        let salt = "c3".repeat(32);
        let options = ["--salt", &salt, "--uuid", UUID_TEXT];
        let (is_good, text) = run(&[&["format", path_of(&data), path_of(&theirs)][..], &options].concat());
        assert!(is_good, "{text}");
        assert!(text.contains(&root_hash), "{text}");
        assert!(std::fs::read(tree.path()).unwrap() == std::fs::read(theirs.path()).unwrap());
    }
}

#[test]
fn veritysetup_dumps_what_the_superblock_was_made_of() {
    if !has_veritysetup() {
        return;
    }
    let data = data_file(700);
    let mut tree = NamedTempFile::new().unwrap();
    verity::build(&FileRange::whole(data.as_file()).unwrap(), SALT, UUID, &mut tree).unwrap();
    let (is_good, text) = run(&["dump", path_of(&tree)]);
    assert!(is_good, "{text}");
    let words: Vec<&str> = text.split_whitespace().collect();
    let words = words.join(" ");
    let expected = [
        &format!("UUID: {UUID_TEXT}"),
        "Hash type: 1",
        "Data blocks: 700",
        "Data block size: 4096",
        "Hash block size: 4096",
        "Hash algorithm: sha256",
        &format!("Salt: {}", "c3".repeat(32)),
    ];
    for line in expected {
        assert!(words.contains(line), "`{line}` is not in: {words}");
    }
}

#[test]
fn both_verifiers_refuse_a_flipped_byte() {
    if !has_veritysetup() {
        return;
    }
    let data = data_file(300);
    let mut tree = NamedTempFile::new().unwrap();
    let source = FileRange::whole(data.as_file()).unwrap();
    let verity = verity::build(&source, SALT, UUID, &mut tree).unwrap();
    let flipped = 299 * 4096 + 4095;
    std::os::unix::fs::FileExt::write_all_at(data.as_file(), &[0x77], flipped).unwrap();
    let (is_good, _) = run(&["verify", path_of(&data), path_of(&tree), &verity.root_hash.to_string()]);
    assert!(!is_good);
    let tree_source = FileRange::whole(tree.as_file()).unwrap();
    let error = verity::verify(&source, &tree_source, &verity.root_hash).unwrap_err();
    assert!(error.to_string().starts_with("block 299 of the image"), "{error}");
}
