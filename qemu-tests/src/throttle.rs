//! A device made slow by the kernel (`blkio.throttle` of control groups, version 1), for programs of one group.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where version 1 has the groups.
const GROUPS: &str = "/sys/fs/cgroup/blkio";

/// A group of programs for which one device is slow; gone with its value, and until then the device is slow.
#[derive(Debug)]
pub struct Throttle(PathBuf);

impl Throttle {
    /// Lets programs of a new group read and write `device` with `bytes_per_second` at the most. An error where the kernel
    /// has no such groups.
    pub fn new(device: &str, bytes_per_second: u64) -> io::Result<Self> {
        let name = Path::new(device).file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let number = fs::read_to_string(Path::new("/sys/class/block").join(name).join("dev"))?;
        let folder = Path::new(GROUPS).join(format!("skerry-figures-{}", std::process::id()));
        fs::create_dir(&folder)?;
        let group = Self(folder);
        let rule = format!("{} {bytes_per_second}", number.trim());
        for file in ["blkio.throttle.write_bps_device", "blkio.throttle.read_bps_device"] {
            fs::write(group.0.join(file), &rule)?;
        }
        Ok(group)
    }

    /// `program`, to be started within the group.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ >\"$0\" && exec \"$@\""]);
        command.arg(self.0.join("cgroup.procs")).arg(program);
        command
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        // An empty group that stays limits nobody.
        let _ = fs::remove_dir(&self.0);
    }
}
