//! What can go wrong before systemd runs, and what then happens: three lines on the console, a pause, a restart.
//!
//! PID 1 must never exit (the kernel would stop with a panic and, without `panic=`, stay there for ever). A restart gives
//! the loader's boot counter its chance to fall back to the other slot.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::reboot::{RebootMode, reboot};

use super::cmdline::CmdlineError;
use super::console;
use super::ids::RootHash;
use super::verity::SuperblockError;
use crate::causes::with_causes;

/// Why the machine cannot go on to systemd.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// A mount that everything else needs.
    #[error("cannot mount {what} at {target}")]
    Mount {
        /// File system or device.
        what: String,
        /// Where.
        target: String,
        /// Why.
        #[source]
        source: Errno,
    },
    /// A file that must be readable.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file or folder that must be made.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The command line does not say what to boot.
    #[error("it is not said what to boot")]
    Cmdline(#[from] CmdlineError),
    /// The kernel cannot tell of new devices.
    #[error("cannot listen for device events")]
    Events(#[source] Errno),
    /// The disk did not turn up.
    #[error(
        "no disk holds the root {root_hash} after {waited_secs} s: no GPT has the partitions {} and {}, and no MBR a slot \
         with it; seen: {seen}",
        root_hash.root_partition(), root_hash.verity_partition()
    )]
    NoRootDisk {
        /// The root that may run.
        root_hash: RootHash,
        /// How long it was waited for.
        waited_secs: u64,
        /// What disks there are.
        seen: String,
    },
    /// The hashes are damaged.
    #[error("the hashes on {} cannot be used", device.display())]
    Superblock {
        /// Its device.
        device: PathBuf,
        /// Why.
        #[source]
        source: SuperblockError,
    },
    /// Verity data and root do not belong together.
    #[error("{} has {len_bytes} bytes, its verity data covers {needed_bytes}", device.display())]
    RootTooSmall {
        /// The root partition.
        device: PathBuf,
        /// What the superblock says.
        needed_bytes: u64,
        /// What there is.
        len_bytes: u64,
    },
    /// The module is missing.
    #[error("there is no device mapper")]
    DeviceMapperMissing {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// One of its requests failed.
    #[error("cannot {step}")]
    DeviceMapper {
        /// Which.
        step: &'static str,
        /// Why.
        #[source]
        source: Errno,
    },
    /// The root cannot be made the root.
    #[error("cannot {step} the new root")]
    SwitchRoot {
        /// `enter`, `move the mounts to`, …
        step: &'static str,
        /// Why.
        #[source]
        source: Errno,
    },
    /// There is no init, or it does not start.
    #[error("cannot start {path}")]
    Exec {
        /// Which program.
        path: &'static str,
        /// Why.
        #[source]
        source: Errno,
    },
}

impl BootError {
    /// What the person at the console can do.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Cmdline(_) => "check the loader entry: the kernel command line must hold the `roothash=` of an image",
            Self::NoRootDisk { .. } => {
                "check that the disk is plugged in and holds this image (same `roothash=`); if it is not seen at all, \
                 its driver may be missing from the image's `initrd-modules`; `skerry.root-wait=SECONDS` waits longer"
            }
            Self::Superblock { .. } | Self::RootTooSmall { .. } => {
                "the image on this disk is damaged or half written: flash it again"
            }
            Self::DeviceMapperMissing { .. } | Self::DeviceMapper { .. } => {
                "check that `dm-verity` is among the image's `initrd-modules`; `rd.debug` shows what was loaded"
            }
            Self::SwitchRoot { .. } | Self::Exec { .. } => "the root of this image is incomplete: build it again",
            Self::Mount { .. } | Self::Read { .. } | Self::Write { .. } | Self::Events(_) => {
                "this should not happen: kernel, initrd and root may be of different builds; flash the image again"
            }
        }
    }
}

/// Says what failed and restarts the machine after `delay`.
pub fn restart(error: &BootError, delay: Duration) -> ! {
    console::alert(&format!("FAILED: {}", with_causes(error)));
    console::alert(&format!("what to do: {}", error.advice()));
    restart_after(delay)
}

/// From now on a defect of this program restarts the machine, too.
pub fn restart_on_panic(delay: Duration) {
    std::panic::set_hook(Box::new(move |defect| {
        console::alert(&format!("FAILED: defect in skerry-init: {defect}"));
        console::alert("what to do: report this line; the machine restarts");
        restart_after(delay)
    }));
}

fn restart_after(delay: Duration) -> ! {
    console::alert(&format!("restarting in {} s", delay.as_secs()));
    std::thread::sleep(delay);
    nix::unistd::sync();
    loop {
        let Err(reason) = reboot(RebootMode::RB_AUTOBOOT);
        console::alert(&format!("cannot restart: {reason}; switch the machine off and on"));
        std::thread::sleep(Duration::from_secs(60));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_with_all_its_causes_once() {
        let error = BootError::from(
            "roothash=1"
                .parse()
                .map_err(CmdlineError::BadRootHash)
                .map(|_: RootHash| ())
                .unwrap_err(),
        );
        assert_eq!(
            with_causes(&error),
            "it is not said what to boot: the kernel command line's `roothash=` cannot be read: `roothash=1` is not a \
             root hash of 64 hex digits"
        );
    }
}
