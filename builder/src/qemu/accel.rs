//! Whether KVM can be used: not whether its device exists, but whether a guest runs.

use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use super::machine::Accel;
use super::{QemuError, process};
use crate::arch::Arch;

/// What the user asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccelChoice {
    /// KVM if it works, emulation otherwise.
    Auto,
    /// KVM or nothing.
    Kvm,
    /// Emulation.
    Tcg,
}

impl FromStr for AccelChoice {
    type Err = QemuError;

    fn from_str(text: &str) -> Result<Self, QemuError> {
        match text {
            "auto" => Ok(Self::Auto),
            "kvm" => Ok(Self::Kvm),
            "tcg" => Ok(Self::Tcg),
            _ => Err(QemuError::Choice {
                value: text.to_owned(),
                what: "accelerator",
                choices: "auto, kvm, tcg".into(),
            }),
        }
    }
}

/// A boot sector in real mode: `mov al, 0x10; out 0xf4, al; hlt`, which ends QEMU through its debug exit device.
const PROBE_CODE: [u8; 5] = [0xb0, 0x10, 0xe6, 0xf4, 0xf4];
/// What QEMU exits with when 0x10 is written: (0x10 << 1) | 1.
const PROBE_EXIT: i32 = 33;
/// A guest of five instructions needs milliseconds; a KVM that does not work hangs.
const PROBE_PATIENCE: Duration = Duration::from_secs(5);

/// The accelerator to use, and a word about it if it is not what one would hope for.
pub fn choose(choice: AccelChoice, arch: Arch) -> Result<(Accel, Option<String>), QemuError> {
    if choice == AccelChoice::Tcg {
        return Ok((Accel::Tcg, None));
    }
    match (probe(arch), choice) {
        (Ok(()), _) => Ok((Accel::Kvm, None)),
        (Err(reason), AccelChoice::Kvm) => Err(QemuError::NoKvm { reason }),
        (Err(reason), _) => Ok((
            Accel::Tcg,
            Some(format!(
                "no KVM ({reason}); the machine is emulated, which takes a minute"
            )),
        )),
    }
}

/// Runs a tiny guest; why it did not work otherwise.
fn probe(arch: Arch) -> Result<(), String> {
    if arch.names().kernel != std::env::consts::ARCH {
        return Err(format!("the image is for {arch}"));
    }
    std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .map_err(|error| format!("/dev/kvm: {error}"))?;
    if arch != Arch::X86_64 {
        return Ok(());
    }
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let sector = folder.path().join("sector");
    let mut bytes = [0; 512];
    bytes[..PROBE_CODE.len()].copy_from_slice(&PROBE_CODE);
    bytes[510..].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(&sector, bytes).map_err(|error| error.to_string())?;
    run_probe(&sector)
}

fn run_probe(sector: &Path) -> Result<(), String> {
    let mut command = Command::new("qemu-system-x86_64");
    command.args([
        "-machine",
        "q35",
        "-accel",
        "kvm",
        "-m",
        "16M",
        "-nodefaults",
        "-display",
        "none",
        "-drive",
    ]);
    command.arg(format!("if=ide,format=raw,file={}", sector.display()));
    command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-no-reboot"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    process::die_with_parent(&mut command);
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let deadline = Instant::now() + PROBE_PATIENCE;
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break Some(status),
            None if Instant::now() >= deadline => break None,
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    // Ending a child that has ended already is no error worth telling.
    let _ = child.kill();
    let _ = child.wait();
    match status {
        Some(status) if status.code() == Some(PROBE_EXIT) => Ok(()),
        Some(status) => Err(format!("a test guest ended with {status}")),
        None => Err("a test guest hung".to_owned()),
    }
}
