//! S1 on real file systems: after scrubbing, no byte of the medium is part of the token.

use std::process::Command;

use super::*;
use crate::device::Device;
use crate::source::mounts::SystemMounts;
use crate::source::{Place, Rank, find_local};

const TOKEN: &[u8] = b"0123456789abcdef";
const MEDIUM_BYTES: u64 = 64 * 1024 * 1024;

/// A loop device that goes when the test does.
struct Loop(PathBuf);

impl Loop {
    fn over(image: &Path) -> Option<Self> {
        let device = run("losetup", &["--find", "--show", image.to_str()?])?;
        Some(Self(PathBuf::from(device.trim())))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        run("losetup", &["--detach", self.0.to_str().unwrap_or_default()]);
    }
}

fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let path = "/usr/sbin:/sbin:/usr/bin:/bin";
    let output = Command::new(program).env("PATH", path).args(arguments).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A machine with an empty stick of this kind plugged in; none if this host cannot make one.
fn stick(make: &[&str]) -> Option<(tempfile::TempDir, PathBuf, Loop)> {
    let root = tempfile::tempdir().unwrap();
    let image = root.path().join("stick.raw");
    File::create(&image).unwrap().set_len(MEDIUM_BYTES).unwrap();
    let mut arguments = make[1..].to_vec();
    arguments.push(image.to_str()?);
    run(make[0], &arguments)?;
    let device = Loop::over(&image)?;
    let links = root.path().join("dev/disk/by-label");
    fs::create_dir_all(&links).unwrap();
    std::os::unix::fs::symlink(&device.0, links.join("SKERRY-JOIN")).unwrap();
    Some((root, image, device))
}

fn put(root: &Path, device: &Path, content: &[u8]) -> io::Result<()> {
    let at = root.join("mnt");
    fs::create_dir_all(&at)?;
    SystemMounts.mount(device, &at, Access::ReadWrite)?;
    let written = fs::write(at.join("join.toml"), content);
    SystemMounts.unmount(&at)?;
    written
}

fn holds_token(image: &Path) -> bool {
    fs::read(image)
        .unwrap()
        .windows(TOKEN.len())
        .any(|window| window == TOKEN)
}

fn scrub_leaves_nothing_on(make: &[&str]) {
    let Some((root, image, device)) = stick(make) else {
        println!("skipped: {} or loop devices are not to be had here", make[0]);
        return;
    };
    // Longer than a cluster, with the token in its last, partly filled one.
    let content = [b"# a comment\n".repeat(3000), FILE.to_vec()].concat();
    if let Err(error) = put(root.path(), &device.0, &content) {
        println!("skipped: this host does not mount such a file system ({error})");
        return;
    }
    assert!(holds_token(&image));
    let place = Place {
        root: root.path().to_owned(),
        credentials: None,
    };
    let found = find_local(&place, &Device::default(), &SystemMounts, &|_| Rank::New)
        .found
        .unwrap();
    assert_eq!(*found.content, content);
    let outcome = scrub(root.path(), &found.trace, AfterJoin::Erase, &SystemMounts).unwrap();
    assert_eq!(outcome, Scrubbed::Erased);
    assert!(
        find_local(&place, &Device::default(), &SystemMounts, &|_| Rank::New)
            .found
            .is_none()
    );
    drop(device);
    assert!(!holds_token(&image));
}

#[test]
fn nothing_of_the_token_is_left_on_a_fat_stick() {
    scrub_leaves_nothing_on(&["mkfs.vfat", "-n", "SKERRY-JOIN"]);
}

#[test]
fn nothing_of_the_token_is_left_on_an_ext4_stick() {
    scrub_leaves_nothing_on(&["mkfs.ext4", "-q", "-F", "-L", "SKERRY-JOIN"]);
}
