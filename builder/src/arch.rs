//! Everything that differs by machine architecture, in one table.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A machine architecture that images can be built for; written as the kernel names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// 64-bit x86 PCs.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit ARM boards and servers.
    Aarch64,
}

/// What the formats call one architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchNames {
    /// As `uname -m` prints it.
    pub kernel: &'static str,
    /// As Debian names it (Debian policy §11.1).
    pub debian: &'static str,
    /// As Go's `GOARCH` names it.
    pub go: &'static str,
    /// Debian's multiarch triplet, the folder below `usr/lib`.
    pub multiarch: &'static str,
    /// `e_machine` of its ELF files (gABI, "ELF header").
    pub elf_machine: u16,
    /// `Machine` of its PE files (PE format, "Machine types").
    pub pe_machine: u16,
    /// The removable-media boot path's file name (UEFI 2.10 §3.5.1.1).
    pub efi_boot_file: &'static str,
    /// The infix in systemd-boot's file names.
    pub efi_infix: &'static str,
    /// Partition type of a root file system (UAPI Discoverable Partitions).
    pub root_type: &'static str,
    /// Partition type of the verity data of a root file system.
    pub root_verity_type: &'static str,
}

const X86_64: ArchNames = ArchNames {
    kernel: "x86_64",
    debian: "amd64",
    go: "amd64",
    multiarch: "x86_64-linux-gnu",
    elf_machine: 62,
    pe_machine: 0x8664,
    efi_boot_file: "BOOTX64.EFI",
    efi_infix: "x64",
    root_type: "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
    root_verity_type: "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5",
};

const AARCH64: ArchNames = ArchNames {
    kernel: "aarch64",
    debian: "arm64",
    go: "arm64",
    multiarch: "aarch64-linux-gnu",
    elf_machine: 183,
    pe_machine: 0xaa64,
    efi_boot_file: "BOOTAA64.EFI",
    efi_infix: "aa64",
    root_type: "b921b045-1df0-41c3-af44-4c6f280d3fae",
    root_verity_type: "df3300ce-d69f-4c92-978c-9bfb0f38d820",
};

impl Arch {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 2] = [Self::Aarch64, Self::X86_64];

    /// This architecture's row of the table.
    pub const fn names(self) -> &'static ArchNames {
        match self {
            Self::X86_64 => &X86_64,
            Self::Aarch64 => &AARCH64,
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.names().kernel)
    }
}

/// A name that is no architecture Skerry builds for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an architecture (`aarch64` or `x86_64`)")]
pub struct UnknownArch(pub String);

impl FromStr for Arch {
    type Err = UnknownArch;

    fn from_str(text: &str) -> Result<Self, UnknownArch> {
        Self::ALL
            .into_iter()
            .find(|arch| arch.names().kernel == text)
            .ok_or_else(|| UnknownArch(text.to_owned()))
    }
}
