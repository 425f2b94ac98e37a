//! The kernel's own file systems, with the options that systemd would use: it leaves alone what it finds mounted.

use std::fs;

use nix::mount::{MsFlags, mount};

use super::console;
use super::failure::BootError;

/// Where the initrd keeps its modules; a folder per kernel release below it.
pub const MODULES: &str = "/lib/modules";

/// How long the kernel shows a panic before it restarts, unless the command line says otherwise.
const PANIC_RESTART_SECS: &str = "10";

struct Mount {
    kind: &'static str,
    target: &'static str,
    flags: MsFlags,
    options: &'static str,
}

/// In this order. They move along into the new root.
const MOUNTS: [Mount; 4] = [
    Mount {
        kind: "proc",
        target: "/proc",
        flags: MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC),
        options: "",
    },
    Mount {
        kind: "sysfs",
        target: "/sys",
        flags: MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC),
        options: "",
    },
    Mount {
        kind: "devtmpfs",
        target: "/dev",
        flags: MsFlags::MS_NOSUID,
        options: "mode=0755,size=4m,nr_inodes=64k",
    },
    Mount {
        kind: "tmpfs",
        target: "/run",
        flags: MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV),
        options: "mode=0755,size=20%,nr_inodes=800k",
    },
];

/// Where those mounts are.
pub fn targets() -> impl Iterator<Item = &'static str> {
    MOUNTS.iter().map(|mount| mount.target)
}

/// Mounts them.
pub fn mount_kernel_file_systems() -> Result<(), BootError> {
    for entry in &MOUNTS {
        make_folder(entry.target)?;
        attach(entry.kind, entry.target, entry.kind, entry.flags, entry.options)?;
    }
    Ok(())
}

/// mount(2) with an error that says what and where.
pub fn attach(what: &str, target: &str, kind: &str, flags: MsFlags, options: &str) -> Result<(), BootError> {
    mount(Some(what), target, Some(kind), flags, Some(options)).map_err(|source| BootError::Mount {
        what: what.to_owned(),
        target: target.to_owned(),
        source,
    })
}

/// Makes a folder and its parents.
pub fn make_folder(path: &str) -> Result<(), BootError> {
    fs::create_dir_all(path).map_err(|source| BootError::Write {
        path: path.into(),
        source,
    })
}

/// A kernel that stops for ever helps nobody: let it restart, so that the boot counter counts. `panic=` on the command
/// line wins.
pub fn restart_on_kernel_panic() {
    let path = "/proc/sys/kernel/panic";
    let unset = fs::read_to_string(path).is_ok_and(|text| text.trim() == "0");
    if unset && let Err(reason) = fs::write(path, PANIC_RESTART_SECS) {
        console::warn(&format!("a kernel panic will not restart the machine: {reason}"));
    }
}
