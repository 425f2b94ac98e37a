//! Broken images, disks that fail, and runs that are ended in the middle.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use nix::sys::signal::{Signal, kill};

use super::faulty_server::{Reply, Server};
use super::images::{MIB, Made};
use super::loop_device::{LoopDevice, can_attach};
use super::program::{self, has_tool, say, tool, wait_for};
use super::{arguments, flash};

/// Serves the image, and falls silent after half of the first download of it.
fn stalling_server(made: &Made) -> Server {
    let (manifest, image) = (made.manifest.to_json(), fs::read(made.zst()).unwrap());
    Server::start(move |request| match request.path.as_str() {
        "/edge/manifest.json" => Reply::ok(manifest.as_bytes()),
        "/edge/edge.raw.zst" => Reply::ok(&image).stall_after(image.len() / 2),
        _ => Reply::status(404),
    })
}

/// Begins to flash from a server that stalls onto a disk that has the image but for its first block of root, waits until the disk is being written, and sends a signal.
fn end_in_the_middle(made: &Made, device: &LoopDevice, signal: Signal) -> program::Run {
    let server = stalling_server(made);
    let root = made.root_offset();
    let expected = device.read(root, 4096);
    fs::File::options()
        .write(true)
        .open(device.path())
        .unwrap()
        .write_all_at(&[7; 4096], root)
        .unwrap();
    let url = format!("{}/edge/edge.raw.zst", server.url());
    let confirmation = [device.confirmation()];
    let running = program::start(&arguments(&url, &[device], &confirmation));
    wait_for("the first block of the root file system", || {
        device.read(root, 4096) == expected
    });
    kill(running.id(), signal).unwrap();
    let run = running.finish();
    assert!(device.is_invalid(), "something would start from it");
    assert!(skerry_builder::inspect::inspect(Path::new(device.path())).is_err());
    run
}

#[test]
fn ctrl_c_leaves_the_disk_invalid_and_the_next_run_succeeds() {
    if !can_attach() {
        return;
    }
    let (made, device) = (Made::small(), LoopDevice::filled(96 * MIB, 7));
    // What was on it before is gone, too: an earlier installation with its tables at both ends.
    assert_eq!(flash(&made.raw(), &[&device]).code, Some(0));
    let run = end_in_the_middle(&made, &device, Signal::SIGINT);
    assert_eq!(run.code, Some(130), "{}", run.err);
    let message = format!("error: stopped: {} cannot be used as it is", device.path());
    assert!(
        run.err.contains(&message) && run.err.contains("run the same command again"),
        "{}",
        run.err
    );
    assert_eq!(flash(&made.zst(), &[&device]).code, Some(0));
    made.assert_on(&device);
}

#[test]
fn a_killed_run_leaves_the_disk_invalid_and_the_next_run_succeeds() {
    if !can_attach() {
        return;
    }
    let (made, device) = (Made::small(), LoopDevice::filled(96 * MIB, 7));
    assert_eq!(flash(&made.raw(), &[&device]).code, Some(0));
    let run = end_in_the_middle(&made, &device, Signal::SIGKILL);
    assert_eq!(run.code, None);
    assert_eq!(flash(&made.zst(), &[&device]).code, Some(0));
    made.assert_on(&device);
}

#[test]
fn a_truncated_and_a_changed_image_leave_no_valid_disk() {
    if !can_attach() {
        return;
    }
    let (made, device) = (Made::small(), LoopDevice::filled(96 * MIB, 7));
    let whole = fs::read(made.zst()).unwrap();
    // Under its own name it is refused before anything is written.
    fs::write(made.zst(), &whole[..whole.len() / 2]).unwrap();
    let run = flash(&made.zst(), &[&device]);
    assert_eq!(run.code, Some(4), "{}", run.err);
    assert!(run.err.contains("and its manifest says"), "{}", run.err);
    assert!(device.content().iter().all(|byte| *byte == 7));
    // Under another name the decoder finds out.
    let other = made.path().join("copy.raw.zst");
    fs::write(&other, &whole[..whole.len() / 2]).unwrap();
    let run = flash(other.to_str().unwrap(), &[&device]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    assert!(run.err.contains("the image cannot be read at byte"), "{}", run.err);
    assert!(device.is_invalid());
    // A join file in the image itself is a change.
    let mut raw = fs::read(made.raw()).unwrap();
    raw[made.root_offset() as usize + 5] ^= 1;
    fs::write(made.raw(), raw).unwrap();
    let run = flash(&made.raw(), &[&device]);
    assert_eq!(run.code, Some(4), "{}", run.err);
    assert!(
        run.err.contains("the image is not what its manifest says"),
        "{}",
        run.err
    );
    assert!(run.err.contains("nothing will start from"), "{}", run.err);
    assert!(device.is_invalid());
}

#[test]
fn a_file_of_another_tool_is_refused() {
    let made = Made::small();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("other.img");
    fs::copy(made.raw(), &copy).unwrap();
    let run = flash(copy.to_str().unwrap(), &[]);
    // Without a device the image is not even looked at.
    assert_eq!(run.code, Some(5));
    let run = program::skerry(&["flash", copy.to_str().unwrap(), "sdx"]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    assert!(
        run.err.contains("has no manifest.json beside it") && run.err.contains("bmaptool"),
        "{}",
        run.err
    );
}

/// A file system that is full before the disk is: then writes to the disk fail.
struct Full(tempfile::TempDir);

impl Full {
    fn of(mib: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={mib}m");
        tool(
            "mount",
            &["-t", "tmpfs", "-o", &size, "tmpfs", folder.path().to_str().unwrap()],
        );
        Self(folder)
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("--lazy")
            .arg(self.0.path())
            .status();
    }
}

#[test]
fn a_disk_that_fails_in_the_middle_is_told_and_the_others_are_finished() {
    if !can_attach() {
        return;
    }
    let full = Full::of(6);
    let file = full.0.path().join("disk");
    fs::File::create(&file).unwrap().set_len(96 * MIB).unwrap();
    let failing = LoopDevice::attach(&file, &[], None);
    let (made, good) = (Made::small(), LoopDevice::filled(96 * MIB, 7));
    let run = flash(&made.zst(), &[&failing, &good]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    let message = format!("error: {} was not flashed\n  caused by: cannot ", failing.path());
    assert!(run.err.contains(&message), "{}", run.err);
    assert!(run.err.contains("1 of 2 disks were not completed"), "{}", run.err);
    made.assert_on(&good);
    assert!(failing.is_invalid());
    drop(failing);
}

#[test]
fn a_disk_with_bad_sectors_is_told_with_their_place() {
    if !can_attach() || !has_tool("dmsetup") {
        return;
    }
    let version = std::process::Command::new("dmsetup").arg("version").output();
    if !version.is_ok_and(|output| output.status.success()) {
        say("skipped: no device mapper in this kernel");
        return;
    }
    struct Mapped(String);
    impl Drop for Mapped {
        fn drop(&mut self) {
            let _ = std::process::Command::new("dmsetup").args(["remove", &self.0]).status();
        }
    }
    let (made, below) = (Made::small(), LoopDevice::filled(96 * MIB, 7));
    let bad = made.root_offset() / 512 + 8;
    let sectors = 96 * MIB / 512;
    let mapped = Mapped(format!("skerry-test-{}", std::process::id()));
    let lines = format!(
        "0 {bad} linear {path} 0\n{bad} 8 error\n{after} {rest} linear {path} {after}\n",
        path = below.path(),
        after = bad + 8,
        rest = sectors - bad - 8,
    );
    let table = made.path().join("table");
    fs::write(&table, lines).unwrap();
    tool("dmsetup", &["create", &mapped.0, table.to_str().unwrap()]);
    let path = fs::canonicalize(format!("/dev/mapper/{}", mapped.0)).unwrap();
    let (image, path) = (made.raw(), path.to_str().unwrap());
    let confirmation = format!("{}:{}", path.strip_prefix("/dev/").unwrap(), 96 * MIB);
    let run = program::skerry(&["flash", &image, path, "--allow-fixed-disk", "--confirm", &confirmation]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    assert!(
        run.err.contains("bytes at byte ") && run.err.contains("failing"),
        "{}",
        run.err
    );
    assert!(below.is_invalid());
}
