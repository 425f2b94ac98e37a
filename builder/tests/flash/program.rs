//! Runs the command `skerry`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// More than anything takes on a busy machine; then it hangs.
const DEADLINE: Duration = Duration::from_secs(120);
/// Between two looks at something that has to come.
const LOOK: Duration = Duration::from_millis(2);

/// What came of a run.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
    /// Its largest resident set, if that was watched.
    pub peak_kib: Option<u64>,
}

/// A run that goes on.
pub struct Running(Child);

pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skerry"));
    command.args(arguments).env("NO_COLOR", "1");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub fn start(arguments: &[&str]) -> Running {
    Running::of(command(arguments))
}

pub fn skerry(arguments: &[&str]) -> Run {
    start(arguments).finish()
}

impl Running {
    pub fn of(mut command: Command) -> Self {
        Self(command.spawn().unwrap())
    }

    pub fn id(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(self.0.id().cast_signed())
    }

    pub fn finish(self) -> Run {
        let output = self.0.wait_with_output().unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        Run {
            code: output.status.code(),
            out,
            err,
            peak_kib: None,
        }
    }

    /// Waits for the end, and looks at the kernel's high-water mark on the way; it never falls.
    pub fn watch_memory(mut self) -> Run {
        let status = format!("/proc/{}/status", self.0.id());
        let mut peak = None;
        let begun = Instant::now();
        while self.0.try_wait().unwrap().is_none() {
            peak = high_water_mark(&status).or(peak);
            assert!(begun.elapsed() < DEADLINE);
            thread::sleep(LOOK);
        }
        let mut run = self.finish();
        run.peak_kib = peak;
        run
    }
}

/// Field `VmHWM` of proc_pid_status(5), in KiB.
fn high_water_mark(status: &str) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Waits until something is the case.
pub fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < DEADLINE, "{what} did not come");
        thread::sleep(LOOK);
    }
}

pub fn say(line: &str) {
    // Not `println!`, which the test harness keeps to itself: a skip has to be seen.
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Runs another tool that has to succeed.
pub fn tool(name: &str, arguments: &[&str]) -> String {
    let mut child = Command::new(name);
    child.args(arguments).env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin");
    let output = child.output().unwrap_or_else(|error| panic!("{name}: {error}"));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {arguments:?}: {err}");
    String::from_utf8(output.stdout).unwrap()
}

pub fn has_tool(name: &str) -> bool {
    let found = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
        .iter()
        .any(|folder| Path::new(folder).join(name).exists());
    if !found {
        say(&format!("skipped: no {name}"));
    }
    found
}

/// A join file that machines would take.
pub fn write_join_file(folder: &Path) -> PathBuf {
    let path = folder.join("join.toml");
    let text = "version = 1\nendpoints = [\"https://cp.example:6443\"]\ntoken = \"abcdef.0123456789abcdef\"\n\
        ca-pins = [\"sha256:345959acb2c3b2feb87d281961c893f62a314207ef02599f1cc4a5fb255480b3\"]\n";
    fs::write(&path, text).unwrap();
    path
}

/// All that a file holds from `offset` on, at most `len` bytes.
pub fn read_part(path: &str, offset: u64, len: usize) -> Vec<u8> {
    use std::io::{Seek as _, SeekFrom};
    let mut file = fs::File::open(path).unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    let mut bytes = Vec::new();
    file.take(len as u64).read_to_end(&mut bytes).unwrap();
    bytes
}
