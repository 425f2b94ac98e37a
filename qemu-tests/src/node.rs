//! A virtual machine with its own copy of an image.

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use skerry_builder::arch::Arch;
use skerry_builder::direct_boot;
use skerry_builder::fat::read::{FatEntry, FatReader};
use skerry_builder::qemu::machine::{Accel, Boot, Console, DiskBus};
use skerry_builder::qemu::process::{Qemu, Said};
use skerry_builder::qemu::{Machine, disk_copy, firmware};

use crate::image::{Image, run_skerry, work_folder};
use crate::monitor::{Link, Monitor};
use crate::tpm::Tpm;
use crate::{medium, scan};

/// How long a step of a boot may take on a machine three times slower than the slowest one seen.
const PATIENCE: Duration = Duration::from_secs(1200);

/// The disk that a machine has: as large as a small card, and, as QEMU wants cards to be, a power of two.
const DISK_BYTES: u64 = 4 << 30;

/// With `SKERRY_JOURNAL` in the environment the console shows what else is only in the machine's memory.
const JOURNAL_ON_CONSOLE: &str = " systemd.journald.forward_to_console=1 systemd.journald.max_level_console=info";

/// How the machine starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Firmware, boot loader, unified kernel image: as on hardware.
    Firmware,
    /// Kernel, initrd and command line out of the unified kernel image: saves the firmware's half minute.
    Direct,
    /// The same as files of the first partition, by the settings there: what firmware does that starts Linux itself.
    Settings,
}

/// A machine that can be started, killed and started again; its disk stays.
#[derive(Debug)]
pub struct Node {
    machine: Machine,
    running: Option<Qemu>,
    console: String,
    folder: PathBuf,
    monitor: Monitor,
    link: Link,
    tpm: Option<Tpm>,
}

impl Node {
    /// A machine for the test `name`, with a copy of `image` on a virtio disk of 4 GiB, 512 MiB of memory.
    pub fn new(name: &str, image: &Image, start: Start) -> Self {
        let folder = work_folder(name);
        let disk = folder.join("disk.raw");
        copy_image(image, &disk);
        let boot = match start {
            Start::Firmware => by_firmware(image.arch(), &folder),
            Start::Direct => directly(image, &folder),
            Start::Settings => by_settings(image, &folder),
        };
        let monitor = Monitor::new();
        let mut extra = monitor.arguments();
        extra.push("-no-reboot".to_owned());
        let machine = Machine {
            arch: image.arch(),
            disk,
            disk_bus: DiskBus::Virtio,
            memory_mib: 512,
            accel: Accel::Tcg,
            boot,
            tpm: None,
            forwards: Vec::new(),
            console: Console::Output,
            extra,
        };
        Self {
            machine,
            running: None,
            console: String::new(),
            folder,
            monitor,
            link: Link::Up,
            tpm: None,
        }
    }

    /// The machine's hardware, to be changed before it starts.
    pub fn hardware(&mut self) -> &mut Machine {
        &mut self.machine
    }

    /// Gives it a fresh copy of `image`, as if it had never been switched on.
    pub fn renew_disk(&mut self, image: &Image) {
        self.power_off();
        copy_image(image, &self.machine.disk);
    }

    /// Flashes `image` and a join file, if any, onto a disk of the same size, which takes the place of its own.
    pub fn flash(&mut self, image: &Image, join_file: Option<&str>) {
        self.power_off();
        let file = join_file.map(|text| self.write("join-file", text));
        if !medium::flash(image, self.disk(), DISK_BYTES, file.as_deref()) {
            self.renew_disk(image);
            join_file.iter().for_each(|text| self.seed(text));
        }
        if let Some(path) = file {
            std::fs::remove_file(&path).expect("it can be removed where it was written");
        }
    }

    /// Gives it the disk image at `path`, which is moved, as its disk.
    pub fn insert(&mut self, path: &Path) {
        self.power_off();
        std::fs::rename(path, self.disk()).expect("both are in the target folder");
        let disk = File::options()
            .write(true)
            .open(self.disk())
            .expect("it was moved here");
        disk.set_len(DISK_BYTES).expect("there is room for a sparse file");
    }

    /// Writes a file for somebody outside the machine.
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        std::fs::write(&path, text).expect("the work folder can be written");
        path
    }

    /// Its disk.
    pub fn disk(&self) -> &Path {
        &self.machine.disk
    }

    /// Has it start by the kernel of `image`, as a boot loader would that was told so.
    pub fn start_by(&mut self, image: &Image) {
        self.machine.boot = directly(image, &self.folder);
    }

    /// Puts a join file on its EFI partition, by the command that users run.
    pub fn seed(&self, join_file: &str) {
        let path = self.write("join-file", join_file);
        let words = [self.disk(), &path].map(|path| path.to_str().expect("UTF-8"));
        let outcome = run_skerry(&["seed", words[0], "--join", words[1]]);
        let talk = String::from_utf8_lossy(&outcome.stderr);
        assert!(outcome.status.success(), "skerry seed: {talk}");
        std::fs::remove_file(&path).expect("it can be removed where it was written");
    }

    /// Gives it a join file as a credential of systemd, by the firmware's tables (SMBIOS type 11).
    pub fn give_credential(&mut self, join_file: &str) {
        let text = format!(
            "io.systemd.credential.binary:skerry.join={}",
            STANDARD.encode(join_file)
        );
        let path = self.write("credential", &text);
        let table = format!("type=11,path={}", path.display());
        self.machine.extra.extend(["-smbios".to_owned(), table]);
    }

    /// Gives it a TPM, or another one than it had, before it starts.
    pub fn give_tpm(&mut self, tpm: Tpm) {
        self.machine.tpm = Some(tpm.hardware());
        self.tpm = Some(tpm);
    }

    /// Pulls its network cable, or plugs it in, while it runs.
    pub fn set_link(&mut self, link: Link) {
        self.monitor.change_link(self.link, link);
        self.link = link;
    }

    /// Whether `text` is anywhere on its disk.
    pub fn disk_holds(&self, text: &str) -> bool {
        let disk = File::open(self.disk()).expect("a machine has a disk");
        scan::find(&disk, text.as_bytes())
            .expect("the disk can be read")
            .is_some()
    }

    /// Switches it on.
    pub fn power_on(&mut self) {
        self.console.clear();
        self.link = Link::Up;
        self.tpm.iter_mut().for_each(Tpm::power_on);
        self.running = Some(Qemu::start(&self.machine).expect("QEMU starts"));
    }

    /// Cuts its power.
    pub fn power_off(&mut self) {
        self.running = None;
        self.tpm.iter_mut().for_each(Tpm::power_off);
    }

    /// All that the console said since power-on.
    pub fn console(&self) -> &str {
        &self.console
    }

    /// Waits for a console line with `text` and returns it; panics with the console if it does not come or QEMU ends.
    pub fn expect(&mut self, text: &str) -> String {
        self.expect_one_of(&[text], &mut |_| {})
    }

    /// The same, but a line with `never` is a failure at once.
    pub fn expect_unless(&mut self, text: &str, never: &str) -> String {
        let line = self.expect_one_of(&[text, never], &mut |_| {});
        if line.contains(never) {
            self.fail(&format!("the console said {line:?}"));
        }
        line
    }

    /// Waits for a console line with one of `texts` and returns it; each line goes to `echo` as it comes.
    pub fn expect_one_of(&mut self, texts: &[&str], echo: &mut dyn FnMut(&str)) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.hear(deadline) {
                Ok(line) => {
                    echo(&line);
                    if texts.iter().any(|text| line.contains(text)) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.fail(&format!("no {texts:?} within {} s", PATIENCE.as_secs())),
                Err(RecvTimeoutError::Disconnected) => self.fail(&format!("QEMU ended before {texts:?}")),
            }
        }
    }

    /// Lets it run for so long; panics with the console if QEMU ends.
    pub fn run_for(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        loop {
            match self.hear(deadline) {
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return,
                Err(RecvTimeoutError::Disconnected) => self.fail("QEMU ended by itself"),
            }
        }
    }

    /// Hears what the console has said meanwhile, without waiting.
    pub fn listen(&mut self) -> &str {
        while self.running.is_some() && self.hear(Instant::now()).is_ok() {}
        &self.console
    }

    /// Listens until QEMU ends by itself, as it does when the guest restarts.
    pub fn expect_end(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.hear(deadline) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => self.fail("the machine did not restart"),
            }
        }
    }

    fn hear(&mut self, deadline: Instant) -> Result<String, RecvTimeoutError> {
        let running = self.running.as_mut().expect("the machine was switched on");
        let (Said::Console(line) | Said::Qemu(line)) =
            running.hear(deadline.saturating_duration_since(Instant::now()))?;
        let _ = writeln!(self.console, "{line}");
        Ok(line)
    }

    fn fail(&self, reason: &str) -> ! {
        let log = self.folder.join("console.log");
        let _ = std::fs::write(&log, &self.console);
        let tail: Vec<&str> = self.console.lines().rev().take(40).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        panic!(
            "{reason}; the console is in {}, its end:\n{}",
            log.display(),
            tail.join("\n")
        );
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text = self.listen().to_owned();
            let _ = std::fs::write(self.folder.join("console.log"), text);
        } else {
            let _ = std::fs::remove_file(&self.machine.disk);
        }
    }
}

/// Copies `image` to a disk.
fn copy_image(image: &Image, disk: &Path) {
    let _ = std::fs::remove_file(disk);
    disk_copy::copy(&image.artifact("raw"), disk, DISK_BYTES).expect("the image can be copied");
}

fn by_firmware(arch: Arch, folder: &Path) -> Boot {
    let found = firmware::find(Path::new("/"), arch);
    let found = found.expect("UEFI firmware is installed (packages ovmf and qemu-efi-aarch64)");
    let variables = folder.join("variables.fd");
    std::fs::copy(&found.variables, &variables).expect("the firmware's variables can be copied");
    Boot::Uefi {
        code: found.code,
        variables,
    }
}

fn directly(image: &Image, folder: &Path) -> Boot {
    let write = |name: &str, section: &str| write_part(folder, name, &image.section(section));
    let command_line = String::from_utf8_lossy(&image.section(".cmdline")).into_owned();
    Boot::Direct {
        kernel: write("kernel", ".linux"),
        initrd: write("initrd", ".initrd"),
        command_line: told_more(command_line.trim_end_matches('\0').trim()),
    }
}

fn by_settings(image: &Image, folder: &Path) -> Boot {
    let raw = File::open(image.artifact("raw")).expect("a built image has a disk image");
    let partition = &image.manifest()["partitions"][0];
    let [offset, len] = ["offset", "len_bytes"].map(|key| partition[key].as_u64().expect("the manifest has numbers"));
    let mut volume = FatReader::open(raw, offset, len).expect("the first partition is FAT");
    let entry = direct_boot::find(&mut volume, direct_boot::SETTINGS[0]).expect("it can be read");
    let entry = entry.expect("what the settings name is there");
    let mut write = |name: &str, file: &FatEntry| {
        let bytes = volume.read(file, len).expect("it can be read");
        write_part(folder, name, &bytes)
    };
    Boot::Direct {
        kernel: write("kernel", &entry.kernel),
        initrd: write("initrd", &entry.initrd),
        command_line: told_more(&entry.command_line),
    }
}

fn write_part(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("the work folder can be written");
    path
}

/// The image keeps its console quiet; a test wants to hear what the initrd found. And an emulator that gets no time for a
/// moment must not count as a broken timer, which is a panic; kernels know that of KVM by themselves.
fn told_more(command_line: &str) -> String {
    let journal = std::env::var_os("SKERRY_JOURNAL").map_or("", |_| JOURNAL_ON_CONSOLE);
    format!("{command_line} loglevel=6 no_timer_check{journal}")
}
