//! Loop devices that go away with the test, also when it fails.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use super::program::{has_tool, read_part, say, tool};

/// A file that the kernel shows as a disk.
pub struct LoopDevice {
    path: String,
    /// Where the file is.
    _folder: Option<tempfile::TempDir>,
}

/// Whether this machine lets the test make loop devices; says so where it does not.
pub fn can_attach() -> bool {
    if !has_tool("losetup") {
        return false;
    }
    if !is_root() {
        say("skipped: loop devices need root");
        return false;
    }
    let there = Path::new("/dev/loop-control").exists();
    if !there {
        say("skipped: no /dev/loop-control");
    }
    there
}

pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

impl LoopDevice {
    /// A disk of `len` bytes, all of them `byte`.
    pub fn filled(len: u64, byte: u8) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        let mut file = fs::File::create(&path).unwrap();
        for _ in 0..len >> 20 {
            file.write_all(&vec![byte; 1 << 20]).unwrap();
        }
        Self::attach(&path, &[], Some(folder))
    }

    /// A disk of `len` bytes of which none is kept anywhere until it is written.
    pub fn sparse(len: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        fs::File::create(&path).unwrap().set_len(len).unwrap();
        Self::attach(&path, &[], Some(folder))
    }

    /// The file at `path`, with more options of losetup(8).
    pub fn attach(path: &Path, options: &[&str], folder: Option<tempfile::TempDir>) -> Self {
        let fixed = ["--find", "--show"].into_iter().chain(options.iter().copied());
        let arguments: Vec<&str> = fixed.chain([path.to_str().unwrap()]).collect();
        Self {
            path: tool("losetup", &arguments).trim().to_owned(),
            _folder: folder,
        }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn name(&self) -> &str {
        self.path.strip_prefix("/dev/").unwrap()
    }

    fn sectors(&self) -> u64 {
        let text = fs::read_to_string(format!("/sys/block/{}/size", self.name())).unwrap();
        text.trim().parse().unwrap()
    }

    /// What `--confirm` takes for it.
    pub fn confirmation(&self) -> String {
        format!("{}:{}", self.name(), self.sectors() * 512)
    }

    pub fn content(&self) -> Vec<u8> {
        self.read(0, (self.sectors() * 512) as usize)
    }

    pub fn read(&self, offset: u64, len: usize) -> Vec<u8> {
        read_part(&self.path, offset, len)
    }

    /// Whether the first MiB is zeros, as it is while the disk is being written.
    pub fn is_invalid(&self) -> bool {
        self.read(0, 1 << 20).iter().all(|byte| *byte == 0)
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        // Nothing can be done here about a failure, and a test that has failed has said so.
        let _ = Command::new("losetup")
            .args(["--detach", &self.path])
            .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
            .status();
    }
}
