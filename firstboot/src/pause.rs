//! PID 1 of a pod's sandbox: holds the pod's namespaces, buries processes that lost their parent, and does nothing else.
//!
//! It waits inside the kernel (sigwaitinfo(2)) and never allocates: every pod of a node has one of it, so what counts is
//! the memory it touches.

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

/// Waits for SIGTERM or SIGINT, reaping on the way. Returns the exit status: 0, or 1 if signals cannot be waited for.
pub fn run() -> u8 {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT] {
        signals.add(signal);
    }
    // Blocked, they stay pending until the wait takes them, although PID 1 of a namespace has no default actions.
    if signals.thread_block().is_err() {
        return 1;
    }
    loop {
        // Before the wait, since a child may have ended before its signal was blocked; and all of them, since one
        // signal may stand for several.
        reap();
        match signals.wait() {
            Ok(Signal::SIGCHLD) | Err(Errno::EINTR) => {}
            Ok(_) => return 0,
            Err(_) => return 1,
        }
    }
}

fn reap() {
    while !matches!(
        waitpid(None, Some(WaitPidFlag::WNOHANG)),
        Ok(WaitStatus::StillAlive) | Err(_)
    ) {}
}
