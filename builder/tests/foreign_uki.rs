//! binutils and systemd's `ukify` judge the unified kernel image.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says what it skips, and stops where something fails"
)]

#[path = "../src/uki/sample.rs"]
mod sample;

use std::path::Path;
use std::process::Command;

use skerry_builder::arch::Arch;
use skerry_builder::uki::{self, UkiParts};

fn image() -> Vec<u8> {
    let stub = sample::pe(0x8664, &[".text", ".sbat"], 8);
    let kernel = sample::pe(0x8664, &[".setup"], 0);
    let parts = UkiParts {
        stub: &stub,
        kernel: &kernel,
        initrd: b"an initial RAM disk",
        cmdline: "roothash=00",
        os_release: "ID=skerry\n",
        uname: "6.12.1-amd64",
        arch: Arch::X86_64,
        extra: Vec::new(),
    };
    uki::assemble(&parts).unwrap()
}

/// What a program prints about the image; none if there is no such program.
fn ask(program: &str, arguments: &[&str], image: &Path) -> Option<String> {
    let Ok(output) = Command::new(program)
        .args(arguments)
        .arg(image)
        .env("LC_ALL", "C")
        .output()
    else {
        println!("skipped: no {program}");
        return None;
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {stderr}");
    Some(String::from_utf8(output.stdout).unwrap())
}

fn written(image: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".efi").tempfile().unwrap();
    std::fs::write(file.path(), image).unwrap();
    file
}

#[test]
fn objdump_sees_the_sections_where_we_put_them() {
    let image = image();
    let file = written(&image);
    let formats = Command::new("objdump").arg("-i").output();
    if formats.is_ok_and(|output| !String::from_utf8_lossy(&output.stdout).contains("pei-x86-64")) {
        println!("skipped: this objdump knows no PE files");
        return;
    }
    let Some(table) = ask("objdump", &["-h"], file.path()) else {
        return;
    };
    // Rows: index, name, size, VMA, LMA, file offset, alignment.
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let rows: Vec<(String, usize)> = rows
        .filter(|row| row.len() == 7 && row[0].parse::<u32>().is_ok())
        .map(|row| (row[1].to_owned(), usize::from_str_radix(row[5], 16).unwrap()))
        .collect();
    let sections = uki::read(&image).unwrap();
    let expected: Vec<(String, usize)> = sections.into_iter().map(|s| (s.name, s.range.start)).collect();
    assert_eq!(rows, expected);
    let headers = ask("objdump", &["-p"], file.path()).unwrap_or_default();
    let size = headers.lines().find(|line| line.starts_with("SizeOfImage"));
    assert!(size.is_some_and(|line| line.ends_with("00008000")), "{size:?}");
}

#[test]
fn ukify_reads_the_texts() {
    let file = written(&image());
    let Some(report) = ask("ukify", &["inspect"], file.path()) else {
        return;
    };
    for text in ["roothash=00", "6.12.1-amd64", "ID=skerry", ".linux", ".initrd"] {
        assert!(report.contains(text), "no `{text}` in {report}");
    }
}
