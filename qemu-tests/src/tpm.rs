//! TPMs for virtual machines, played by Debian's `swtpm`; what they keep stays over power cuts.

use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use skerry_builder::qemu::tpm::{self, Interface};
use tempfile::TempDir;

use crate::control_plane::start::Process;
use crate::tools::judge;
use crate::wait;

const PATIENCE: Duration = Duration::from_secs(30);
const CONTROL: &str = "control";

/// A TPM of its own seed: what it seals, no other one unseals.
#[derive(Debug)]
pub struct Tpm {
    interface: Interface,
    running: Option<Process>,
    /// What it keeps, and its socket, whose path must be short.
    folder: TempDir,
}

impl Tpm {
    /// A new one; none, with a line that says so, if swtpm is not installed.
    pub fn new(interface: Interface) -> Option<Self> {
        judge("swtpm", &["--version"])?;
        Some(Self {
            interface,
            running: None,
            folder: tempfile::tempdir().expect("the folder for temporary files can be written"),
        })
    }

    /// What the machine must be made with.
    pub(crate) fn hardware(&self) -> tpm::Tpm {
        tpm::Tpm {
            control: self.folder.path().join(CONTROL),
            interface: self.interface,
        }
    }

    /// Gives it power, before its machine gets it. One that ran is started anew: it ends when its machine ends properly.
    pub(crate) fn power_on(&mut self) {
        self.power_off();
        let control = self.hardware().control;
        let _ = std::fs::remove_file(&control);
        let mut command = Command::new("swtpm");
        command
            .args(["socket", "--tpm2", "--tpmstate"])
            .arg(format!("dir={}", self.folder.path().display()))
            .arg("--ctrl")
            .arg(format!("type=unixio,path={}", control.display()));
        let mut process = Process::start("swtpm", command, self.folder.path());
        wait::until("the TPM", PATIENCE, || {
            process.check();
            UnixStream::connect(&control).map_err(|error| error.to_string())
        });
        self.running = Some(process);
    }

    /// Cuts its power.
    pub(crate) fn power_off(&mut self) {
        self.running = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gets_power_again_after_a_cut_and_after_its_machine_has_ended_it() {
        let Some(mut tpm) = Tpm::new(Interface::Crb) else {
            return;
        };
        tpm.power_on();
        tpm.power_off();
        let control = tpm.hardware().control;
        assert!(UnixStream::connect(&control).is_err(), "it runs without power");
        tpm.power_on();
        tpm.power_on();
        assert!(UnixStream::connect(&control).is_ok());
    }
}
