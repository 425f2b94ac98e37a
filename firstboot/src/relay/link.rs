//! The rule by which the relay goes to the control plane, or answers from what it keeps. Pure: it is told what happened
//! and when.
//!
//! ```text
//!            an answer                    30 s without any answer, in spite of trying
//! starting ─────────────→ connected ─────────────────────────────────────────────────→ alone
//!     └───── 10 s without any answer ────────────────────────────────────────────────→   │
//!                              ↑                                                         │
//!                              └── answers for 5 s, more after each short connection ────┘
//! ```
//!
//! - One answer in thirty seconds is a connection: a link that loses packets, or a server that fails now and then, is
//!   kubelet's to cope with, as without the relay.
//! - What counts as an answer proves that the control plane works: over TLS that its authorities vouch for, no 5xx, no
//!   401. So neither a captive portal nor a server without its database is one.
//! - A connection that did not last makes the next one wait longer, so that a flapping link is left alone.

use std::time::Duration;

use tokio::time::Instant;

/// How long after the start kubelet's requests wait for a first answer. Networks of most sites are up by then, and what
/// was deleted meanwhile is not started again; pods of a machine that is alone start that much later.
pub const FIRST_PATIENCE: Duration = Duration::from_secs(10);
/// How long a connected control plane may be silent.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// For how long the control plane has to answer before it is believed to be back.
pub const STEADY: Duration = Duration::from_secs(5);
/// The longest that [`STEADY`] grows to, doubling with each connection shorter than [`LASTING`].
pub const STEADY_AT_MOST: Duration = Duration::from_secs(160);
/// How long a connection lasts that makes up for those before it that did not.
pub const LASTING: Duration = Duration::from_secs(600);
/// How often the control plane is asked while it is not clear whether it answers.
pub const PROBE: Duration = Duration::from_secs(5);
/// The same while the machine has just started.
pub const FIRST_PROBE: Duration = Duration::from_secs(1);
/// The same after a while alone: an answer is found within this, and a day without a line costs few packets.
pub const SLOW_PROBE: Duration = Duration::from_secs(15);
/// What "a while" is.
const SLOW_AFTER: Duration = Duration::from_secs(120);

/// Where a request of kubelet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Nowhere yet: it is not known whether the control plane answers.
    Undecided,
    /// To the control plane.
    Through,
    /// To what the relay keeps.
    Kept,
}

/// What the relay knows of the control plane.
#[derive(Debug, Clone)]
pub struct Link {
    state: State,
    /// Why the last request failed.
    trouble: String,
    /// How long answers have to be steady.
    steady: Duration,
    next_probe: Instant,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Starting {
        since: Instant,
    },
    Connected {
        since: Instant,
        /// Since when nothing but failures.
        failing: Option<Instant>,
    },
    Alone {
        since: Instant,
        /// Since when nothing but answers.
        answering: Option<Instant>,
    },
}

impl Link {
    /// A relay that has just started.
    pub fn new(now: Instant) -> Self {
        Self {
            state: State::Starting { since: now },
            trouble: "no answer yet".to_owned(),
            steady: STEADY,
            next_probe: now,
        }
    }

    /// Where requests go.
    pub fn way(&self) -> Way {
        match self.state {
            State::Starting { .. } => Way::Undecided,
            State::Connected { .. } => Way::Through,
            State::Alone { .. } => Way::Kept,
        }
    }

    /// Since when the machine is alone, if it is.
    pub fn alone_since(&self) -> Option<Instant> {
        match self.state {
            State::Alone { since, .. } => Some(since),
            _ => None,
        }
    }

    /// Why the control plane was not reached last.
    pub fn trouble(&self) -> &str {
        &self.trouble
    }

    /// When [`Link::tick`] is to be called at the latest.
    pub fn next_tick(&self) -> Instant {
        match self.state {
            State::Starting { since } => (since + FIRST_PATIENCE).min(self.next_probe),
            State::Connected {
                failing: Some(failing), ..
            } => (failing + PATIENCE).min(self.next_probe),
            State::Connected { failing: None, .. } | State::Alone { .. } => self.next_probe,
        }
    }

    /// The control plane has answered.
    pub fn answered(&mut self, now: Instant) {
        match &mut self.state {
            State::Starting { .. } => self.connect(now),
            State::Connected { failing, since } => {
                *failing = None;
                if now.duration_since(*since) >= LASTING {
                    self.steady = STEADY;
                }
            }
            State::Alone { answering, .. } => {
                let since = *answering.get_or_insert(now);
                if now.duration_since(since) >= self.steady {
                    self.connect(now);
                }
            }
        }
    }

    /// It has not, or not as one that works: `trouble` says why.
    pub fn failed(&mut self, now: Instant, trouble: &str) {
        trouble.clone_into(&mut self.trouble);
        match &mut self.state {
            State::Starting { .. } => {}
            State::Connected { failing, .. } => {
                if failing.is_none() {
                    *failing = Some(now);
                    self.next_probe = now;
                }
            }
            State::Alone { answering, .. } => *answering = None,
        }
        self.part_if_silent(now);
    }

    /// Time has passed. Says whether the control plane is to be asked now.
    pub fn tick(&mut self, now: Instant) -> Probe {
        self.part_if_silent(now);
        if now < self.next_probe {
            return Probe::NotNow;
        }
        let (pace, probe) = match self.state {
            State::Starting { .. } => (FIRST_PROBE, Probe::Now),
            // kubelet renews its lease every ten seconds: whether it is answered tells enough.
            State::Connected { failing: None, .. } => (PATIENCE, Probe::NotNow),
            State::Connected { .. } => (PROBE, Probe::Now),
            State::Alone {
                since, answering: None, ..
            } if now.duration_since(since) >= SLOW_AFTER => (SLOW_PROBE, Probe::Now),
            State::Alone { .. } => (PROBE, Probe::Now),
        };
        self.next_probe = now + pace;
        probe
    }

    fn connect(&mut self, now: Instant) {
        self.state = State::Connected {
            since: now,
            failing: None,
        };
    }

    fn part_if_silent(&mut self, now: Instant) {
        match self.state {
            State::Starting { since } if now.duration_since(since) >= FIRST_PATIENCE => self.part(now),
            State::Connected {
                since,
                failing: Some(failing),
            } if now.duration_since(failing) >= PATIENCE => {
                self.steady = match failing.duration_since(since) >= LASTING {
                    true => STEADY,
                    false => (self.steady * 2).min(STEADY_AT_MOST),
                };
                self.part(failing);
            }
            _ => {}
        }
    }

    /// Alone since `since`, which may lie in the past: the silence has begun before it was noticed.
    fn part(&mut self, since: Instant) {
        self.state = State::Alone { since, answering: None };
    }
}

/// Whether the control plane is to be asked something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Yes.
    Now,
    /// No.
    NotNow,
}

#[cfg(test)]
mod tests;
