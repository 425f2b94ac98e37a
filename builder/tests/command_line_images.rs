//! The command line of `inspect` and `diff`: exit codes, and what goes to which stream.

#![allow(clippy::unwrap_used, reason = "a failed expectation is what a test is for")]

#[path = "sample/image.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod sample;

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Output};

use sample::{Sample, Written, file, put};
use skerry_builder::tree::Stat;
use tempfile::TempDir;

fn skerry(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_skerry"))
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .env("TMPDIR", folder)
        .output()
        .unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code(), out, err)
}

/// A folder with `a/` and `b/`, two builds that differ in one file and in the command line.
fn two_builds() -> (TempDir, Written) {
    let folder = TempDir::new().unwrap();
    let mut changed = Sample::new();
    changed.words = "panic=10";
    put(
        &mut changed.tree,
        "base",
        "usr/lib/small",
        file("SMALL"),
        Stat::root(0o640),
    );
    let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
    for path in [&a, &b] {
        fs::create_dir(path).unwrap();
    }
    let written = Sample::new().write(&a);
    changed.write(&b);
    (folder, written)
}

fn damage(written: &Written) {
    let file = fs::OpenOptions::new().write(true).open(&written.raw).unwrap();
    file.write_all_at(b"\xaa\x55\xaa", written.root_offset + 8192).unwrap();
}

#[test]
fn inspect_prints_the_report_and_nothing_else() {
    let (folder, _) = two_builds();
    let (code, out, err) = skerry(folder.path(), &["inspect", "a"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(
        out.starts_with("file         edge.raw, 46.0 MiB\nimage        edge 1.0 for x86_64"),
        "{out}"
    );
    // Nothing is left of what was unpacked.
    let (code, out, err) = skerry(folder.path(), &["inspect", "a/edge.raw.zst", "--json"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["version"], 1);
    assert_eq!(report["source"], "raw-zst");
    assert_eq!(report["contents"]["packages"][0]["name"], "base");
    assert_eq!(report["checks"][0]["outcome"], "passed");
    let left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn inspect_writes_a_page_and_prints_its_path() {
    let (folder, _) = two_builds();
    let (code, out, err) = skerry(folder.path(), &["inspect", "a/edge.raw", "--html", "sizes.html"]);
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "sizes.html\n", ""));
    let page = fs::read_to_string(folder.path().join("sizes.html")).unwrap();
    assert!(
        page.starts_with("<!DOCTYPE html>\n") && page.ends_with("</html>\n"),
        "{page}"
    );
}

#[test]
fn inspect_of_a_damaged_image_shows_it_and_says_what_is_wrong() {
    let (folder, written) = two_builds();
    damage(&written);
    let (code, out, err) = skerry(folder.path(), &["inspect", "a/edge.raw"]);
    assert_eq!(code, Some(4));
    assert!(out.contains("  WRONG        root file system (verity): "), "{out}");
    let block = written.root_offset + 8192;
    assert_eq!(
        err,
        format!(
            "error: `a/edge.raw` is not as it was built\n  caused by: root file system (verity): the root does not match its \
             root hash: block 2 of the image (offset 8192) does not match its digest in the hash tree; this is partition \
             2, byte {block} of the disk\n\nhint: take a fresh copy of the image, or build it again\n"
        )
    );
}

#[test]
fn inspect_of_what_is_no_image_says_what_it_is() {
    let (folder, written) = two_builds();
    let whole = fs::read(&written.zst).unwrap();
    fs::write(folder.path().join("cut.raw.zst"), &whole[..1000]).unwrap();
    let (code, out, err) = skerry(folder.path(), &["inspect", "cut.raw.zst"]);
    assert_eq!((code, out.as_str()), (Some(4), ""));
    assert!(
        err.starts_with("error: `cut.raw.zst` is cut off: it ends at byte 1000, after "),
        "{err}"
    );
    let (code, _, err) = skerry(folder.path(), &["inspect", "a/edge.root"]);
    assert_eq!(code, Some(1));
    assert!(
        err.ends_with("hint: it is a file system (squashfs) without a disk around it: name the `.raw` beside it\n"),
        "{err}"
    );
    let (code, ..) = skerry(folder.path(), &["inspect", "absent.raw"]);
    assert_eq!(code, Some(1));
    let (code, ..) = skerry(folder.path(), &["inspect"]);
    assert_eq!(code, Some(2));
}

#[test]
fn diff_says_nothing_of_the_same_and_shows_what_differs() {
    let (folder, written) = two_builds();
    assert_eq!(
        skerry(folder.path(), &["diff", "a", "a/edge.raw.zst"]),
        (Some(0), String::new(), String::new())
    );
    let (code, out, err) = skerry(folder.path(), &["diff", "a", "b/edge.raw.zst"]);
    assert_eq!((code, err.as_str()), (Some(1), ""));
    assert!(
        out.starts_with(
            "a             edge.raw, edge 1.0\nb             edge.raw.zst, edge 1.0\ncommand line  - quiet\n              + panic=10\nroot hash     - "
        ),
        "{out}"
    );
    assert!(
        out.contains("\nFiles: 1 changed\n  changed  /usr/lib/small  content, mode 0644 → 0640  base\n"),
        "{out}"
    );
    let (code, out, _) = skerry(folder.path(), &["diff", "a", "b", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["same"]), (Some(1), &serde_json::Value::Bool(false)));
    assert_eq!(report["files"][0]["changed"], serde_json::json!(["content", "mode"]));
    // What cannot be unpacked cannot be compared.
    damage(&written);
    let (code, out, err) = skerry(folder.path(), &["diff", "a/edge.raw", "b"]);
    assert_eq!((code, out.as_str()), (Some(4), ""));
    assert!(
        err.starts_with("warning: a/edge.raw: root file system (verity): "),
        "{err}"
    );
    assert!(err.contains("error: cannot read /usr/bin/"), "{err}");
    assert!(
        err.ends_with("hint: `skerry inspect` tells whether `edge.raw` is as it was built\n"),
        "{err}"
    );
}

#[test]
fn diff_tells_trouble_from_a_difference() {
    let (folder, written) = two_builds();
    let whole = fs::read(&written.zst).unwrap();
    fs::write(folder.path().join("cut.raw.zst"), &whole[..1000]).unwrap();
    let code = |arguments: &[&str]| skerry(folder.path(), arguments).0;
    assert_eq!(code(&["diff", "a", "absent"]), Some(2));
    assert_eq!(code(&["diff", "a/edge.root", "a"]), Some(2));
    assert_eq!(code(&["diff", "a"]), Some(2));
    assert_eq!(code(&["diff", "a", "cut.raw.zst"]), Some(4));
}
