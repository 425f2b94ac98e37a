//! When a failed request is made again: never at once, never in step with other machines, never given up.
//!
//! Pure: randomness comes in as numbers, time goes out as durations. Waits grow by "decorrelated jitter": each is drawn
//! between the first wait and three times the last one, so that machines that failed together drift apart.

use std::time::Duration;

use crate::control_plane::ApiErrorKind;
use crate::split_mix::SplitMix64;

/// The shortest wait.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait after failures that pass by themselves.
const LONGEST: Duration = Duration::from_secs(300);
/// The first waits for a signature: the controller that signs works on its own time (kubeadm asks every 5 s as well).
const SIGNATURE: Duration = Duration::from_secs(5);
/// After so many waits for a signature the token is unknown, not new.
const SIGNATURE_PATIENCE: u32 = 60;
/// What only a person can mend (an expired token, missing rights) is looked at again this often, give or take a half.
const PERSON: Duration = Duration::from_secs(600);
/// So often such a failure may still be a control plane that has just been set up.
const EARLY_TRIES: u32 = 3;
/// Waits while a request for a certificate is undecided: from the first to the longest.
const FIRST_POLL: Duration = Duration::from_millis(500);
const LONGEST_POLL: Duration = Duration::from_secs(60);

/// Where waits come from: a number from 0 to below 1 for each.
pub trait Random {
    /// The next number.
    fn next(&mut self) -> f64;
}

/// The waits of one machine, which grow until something succeeds.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    last: Option<Duration>,
    /// Failures in a row that a person has to mend, and missing signatures in a row.
    by_person: u32,
    unsigned: u32,
    /// Whether the last failure was a clock that could be set.
    clock_told: bool,
}

impl Backoff {
    /// Something succeeded: the next failure is a first one.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Something succeeded, and the next request may fail as the last one did: a server that turns machines away does
    /// so at every request, and who comes back as fast as ever each time keeps it busy with that.
    pub fn relax(&mut self) {
        self.by_person = 0;
        self.unsigned = 0;
        self.clock_told = false;
        self.last = self.last.map(|last| last / 2).filter(|last| *last > FIRST);
    }

    /// How long to wait after a failure of this kind.
    pub fn after(&mut self, kind: ApiErrorKind, random: &mut impl Random) -> Duration {
        let told = matches!(kind, ApiErrorKind::Clock { server_time: Some(_) });
        let told_again = std::mem::replace(&mut self.clock_told, told) && told;
        match kind {
            ApiErrorKind::Throttled { retry_after } | ApiErrorKind::Server { retry_after, .. } => {
                let own = self.grow(random);
                // Everybody was told the same time: spread behind it, never before it.
                retry_after.map_or(own, |told| {
                    told.saturating_add(told.mul_f64(random.next() / 2.0).max(own.min(LONGEST / 10)))
                })
            }
            ApiErrorKind::NotSigned if self.unsigned < SIGNATURE_PATIENCE => {
                self.unsigned += 1;
                around(SIGNATURE, random)
            }
            ApiErrorKind::Unauthorized
            | ApiErrorKind::Forbidden
            | ApiErrorKind::NotFound
            | ApiErrorKind::Forged
            | ApiErrorKind::NotSigned => {
                self.by_person += 1;
                match self.by_person <= EARLY_TRIES {
                    true => self.grow(random),
                    false => around(PERSON, random),
                }
            }
            // The next try comes with a mended clock, unless it was the clock again: one that is ahead stays.
            ApiErrorKind::Clock { server_time: Some(_) } if !told_again => FIRST,
            _ => self.grow(random),
        }
    }

    fn grow(&mut self, random: &mut impl Random) -> Duration {
        let ceiling = self.last.map_or(FIRST * 2, |last| last * 3);
        let drawn = FIRST + (ceiling.saturating_sub(FIRST)).mul_f64(random.next());
        let wait = drawn.min(LONGEST);
        self.last = Some(wait);
        wait
    }
}

/// The waits between two looks at a request for a certificate: each half as long again as the last, give or take a
/// quarter.
#[derive(Debug, Clone, Default)]
pub struct Polls {
    count: i32,
}

impl Polls {
    /// The next wait.
    pub fn next(&mut self, random: &mut impl Random) -> Duration {
        let plain = FIRST_POLL.mul_f64(1.5_f64.powi(self.count.min(16))).min(LONGEST_POLL);
        self.count += 1;
        plain.mul_f64(0.75 + random.next() / 2.0)
    }
}

/// `middle`, give or take a half.
fn around(middle: Duration, random: &mut impl Random) -> Duration {
    middle.mul_f64(0.5 + random.next())
}

/// Numbers from the kernel, by way of a hasher that the standard library seeds from it.
#[derive(Debug, Clone)]
pub struct Jitter(SplitMix64);

impl Jitter {
    /// Seeded by the kernel: machines of one image draw different numbers.
    pub fn from_system() -> Self {
        use std::hash::{BuildHasher as _, RandomState};
        Self::seeded(RandomState::new().hash_one(std::process::id()))
    }

    /// The same numbers for the same seed.
    pub const fn seeded(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }
}

impl Random for Jitter {
    fn next(&mut self) -> f64 {
        (self.0.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests;
