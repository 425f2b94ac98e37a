//! One test per rule that can be had with a loop device; `device::tests::rules` has all of them on facts alone.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::images::{MIB, Made};
use super::loop_device::{LoopDevice, can_attach, is_root};
use super::program::{command, has_tool, say, skerry, tool};
use super::{arguments, flash};

/// Every flag that there is; what is refused all the same is refused for good.
const ALL_FLAGS: [&str; 2] = ["--allow-fixed-disk", "--allow-large-disk"];

/// The device is refused with all flags and its confirmation, and stays as it is.
fn assert_refused(device: &LoopDevice, word: &str, reason: &str, hint: &str) {
    let made = Made::small();
    let before = device.content();
    let (image, confirmation) = (made.raw(), device.confirmation());
    let fixed = ["flash", &image, word, "--confirm", &confirmation];
    let run = skerry(&[&fixed[..], &ALL_FLAGS].concat());
    assert_eq!(run.code, Some(5), "{}", run.err);
    assert!(run.err.contains(reason) && run.err.contains(hint), "{}", run.err);
    assert!(device.content() == before);
}

#[test]
fn a_mounted_disk_is_refused() {
    if !can_attach() || !has_tool("mkfs.ext4") {
        return;
    }
    struct Mounted(tempfile::TempDir);
    impl Drop for Mounted {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg(self.0.path()).status();
        }
    }
    let device = LoopDevice::filled(96 * MIB, 0);
    tool("mkfs.ext4", &["-q", device.path()]);
    let mounted = Mounted(tempfile::tempdir().unwrap());
    let at = mounted.0.path().to_str().unwrap().to_owned();
    tool("mount", &[device.path(), &at]);
    let made = Made::small();
    let image = made.raw();
    let confirmation = [device.confirmation()];
    let run = skerry(&arguments(&image, &[&device], &confirmation));
    assert_eq!(run.code, Some(5), "{}", run.err);
    assert!(run.err.contains(&format!("it is mounted at {at}")), "{}", run.err);
    assert!(run.err.contains(&format!("`sudo umount {at}`")), "{}", run.err);
    // And the file system is still one.
    assert!(Path::new(&at).join("lost+found").exists());
}

#[test]
fn a_read_only_disk_is_refused() {
    if !can_attach() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    fs::write(&path, vec![7; 96 << 20]).unwrap();
    let device = LoopDevice::attach(&path, &["--read-only"], Some(folder));
    assert_refused(&device, device.path(), "it is read-only", "lock");
}

#[test]
fn a_disk_that_is_too_small_is_refused() {
    if !can_attach() {
        return;
    }
    let device = LoopDevice::filled(16 * MIB, 7);
    assert_refused(
        &device,
        device.path(),
        "it has 16777216 bytes, and the image needs",
        "larger medium",
    );
}

/// A partition of a loop device, with a device node of its own: not every machine has somebody who makes them.
struct LoopPartition<'a> {
    device: &'a LoopDevice,
    folder: tempfile::TempDir,
}

impl<'a> LoopPartition<'a> {
    fn add(device: &'a LoopDevice) -> Self {
        tool("addpart", &[device.path(), "1", "2048", "4096"]);
        let folder = tempfile::tempdir().unwrap();
        let partition = Self { device, folder };
        let name = device.path().trim_start_matches("/dev/");
        let numbers = fs::read_to_string(format!("/sys/class/block/{name}p1/dev")).unwrap();
        let (major, minor) = numbers.trim().split_once(':').unwrap();
        tool("mknod", &[&partition.path(), "b", major, minor]);
        partition
    }

    fn path(&self) -> String {
        self.folder.path().join("partition").to_str().unwrap().to_owned()
    }
}

impl Drop for LoopPartition<'_> {
    fn drop(&mut self) {
        // It would outlive the loop device, and be in the way of the next one.
        tool("delpart", &[self.device.path(), "1"]);
    }
}

#[test]
fn a_partition_is_refused() {
    if !can_attach() || !has_tool("addpart") {
        return;
    }
    let device = LoopDevice::filled(96 * MIB, 7);
    let partition = LoopPartition::add(&device);
    let hint = format!("name the whole disk: `{}`", device.path());
    assert_refused(&device, &partition.path(), "it is a partition", &hint);
}

#[test]
fn a_disk_that_another_program_has_for_itself_is_refused() {
    if !can_attach() {
        return;
    }
    let device = LoopDevice::filled(96 * MIB, 7);
    let holder = fs::File::options()
        .read(true)
        .custom_flags(nix::libc::O_EXCL)
        .open(device.path())
        .unwrap();
    assert_refused(&device, device.path(), "it is in use", "fuser");
    drop(holder);
}

#[test]
fn a_fixed_disk_is_refused_without_its_flag() {
    if !can_attach() {
        return;
    }
    let (made, device) = (Made::small(), LoopDevice::filled(96 * MIB, 7));
    let run = skerry(&["flash", &made.raw(), device.path(), "--confirm", &device.confirmation()]);
    assert_eq!(run.code, Some(5), "{}", run.err);
    assert_eq!(
        run.err,
        format!(
            "error: `{}` is not overwritten\n  caused by: it is not a removable medium\n\n\
             hint: if this disk is really the one, add `--allow-fixed-disk`\n",
            device.path()
        )
    );
    assert!(device.content().iter().all(|byte| *byte == 7));
}

#[test]
fn the_disk_of_the_running_system_is_refused() {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/"));
    let number = root.and_then(|line| line.split(' ').nth(2)).unwrap();
    let Ok(place) = fs::canonicalize(format!("/sys/dev/block/{number}")) else {
        say("skipped: the root file system of this machine is on no block device that can be seen");
        return;
    };
    let disk = match place.join("partition").exists() {
        true => place.parent().unwrap(),
        false => &place,
    };
    let path = format!("/dev/{}", disk.file_name().unwrap().to_str().unwrap());
    let made = Made::small();
    // Not confirmed, so that nothing would happen even if the rule were broken.
    let run = skerry(&[&["flash", &made.raw(), &path][..], &ALL_FLAGS].concat());
    assert_eq!(run.code, Some(5), "{}", run.err);
    assert!(run.err.contains("the running system is on it (/"), "{}", run.err);
    assert!(run.err.contains("no flag overrides this"), "{}", run.err);
}

#[test]
fn a_file_and_a_missing_device_are_refused() {
    let made = Made::small();
    let file = made.path().join("stick.img");
    fs::write(&file, vec![7; 1 << 20]).unwrap();
    let run = skerry(&[&["flash", &made.raw(), file.to_str().unwrap()][..], &ALL_FLAGS].concat());
    assert_eq!(run.code, Some(5), "{}", run.err);
    assert!(run.err.contains("it is not a block device"), "{}", run.err);
    assert_eq!(fs::read(&file).unwrap(), vec![7; 1 << 20]);
    let run = skerry(&["flash", &made.raw(), "/dev/no-such-disk"]);
    assert_eq!(run.code, Some(1), "{}", run.err);
}

#[test]
fn nothing_is_written_without_the_right_confirmation() {
    if !can_attach() {
        return;
    }
    let (made, device) = (Made::small(), LoopDevice::filled(96 * MIB, 7));
    let image = made.raw();
    let run = skerry(&arguments(&image, &[&device], &[]));
    assert_eq!(run.code, Some(5), "{}", run.err);
    let flag = format!("add `--confirm {}`", device.confirmation());
    assert!(run.err.contains(&flag), "{}", run.err);
    for wrong in [
        vec!["4C530001".to_owned()],
        vec![device.confirmation(), "4C530001".to_owned()],
    ] {
        let run = skerry(&arguments(&image, &[&device], &wrong));
        assert_eq!(run.code, Some(5), "{}", run.err);
        assert!(
            run.err.contains("`--confirm 4C530001` is none of the disks named"),
            "{}",
            run.err
        );
    }
    assert!(device.content().iter().all(|byte| *byte == 7));
}

#[test]
fn at_a_terminal_the_disk_is_asked_for_and_only_the_right_answer_writes() {
    if !can_attach() || !has_tool("script") {
        return;
    }
    let (made, device) = (Made::small(), LoopDevice::filled(96 * MIB, 7));
    let image = made.raw();
    let line = [&[env!("CARGO_BIN_EXE_skerry")][..], &arguments(&image, &[&device], &[])].concat();
    let answer = |text: &str| {
        // script(1) runs the program at a terminal of its own, which says what is typed, too.
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &line.join(" "), "/dev/null"]);
        let mut script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut typed = script.stdin.take().unwrap();
        typed.write_all(format!("{text}\n").as_bytes()).unwrap();
        let output = script.wait_with_output().unwrap();
        drop(typed);
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let (code, said) = answer("yes");
    assert_eq!(code, Some(5), "{said}");
    assert!(
        said.contains(&format!("Type `{}` to overwrite it: ", device.confirmation())),
        "{said}"
    );
    assert!(device.content().iter().all(|byte| *byte == 7));
    let (code, said) = answer(&device.confirmation());
    assert_eq!(code, Some(0), "{said}");
    made.assert_on(&device);
}

#[test]
fn one_refused_disk_keeps_all_from_being_written() {
    if !can_attach() {
        return;
    }
    let (good, small) = (LoopDevice::filled(96 * MIB, 7), LoopDevice::filled(16 * MIB, 7));
    let made = Made::small();
    assert_eq!(flash(&made.raw(), &[&good, &small]).code, Some(5));
    let run = flash(&made.raw(), &[&good, &good]);
    assert_eq!(run.code, Some(2), "{}", run.err);
    assert!(good.content().iter().all(|byte| *byte == 7));
}

#[test]
fn without_the_right_to_write_the_command_that_has_it_is_told() {
    if !can_attach() {
        return;
    }
    let (made, device) = (Made::small(), LoopDevice::filled(96 * MIB, 7));
    tool("chmod", &["-R", "a+rX", &made.folder()]);
    let image = made.raw();
    let confirmation = [device.confirmation()];
    let arguments = arguments(&image, &[&device], &confirmation);
    const NOBODY: u32 = 65_534;
    let mut command = command(&arguments);
    let output = match command.uid(NOBODY).gid(NOBODY).output() {
        Ok(output) => output,
        Err(error) => {
            say(&format!(
                "skipped: another user may not run the program under test: {error}"
            ));
            return;
        }
    };
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    let program = fs::canonicalize(env!("CARGO_BIN_EXE_skerry")).unwrap();
    let line = format!("run this: `sudo {} {}`", program.display(), arguments.join(" "));
    assert!(err.contains(&line), "{err}");
}

#[test]
fn without_a_device_the_disks_are_listed_and_none_is_written() {
    let made = Made::small();
    let run = skerry(&["flash", &made.raw()]);
    assert_eq!(run.code, Some(5));
    assert!(
        run.out.starts_with("DEVICE") && run.out.contains("CAN BE OVERWRITTEN"),
        "{}",
        run.out
    );
    assert!(run.err.starts_with("error: no device is named\n"), "{}", run.err);
    let run = skerry(&["flash", &made.raw(), "--json"]);
    assert_eq!(run.code, Some(5));
    let report: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(report["version"], 1);
    if is_root() && can_attach() {
        let device = LoopDevice::filled(96 * MIB, 7);
        let run = skerry(&["flash", &made.raw(), "--json"]);
        let report: serde_json::Value = serde_json::from_str(&run.out).unwrap();
        let devices = report["devices"].as_array().unwrap();
        let listed = devices.iter().find(|listed| listed["path"] == device.path()).unwrap();
        assert_eq!(listed["len-bytes"], 96 * MIB);
        assert_eq!(listed["confirm"], device.confirmation());
        assert_eq!(listed["refusals"][0]["rule"], "fixed");
    }
}
