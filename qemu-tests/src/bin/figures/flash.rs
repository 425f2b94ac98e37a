//! How fast a flash is, against dd and bmaptool with the same bytes on the same device, by turns.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use skerry_qemu_tests::image::{Image, repository, skerry};
use skerry_qemu_tests::medium::LoopDevice;
use skerry_qemu_tests::throttle::Throttle;

use super::{RUNS, measured, row};

/// The command that prints only these rows.
pub const COMMAND: &str = "flash";

const DEVICE_BYTES: u64 = 1 << 30;

/// What a good card takes: 100 MB in a second.
const CARD_BYTES_PER_SECOND: u64 = 100_000_000;
/// On the slow device, where it is a matter of a few per cent.
const CARD_RUNS: usize = 5;

/// What is compared, in seconds.
#[derive(Default)]
struct Times {
    write: Vec<f64>,
    verify: Vec<f64>,
    dd: Vec<f64>,
    bmaptool: Vec<f64>,
}

/// Prints the rows, or that there are none: devices are root's.
pub fn print(image: &Image) {
    let folder = repository().join("target/figures-flash");
    fs::create_dir_all(&folder).expect("the target folder can be written");
    let disk = folder.join("disk.raw");
    let file = File::create(&disk).expect("the target folder can be written");
    // Without holes: their place is found on the first write.
    nix::fcntl::posix_fallocate(&file, 0, DEVICE_BYTES.cast_signed()).expect("there is room for it");
    let Some(device) = LoopDevice::past_the_page_cache(&disk) else {
        println!("skipped: no loop device");
        return;
    };
    let (data, bmap) = (data(image, &folder), bmap(image, &folder));
    let mut times = Times::default();
    for _ in 0..RUNS {
        let (write, verify) = flash(Command::new(skerry()), image, &device);
        times.write.push(write);
        times.verify.push(verify);
        times.dd.push(dd(Command::new("dd"), &data, &device).as_secs_f64());
        let copied = bmap.iter().map(|bmap| bmaptool(image, bmap, &device).as_secs_f64());
        times.bmaptool.extend(copied);
    }
    times.print();
    print_card(image, &data, &device);
    drop(device);
    fs::remove_dir_all(&folder).expect("it was made a moment ago");
}

impl Times {
    fn print(self) {
        let [write, verify, dd] = [self.write, self.verify, self.dd].map(median);
        row(
            "flash, speed of writing",
            "≥ 95 % of dd",
            &format!("{:.0} % ({write:.2} s, dd {dd:.2} s)", 100.0 * dd / write),
            "loop device without page cache; `dd bs=4M oflag=direct conv=fsync` of the ranges' bytes",
        );
        let whole = write + verify;
        let bmaptool = match self.bmaptool.is_empty() {
            true => "no bmaptool".to_owned(),
            false => format!("bmaptool {:.2} s, which does not read back", median(self.bmaptool)),
        };
        row(
            "flash, with reading back",
            "",
            &format!("{whole:.2} s; {bmaptool}"),
            "the same",
        );
    }
}

/// The same with a device as slow as a card.
fn print_card(image: &Image, data: &Path, device: &LoopDevice) {
    let group = match Throttle::new(device.path(), CARD_BYTES_PER_SECOND) {
        Ok(group) => group,
        Err(error) => return println!("skipped: the device cannot be made slow: {error}"),
    };
    let mut times = Times::default();
    for _ in 0..CARD_RUNS {
        let (write, verify) = flash(group.command(skerry()), image, device);
        times.write.push(write);
        times.verify.push(verify);
        times.dd.push(dd(group.command("dd"), data, device).as_secs_f64());
    }
    let [write, verify, dd] = [times.write, times.verify, times.dd].map(median);
    row(
        "flash, speed of writing at 100 MB/s",
        "≥ 95 % of dd",
        &format!(
            "{:.0} % ({write:.2} s, dd {dd:.2} s; reading back {verify:.2} s)",
            100.0 * dd / write
        ),
        "the same, the device limited by `blkio.throttle`, median of 5 runs",
    );
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The bytes that a flash writes, one after the other, in a file.
fn data(image: &Image, folder: &Path) -> PathBuf {
    let path = folder.join("data");
    let (mut raw, mut file) = (open(image), File::create(&path).expect("the folder can be written"));
    for range in image.manifest()["ranges"].as_array().expect("a manifest has ranges") {
        let number = |key: &str| range[key].as_u64().expect("it is a number");
        raw.seek(SeekFrom::Start(number("offset")))
            .expect("it is within the image");
        let mut part = (&mut raw).take(number("len_bytes"));
        std::io::copy(&mut part, &mut file).expect("the image can be copied");
    }
    path
}

fn open(image: &Image) -> File {
    File::open(image.artifact("raw")).expect("a built image has it")
}

/// bmaptool's own list of the ranges, if it is installed.
fn bmap(image: &Image, folder: &Path) -> Option<PathBuf> {
    let path = folder.join("image.bmap");
    let raw = image.artifact("raw");
    let outcome = Command::new("bmaptool")
        .arg("create")
        .arg(&raw)
        .arg("-o")
        .arg(&path)
        .output();
    outcome.is_ok_and(|outcome| outcome.status.success()).then_some(path)
}

/// Seconds of writing and of reading back, as the command tells them.
fn flash(mut command: Command, image: &Image, device: &LoopDevice) -> (f64, f64) {
    let confirm = device.confirmation(DEVICE_BYTES);
    command.arg("flash").arg(image.artifact("raw")).arg(device.path());
    command.args(["--confirm", &confirm, "--allow-fixed-disk", "--json", "-q"]);
    let outcome = command.output().expect("skerry can be started");
    let report: serde_json::Value = serde_json::from_slice(&outcome.stdout).expect("the report is JSON");
    let disk = &report["devices"][0];
    let seconds = |key: &str| disk[key].as_f64().unwrap_or_else(|| panic!("{report}"));
    (seconds("write-seconds"), seconds("verify-seconds"))
}

fn dd(mut command: Command, data: &Path, device: &LoopDevice) -> Duration {
    let (from, to) = (format!("if={}", data.display()), format!("of={}", device.path()));
    command
        .args([&from, &to])
        .args(["bs=4M", "oflag=direct", "conv=fsync,notrunc", "status=none"]);
    measured(&mut command).wall
}

fn bmaptool(image: &Image, bmap: &Path, device: &LoopDevice) -> Duration {
    let mut command = Command::new("bmaptool");
    command.args(["-q", "copy", "--bmap"]).arg(bmap);
    command.arg(image.artifact("raw")).arg(device.path());
    measured(&mut command).wall
}
