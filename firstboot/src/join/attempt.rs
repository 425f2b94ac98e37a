//! A join under way: how far it has come, and when it goes on.

use std::time::Duration;

use super::retry::{Backoff, Random};
use super::{Applicant, JoinError, Progress, Resume};
use crate::control_plane::ControlPlane;
use crate::disk::Disk;

/// After so many failures in a row, what was found out before is found out again.
const START_OVER_AFTER: u32 = 5;

/// A join under way. May be forgotten at any time: what must last is on the disk; this saves requests.
#[derive(Debug, Clone)]
pub struct Attempt {
    progress: Progress,
    backoff: Backoff,
    failures: u32,
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
        }
    }
}

impl Attempt {
    /// Goes one step on.
    pub async fn advance<P: ControlPlane, D: Disk>(
        &mut self,
        applicant: &Applicant<'_, P, D>,
        random: &mut impl Random,
    ) -> Advance {
        let stepped = applicant.step(&mut self.progress, random).await;
        match (stepped, &self.progress) {
            (Ok(_), Progress::Certified) => Advance::Certified,
            (Ok(step), _) => {
                self.failures = 0;
                self.backoff.relax();
                Advance::Went {
                    doing: step.doing,
                    wait: step.wait,
                }
            }
            (Err(error), _) => {
                // A server that is busy has told nothing new.
                self.failures += u32::from(!error.is_busy());
                if error.resume() == Resume::FromStart || self.failures >= START_OVER_AFTER {
                    self.failures = 0;
                    self.progress = Progress::Start;
                }
                let wait = error.wait(&mut self.backoff, random);
                Advance::Failed { error, wait }
            }
        }
    }

    /// Something outside has changed: the next failure is a first one.
    pub fn hurry(&mut self) {
        self.backoff.reset();
    }
}
