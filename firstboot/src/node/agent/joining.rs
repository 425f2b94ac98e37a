//! Goes through a join step by step, and says on the way what it waits for.

use std::time::Duration;

use super::{Agent, LOOK_AGAIN, Outcome};
use crate::client::ProxyError;
use crate::clock::{TimeService, wait_for_time_service};
use crate::control_plane::{ApiError, ApiErrorKind};
use crate::identity::{Digest, KeyChoice};
use crate::join::{Advance, Applicant, Attempt, JoinError};
use crate::node::announce::log;
use crate::node::devices::Woken;
use crate::node::join_file::FoundFile;
use crate::node::machine::Machine;
use crate::node::state::NodeState;
use crate::node::text_of;

/// How often a time service is looked at.
const TIME_AGAIN: Duration = Duration::from_secs(1);

/// A join under way and what it is about.
pub(super) struct Joining<P> {
    digest: Digest,
    node_name: String,
    plane: P,
    attempt: Attempt,
}

impl<M: Machine> Agent<M> {
    /// Goes one step, then waits. Comes back to have the disk and the join file looked at again.
    pub(super) async fn join(&mut self, file: &FoundFile, key: KeyChoice) -> Outcome {
        self.watching = None;
        let mut joining = match self.take_joining(file).await {
            Ok(joining) => joining,
            Err(problem) => {
                let next = "correct `network.proxy` in the join file";
                self.machine.say(NodeState::Failed, &text_of(&problem), next);
                return self.again_in(LOOK_AGAIN).await;
            }
        };
        let applicant = Applicant {
            plane: &joining.plane,
            home: &self.home,
            clock: &*self.clock,
            file: file.as_join_file(),
            key,
            erasable: file.erasable(),
            machine_id: self.machine.id(),
        };
        let wait = match joining.attempt.advance(&applicant, &mut self.jitter).await {
            Advance::Certified => {
                let reason = format!("{} has its certificate", file.node_name);
                self.machine.say(NodeState::Joined, &reason, "starting kubelet");
                return Outcome::LookAgain;
            }
            Advance::Went { doing, wait } => {
                // On the way back to where it failed there is nothing new.
                if !wait.is_zero() || !joining.attempt.is_stuck() {
                    self.machine.say(NodeState::Joining, &doing, "going on by itself");
                }
                wait
            }
            Advance::Failed { error, wait } => {
                self.after_failure(&error, file, wait);
                wait
            }
        };
        if !wait.is_zero() && self.pause(wait).await == Woken::Change {
            joining.attempt.hurry();
        }
        self.joining = Some(joining);
        Outcome::LookAgain
    }

    /// The join under way if it is about the same file, or a new one. A new one begins with the settings that the file
    /// asks for: without them there may be no way to the control plane.
    async fn take_joining(&mut self, file: &FoundFile) -> Result<Joining<M::Plane>, ProxyError> {
        let same = |joining: &mut Joining<_>| joining.digest == file.digest && joining.node_name == file.node_name;
        if let Some(joining) = self.joining.take_if(same) {
            return Ok(joining);
        }
        let settings = &file.config.settings;
        self.applied = None;
        match self.machine.apply(settings) {
            Ok(()) => self.applied = Some(settings.clone()),
            // The network may do as it is.
            Err(problem) => log(&text_of(&problem)),
        }
        let plane = self.machine.plane(&settings.network)?;
        file.warnings.iter().for_each(|warning| log(warning));
        let reason = format!("{} found; asking {}", file.trace.source, file.config.endpoints[0]);
        self.machine.say(NodeState::Joining, &reason, "going on by itself");
        self.wait_for_time().await;
        Ok(Joining {
            digest: file.digest,
            node_name: file.node_name.clone(),
            plane,
            attempt: Attempt::default(),
        })
    }

    fn after_failure(&mut self, error: &JoinError, file: &FoundFile, wait: Duration) {
        if let JoinError::Api(ApiError {
            kind: ApiErrorKind::Clock {
                server_time: Some(time),
            },
            ..
        }) = error
            && let Err(problem) = self.clock.set_forward(*time)
        {
            log(&format!("cannot set the clock: {problem}"));
        }
        let again = format!("trying again in {} s", wait.as_secs().max(1));
        let (mut reason, mut advice) = (text_of(error), error.advice());
        if let Some((missing, remedy)) = self.missing_radio(error, file) {
            (reason, advice) = (format!("{missing}; {reason}"), remedy.to_owned());
        }
        let next = if advice.is_empty() {
            again
        } else {
            format!("{advice}; {again}")
        };
        self.machine.say(NodeState::Joining, &reason, &next);
    }

    /// What is missing for the Wi-Fi network that the file names, if that can be why nobody answers.
    fn missing_radio(&self, error: &JoinError, file: &FoundFile) -> Option<(String, &'static str)> {
        let unanswered = match error {
            JoinError::Api(error) => matches!(
                error.kind,
                ApiErrorKind::Dns | ApiErrorKind::Connect | ApiErrorKind::Timeout
            ),
            _ => false,
        };
        let wanted = file.config.settings.wifi.as_ref().filter(|_| unanswered)?;
        self.machine.radio().missing(wanted)
    }

    /// On a machine whose clock cannot be right, a time service gets its chance before certificates are looked at.
    async fn wait_for_time(&mut self) {
        while let TimeService::Awaited(left) =
            wait_for_time_service(self.clock_start, &*self.clock, self.started.elapsed())
        {
            let next = format!("going on without it in {} s", left.as_secs());
            let reason = "this machine's clock was not set; waiting for a time server";
            self.machine.say(NodeState::Joining, reason, &next);
            tokio::time::sleep(TIME_AGAIN.min(left)).await;
        }
    }
}
