//! Virtual machines: from a disk image to a running QEMU and what its console says.
//!
//! In: a disk image, memory, a bus, how to boot. Out: a [`Machine`], which is plain data and can be printed as a command
//! line, and a running [`process::Qemu`] that never outlives its starter. QEMU and its firmware are the host's; the disk
//! image itself is never written, the machine gets a copy.

pub mod accel;
pub mod disk_copy;
pub mod echo;
pub mod firmware;
pub mod machine;
pub mod plain_text;
pub mod process;
pub mod tpm;
pub mod until;

use std::io;
use std::path::PathBuf;

use crate::failure::{Diagnose, FailureKind};

pub use machine::Machine;

/// A machine that cannot be started, or that did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum QemuError {
    /// QEMU is not installed.
    #[error("`{program}` is not installed")]
    NoQemu {
        /// The program's name.
        program: String,
    },
    /// No firmware for the machine.
    #[error("no UEFI firmware for {arch} is installed")]
    NoFirmware {
        /// The architecture.
        arch: crate::arch::Arch,
    },
    /// KVM was asked for and does not work.
    #[error("KVM does not work on this machine: {reason}")]
    NoKvm {
        /// What was tried and what happened.
        reason: String,
    },
    /// A file could not be read, copied or made.
    #[error("cannot {doing} {path}")]
    File {
        /// What was tried, such as `copy`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// QEMU could not be started or watched.
    #[error("cannot run `{program}`")]
    Run {
        /// The program's name.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// QEMU ended although it should not have.
    #[error("QEMU ended with {status}")]
    Ended {
        /// How it ended.
        status: String,
        /// The end of its standard error and of the console.
        tail: String,
    },
    /// The state was not reached in time.
    #[error("the machine was not {goal} after {waited_secs} s")]
    TooLate {
        /// The state waited for.
        goal: String,
        /// How long.
        waited_secs: u64,
        /// The end of the console.
        tail: String,
    },
    /// The node said that it cannot go on.
    #[error("the node failed: {reason}")]
    NodeFailed {
        /// In its own words.
        reason: String,
        /// The end of the console.
        tail: String,
    },
    /// A value of the command line is not known.
    #[error("`{value}` is no {what}; it is one of {choices}")]
    Choice {
        /// What was written.
        value: String,
        /// What it should have been.
        what: &'static str,
        /// The words that are known.
        choices: String,
    },
}

impl Diagnose for QemuError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Choice { .. } => FailureKind::Usage,
            _ => FailureKind::Request,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoQemu { program } => {
                let package = if program.ends_with("x86_64") {
                    "qemu-system-x86"
                } else {
                    "qemu-system-arm"
                };
                vec![format!("on Debian and Ubuntu: apt install {package}")]
            }
            Self::NoFirmware { arch } => {
                let package = if arch.names().debian == "amd64" {
                    "ovmf"
                } else {
                    "qemu-efi-aarch64"
                };
                vec![
                    format!("on Debian and Ubuntu: apt install {package}"),
                    "or skip the firmware with `--direct`".into(),
                ]
            }
            Self::NoKvm { .. } => vec!["`--accel auto` falls back to emulation".into()],
            Self::TooLate { .. } => vec!["a slow machine may need a longer `--timeout`".into()],
            _ => Vec::new(),
        }
    }

    fn excerpt(&self) -> Option<String> {
        match self {
            Self::Ended { tail, .. } | Self::TooLate { tail, .. } | Self::NodeFailed { tail, .. } => {
                (!tail.is_empty()).then(|| tail.clone())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
