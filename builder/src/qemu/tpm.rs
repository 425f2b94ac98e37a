//! A TPM for a virtual machine. QEMU has none of its own: a program on the host plays it (swtpm).

use std::path::PathBuf;

use super::machine::escape_commas;
use crate::arch::Arch;

/// A TPM 2.0 that another program plays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tpm {
    /// The Unix socket of that program's control channel, by which QEMU asks for all the rest.
    pub control: PathBuf,
    /// What the machine sees of it.
    pub interface: Interface,
}

/// How a machine talks to its TPM (TCG, "PC Client Platform TPM Profile"). Both are common on x86; other machines have the
/// second one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// Command Response Buffer: TPMs inside the processor's firmware.
    Crb,
    /// FIFO: chips of their own.
    Fifo,
}

impl Tpm {
    /// QEMU's arguments.
    pub(super) fn arguments(&self, arch: Arch) -> [String; 6] {
        let socket = escape_commas(&self.control.to_string_lossy());
        let device = match (arch, self.interface) {
            (Arch::X86_64, Interface::Crb) => "tpm-crb",
            (Arch::X86_64, Interface::Fifo) => "tpm-tis",
            (Arch::Aarch64, _) => "tpm-tis-device",
        };
        [
            "-chardev".into(),
            format!("socket,id=tpm-control,path={socket}"),
            "-tpmdev".into(),
            "emulator,id=tpm,chardev=tpm-control".into(),
            "-device".into(),
            format!("{device},tpmdev=tpm"),
        ]
    }
}
