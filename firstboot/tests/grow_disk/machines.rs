//! The whole of it, on loop devices in use.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use skerry_firstboot::grow_disk::{Disk as _, GrowError, Outcome, RealDisk, grow, plan};

use super::judges;

const MIB: u64 = 1 << 20;
/// Where var begins.
const FIRST: u64 = 97 * MIB;

/// A machine that runs from slot A of a disk with an MBR.
struct Machine {
    root: tempfile::TempDir,
    disk: PathBuf,
    /// Held as the device mapper holds it: the kernel refuses the whole disk to others.
    slot_a: Option<File>,
}

impl Machine {
    /// With a disk of so many MiB, full of old data behind its table; none where there are no loop devices.
    fn start(mebibytes: u64) -> Option<Self> {
        let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
        if !is_root || !Path::new("/dev/loop-control").exists() {
            println!("skipped: loop devices need root and /dev/loop-control");
            return None;
        }
        if !judges::has(&["losetup", "partx", "sfdisk", "mke2fs", "e2fsck", "dumpe2fs"]) {
            return None;
        }
        let root = tempfile::tempdir().unwrap();
        let image = root.path().join("image");
        let file = File::create(&image).unwrap();
        for at in 0..mebibytes {
            file.write_all_at(&vec![at as u8 | 1; MIB as usize], at * MIB).unwrap();
        }
        judges::write_table(&image);
        let disk = judges::said("losetup", &["--find", "--show", image.to_str().unwrap()]);
        let mut machine = Self {
            root,
            disk: disk.trim().into(),
            slot_a: None,
        };
        // Unlike `losetup --partscan` this needs no kernel that reads such tables.
        judges::said("partx", &["--update", machine.disk.to_str().unwrap()]);
        machine.slot_a = Some(open_alone(&machine.partition(2)).unwrap());
        machine.leave_facts();
        Some(machine)
    }

    /// What the initrd leaves, and the folders of the kernel.
    fn leave_facts(&self) {
        let root = self.root.path();
        for folder in ["dev", "sys"] {
            std::os::unix::fs::symlink(Path::new("/").join(folder), root.join(folder)).unwrap();
        }
        fs::create_dir_all(root.join("run/skerry")).unwrap();
        let slot = self.partition(2);
        let facts = format!(
            r#"{{"version":1,"slot":null,"root-hash":"00","root-device":"/dev/dm-0","root-partition":{slot:?},
            "verity-partition":{slot:?},"disk":{:?},"partition-table":"mbr","var":{{"state":"absent"}},
            "machine-id-source":"random","watchdog":null,"steps":[]}}"#,
            self.disk
        );
        fs::write(root.join("run/skerry/boot.json"), facts).unwrap();
    }

    fn partition(&self, number: u32) -> PathBuf {
        format!("{}p{number}", self.disk.display()).into()
    }

    fn grow(&self) -> Result<Outcome, GrowError> {
        grow(self.root.path())
    }

    /// Everything from the table to the end of slot B, but for the fourth entry.
    fn before_var(&self) -> Vec<u8> {
        let mut bytes = vec![0; FIRST as usize];
        File::open(&self.disk).unwrap().read_exact(&mut bytes).unwrap();
        bytes[494..510].fill(0);
        bytes
    }

    fn assert_var_is_whole(&self) {
        let partition = self.partition(4);
        let checked = judges::run("e2fsck", &["-f", "-n", partition.to_str().unwrap()]);
        assert!(checked.status.success(), "{checked:?}");
        let about = judges::said("dumpe2fs", &["-h", partition.to_str().unwrap()]);
        for (field, value) in [
            ("Filesystem volume name:", "var"),
            ("Block size:", "4096"),
            ("Inode size:", "256"),
            ("Reserved block count:", "0"),
        ] {
            let line = about.lines().find_map(|line| line.strip_prefix(field));
            assert_eq!(line.map(str::trim), Some(value), "{field}");
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.slot_a = None;
        let disk = self.disk.to_str().unwrap_or_default();
        // Nothing can be done here about a failure, and a test that has failed has said so.
        judges::run("partx", &["--delete", disk]);
        judges::run("losetup", &["--detach", disk]);
    }
}

/// Opens a device so that nobody else can.
fn open_alone(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.read(true).custom_flags(nix::libc::O_EXCL);
    options.open(path)
}

#[test]
fn a_machine_makes_var_behind_the_slots_that_it_runs_from() {
    let Some(machine) = Machine::start(200) else {
        return;
    };
    assert!(open_alone(&machine.disk).is_err(), "the disk is not in use");
    let before = machine.before_var();
    let Outcome::Made(var) = machine.grow().unwrap() else {
        panic!("no var was made")
    };
    assert!(machine.before_var() == before, "something before var was changed");
    let place = (FIRST / 512, 103 * MIB / 512, "83".to_owned());
    assert_eq!(
        (u64::from(var.first_sector), u64::from(var.sectors)),
        (place.0, place.1)
    );
    assert_eq!(judges::var_of(&machine.disk), Some(place));
    judges::assert_verified(&machine.disk);
    machine.assert_var_is_whole();
    assert_eq!(machine.grow().unwrap(), Outcome::There);
}

#[test]
fn a_power_cut_before_the_table_is_written_leaves_the_disk_as_it_was_flashed() {
    let Some(machine) = Machine::start(200) else {
        return;
    };
    let before = machine.before_var();
    let mut disk = RealDisk::open(machine.root.path(), machine.disk.to_str().unwrap()).unwrap();
    let (sector, sectors) = disk.read().unwrap();
    let planned = plan(&sector, sectors).unwrap().unwrap();
    disk.show_partition(planned.var).unwrap();
    assert_eq!(judges::var_of(&machine.disk), None);
    disk.make_file_system().unwrap();
    drop(disk);
    assert_eq!(judges::var_of(&machine.disk), None);
    assert!(machine.before_var() == before, "something before var was changed");

    // The next try, whether the kernel has forgotten the partition or not.
    assert!(machine.partition(4).exists());
    assert_eq!(machine.grow().unwrap(), Outcome::Made(planned.var));
    machine.assert_var_is_whole();
}

#[test]
fn a_var_in_use_is_not_made_anew() {
    let Some(machine) = Machine::start(200) else {
        return;
    };
    machine.grow().unwrap();
    // A table that lost its entry does not make the partition free.
    judges::write_table(&machine.disk);
    let user = open_alone(&machine.partition(4)).unwrap();
    let error = machine.grow().unwrap_err();
    assert!(matches!(error, GrowError::Partition { .. }), "{error}");
    drop(user);
    machine.assert_var_is_whole();
    assert_eq!(judges::var_of(&machine.disk), None);
}

#[test]
fn a_disk_without_room_stays_as_it_is_and_the_error_says_what_to_do() {
    let Some(machine) = Machine::start(160) else {
        return;
    };
    let before = machine.before_var();
    let error = machine.grow().unwrap_err();
    let reason = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        reason.contains("a disk of at least 161 MiB") && reason.contains("`slot-size`"),
        "{reason}"
    );
    assert!(!machine.partition(4).exists());
    assert!(machine.before_var() == before);
}
