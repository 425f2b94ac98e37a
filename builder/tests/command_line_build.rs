//! The command line of `build`, `check` and `run`: several images, boards that cannot be, boards without a boot loader.

#![allow(clippy::unwrap_used, reason = "a failed expectation is what a test is for")]

#[path = "../src/uki/sample.rs"]
mod sample;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use skerry_builder::arch::Arch;
use skerry_builder::uki::{self, UkiParts};

/// A copy of the project's own definitions.
fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for part in ["images", "overlays"] {
        let copied = Command::new("cp")
            .arg("-r")
            .arg(own.join(part))
            .arg(folder.path())
            .status();
        assert!(copied.unwrap().success());
    }
    folder
}

fn skerry(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_skerry"))
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .env("CI", "true")
        .env("TMPDIR", folder)
        .env("SKERRY_CACHE_DIR", folder.join("cache"))
        .output()
        .unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code(), out, err)
}

#[test]
fn build_all_tells_of_each_image_that_failed_and_tries_the_others() {
    let folder = project();
    for name in ["edge-x86_64", "rockchip"] {
        fs::remove_file(folder.path().join(format!("images/{name}.lock"))).unwrap();
    }
    let (code, _, err) = skerry(folder.path(), &["build", "--all", "--locked", "--offline", "--dry-run"]);
    assert_eq!(code, Some(1), "{err}");
    for name in ["edge-x86_64", "rockchip"] {
        assert!(err.contains(&format!("images/{name}.lock")), "{err}");
    }
    let last = err.lines().last().unwrap();
    assert!(last.contains(" images failed: "), "{err}");
    assert!(last.contains("edge-x86_64") && last.contains("rockchip"), "{err}");
}

#[test]
fn build_all_takes_no_name_and_needs_an_image() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(skerry(folder.path(), &["build", "--all", "edge-x86_64"]).0, Some(2));
    let (code, _, err) = skerry(folder.path(), &["build", "--all"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("there is no image below ./images"), "{err}");
    assert!(err.contains("hint: `skerry init`"), "{err}");
}

#[test]
fn check_lists_the_boards_when_there_is_none_of_that_name() {
    let folder = project();
    let text = "version = 1\nbase = \"rockchip.toml\"\nboard = \"rock65-rk3328\"\n";
    fs::write(folder.path().join("images/mine.toml"), text).unwrap();
    let (code, _, err) = skerry(folder.path(), &["check", "mine"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("there is no board `rock65-rk3328`"), "{err}");
    assert!(err.contains("did you mean `rock64-rk3328`?"), "{err}");
    assert!(err.contains("raspberry-pi"), "{err}");
}

#[test]
fn check_asks_for_the_consent_to_firmware_without_source() {
    let folder = project();
    let path = folder.path().join("images/raspberry-pi.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("non-free-firmware = true\n", "")).unwrap();
    let (code, _, err) = skerry(folder.path(), &["check", "raspberry-pi"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("hint: `non-free-firmware = true`"), "{err}");
}

#[test]
fn every_board_of_the_project_can_be_chosen() {
    let folder = project();
    let mut count = 0;
    for entry in fs::read_dir(folder.path().join("images/boards")).unwrap() {
        let path = entry.unwrap().path();
        let board = path.file_stem().unwrap().to_str().unwrap();
        let text = format!("version = 1\nbase = \"edge-board.toml\"\nboard = \"{board}\"\nnon-free-firmware = true\n");
        fs::write(folder.path().join("images/mine.toml"), text).unwrap();
        let (code, _, err) = skerry(folder.path(), &["check", "mine"]);
        assert_eq!(code, Some(0), "{board}: {err}");
        count += 1;
    }
    assert!(count >= 20, "{count}");
}

fn unified_kernel_image() -> Vec<u8> {
    let machine = Arch::Aarch64.names().pe_machine;
    let parts = UkiParts {
        stub: &sample::pe(machine, &[".text", ".sbat"], 8),
        kernel: &sample::pe(machine, &[".setup"], 0),
        initrd: b"initrd",
        cmdline: "roothash=1 quiet",
        os_release: "ID=skerry\n",
        uname: "7.3",
        arch: Arch::Aarch64,
        extra: Vec::new(),
    };
    uki::assemble(&parts).unwrap()
}

#[test]
fn run_starts_what_has_no_boot_loader_by_its_kernel() {
    let folder = project();
    let out = folder.path().join("out/raspberry-pi-5");
    fs::create_dir_all(&out).unwrap();
    fs::write(out.join("raspberry-pi-5.raw"), "").unwrap();
    fs::write(out.join("raspberry-pi-5.efi"), unified_kernel_image()).unwrap();
    let words = ["run", "raspberry-pi-5", "--accel", "tcg", "--print-command"];
    let (code, command, err) = skerry(folder.path(), &words);
    assert_eq!(code, Some(0), "{err}");
    assert!(command.contains(" -append 'roothash=1 quiet'"), "{command}");
    assert!(!command.contains("pflash"), "{command}");
}
