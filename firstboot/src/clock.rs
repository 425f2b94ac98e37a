//! The machine's clock, for machines without a battery to keep one.
//!
//! TLS needs the time only roughly, but it needs it: a clock of 1970 makes every certificate invalid. Three sources, in
//! this order, and each may move the clock forward only:
//!
//! 1. the floor ([`raise_to_floor`]): it cannot be earlier than the image's build or the last time that was proven here;
//! 2. a time service, waited for in bounds ([`wait_for_time_service`]): `time-sync.target` is not to be relied on, it is
//!    reached without a time (systemd#5097) or never;
//! 3. the `Date` of a control plane whose certificate is right in everything but its dates
//!    ([`ApiErrorKind::Clock`](crate::control_plane::ApiErrorKind)).
//!
//! A clock that is ahead is not put back here: that is left to the time service, because going back breaks what runs.

mod floor;
mod system;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

pub use floor::{Start, floor, last_remembered, raise_to_floor, remember};
pub use system::SystemClock;

/// How long a time service is waited for on a machine whose clock cannot be right.
pub const TIME_SERVICE_WAIT: Duration = Duration::from_secs(30);

/// A clock, in seconds since 1970.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time.
    fn now(&self) -> u64;
    /// Puts the clock to `time` if that is later than now.
    fn set_forward(&self, time: u64) -> io::Result<Step>;
    /// Whether a time service keeps the clock.
    fn synchronised(&self) -> bool;
}

/// What became of putting the clock forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It was put forward.
    Forward {
        /// By so many seconds.
        by_secs: u64,
    },
    /// It was there already, or later: it stays as it is.
    Kept,
}

/// Whether the start of the network requests has to wait for a time service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeService {
    /// No: the clock is kept, or was plausible when the machine started.
    NotNeeded,
    /// Yes, for so long at most; then ask again.
    Awaited(Duration),
    /// No longer: it does not answer, and the control plane can tell the time, too.
    GivenUp,
}

/// Decides whether to wait for a time service that keeps `clock`: `start` says what that was like when the machine
/// started, `waited` how long it has been.
pub fn wait_for_time_service(start: Start, clock: &dyn Clock, waited: Duration) -> TimeService {
    match start {
        _ if clock.synchronised() => TimeService::NotNeeded,
        Start::Plausible => TimeService::NotNeeded,
        Start::Raised { .. } | Start::Unset => match TIME_SERVICE_WAIT.checked_sub(waited) {
            Some(left) if !left.is_zero() => TimeService::Awaited(left),
            _ => TimeService::GivenUp,
        },
    }
}

/// A clock that goes only when it is told to: for tests and simulations.
#[derive(Debug, Default)]
pub struct ManualClock {
    now: AtomicU64,
    synchronised: AtomicBool,
}

impl ManualClock {
    /// A clock at `now` that no time service keeps.
    pub fn at(now: u64) -> Self {
        let clock = Self::default();
        clock.now.store(now, Ordering::SeqCst);
        clock
    }

    /// Jumps to `now`, forward or back, as a time service does, and is kept from now on.
    pub fn synchronise(&self, now: u64) {
        self.now.store(now, Ordering::SeqCst);
        self.synchronised.store(true, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    fn set_forward(&self, time: u64) -> io::Result<Step> {
        let before = self.now.fetch_max(time, Ordering::SeqCst);
        Ok(Step::between(before, time))
    }

    fn synchronised(&self) -> bool {
        self.synchronised.load(Ordering::SeqCst)
    }
}

impl Step {
    fn between(before: u64, after: u64) -> Self {
        match after.checked_sub(before) {
            Some(by_secs) if by_secs > 0 => Self::Forward { by_secs },
            _ => Self::Kept,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAISED: Start = Start::Raised { from: 0, to: 1000 };

    #[test]
    fn a_clock_goes_forward_and_never_back() {
        let clock = ManualClock::at(100);
        assert_eq!(clock.set_forward(150).unwrap(), Step::Forward { by_secs: 50 });
        assert_eq!(clock.set_forward(150).unwrap(), Step::Kept);
        assert_eq!(clock.set_forward(10).unwrap(), Step::Kept);
        assert_eq!(clock.now(), 150);
    }

    /// What a machine does whose clock was like this at its start, and whether a time service has answered since.
    fn decided(start: Start, answered: Answered, waited: Duration) -> TimeService {
        let clock = ManualClock::at(1000);
        if answered == Answered::Yes {
            clock.synchronise(2000);
        }
        wait_for_time_service(start, &clock, waited)
    }

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Answered {
        Yes,
        No,
    }

    #[test]
    fn only_a_machine_whose_clock_cannot_be_right_waits_for_a_time_service() {
        for (start, answered, expected) in [
            (Start::Plausible, Answered::No, TimeService::NotNeeded),
            (RAISED, Answered::No, TimeService::Awaited(TIME_SERVICE_WAIT)),
            (RAISED, Answered::Yes, TimeService::NotNeeded),
            (Start::Unset, Answered::No, TimeService::Awaited(TIME_SERVICE_WAIT)),
        ] {
            assert_eq!(decided(start, answered, Duration::ZERO), expected);
        }
    }

    #[test]
    fn a_time_service_that_never_answers_is_given_up() {
        let second = Duration::from_secs(1);
        for (answered, waited, expected) in [
            (Answered::No, TIME_SERVICE_WAIT - second, TimeService::Awaited(second)),
            (Answered::No, TIME_SERVICE_WAIT, TimeService::GivenUp),
            (Answered::No, Duration::MAX, TimeService::GivenUp),
            (Answered::Yes, Duration::MAX, TimeService::NotNeeded),
        ] {
            assert_eq!(decided(RAISED, answered, waited), expected);
        }
    }
}
