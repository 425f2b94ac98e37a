//! The pause program as a pod's runtime sees it.

#![allow(clippy::unwrap_used, reason = "a failed expectation is what a test is for")]

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PAUSE: &str = env!("CARGO_BIN_EXE_skerry-pause");
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks until there is an answer; panics with `what` when there is none in time.
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The program, running; killed when the test ends early.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    /// Until it sleeps in the system call that waits for signals; its number comes first (proc(5)).
    fn wait_until_it_waits(&self) {
        let path = format!("/proc/{}/syscall", self.0.id());
        let call = format!("{} ", nix::libc::SYS_rt_sigtimedwait);
        until("it never waited", || {
            std::fs::read_to_string(&path).unwrap().starts_with(&call).then_some(())
        });
    }

    fn send(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id() as i32), signal).unwrap();
    }

    fn end(&mut self) -> ExitStatus {
        until("it did not end", || self.0.try_wait().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_ends_well_at_either_signal_that_a_runtime_sends() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut pause = Running::start(&mut Command::new(PAUSE));
        pause.wait_until_it_waits();
        pause.send(signal);
        let status = pause.end();
        assert_eq!((status.code(), status.signal()), (Some(0), None), "{signal}");
    }
}

#[test]
fn children_that_it_inherits_are_buried_whenever_they_end() {
    // Both are children of the shell that becomes the program: one has ended before it starts, one ends while it waits.
    let script = "exec 3<&0; true & (read line <&3) & exec 3<&-; exec \"$0\" </dev/null";
    let mut command = Command::new("sh");
    command.args(["-c", script, PAUSE]).stdin(Stdio::piped());
    let mut pause = Running::start(&mut command);
    pause.wait_until_it_waits();
    let children = format!("/proc/{0}/task/{0}/children", pause.0.id());
    let count = || std::fs::read_to_string(&children).unwrap().split_whitespace().count();
    until("the first stays", || (count() <= 1).then_some(()));
    assert_eq!(count(), 1, "the second has ended too early");
    drop(pause.0.stdin.take());
    until("the second stays", || (count() == 0).then_some(()));
    pause.send(Signal::SIGTERM);
    assert!(pause.end().success());
}
