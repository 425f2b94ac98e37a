//! Finds the disk to run from: the one whose partitions bear the halves of the root hash or, where the table is an MBR
//! and there are no such ids, the one with a slot that the root hash pins ([`slot`]). Waits for slow disks (USB takes
//! seconds, some card readers longer) and loads drivers for what appears meanwhile.

use std::cmp::Reverse;
use std::path::Path;
use std::time::{Duration, Instant};

use super::cmdline::Cmdline;
use super::console;
use super::disks::{BlockDevice, Disk, OpenSlot, TableKind, scan};
use super::failure::BootError;
use super::ids::RootHash;
use super::loader::Loader;
use super::slot::{self, SlotError};
use super::uevent::{Listener, News};
use super::watchdog::Watchdog;
use crate::causes::with_causes;

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
    /// The hashes of the root.
    pub hashes: HashArea,
    /// The table in which the partitions stand.
    pub table: TableKind,
}

/// Where hashes lie: superblock first, then the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashArea {
    /// A partition of their own, or the one of the file system that they belong to.
    pub device: BlockDevice,
    /// Where in it they begin; a multiple of 4096.
    pub offset_bytes: u64,
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

/// All disks that hold the root, best first. A built-in disk before one on USB: a copy on a stick that was left,
/// or put, into the machine must not take over its data. Then the one with more partitions: with a var it has run
/// before. Then names, so that every boot decides alike. Whichever it is, verity vouches for the root.
fn choose(disks: &[Disk], root_hash: &RootHash) -> Vec<RootDisk> {
    let found = disks.iter().filter_map(|disk| {
        let by_ids = by_ids(disk, root_hash);
        by_ids.or_else(|| by_content(disk, root_hash))
    });
    let mut found: Vec<_> = found.collect();
    found.sort_by_key(|found| (found.disk.device.is_on_usb(), Reverse(found.disk.partitions.len())));
    found
}

fn by_ids(disk: &Disk, root_hash: &RootHash) -> Option<RootDisk> {
    Some(RootDisk {
        root: disk.partition(&root_hash.root_partition())?.clone(),
        hashes: HashArea {
            device: disk.partition(&root_hash.verity_partition())?.clone(),
            offset_bytes: 0,
        },
        disk: disk.clone(),
        table: TableKind::Gpt,
    })
}

/// The first slot of several with the same content: they are alike.
fn by_content(disk: &Disk, root_hash: &RootHash) -> Option<RootDisk> {
    disk.primaries().into_iter().find_map(|device| {
        let offset_bytes = hash_area(device, root_hash).ok()?;
        Some(RootDisk {
            root: device.clone(),
            hashes: HashArea {
                device: device.clone(),
                offset_bytes,
            },
            disk: disk.clone(),
            table: TableKind::Mbr,
        })
    })
}

fn hash_area(device: &BlockDevice, root_hash: &RootHash) -> Result<u64, SlotError> {
    let slot = OpenSlot::open(device).map_err(|source| SlotError::Read { offset: 0, source })?;
    slot::hash_area(&slot, root_hash)
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
        "waiting for the disk with the root {} ({} s of {} s); seen: {}",
        cmdline.root_hash,
        waited.as_secs(),
        cmdline.root_wait.as_secs(),
        seen(disks, &cmdline.root_hash)
    )
}

fn seen(disks: &[Disk], root_hash: &RootHash) -> String {
    let one = |disk: &Disk| disk.description() + &unfit_slots(disk, root_hash);
    match disks {
        [] => "no disk at all".to_owned(),
        _ => disks.iter().map(one).collect::<Vec<_>>().join(", "),
    }
}

/// What keeps the slots of a disk with an MBR from being the root; nothing of partitions that are no slots or empty.
fn unfit_slots(disk: &Disk, root_hash: &RootHash) -> String {
    let unfit = |device: &BlockDevice| match hash_area(device, root_hash) {
        Ok(_) | Err(SlotError::NoSquashfs) => None,
        Err(reason) => Some(format!("; {}: {}", device.name, with_causes(&reason))),
    };
    disk.primaries().into_iter().filter_map(unfit).collect()
}

fn not_found(cmdline: &Cmdline, disks: &[Disk]) -> BootError {
    BootError::NoRootDisk {
        root_hash: cmdline.root_hash,
        waited_secs: cmdline.root_wait.as_secs(),
        seen: seen(disks, &cmdline.root_hash),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::initrd::disks::tests::device_at;

    const HASH: RootHash = {
        let mut bytes = [7; 32];
        bytes[31] = 8;
        RootHash::from_bytes(bytes)
    };

    fn disk(folder: &str, partitions: u32) -> Disk {
        let id = |number| match number {
            2 => Some(HASH.root_partition()),
            3 => Some(HASH.verity_partition()),
            _ => None,
        };
        let partition = |number| (number, device_at(&format!("{folder}/p{number}"), id(number)));
        Disk {
            device: device_at(folder, None),
            partitions: (1..=partitions).map(partition).collect(),
        }
    }

    fn chosen(disks: &[Disk]) -> Vec<String> {
        let found = choose(disks, &HASH);
        found.into_iter().map(|found| found.disk.device.name).collect()
    }

    #[test]
    fn of_several_copies_a_built_in_disk_comes_first_then_one_that_has_run_before() {
        let disks = [
            disk("/sys/devices/pci0/ata1/sda", 3),
            disk("/sys/devices/pci0/usb1/1-1/sdb", 9),
            disk("/sys/devices/pci0/ata2/sdc", 6),
            disk("/sys/devices/pci0/ata3/sdd", 6),
        ];
        assert_eq!(chosen(&disks), ["sdc", "sdd", "sda", "sdb"]);
    }

    #[test]
    fn a_disk_with_only_one_of_the_partitions_is_not_it() {
        assert_eq!(chosen(&[disk("/sys/devices/vda", 2)]), [""; 0]);
    }

    #[test]
    fn what_is_waited_for_is_said_with_the_disks_that_are_there() {
        let cmdline = Cmdline::parse(&format!("roothash={HASH}")).unwrap();
        let text = waiting(&cmdline, Duration::from_secs(5), &[]);
        assert_eq!(
            text,
            format!("waiting for the disk with the root {HASH} (5 s of 60 s); seen: no disk at all")
        );
        let error = not_found(&cmdline, &[disk("/sys/devices/vda", 2)]);
        assert!(
            error
                .to_string()
                .ends_with("a slot with it; seen: vda (2 MB, 2 partitions)"),
            "{error}"
        );
    }
}
