//! `skerry flash` on real block devices: loop devices over files in a folder of the test.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

#[path = "flash/faults.rs"]
mod faults;
#[path = "downloads/faulty_server.rs"]
mod faulty_server;
#[path = "flash/images.rs"]
mod images;
#[path = "flash/loop_device.rs"]
mod loop_device;
#[path = "flash/network.rs"]
mod network;
#[path = "flash/program.rs"]
mod program;
#[path = "flash/refusals.rs"]
mod refusals;

use skerry_builder::inspect;
use skerry_builder::partition_id::DiskId;

use images::{MIB, Made};
use loop_device::{LoopDevice, can_attach};
use program::{Run, skerry, write_join_file};

/// What a loop device asks for: it is part of the machine, and has no serial number.
fn arguments<'a>(image: &'a str, devices: &[&'a LoopDevice], confirmations: &'a [String]) -> Vec<&'a str> {
    let paths = devices.iter().map(|device| device.path());
    let confirmed = confirmations.iter().flat_map(|word| ["--confirm", word]);
    ["flash", image, "--allow-fixed-disk"]
        .into_iter()
        .chain(paths)
        .chain(confirmed)
        .collect()
}

/// Flashes `image` onto `devices`.
fn flash(image: &str, devices: &[&LoopDevice]) -> Run {
    let confirmations: Vec<String> = devices.iter().map(|device| device.confirmation()).collect();
    skerry(&arguments(image, devices, &confirmations))
}

#[test]
fn an_image_with_an_mbr_takes_the_place_of_a_gpt() {
    if !can_attach() {
        return;
    }
    let (gpt, mbr) = (Made::small(), Made::for_board());
    let device = LoopDevice::filled(96 * MIB, 0x55);
    for made in [&gpt, &mbr] {
        let run = flash(&made.folder(), &[&device]);
        assert_eq!(run.code, Some(0), "{}", run.err);
        made.assert_on(&device);
    }
    // No backup table is left that firmware or the kernel could take for the disk's own.
    let found = inspect::inspect(device.path().as_ref()).unwrap();
    assert!(matches!(found.disk_id, DiskId::Mbr(_)), "{}", found.disk_id);
    assert!(device.content()[95 * MIB as usize..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_raw_and_a_compressed_image_and_a_folder_arrive_alike() {
    if !can_attach() {
        return;
    }
    let made = Made::small();
    for image in [made.raw(), made.zst(), made.folder()] {
        let device = LoopDevice::filled(96 * MIB, 0x55);
        let run = flash(&image, &[&device]);
        assert_eq!(run.code, Some(0), "{}", run.err);
        assert_eq!(run.out, "");
        assert!(run.err.contains("Flashed") && run.err.contains("next: "), "{}", run.err);
        made.assert_on(&device);
        // What was at the end of the disk is gone, what was between stays.
        let content = device.content();
        assert!(content[95 * MIB as usize..].iter().all(|byte| *byte == 0));
        assert_eq!(content[80 * MIB as usize], 0x55);
        let found = inspect::inspect(device.path().as_ref()).unwrap();
        assert_eq!(found.partitions.len(), 3);
        // A larger disk than the image: the first boot moves the backup table to its end.
        assert!(found.esp_files.iter().any(|file| file.path == "EFI/Linux/edge_1+3.efi"));
    }
}

#[test]
fn the_report_as_json_says_what_is_on_which_disk() {
    if !can_attach() {
        return;
    }
    let (made, device) = (Made::small(), LoopDevice::filled(64 * MIB, 0));
    let confirmation = [device.confirmation()];
    let (image, devices) = (made.folder(), [&device]);
    let mut arguments = arguments(&image, &devices, &confirmation);
    arguments.push("--json");
    let run = skerry(&arguments);
    assert_eq!(run.code, Some(0), "{}", run.err);
    let report: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((&report["version"], &report["image"]), (&1.into(), &"edge".into()));
    let disk = &report["devices"][0];
    assert_eq!(disk["state"], "flashed");
    assert_eq!(disk["path"], device.path());
    assert_eq!(disk["written-bytes"], made.data_bytes());
    assert_eq!(disk["error"], serde_json::Value::Null);
}

#[test]
fn several_disks_are_written_at_once_and_seeded() {
    if !can_attach() {
        return;
    }
    let made = Made::small();
    let devices = [0x11, 0x22, 0x33].map(|byte| LoopDevice::filled(96 * MIB, byte));
    let named: Vec<&LoopDevice> = devices.iter().collect();
    let join = write_join_file(made.path());
    let confirmations: Vec<String> = named.iter().map(|device| device.confirmation()).collect();
    let image = made.zst();
    let mut arguments = arguments(&image, &named, &confirmations);
    arguments.extend(["--join", join.to_str().unwrap()]);
    let run = skerry(&arguments);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert_eq!(run.err.matches("Flashed").count(), 3, "{}", run.err);
    for device in &devices {
        let found = inspect::inspect(device.path().as_ref()).unwrap();
        let names: Vec<&str> = found.esp_files.iter().map(|file| file.path.as_str()).collect();
        assert!(names.contains(&"join.toml"), "{names:?}");
        // Root and verity are as they were built.
        made.assert_has_root(device);
    }
}

#[test]
fn a_large_disk_is_marked_over_its_whole_length_and_cleaned_again() {
    if !can_attach() {
        return;
    }
    const LEN: u64 = 257 << 30;
    let (made, device) = (Made::small(), LoopDevice::sparse(LEN));
    let confirmation = [device.confirmation()];
    let (image, devices) = (made.raw(), [&device]);
    let mut arguments = arguments(&image, &devices, &confirmation);
    let run = skerry(&arguments);
    assert_eq!(run.code, Some(5));
    assert!(
        run.err.contains("are more than the 274.88 GB of usual media"),
        "{}",
        run.err
    );
    arguments.push("--allow-large-disk");
    let run = skerry(&arguments);
    assert_eq!(run.code, Some(0), "{}", run.err);
    for at in [128 * MIB, 1 << 30, 256 << 30, LEN - MIB - 4096, LEN - 4096] {
        assert_eq!(device.read(at, 4096), [0; 4096], "a mark at {at} was left");
    }
}

/// The figure of docs/flashing.md; the promise is 64 MiB.
#[test]
fn memory_stays_below_64_mib_with_a_large_image_and_three_disks() {
    if !can_attach() {
        return;
    }
    let made = Made::with_root_of(160 * MIB);
    let devices = [1, 2, 3].map(|byte| LoopDevice::filled(256 * MIB, byte));
    let named: Vec<&LoopDevice> = devices.iter().collect();
    let confirmations: Vec<String> = named.iter().map(|device| device.confirmation()).collect();
    let image = made.zst();
    let run = program::start(&arguments(&image, &named, &confirmations)).watch_memory();
    assert_eq!(run.code, Some(0), "{}", run.err);
    let peak = run.peak_kib.unwrap();
    program::say(&format!(
        "peak memory (VmHWM) of a flash of {} MiB to 3 disks: {:.1} MiB",
        made.data_bytes() / MIB,
        peak as f64 / 1024.0
    ));
    assert!(peak <= 64 << 10, "{peak} KiB");
}
