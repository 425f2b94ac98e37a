//! The mock's clock: the real one, shifted by what a test says.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What the mock takes for the time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    shift_secs: i64,
}

impl Clock {
    /// A clock that is right.
    pub fn right() -> Self {
        Self {
            started: Instant::now(),
            shift_secs: 0,
        }
    }

    /// Moves it by `secs` seconds.
    pub fn shift(&mut self, secs: i64) {
        self.shift_secs += secs;
    }

    /// Seconds since 1970.
    pub fn unix(&self) -> u64 {
        let real = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        real.saturating_add_signed(self.shift_secs)
    }

    /// Time since the mock was started; unlike the others it never jumps.
    pub fn running(&self) -> Duration {
        self.started.elapsed()
    }

    /// `secs` seconds after now, for certificates.
    pub fn after(&self, secs: i64) -> OffsetDateTime {
        moment(self.unix().saturating_add_signed(secs))
    }
}

/// Seconds since 1970 as the API writes them.
pub fn rfc3339(unix: u64) -> String {
    moment(unix).format(&Rfc3339).unwrap_or_default()
}

fn moment(unix: u64) -> OffsetDateTime {
    let secs = i64::try_from(unix).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(secs).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
