//! A virtual machine as data, and its command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use super::QemuError;
use super::tpm::Tpm;
use crate::arch::Arch;
use crate::shell::quoted;

/// How the guest's instructions are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accel {
    /// By the processor.
    Kvm,
    /// By emulation.
    Tcg,
}

/// What the disk is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskBus {
    /// virtio-blk over PCI.
    Virtio,
    /// NVMe.
    Nvme,
    /// SATA (AHCI).
    Ahci,
    /// USB mass storage on xHCI.
    Usb,
    /// An SD card in an SDHCI slot.
    Sd,
}

const BUSES: [(&str, DiskBus); 5] = [
    ("virtio", DiskBus::Virtio),
    ("nvme", DiskBus::Nvme),
    ("ahci", DiskBus::Ahci),
    ("usb", DiskBus::Usb),
    ("sd", DiskBus::Sd),
];

impl FromStr for DiskBus {
    type Err = QemuError;

    fn from_str(text: &str) -> Result<Self, QemuError> {
        let choices = BUSES.map(|(name, _)| name).join(", ");
        let found = BUSES.into_iter().find(|(name, _)| *name == text).map(|(_, bus)| bus);
        found.ok_or_else(|| QemuError::Choice {
            value: text.to_owned(),
            what: "disk bus",
            choices,
        })
    }
}

/// How the machine starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boot {
    /// By UEFI firmware in two flash chips, the second one writable.
    Uefi {
        /// The firmware's code.
        code: PathBuf,
        /// The firmware's variables; written to.
        variables: PathBuf,
    },
    /// By a kernel, without firmware.
    Direct {
        /// The kernel.
        kernel: PathBuf,
        /// The initrd.
        initrd: PathBuf,
        /// The kernel command line.
        command_line: String,
    },
}

/// A TCP port of the host that leads to one of the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// Port on the host's loopback.
    pub host: u16,
    /// Port in the guest.
    pub guest: u16,
}

impl FromStr for Forward {
    type Err = QemuError;

    fn from_str(text: &str) -> Result<Self, QemuError> {
        let ports = text
            .split_once(':')
            .and_then(|(host, guest)| Some((host.parse().ok()?, guest.parse().ok()?)));
        let choices = "HOST:GUEST, such as 8080:80".to_owned();
        let forward = ports.map(|(host, guest)| Self { host, guest });
        forward.ok_or_else(|| QemuError::Choice {
            value: text.to_owned(),
            what: "port forward",
            choices,
        })
    }
}

/// Where the console goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Console {
    /// To the terminal, shared with QEMU's monitor; Ctrl-A X ends it.
    Terminal,
    /// To standard output, as text only.
    Output,
}

/// A virtual machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Its architecture.
    pub arch: Arch,
    /// Its disk, a raw image that it may write.
    pub disk: PathBuf,
    /// What the disk is attached to.
    pub disk_bus: DiskBus,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// How instructions are run.
    pub accel: Accel,
    /// How it starts.
    pub boot: Boot,
    /// Its TPM, if it has one.
    pub tpm: Option<Tpm>,
    /// Ports of the host that lead into the guest.
    pub forwards: Vec<Forward>,
    /// Where the console goes.
    pub console: Console,
    /// More arguments, as they are.
    pub extra: Vec<String>,
}

impl Machine {
    /// The program that runs it.
    pub fn program(&self) -> String {
        format!("qemu-system-{}", self.arch)
    }

    /// The program's arguments.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        let mut add = |option: &str, value: &str| words.extend([option.into(), value.into()]);
        let (machine, processor) = match self.arch {
            Arch::X86_64 => ("q35", "max"),
            // Pointers are signed by a cipher of QEMU's own, because the architecture's is slow to emulate (QEMU,
            // docs/system/arm/cpu-features.rst, "TCG VCPU Features").
            Arch::Aarch64 => ("virt,gic-version=max", "max,pauth-impdef=on"),
        };
        add("-machine", machine);
        match self.accel {
            // Two emulated processors crash Debian's kernel now and then (a race in its self-patching).
            Accel::Tcg => ["tcg,thread=single", processor]
                .into_iter()
                .zip(["-accel", "-cpu"])
                .for_each(|(v, o)| add(o, v)),
            Accel::Kvm => ["kvm", "host"]
                .into_iter()
                .zip(["-accel", "-cpu"])
                .for_each(|(v, o)| add(o, v)),
        }
        add("-smp", "1");
        add("-m", &format!("{}M", self.memory_mib));
        words.extend(["-nodefaults", "-no-user-config", "-display", "none"].map(OsString::from));
        words.extend(self.console_arguments());
        words.extend(self.boot_arguments());
        words.extend(self.disk_arguments());
        words.extend(self.network_arguments());
        words.extend(["-device", "virtio-rng-pci"].map(OsString::from));
        let tpm = self.tpm.iter().flat_map(|tpm| tpm.arguments(self.arch));
        words.extend(tpm.map(OsString::from));
        words.extend(self.extra.iter().map(OsString::from));
        words
    }

    /// Program and arguments, quoted for a shell.
    pub fn command(&self) -> String {
        let words = self.arguments().into_iter().map(|word| quoted(&word.to_string_lossy()));
        std::iter::once(self.program())
            .chain(words)
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn console_arguments(&self) -> [OsString; 2] {
        match self.console {
            Console::Terminal => ["-serial", "mon:stdio"].map(OsString::from),
            Console::Output => ["-serial", "stdio"].map(OsString::from),
        }
    }

    fn boot_arguments(&self) -> Vec<OsString> {
        match &self.boot {
            Boot::Uefi { code, variables } => {
                let flash = |unit: u8, path: &PathBuf, rest: &str| {
                    let file = escape_commas(&path.to_string_lossy());
                    format!("if=pflash,format=raw,unit={unit},file={file}{rest}")
                };
                let code = flash(0, code, ",readonly=on");
                let variables = flash(1, variables, "");
                ["-drive", &code, "-drive", &variables].map(OsString::from).to_vec()
            }
            Boot::Direct {
                kernel,
                initrd,
                command_line,
            } => vec![
                "-kernel".into(),
                kernel.into(),
                "-initrd".into(),
                initrd.into(),
                "-append".into(),
                command_line.into(),
            ],
        }
    }

    fn disk_arguments(&self) -> Vec<OsString> {
        let file = escape_commas(&self.disk.to_string_lossy());
        let drive = format!("if=none,id=disk,format=raw,discard=unmap,file={file}");
        let devices: &[&str] = match self.disk_bus {
            DiskBus::Virtio => &["virtio-blk-pci,drive=disk,bootindex=1"],
            DiskBus::Nvme => &["nvme,drive=disk,serial=skerry,bootindex=1"],
            DiskBus::Ahci => &["ich9-ahci,id=ahci", "ide-hd,drive=disk,bus=ahci.0,bootindex=1"],
            DiskBus::Usb => &["qemu-xhci,id=xhci", "usb-storage,drive=disk,bus=xhci.0,bootindex=1"],
            DiskBus::Sd => &["sdhci-pci", "sd-card,drive=disk"],
        };
        let devices = devices.iter().flat_map(|device| ["-device", device]);
        ["-drive", &drive]
            .into_iter()
            .chain(devices)
            .map(OsString::from)
            .collect()
    }

    fn network_arguments(&self) -> Vec<OsString> {
        let forward = |forward: &Forward| format!(",hostfwd=tcp:127.0.0.1:{}-:{}", forward.host, forward.guest);
        let network: String = self.forwards.iter().map(forward).collect();
        let network = format!("user,id=net{network}");
        ["-netdev", &network, "-device", "virtio-net-pci,netdev=net,romfile="]
            .map(OsString::from)
            .to_vec()
    }
}

/// QEMU's options end a value at a comma; two of them stand for one.
pub(super) fn escape_commas(text: &str) -> String {
    text.replace(',', ",,")
}
