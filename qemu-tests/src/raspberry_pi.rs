//! Raspberry Pis as QEMU emulates them (`raspi3b`, `raspi4b`): processor, SD card and serial lines. Not emulated are the
//! firmware on the graphics processor, which loads U-Boot and the device tree, so QEMU is given both; a network; and the time
//! that the watchdog leaves, so it must not be armed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::image::{Image, work_folder};
use crate::tools::judge;
use crate::wait;

/// What an image for this machine has in its definition.
pub const KERNEL: &str = "[kernel]\ncommand-line = [\"module_blacklist=bcm2835_wdt\"]\n";
/// How long the whole boot may take: its SD card is slow to emulate.
const PATIENCE: Duration = Duration::from_secs(1800);
/// Cards are a power of two for QEMU.
const CARD_BYTES: u64 = 2 << 30;
/// Where the first partition is: 1 MiB from the start (mtools' notation).
const FIRST_PARTITION: &str = "@@1M";

/// Which one it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Raspberry Pi 3 Model B.
    Pi3,
    /// Raspberry Pi 4 Model B: its controllers are not emulated, so the kernel ends early (QEMU 9 and newer).
    Pi4,
}

impl Model {
    /// QEMU's name of the machine; its U-Boot and its device tree on the first partition.
    const fn files(self) -> [&'static str; 3] {
        match self {
            Self::Pi3 => ["raspi3b", "u-boot-rpi-3.bin", "bcm2837-rpi-3-b.dtb"],
            Self::Pi4 => ["raspi4b", "u-boot-rpi-4.bin", "bcm2711-rpi-4-b.dtb"],
        }
    }
}

/// The machine, running.
#[derive(Debug)]
pub struct RaspberryPi {
    child: Child,
    console: PathBuf,
    card: PathBuf,
}

impl RaspberryPi {
    /// Switches one on that has `image` on its card; none, with a word about it, without mtools or such a machine in QEMU.
    #[allow(clippy::print_stdout, reason = "a skipped test is reported in its output")]
    pub fn start(name: &str, image: &Image, model: Model) -> Option<Self> {
        let [machine, u_boot, tree] = model.files();
        if !judge("qemu-system-aarch64", &["-machine", "help"])?.contains(machine) {
            println!("skipped: this QEMU has no {machine}");
            return None;
        }
        let folder = work_folder(name);
        let card = folder.join("card.raw");
        let raw = image.artifact("raw");
        judge("cp", &["--sparse=always", text(&raw), text(&card)])?;
        let file = File::options().write(true).open(&card).expect("it was copied");
        file.set_len(CARD_BYTES).expect("there is room for a sparse file");
        let [u_boot, tree] = [u_boot, tree].map(|file| {
            let out = folder.join(file);
            let source = format!("{}{FIRST_PARTITION}", raw.display());
            judge("mcopy", &["-n", "-o", "-i", &source, &format!("::{file}"), text(&out)]).map(|_| out)
        });
        let console = folder.join("console.log");
        // What an earlier machine said must not be taken for this one's.
        let _ = fs::remove_file(&console);
        let child = Command::new("qemu-system-aarch64")
            .args(["-machine", machine, "-display", "none", "-no-reboot", "-serial", "null"])
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            .arg("-drive")
            .arg(format!("if=sd,format=raw,file={}", card.display()))
            .args(["-kernel", text(&u_boot?), "-dtb", text(&tree?)])
            .stdin(Stdio::null())
            .spawn()
            .expect("it was asked for its version");
        Some(Self { child, console, card })
    }

    /// Waits until its console says `text`, and returns all that it has said.
    pub fn expect(&mut self, text: &str) -> String {
        wait::until(text, PATIENCE, || {
            let said = String::from_utf8_lossy(&fs::read(&self.console).unwrap_or_default()).into_owned();
            if said.contains(text) {
                return Ok(said);
            }
            let ended = self.child.try_wait().ok().flatten();
            assert!(ended.is_none(), "the machine went off: {said}");
            Err(said)
        })
    }

    /// Pulls the plug, and returns its card.
    pub fn power_off(&mut self) -> &Path {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        &self.card
    }
}

impl Drop for RaspberryPi {
    fn drop(&mut self) {
        self.power_off();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
