//! The first program of a machine: from the kernel's hand-over to systemd on a verified root.
//!
//! ```text
//! kernel → mounts      /proc /sys /dev /run
//!        → cmdline     roothash=… decides which root this machine may run, and nothing else does
//!        → loader      kernel modules for the devices that are there (modalias), again for each that appears
//!        → watchdog    armed as soon as there is one, so that a hang from here on restarts the machine
//!        → root_disk   root and verity partition by the halves of the root hash, or the slot of an MBR by its
//!                      content, on any disk, however slow
//!        → verity      superblock → device_mapper: /dev/mapper/root, every block checked as it is read
//!        → handover    root (squashfs) and var below /sysroot; /etc overlaid with RAM; machine-id; boot.json
//!        → handover    move the mounts, free the initrd, exec systemd
//! ```
//!
//! What flows in: the kernel command line, the files below `/lib/modules` of the initrd, the disks. What flows out:
//! the new root and the files in `/run/skerry` ([`facts`]). Any failure says what failed and what to do on the console,
//! waits a while and restarts, so that the boot counter of the loader falls back to the other slot.
//!
//! Specifications: UAPI Discoverable Partitions (partition ids and types), UEFI 2.10 §5.3 (GPT) and §5.2 (MBR), cryptsetup's
//! verity superblock version 1, the kernel's device-mapper ioctl interface version 4.
//!
//! Deliberately not supported: a root that is not verified, LVM, RAID, encryption, network file systems, a shell.

pub mod cmdline;
pub mod console;
pub mod device_mapper;
pub mod disks;
pub mod facts;
pub mod failure;
pub mod gpt;
pub mod handover;
pub mod ids;
pub mod loader;
pub mod machine_id;
pub mod mbr;
pub mod modalias;
pub mod module_index;
pub mod mounts;
pub mod root_disk;
pub mod slot;
pub mod udev_rules;
pub mod uevent;
pub mod verity;
pub mod watchdog;

use std::convert::Infallible;
use std::time::Duration;

use cmdline::Cmdline;
use facts::{BootFacts, Stopwatch};
use failure::BootError;
use loader::Loader;
use uevent::Listener;
use watchdog::Watchdog;

/// How long the message of a failure stays on the console before the machine restarts.
const RESTART_DELAY: Duration = Duration::from_secs(10);

/// Does all of it and never returns: it becomes systemd, or restarts the machine.
pub fn run() -> ! {
    failure::restart_on_panic(RESTART_DELAY);
    let Err(error) = boot();
    failure::restart(&error, RESTART_DELAY)
}

fn boot() -> Result<Infallible, BootError> {
    let mut stopwatch = Stopwatch::default();
    mounts::mount_kernel_file_systems()?;
    mounts::restart_on_kernel_panic();
    let cmdline = read_cmdline()?;
    stopwatch.mark("start");

    // Listening begins before the first look at what is there, so that no device can slip in between.
    let mut listener = Listener::open()?;
    let mut loader = Loader::open(mounts::MODULES)?;
    loader.load_for_present_devices();
    loader.load_listed();
    stopwatch.mark("modules");

    let mut watchdog = Watchdog::new(cmdline.watchdog);
    watchdog.arm_when_present();
    let root = root_disk::wait(&cmdline, &mut listener, &mut loader, &mut watchdog)?;
    stopwatch.mark("root-partition");

    let mapped = verity::open(&root, &cmdline.root_hash)?;
    stopwatch.mark("verity");

    handover::mount_root(&mapped)?;
    let var = handover::mount_var(&root, &mut loader);
    let machine_id = handover::settle_machine_id(&cmdline)?;
    handover::overlay_etc(machine_id)?;
    udev_rules::write(&root.disk.device, root.table)?;
    watchdog.arm_when_present();
    stopwatch.mark("root-mounted");

    let facts = BootFacts::new(&cmdline, &root, &mapped)
        .var(var)
        .machine_id(machine_id)
        .watchdog(watchdog.armed())
        .steps(stopwatch);
    facts.write()?;
    console::note(&facts.summary());
    watchdog.hand_over();
    handover::switch_root()
}

fn read_cmdline() -> Result<Cmdline, BootError> {
    let path = "/proc/cmdline";
    let text = std::fs::read(path).map_err(|source| BootError::Read {
        path: path.into(),
        source,
    })?;
    let cmdline = Cmdline::parse(&String::from_utf8_lossy(&text))?;
    console::set_verbosity(cmdline.verbosity);
    for complaint in &cmdline.complaints {
        console::warn(complaint);
    }
    Ok(cmdline)
}
