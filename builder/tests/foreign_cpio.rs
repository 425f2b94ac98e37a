//! GNU cpio judges the initial RAM disk's archive: it lists and unpacks what was written.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says what it skips, and stops where something fails"
)]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};

use skerry_builder::initrd::cpio::{CpioContent, CpioEntry, write};

/// 2020-01-01
const MTIME_SECS: u32 = 1_577_836_800;

fn entries() -> Vec<CpioEntry> {
    let entry = |path: &str, mode, content| CpioEntry {
        path: path.to_owned(),
        mode,
        content,
    };
    vec![
        entry("bin", 0o755, CpioContent::Dir),
        entry("bin/program", 0o750, CpioContent::File(vec![0x5a; 5000])),
        entry("empty", 0o600, CpioContent::File(Vec::new())),
        entry("init", 0o777, CpioContent::Symlink("bin/program".to_owned())),
    ]
}

/// What `cpio` prints for these arguments and the archive; none if there is no cpio.
fn cpio(arguments: &[&str], folder: &Path, archive: &[u8]) -> Option<String> {
    let child = Command::new("cpio")
        .args(arguments)
        .arg("--quiet")
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        println!("skipped: no cpio");
        return None;
    };
    child.stdin.take().unwrap().write_all(archive).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn cpio_lists_every_entry_with_mode_owner_size_and_time() {
    let mut entries = entries();
    let console = CpioContent::CharDevice { major: 5, minor: 1 };
    entries.push(CpioEntry {
        path: "console".to_owned(),
        mode: 0o620,
        content: console,
    });
    let archive = write(&entries, MTIME_SECS).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let Some(listing) = cpio(&["-tvn"], folder.path(), &archive) else {
        return;
    };
    let lines: Vec<String> = listing
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        lines,
        [
            "drwxr-xr-x 2 0 0 0 Jan 1 2020 bin",
            "-rwxr-x--- 1 0 0 5000 Jan 1 2020 bin/program",
            "-rw------- 1 0 0 0 Jan 1 2020 empty",
            "lrwxrwxrwx 1 0 0 11 Jan 1 2020 init -> bin/program",
            "crw--w---- 1 0 0 5, 1 Jan 1 2020 console",
        ]
    );
}

#[test]
fn cpio_unpacks_the_same_files() {
    let archive = write(&entries(), MTIME_SECS).unwrap();
    let folder = tempfile::tempdir().unwrap();
    if cpio(&["-i", "-m", "--no-preserve-owner"], folder.path(), &archive).is_none() {
        return;
    }
    let program = folder.path().join("bin/program");
    assert_eq!(fs::read(&program).unwrap(), vec![0x5a; 5000]);
    let stat = fs::metadata(&program).unwrap();
    assert_eq!(stat.permissions().mode() & 0o7777, 0o750);
    assert_eq!(stat.mtime(), i64::from(MTIME_SECS));
    assert_eq!(
        fs::read_link(folder.path().join("init")).unwrap(),
        Path::new("bin/program")
    );
}
