//! Rates: how fast controllers work and how many requests the server takes.
//!
//! A token bucket in the form of the generic cell rate algorithm: it keeps the moment at which it would be full again,
//! so it can say when a piece of work will be done without anything running until then.

use std::time::Duration;

/// So many a second in the long run, so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In a second.
    pub per_second: u32,
    /// At once.
    pub burst: u32,
}

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// HTTP requests; more are answered with 429 and `Retry-After: 1`.
    pub requests: Option<Rate>,
    /// Calls of the approver.
    pub approving: Option<Rate>,
    /// Calls of the signer.
    pub signing: Option<Rate>,
}

impl Limits {
    /// kube-controller-manager's clients (`pkg/controller/apis/config/v1alpha1/defaults.go`): 20 in a second, 30 at once.
    pub fn upstream() -> Self {
        let controller = Some(Rate {
            per_second: 20,
            burst: 30,
        });
        Self {
            requests: None,
            approving: controller,
            signing: controller,
        }
    }

    /// The same, with so many requests in a second and as many at once.
    pub fn with_requests(mut self, per_second: u32) -> Self {
        self.requests = Some(Rate {
            per_second,
            burst: per_second,
        });
        self
    }
}

/// Work done at a rate; without one, at once.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    rate: Option<Rate>,
    full_at: Duration,
}

impl Bucket {
    /// A full bucket.
    pub fn new(rate: Option<Rate>) -> Self {
        Self {
            rate,
            full_at: Duration::ZERO,
        }
    }

    /// When a piece of work that costs `calls` and arrives at `now` is done; takes what it costs.
    pub fn next(&mut self, now: Duration, calls: u32) -> Duration {
        let Some((done, full_at)) = self.plan(now, calls) else {
            return now;
        };
        self.full_at = full_at;
        done
    }

    /// Takes one call if it can be made at `now`.
    pub fn take(&mut self, now: Duration) -> bool {
        match self.plan(now, 1) {
            Some((done, _)) if done > now => false,
            Some((_, full_at)) => {
                self.full_at = full_at;
                true
            }
            None => true,
        }
    }

    fn plan(&self, now: Duration, calls: u32) -> Option<(Duration, Duration)> {
        let rate = self.rate?;
        let interval = Duration::from_secs(1) / rate.per_second.max(1);
        let full_at = self.full_at.max(now) + interval * calls;
        let done = full_at.saturating_sub(interval * rate.burst).max(now);
        Some((done, full_at))
    }
}
