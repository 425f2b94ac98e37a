//! Measures what docs/figures.md states, and prints it as markdown: `./just bench`.
//!
//! Everything goes through the command line, on a copy of the project and with caches of its own, which hold what was
//! downloaded and nothing that was computed. Wall time depends on what else the machine does, so the processor time of
//! all threads stands beside it; both are those of the run with the median wall time.
#![allow(clippy::print_stdout, reason = "the table is the output")]

#[path = "figures/flash.rs"]
mod flash;
#[path = "figures/images.rs"]
mod images;
#[path = "figures/relay.rs"]
mod relay;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use skerry_builder::squashfs::Settings;
use skerry_qemu_tests::control_plane::{ControlPlane, Joiners};
use skerry_qemu_tests::image::{Image, repository, run_skerry, skerry};
use skerry_qemu_tests::node::Start;
use skerry_qemu_tests::scene::Scene;
use skerry_qemu_tests::{join_file, tools};

const NAME: &str = "edge-x86_64";
/// How often each time is taken.
const RUNS: usize = 3;
/// What is computed from what was downloaded is not in here.
const DOWNLOADS: [&str; 2] = ["inputs", "components"];

/// One measured command.
struct Run {
    wall: Duration,
    cpu: Duration,
    /// What it said.
    talk: String,
}

/// The copy of the project that is built, and all that the builds leave.
struct Bench {
    folder: PathBuf,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [relay::COMMAND, root] => relay::run(root),
        [relay::BETWEEN] => relay::print_between(),
        [images::COMMAND] => images::print(),
        [flash::COMMAND] => flash::print(Image::edge()),
        _ => measure(),
    }
}

fn measure() {
    // Fills the usual cache, and says early what is wrong.
    let outcome = run_skerry(&["build", NAME]);
    assert!(
        outcome.status.success(),
        "skerry build {NAME}: {}",
        String::from_utf8_lossy(&outcome.stderr)
    );
    let folder = repository().join("target/figures");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("the target folder can be written");
    }
    let bench = Bench { folder };
    for part in ["images", "overlays"] {
        copy(&repository().join(part), &bench.folder.join("project").join(part));
    }
    println!("{}\n", machine());
    println!("| figure | goal | measured | how |\n|---|---|---|---|");
    let full = bench.full_builds();
    let peak_kib = getrusage(UsageWho::RUSAGE_CHILDREN)
        .expect("one's own usage can be asked for")
        .max_rss();
    row(
        "full build",
        "≤ 12 s",
        &times(&full),
        "`skerry build`, cache with packages and components only",
    );
    row(
        "rebuild, one overlay file changed",
        "≤ 1.0 s",
        &times(&bench.rebuild()),
        "`skerry build` after a comment in a sysctl.d file",
    );
    row(
        "rebuild, nothing changed",
        "≤ 0.3 s",
        &times(&bench.unchanged()),
        "`skerry build` again",
    );
    row(
        "peak memory of a full build",
        "≤ 600 MB",
        &format!("{:.0} MB", peak_kib as f64 * 1024.0 / 1e6),
        "`ru_maxrss`",
    );
    bench.print_sizes();
    row(
        "two builds, two caches",
        "same bytes",
        bench.same_bytes(),
        "`SHA256SUMS` compared",
    );
    flash::print(&bench.image("out-0"));
    print_joins();
    relay::print();
    print_stages(&full);
    bench.compare(&full);
    images::print();
}

impl Bench {
    fn image(&self, out: &str) -> Image {
        Image {
            name: NAME.to_owned(),
            folder: self.folder.join(out),
        }
    }

    fn build(&self, cache: &str, out: &str) -> Run {
        let mut command = Command::new(skerry());
        command
            .args(["build", NAME, "--locked", "--offline", "--timings", "-C"])
            .arg(self.folder.join("project"));
        command
            .arg("--out")
            .arg(self.folder.join(out))
            .env("SKERRY_CACHE_DIR", self.folder.join(cache));
        measured(&mut command)
    }

    fn full_builds(&self) -> Run {
        let usual = std::env::var_os("SKERRY_CACHE_DIR")
            .map(PathBuf::from)
            .or_else(skerry_builder::env::default_cache_dir);
        let usual = usual.expect("the build before has found its cache");
        let build = |number: usize| {
            let cache = format!("cache-{number}");
            for shelf in DOWNLOADS {
                copy(&usual.join(shelf), &self.folder.join(&cache).join(shelf));
            }
            self.build(&cache, &format!("out-{number}"))
        };
        median((0..RUNS).map(build).collect())
    }

    fn rebuild(&self) -> Run {
        let file = self
            .folder
            .join("project/overlays/node/usr/lib/sysctl.d/50-skerry.conf");
        let text = std::fs::read_to_string(&file).expect("the overlay has this file");
        let build = |number| {
            std::fs::write(&file, format!("{text}# {number}\n")).expect("the copy can be written");
            self.build("cache-0", "out-rebuilt")
        };
        // The first one makes the folder; from then on artifacts are replaced, as they are in daily work.
        median((0..=RUNS).map(build).skip(1).collect())
    }

    fn unchanged(&self) -> Run {
        median((0..RUNS).map(|_| self.build("cache-0", "out-rebuilt")).collect())
    }

    fn print_sizes(&self) {
        let image = self.image("out-0");
        row(
            "download, `.raw.zst`",
            "≤ 90 MB",
            &megabytes(len(&image, "raw.zst")),
            "length of the file",
        );
        row(
            "what a flash writes",
            "≤ 130 MB",
            &megabytes(data_bytes(&image)),
            "sum of the manifest's ranges",
        );
        row(
            "unified kernel image",
            "≤ 16 MB",
            &megabytes(len(&image, "efi")),
            "length of the file",
        );
        row(
            "initrd",
            "≤ 4 MB",
            &megabytes(image.section(".initrd").len() as u64),
            "section `.initrd`",
        );
        row(
            "root file system",
            "",
            &megabytes(len(&image, "root")),
            "length of the file",
        );
    }

    fn same_bytes(&self) -> &'static str {
        let sums = |out: &str| std::fs::read(self.folder.join(out).join("SHA256SUMS")).expect("a built image has sums");
        if sums("out-0") == sums("out-1") {
            "same bytes"
        } else {
            "DIFFERENT BYTES"
        }
    }

    /// The file system stage against mksquashfs, on the same tree with the same settings.
    fn compare(&self, full: &Run) {
        println!("\nAgainst other tools, in the same run:\n");
        let (tree, ours, theirs) = (
            self.folder.join("tree"),
            self.image("out-0").artifact("root"),
            self.folder.join("theirs"),
        );
        let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        if tools::judge(
            "unsquashfs",
            &["-q", "-n", "-no-xattrs", "-d", &text(&tree), &text(&ours)],
        )
        .is_some()
        {
            let Settings { block_size, level, .. } = Settings::default();
            let runs = (0..RUNS).map(|_| {
                let mut command = Command::new("mksquashfs");
                command
                    .args([&tree, &theirs])
                    .args(["-noappend", "-quiet", "-no-progress", "-comp", "zstd"]);
                measured(command.args(["-Xcompression-level", &level.to_string(), "-b", &block_size.to_string()]))
            });
            let run = median(runs.collect());
            let len = |path: &Path| megabytes(std::fs::metadata(path).expect("it was written").len());
            let stage = stages(full)
                .find(|(stage, _)| *stage == "file system")
                .map_or(0.0, |(_, seconds)| seconds);
            println!(
                "- `mksquashfs` (zstd {level}, {} KiB): {}, {}; stage `file system`: {stage:.1} s, {}; ratio {:.2}",
                block_size >> 10,
                times(&run),
                len(&theirs),
                len(&ours),
                run.wall.as_secs_f64() / stage.max(0.1)
            );
        }
        println!("- mkosi: skipped, because it needs the network and root; its figures are those of the design");
    }
}

/// From power-on until the API server says that the node is Ready, on an emulated machine of one processor.
fn print_joins() {
    for (start, figure, goal) in [
        (Start::Direct, "kernel entry to Ready", "≤ 35 s"),
        (Start::Firmware, "power-on to Ready, through UEFI", "≤ 60 s"),
    ] {
        let mut times: Vec<Duration> = (0..RUNS).map(|_| time_to_join(start)).collect();
        times.sort();
        let median = format!("{:.1} s", times[RUNS / 2].as_secs_f64());
        row(
            figure,
            goal,
            &median,
            "emulated, 512 MiB, join file on the EFI partition",
        );
    }
}

fn time_to_join(start: Start) -> Duration {
    let cluster = ControlPlane::start("figures", Joiners::Guests);
    let (file, _) = join_file::skerry(&cluster);
    let mut scene = Scene::with("figures", Image::edge(), cluster, start);
    scene.node.seed(&file);
    let begin = Instant::now();
    scene.join();
    begin.elapsed()
}

/// The length of an artifact, in bytes.
fn len(image: &Image, ending: &str) -> u64 {
    std::fs::metadata(image.artifact(ending))
        .expect("a built image has it")
        .len()
}

/// What a flash of the image writes, in bytes.
fn data_bytes(image: &Image) -> u64 {
    let manifest = image.manifest();
    let ranges = manifest["ranges"].as_array().expect("a manifest has ranges");
    ranges.iter().filter_map(|range| range["len_bytes"].as_u64()).sum()
}

fn measured(command: &mut Command) -> Run {
    let cpu = || {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("one's own usage can be asked for");
        Duration::from_micros(
            (usage.user_time() + usage.system_time())
                .num_microseconds()
                .cast_unsigned(),
        )
    };
    let (start, before) = (Instant::now(), cpu());
    let outcome = command
        .env("CI", "true")
        .output()
        .expect("the program was found a moment ago");
    let wall = start.elapsed();
    let talk = String::from_utf8_lossy(&outcome.stderr).into_owned();
    assert!(outcome.status.success(), "{command:?}: {talk}");
    Run {
        wall,
        cpu: cpu() - before,
        talk,
    }
}

fn median(mut runs: Vec<Run>) -> Run {
    runs.sort_by_key(|run| run.wall);
    runs.swap_remove(runs.len() / 2)
}

fn row(figure: &str, goal: &str, measured: &str, how: &str) {
    println!("| {figure} | {goal} | {measured} | {how} |");
}

fn times(run: &Run) -> String {
    format!(
        "{:.2} s (processors {:.2} s)",
        run.wall.as_secs_f64(),
        run.cpu.as_secs_f64()
    )
}

fn megabytes(len_bytes: u64) -> String {
    format!("{:.1} MB", len_bytes as f64 / 1e6)
}

/// Names and seconds in the lines of `--timings`, such as `    file system 3.1s`.
fn stages(run: &Run) -> impl Iterator<Item = (&str, f64)> {
    let lines = run.talk.lines().filter(|line| line.starts_with("           "));
    lines.filter_map(|line| {
        let (stage, took) = line.trim().rsplit_once(' ')?;
        Some((stage, took.strip_suffix('s')?.parse().ok()?))
    })
}

fn print_stages(run: &Run) {
    println!("\n| stage of the full build | seconds |\n|---|---|");
    stages(run).for_each(|(stage, seconds)| println!("| {stage} | {seconds:.1} |"));
}

fn machine() -> String {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown").to_owned();
    format!("{processors} processors, load {load} at the start, median of {RUNS} runs, MB = 10⁶ bytes")
}

/// Copies a folder; files by a hard link where that goes.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the target folder can be written");
    for entry in std::fs::read_dir(from).expect("the build before has made it") {
        let path = entry.expect("a folder can be read to its end").path();
        let target = to.join(path.file_name().expect("an entry has a name"));
        match path.is_dir() {
            true => copy(&path, &target),
            false => link_or_copy(&path, &target),
        }
    }
}

/// Downloads are linked: they are never written to. The project's files are edited, so they are copied.
fn link_or_copy(from: &Path, to: &Path) {
    let is_download = DOWNLOADS.iter().any(|shelf| to.iter().any(|part| part == *shelf));
    if !is_download || std::fs::hard_link(from, to).is_err() {
        std::fs::copy(from, to).expect("there is room for a copy");
    }
}
