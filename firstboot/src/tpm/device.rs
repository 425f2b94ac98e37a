//! The machine's own TPM, behind the kernel's resource manager (kernel: Documentation/security/tpm), which keeps the
//! objects of its users apart and removes those of a user who goes.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;

use nix::errno::Errno;
use zeroize::Zeroizing;

use super::{MAX_MESSAGE_BYTES, Place, Transport};

/// Only TPMs of version 2 have this one; the kernel makes it when it has found one.
const DEVICE: &str = "/dev/tpmrm0";
/// Where firmware says that there is a TPM of version 2 (ACPI table `TPM2`), also to a kernel that has no driver yet.
const ANNOUNCEMENT: &str = "/sys/firmware/acpi/tables/TPM2";

/// Where the kernel offers the TPM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    device: PathBuf,
    announcement: PathBuf,
}

impl Default for Device {
    fn default() -> Self {
        Self::at(DEVICE, ANNOUNCEMENT)
    }
}

/// The opened device.
#[derive(Debug)]
pub struct OpenDevice(File);

impl Device {
    /// The TPM at other paths than the usual ones: `announcement` exists if `device` should.
    pub fn at(device: impl Into<PathBuf>, announcement: impl Into<PathBuf>) -> Self {
        Self {
            device: device.into(),
            announcement: announcement.into(),
        }
    }

    /// Chips on slow buses get their driver from udev, perhaps after the first one asks. A machine that waits for it a
    /// little must not take itself for one without.
    fn missing(&self, error: io::Error) -> io::Error {
        match self.announcement.exists() {
            true => io::Error::other("the firmware announces a TPM, and the kernel has not found it yet"),
            false => io::Error::new(io::ErrorKind::NotFound, error),
        }
    }
}

impl Place for Device {
    type Connection = OpenDevice;

    fn connect(&self) -> io::Result<OpenDevice> {
        let opened = File::options().read(true).write(true).open(&self.device);
        opened.map(OpenDevice).map_err(|error| {
            // With the last two the name is there and the chip is not, or is going.
            let gone = [Errno::ENOENT, Errno::ENODEV, Errno::ENXIO].map(|code| Some(code as i32));
            match gone.contains(&error.raw_os_error()) {
                true => self.missing(error),
                false => error,
            }
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
