//! Runs a machine until its node says that it has come as far as was asked for.

use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use skerry_firstboot::node::state::NodeState;

use super::QemuError;
use super::process::{Qemu, Said};

/// What QEMU says when the processor's virtualisation meets code it cannot run.
const KVM_BROKEN: &str = "KVM internal error";

/// How a wait ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The state was reached.
    Reached {
        /// Time since the machine's start.
        after: Duration,
        /// The node's words.
        reason: String,
    },
    /// KVM gave up; the machine may run under emulation.
    KvmBroken,
}

/// Listens to `machine` until its node reaches `goal`; each console line goes to `echo` as it comes.
pub fn wait(
    machine: &mut Qemu,
    goal: NodeState,
    timeout: Duration,
    echo: &mut dyn FnMut(&str),
) -> Result<Outcome, QemuError> {
    let start = Instant::now();
    loop {
        let left = timeout.saturating_sub(start.elapsed());
        let line = match machine.hear(left) {
            Ok(Said::Console(line)) => line,
            Ok(Said::Qemu(line)) if line.contains(KVM_BROKEN) => return Ok(Outcome::KvmBroken),
            Ok(Said::Qemu(_)) => continue,
            Err(RecvTimeoutError::Timeout) => {
                // A part of the time may have gone by before this wait.
                let waited_secs = timeout.as_secs_f64().ceil() as u64;
                return Err(QemuError::TooLate {
                    goal: goal.to_string(),
                    waited_secs,
                    tail: machine.tail(),
                });
            }
            Err(RecvTimeoutError::Disconnected) => return Err(ended(machine)),
        };
        echo(&line);
        match NodeState::from_line(&line) {
            Some((state, reason)) if state.reaches(goal) => {
                return Ok(Outcome::Reached {
                    after: start.elapsed(),
                    reason: reason.to_owned(),
                });
            }
            Some((NodeState::Failed, reason)) => {
                return Err(QemuError::NodeFailed {
                    reason: reason.to_owned(),
                    tail: machine.tail(),
                });
            }
            _ => {}
        }
    }
}

fn ended(machine: &mut Qemu) -> QemuError {
    match machine.wait() {
        Ok(status) => QemuError::Ended {
            status: status.to_string(),
            tail: machine.tail(),
        },
        Err(source) => QemuError::Run {
            program: "qemu".to_owned(),
            source,
        },
    }
}
