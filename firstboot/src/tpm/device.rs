//! The machine's own TPM, behind the kernel's resource manager (kernel: Documentation/security/tpm), which keeps the
//! objects of its users apart and removes those of a user who goes.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;

use nix::errno::Errno;
use zeroize::Zeroizing;

use super::{MAX_MESSAGE_BYTES, Place, Transport};

/// Only TPMs of version 2 have this one; the kernel makes it when it has found one.
const PATH: &str = "/dev/tpmrm0";

/// Where the kernel offers the TPM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    path: PathBuf,
}

impl Default for Device {
    fn default() -> Self {
        Self::at(PATH)
    }
}

impl Device {
    /// The TPM at another device than the usual one.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

/// The opened device.
#[derive(Debug)]
pub struct OpenDevice(File);

impl Place for Device {
    type Connection = OpenDevice;

    fn connect(&self) -> io::Result<OpenDevice> {
        let opened = File::options().read(true).write(true).open(&self.path);
        opened.map(OpenDevice).map_err(|error| match error.raw_os_error() {
            // The name is there and the chip is not, or is going.
            Some(code) if [Errno::ENODEV as i32, Errno::ENXIO as i32].contains(&code) => {
                io::Error::new(io::ErrorKind::NotFound, error)
            }
            _ => error,
        })
    }
}

impl Transport for OpenDevice {
    /// The kernel takes a command by one write, during which the TPM works, and gives the answer by one read.
    fn exchange(&mut self, command: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
        let written = self.0.write(command)?;
        if written != command.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let mut answer = Zeroizing::new(vec![0; MAX_MESSAGE_BYTES]);
        let len = self.0.read(&mut answer)?;
        answer.truncate(len);
        Ok(answer)
    }
}
