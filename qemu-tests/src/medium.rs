//! Cards, sticks and disks that an image is put onto as users do it: by `skerry flash`, onto a block device.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use nix::unistd::Uid;

use crate::image::{Image, run_skerry};
use crate::tools::judge;

/// Makes `disk` a medium of `len_bytes` with `image` on it, and `join_file` on its EFI partition; whether that could be
/// done, which is printed if not: block devices are root's.
#[allow(clippy::print_stdout, reason = "a skip is reported in the test's output")]
pub fn flash(image: &Image, disk: &Path, len_bytes: u64, join_file: Option<&Path>) -> bool {
    if !Uid::effective().is_root() {
        println!("skipped: flashing needs root");
        return false;
    }
    let file = File::create(disk).expect("the work folder can be written");
    file.set_len(len_bytes).expect("there is room for a sparse file");
    let Some(device) = LoopDevice::of(disk) else {
        return false;
    };
    let confirm = device.confirmation(len_bytes);
    let folder = image.folder.to_str().expect("UTF-8");
    let mut words = vec!["flash", folder, &device.0, "--confirm", &confirm, "--allow-fixed-disk"];
    if let Some(path) = join_file {
        words.extend(["--join", path.to_str().expect("UTF-8")]);
    }
    let outcome = run_skerry(&words);
    let talk = String::from_utf8_lossy(&outcome.stderr);
    assert!(outcome.status.success(), "skerry {words:?}: {talk}");
    true
}

/// A block device that is a file; let go when dropped.
#[derive(Debug)]
pub struct LoopDevice(String);

impl LoopDevice {
    /// None if the tool that makes them is missing.
    fn of(file: &Path) -> Option<Self> {
        Self::attach(&[], file)
    }

    /// The same, and what is written waits for the file's own disk, as a real device's does.
    pub fn past_the_page_cache(file: &Path) -> Option<Self> {
        Self::attach(&["--direct-io=on"], file)
    }

    fn attach(options: &[&str], file: &Path) -> Option<Self> {
        let path = file.to_str().expect("UTF-8");
        let printed = judge("losetup", &[&["--find", "--show"], options, &[path]].concat())?;
        Some(Self(printed.trim().to_owned()))
    }

    /// The device's path.
    pub fn path(&self) -> &str {
        &self.0
    }

    /// What `skerry flash --confirm` wants to hear of a device of `len_bytes` that has neither serial number nor model.
    pub fn confirmation(&self, len_bytes: u64) -> String {
        format!("{}:{len_bytes}", self.0.trim_start_matches("/dev/"))
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        // What it holds is in the file already; a device that stays costs nobody anything.
        let _ = Command::new("/sbin/losetup").args(["--detach", &self.0]).status();
    }
}
