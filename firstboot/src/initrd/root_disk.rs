//! Finds the disk to run from: the one whose partitions bear the halves of the root hash. Waits for slow disks (USB takes
//! seconds, some card readers longer) and loads drivers for what appears meanwhile.

use std::path::Path;
use std::time::{Duration, Instant};

use super::cmdline::Cmdline;
use super::console;
use super::disks::{BlockDevice, Disk, scan};
use super::failure::BootError;
use super::ids::RootHash;
use super::loader::Loader;
use super::uevent::{Listener, News};
use super::watchdog::Watchdog;

const CLASS: &str = "/sys/class/block";
/// After so long, and again each time, the console says what is waited for.
const WORD_EVERY: Duration = Duration::from_secs(5);
/// Partitions may appear without an event that we saw; a look is cheap.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The disk to run from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootDisk {
    /// The whole disk.
    pub disk: Disk,
    /// Its partition with the root file system.
    pub root: BlockDevice,
    /// Its partition with the hashes.
    pub verity: BlockDevice,
}

/// Waits until the disk is there, at most as long as the command line says.
pub fn wait(
    cmdline: &Cmdline,
    listener: &mut Listener,
    loader: &mut Loader,
    watchdog: &mut Watchdog,
) -> Result<RootDisk, BootError> {
    let begin = Instant::now();
    let mut next_word = WORD_EVERY;
    loop {
        let disks = scan(Path::new(CLASS));
        let mut found = choose(&disks, &cmdline.root_hash);
        if !found.is_empty() {
            let chosen = found.remove(0);
            warn_of_twins(&chosen, &found);
            return Ok(chosen);
        }
        let waited = begin.elapsed();
        if waited >= cmdline.root_wait {
            return Err(not_found(cmdline, &disks));
        }
        if waited >= next_word {
            next_word += WORD_EVERY;
            console::alert(&waiting(cmdline, waited, &disks));
        }
        for news in listener.wait(LOOK_EVERY) {
            match news {
                News::Device(fields) => loader.load_for_device(&fields),
                News::Lost => loader.load_for_present_devices(),
            }
        }
        watchdog.arm_when_present();
        watchdog.ping();
    }
}

/// All disks that hold both partitions, best first: a disk that also has a third partition behind them (var) has run
/// before; a copy on a stick that was left plugged in has not. Names decide between equals, so that every boot decides
/// alike. Whichever it is, verity vouches for the root.
fn choose(disks: &[Disk], root_hash: &RootHash) -> Vec<RootDisk> {
    let (root_id, verity_id) = (root_hash.root_partition(), root_hash.verity_partition());
    let mut found: Vec<_> = disks
        .iter()
        .filter_map(|disk| {
            Some(RootDisk {
                root: disk.partition(&root_id)?.clone(),
                verity: disk.partition(&verity_id)?.clone(),
                disk: disk.clone(),
            })
        })
        .collect();
    found.sort_by_key(|found| std::cmp::Reverse(found.disk.partitions.len()));
    found
}

fn warn_of_twins(chosen: &RootDisk, others: &[RootDisk]) {
    for other in others {
        console::warn(&format!(
            "{} holds the same image as {}, which is used; unplug one of them",
            other.disk.device.name, chosen.disk.device.name
        ));
    }
}

fn waiting(cmdline: &Cmdline, waited: Duration, disks: &[Disk]) -> String {
    format!(
        "waiting for the disk with partition {} ({} s of {} s); seen: {}",
        cmdline.root_hash.root_partition(),
        waited.as_secs(),
        cmdline.root_wait.as_secs(),
        seen(disks)
    )
}

fn seen(disks: &[Disk]) -> String {
    match disks {
        [] => "no disk at all".to_owned(),
        _ => disks.iter().map(Disk::description).collect::<Vec<_>>().join(", "),
    }
}

fn not_found(cmdline: &Cmdline, disks: &[Disk]) -> BootError {
    BootError::NoRootDisk {
        root: cmdline.root_hash.root_partition(),
        verity: cmdline.root_hash.verity_partition(),
        waited_secs: cmdline.root_wait.as_secs(),
        seen: seen(disks),
    }
}
