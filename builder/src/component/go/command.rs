//! Running the host's Go with an environment of ours.

use std::collections::{BTreeMap, VecDeque};
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use nix::sys::prctl;
use nix::sys::signal::Signal;

use super::Job;
use crate::arch::Arch;
use crate::component::ComponentError;

/// How much of Go's complaints an error shows.
const TAIL_LINES: usize = 20;
pub(super) const MAX_LINE_BYTES: usize = 400;
/// More than `go list` answers for any program.
const MAX_ANSWER_BYTES: u64 = 64 << 20;

/// What Go's configuration may decide: where modules come from, and where Go keeps its caches.
const KEPT_SETTINGS: [&str; 10] = [
    "GOAUTH",
    "GOCACHE",
    "GOINSECURE",
    "GOMODCACHE",
    "GONOPROXY",
    "GONOSUMDB",
    "GOPATH",
    "GOPRIVATE",
    "GOPROXY",
    "GOSUMDB",
];
/// What Go and the git that it may start need of our environment.
const KEPT_VARIABLES: [&str; 13] = [
    "ALL_PROXY",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NETRC",
    "NO_PROXY",
    "PATH",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// The Go that the host has, and its settings.
#[derive(Debug)]
pub(super) struct HostGo {
    pub(super) settings: BTreeMap<String, String>,
}

impl HostGo {
    /// Looks for a Go that can fetch the toolchain we want: since 1.21 (Go toolchains reference).
    pub(super) fn find(component: &str, folder: &Path) -> Result<Self, ComponentError> {
        let mut command = Command::new("go");
        command
            .args(["env", "-json"])
            .env("GOTOOLCHAIN", "local")
            .env("GOWORK", "off");
        let output = match command.current_dir(folder).output() {
            Ok(output) => output,
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                return Err(ComponentError::NoGo {
                    component: component.to_owned(),
                    source,
                });
            }
            Err(source) => {
                return Err(ComponentError::RunGo {
                    component: component.to_owned(),
                    step: "env",
                    source,
                });
            }
        };
        if !output.status.success() {
            return Err(ComponentError::GoFailed {
                component: component.to_owned(),
                step: "env",
                status: output.status,
                stderr_tail: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            });
        }
        let settings: BTreeMap<String, String> =
            serde_json::from_slice(&output.stdout).map_err(|source| ComponentError::GoAnswer {
                component: component.to_owned(),
                step: "env",
                source,
            })?;
        let version = settings.get("GOVERSION").cloned().unwrap_or_default();
        if !can_switch_toolchains(&version) {
            return Err(ComponentError::OldGo {
                component: component.to_owned(),
                found: version,
            });
        }
        Ok(Self { settings })
    }

    /// Whether modules are compared with the checksum database.
    pub(super) fn checks_modules(&self) -> bool {
        self.settings.get("GOSUMDB").is_none_or(|database| database != "off")
    }
}

/// `go1.21` or later; development versions have other names, and are new.
pub(super) fn can_switch_toolchains(version: &str) -> bool {
    let Some(minor) = version.strip_prefix("go1.") else {
        return version.starts_with("devel");
    };
    let digits: String = minor.chars().take_while(char::is_ascii_digit).collect();
    digits.parse::<u32>().is_ok_and(|minor| minor >= 21)
}

/// Go for one job, in a folder of its own.
#[derive(Debug)]
pub(super) struct Go<'a> {
    component: &'a str,
    folder: &'a Path,
    environment: BTreeMap<String, std::ffi::OsString>,
}

impl<'a> Go<'a> {
    pub(super) fn new(job: &'a Job<'_>, host: &HostGo, folder: &'a Path) -> Result<Self, ComponentError> {
        let go = Self {
            component: &job.spec.name,
            folder,
            environment: environment(job, host, folder),
        };
        for folder in [go.output(), folder.join("tmp")] {
            fs::create_dir(&folder).map_err(|source| ComponentError::Workspace {
                component: go.component.to_owned(),
                path: folder,
                source,
            })?;
        }
        Ok(go)
    }

    /// Where programs are built to.
    pub(super) fn output(&self) -> PathBuf {
        self.folder.join("out")
    }

    /// The empty module's `go.mod`.
    pub(super) fn module_file(&self) -> PathBuf {
        self.folder.join("go.mod")
    }

    /// Runs `go STEP ARGUMENTS` to its end and returns its standard output; each line of its standard error is given to
    /// `heard` as it comes.
    pub(super) fn run<S: AsRef<OsStr>>(
        &self,
        step: &'static str,
        arguments: impl IntoIterator<Item = S>,
        heard: impl FnMut(&str),
    ) -> Result<Vec<u8>, ComponentError> {
        let mut command = Command::new("go");
        command
            .arg(step)
            .args(arguments)
            .current_dir(self.folder)
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        die_with_us(&mut command);
        let run_error = |source| ComponentError::RunGo {
            component: self.component.to_owned(),
            step,
            source,
        };
        let child = Guarded(command.spawn().map_err(run_error)?);
        let outcome = child.outcome(heard).map_err(run_error)?;
        if outcome.status.success() {
            return Ok(outcome.stdout);
        }
        // `go mod download -json` tells its error in the answer.
        let stderr_tail = match outcome.tail.is_empty() {
            true => tail_of(&outcome.stdout),
            false => outcome.tail,
        };
        Err(ComponentError::GoFailed {
            component: self.component.to_owned(),
            step,
            status: outcome.status,
            stderr_tail,
        })
    }
}

/// Everything that Go hears from us. With `GOENV=off` it reads no configuration file, so a `GOFLAGS` there changes
/// nothing.
fn environment(job: &Job<'_>, host: &HostGo, folder: &Path) -> BTreeMap<String, std::ffi::OsString> {
    let mut environment = BTreeMap::new();
    for name in KEPT_VARIABLES {
        if let Some(value) = env::var_os(name) {
            environment.insert(name.to_owned(), value);
        }
    }
    for name in KEPT_SETTINGS {
        if let Some(value) = host.settings.get(name).filter(|value| !value.is_empty()) {
            environment.insert(name.to_owned(), value.into());
        }
    }
    let level = match job.arch {
        Arch::X86_64 => ("GOAMD64", "v1"),
        Arch::Aarch64 => ("GOARM64", "v8.0"),
    };
    let ours = [
        ("CGO_ENABLED", "0"),
        ("GO111MODULE", "on"),
        ("GOARCH", job.arch.names().go),
        ("GOENV", "off"),
        // Only sums are to be added to our go.mod's companion; what else it adds is found out afterwards.
        ("GOFLAGS", "-mod=mod"),
        ("GOOS", "linux"),
        ("GOTOOLCHAIN", job.origin.toolchain.as_str()),
        ("GOWORK", "off"),
        ("LC_ALL", "C"),
        level,
    ];
    for (name, value) in ours {
        environment.insert(name.to_owned(), value.into());
    }
    // Below the scratch folder, so what a killed Go leaves there goes with it.
    environment.insert("GOTMPDIR".to_owned(), folder.join("tmp").into());
    environment
}

#[allow(
    unsafe_code,
    reason = "a child can only be tied to its parent's life between fork and exec"
)]
fn die_with_us(command: &mut Command) {
    let parent = nix::unistd::getpid();
    let tie = move || {
        prctl::set_pdeathsig(Signal::SIGTERM)?;
        if nix::unistd::getppid() != parent {
            // We died before the line above.
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    };
    // SAFETY: `tie` makes two system calls that are safe between fork and exec, and neither allocates nor locks.
    unsafe {
        command.pre_exec(tie);
    }
}

/// A child that does not outlive the call, whatever happens in it.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Outcome {
    status: ExitStatus,
    stdout: Vec<u8>,
    tail: String,
}

impl Guarded {
    fn outcome(mut self, mut heard: impl FnMut(&str)) -> io::Result<Outcome> {
        let (stdout, stderr) = self.0.stdout.take().zip(self.0.stderr.take()).expect("both are piped");
        let mut tail = VecDeque::new();
        let answer = thread::scope(|scope| {
            let answer = scope.spawn(move || read_bounded(stdout));
            let lines = read_lines(stderr, |line| {
                heard(line);
                if tail.len() == TAIL_LINES {
                    tail.pop_front();
                }
                tail.push_back(line.to_owned());
            });
            let answer = answer.join().expect("reading does not panic");
            lines.and(answer)
        })?;
        let status = self.0.wait()?;
        Ok(Outcome {
            status,
            stdout: answer,
            tail: Vec::from(tail).join("\n"),
        })
    }
}

fn tail_of(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// Reads to the end, but gives up on an answer without one; the pipe then breaks, and with it the writer.
fn read_bounded(from: impl Read) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    from.take(MAX_ANSWER_BYTES + 1).read_to_end(&mut answer)?;
    if answer.len() as u64 > MAX_ANSWER_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(answer)
}

/// Calls back with each line, shortened to [`MAX_LINE_BYTES`].
pub(super) fn read_lines(from: impl Read, mut heard: impl FnMut(&str)) -> io::Result<()> {
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            if !line.is_empty() {
                heard(String::from_utf8_lossy(&line).trim_end());
            }
            return Ok(());
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let room = MAX_LINE_BYTES.saturating_sub(line.len());
        let part = &bytes[..end.unwrap_or(bytes.len())];
        line.extend_from_slice(&part[..part.len().min(room)]);
        let used = end.map_or(bytes.len(), |end| end + 1);
        reader.consume(used);
        if end.is_some() {
            heard(String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
    }
}
