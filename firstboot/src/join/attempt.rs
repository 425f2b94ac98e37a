//! A join under way: how far it has come, and when it goes on.

use std::time::Duration;

use tokio::time::Instant;

use super::retry::{Backoff, Random};
use super::{Applicant, JoinError, Progress, Resume};
use crate::control_plane::{ApiErrorKind, ControlPlane};
use crate::disk::Disk;

/// After so many failures in a row, what was found out before is found out again.
const START_OVER_AFTER: u32 = 5;

/// A join under way. May be forgotten at any time: what must last is on the disk; this saves requests.
#[derive(Debug, Clone)]
pub struct Attempt {
    progress: Progress,
    backoff: Backoff,
    failures: u32,
    /// The arrow at which it failed, the farthest one since it last got beyond. What comes before it goes well each
    /// time and is no reason to be hopeful.
    stuck: Option<Arrow>,
    /// Until when the control plane has asked to be left alone.
    told: Option<Instant>,
}

/// The arrows of the flow, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Arrow {
    Discovery,
    Request,
    Look,
    /// Somebody has decided.
    Verdict,
}

impl Arrow {
    /// The one that leaves from where the flow is.
    fn from(progress: &Progress) -> Self {
        match progress {
            Progress::Start => Self::Discovery,
            Progress::Found(_) => Self::Request,
            Progress::Requested { .. } => Self::Look,
            Progress::Certified => Self::Verdict,
        }
    }
}

/// What came of going on.
#[derive(Debug)]
pub enum Advance {
    /// The certificate is on the disk.
    Certified,
    /// It went well so far.
    Went {
        /// What was done or is being waited for, in words.
        doing: String,
        /// How long to wait before going on.
        wait: Duration,
    },
    /// It failed for now.
    Failed {
        /// Why.
        error: JoinError,
        /// How long to wait before the next try.
        wait: Duration,
    },
}

impl Default for Attempt {
    fn default() -> Self {
        Self {
            progress: Progress::Start,
            backoff: Backoff::default(),
            failures: 0,
            stuck: None,
            told: None,
        }
    }
}

impl Attempt {
    /// Goes one step on. Comes too early only if the control plane has asked to wait: then it does nothing.
    pub async fn advance<P: ControlPlane, D: Disk>(
        &mut self,
        applicant: &Applicant<'_, P, D>,
        random: &mut impl Random,
    ) -> Advance {
        if let Some(told) = self.told
            && told > Instant::now()
        {
            return Advance::Went {
                doing: "the control plane has asked to wait".to_owned(),
                wait: told - Instant::now(),
            };
        }
        let arrow = Arrow::from(&self.progress);
        let stepped = applicant.step(&mut self.progress, random).await;
        match (stepped, &self.progress) {
            (Ok(_), Progress::Certified) => Advance::Certified,
            (Ok(step), _) => {
                if self.stuck.is_none_or(|stuck| arrow >= stuck) {
                    self.stuck = None;
                    self.failures = 0;
                    self.backoff.relax();
                }
                Advance::Went {
                    doing: step.doing,
                    wait: step.wait,
                }
            }
            (Err(error), _) => {
                let arrow = if error.is_verdict() { Arrow::Verdict } else { arrow };
                self.stuck = self.stuck.max(Some(arrow));
                let kind = error.api_kind();
                // A server that is busy has told nothing new.
                self.failures += u32::from(!matches!(kind, Some(ApiErrorKind::Throttled { .. })));
                if error.resume() == Resume::FromStart || self.failures >= START_OVER_AFTER {
                    self.failures = 0;
                    self.progress = Progress::Start;
                }
                let wait = error.wait(&mut self.backoff, random);
                self.told = kind.and_then(ApiErrorKind::retry_after).map(|_| Instant::now() + wait);
                Advance::Failed { error, wait }
            }
        }
    }

    /// Whether it has failed, and has not got beyond that place since.
    pub fn is_stuck(&self) -> bool {
        self.stuck.is_some()
    }

    /// Something outside has changed: the next failure is a first one. What the control plane has asked for stays.
    pub fn hurry(&mut self) {
        self.backoff.reset();
    }
}
