//! A running QEMU: it ends with its starter, whatever happens to that.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::QemuError;
use super::machine::{Console, Machine};
use super::plain_text::plain;

/// How many lines are kept for error messages.
const TAIL_LINES: usize = 40;

/// What a running machine says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A line of the guest's console, without its end.
    Console(String),
    /// A line of QEMU's own.
    Qemu(String),
}

/// A running QEMU; killed when dropped.
#[derive(Debug)]
pub struct Qemu {
    child: Child,
    said: Receiver<Said>,
    tail: VecDeque<String>,
}

impl Qemu {
    /// Starts `machine`. With [`Console::Output`] the console is heard by [`Qemu::hear`], otherwise it is the terminal's.
    pub fn start(machine: &Machine) -> Result<Self, QemuError> {
        let program = machine.program();
        let mut command = Command::new(&program);
        command.args(machine.arguments()).stderr(Stdio::piped());
        if machine.console == Console::Output {
            command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        }
        die_with_parent(&mut command);
        let mut child = command.spawn().map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => QemuError::NoQemu {
                program: program.clone(),
            },
            _ => QemuError::Run {
                program: program.clone(),
                source,
            },
        })?;
        let (sender, said) = channel();
        if let Some(output) = child.stdout.take() {
            pump(output, sender.clone(), Said::Console);
        }
        if let Some(errors) = child.stderr.take() {
            pump(errors, sender, Said::Qemu);
        }
        Ok(Self {
            child,
            said,
            tail: VecDeque::new(),
        })
    }

    /// The next line, at the latest after `patience`; `Err(Disconnected)` once QEMU has ended and all was heard.
    pub fn hear(&mut self, patience: Duration) -> Result<Said, RecvTimeoutError> {
        let said = self.said.recv_timeout(patience)?;
        let line = match &said {
            Said::Console(line) => line.clone(),
            Said::Qemu(line) => format!("qemu: {line}"),
        };
        self.tail.push_back(line);
        if self.tail.len() > TAIL_LINES {
            self.tail.pop_front();
        }
        Ok(said)
    }

    /// The last lines heard.
    pub fn tail(&self) -> String {
        self.tail.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait()
    }

    /// The end, if it has come.
    pub fn ended(&mut self) -> std::io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Cuts the power.
    pub fn kill(&mut self) {
        // It may have ended by itself: then there is nothing to kill and the wait returns at once.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Has the kernel kill the child when the thread that started it ends, even by a signal.
#[allow(unsafe_code, reason = "there is no safe way to run code between fork and exec")]
pub fn die_with_parent(command: &mut Command) {
    let parent = nix::unistd::getpid();
    // SAFETY: prctl and getppid are async-signal-safe, and nothing is allocated between fork and exec.
    unsafe {
        command.pre_exec(move || {
            nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
            match nix::unistd::getppid() == parent {
                true => Ok(()),
                // The parent ended before the request was made.
                false => Err(std::io::ErrorKind::Interrupted.into()),
            }
        });
    }
}

fn pump(stream: impl Read + Send + 'static, sender: Sender<Said>, wrap: fn(String) -> Said) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            let text = plain(&String::from_utf8_lossy(&line));
            line.clear();
            if sender.send(wrap(text)).is_err() {
                return;
            }
        }
    });
}
