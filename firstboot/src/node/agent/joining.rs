//! Goes through a join step by step, and says on the way what it waits for.

use std::time::Duration;

use super::{Agent, LOOK_AGAIN, Outcome, chain};
use crate::client::{Client, ProxyError};
use crate::clock::{TimeService, wait_for_time_service};
use crate::control_plane::{ApiError, ApiErrorKind};
use crate::identity::{Digest, KeyChoice};
use crate::join::{Advance, Applicant, Attempt, JoinError};
use crate::node::announce::log;
use crate::node::devices::Woken;
use crate::node::join_file::FoundFile;
use crate::node::state::NodeState;

/// How often a time service is looked at.
const TIME_AGAIN: Duration = Duration::from_secs(1);

/// A join under way and what it is about.
#[derive(Debug)]
pub(super) struct Joining {
    digest: Digest,
    node_name: String,
    client: Client,
    attempt: Attempt,
}

impl Agent {
    /// Goes one step, then waits. Comes back to have the disk and the join file looked at again.
    pub(super) async fn join(&mut self, file: &FoundFile, key: KeyChoice) -> Outcome {
        if let Err(problem) = self.apply_machine_settings(&file.config.settings) {
            self.announcer
                .say(NodeState::Failed, &chain(&problem), &problem.advice());
        }
        self.wait_for_time(file).await;
        let mut joining = match self.take_joining(file) {
            Ok(joining) => joining,
            Err(problem) => {
                let next = "correct `network.proxy` in the join file";
                self.announcer.say(NodeState::Failed, &chain(&problem), next);
                self.pause(LOOK_AGAIN).await;
                return Outcome::LookAgain;
            }
        };
        let machine_id = self.device.machine_id.clone().unwrap_or_default();
        let applicant = Applicant {
            plane: &joining.client,
            home: &self.home,
            clock: &*self.clock,
            file: file.as_join_file(),
            key,
            erasable: file.erasable(),
            machine_id: &machine_id,
        };
        let wait = match joining.attempt.advance(&applicant, &mut self.jitter).await {
            Advance::Certified => {
                let reason = format!("{} has its certificate", file.node_name);
                self.announcer.say(NodeState::Joined, &reason, "starting kubelet");
                return Outcome::LookAgain;
            }
            Advance::Went { doing, wait } => {
                self.announcer.say(NodeState::Joining, &doing, "going on by itself");
                wait
            }
            Advance::Failed { error, wait } => {
                self.after_failure(&error, wait);
                wait
            }
        };
        if !wait.is_zero() && self.pause(wait).await == Woken::Change {
            joining.attempt.hurry();
        }
        self.joining = Some(joining);
        Outcome::LookAgain
    }

    /// The join under way if it is about the same file, or a new one.
    fn take_joining(&mut self, file: &FoundFile) -> Result<Joining, ProxyError> {
        let same = |joining: &mut Joining| joining.digest == file.digest && joining.node_name == file.node_name;
        if let Some(joining) = self.joining.take_if(same) {
            return Ok(joining);
        }
        file.warnings.iter().for_each(|warning| log(warning));
        let reason = format!("{} found; asking {}", file.trace.source, file.config.endpoints[0]);
        self.announcer.say(NodeState::Joining, &reason, "going on by itself");
        Ok(Joining {
            digest: file.digest,
            node_name: file.node_name.clone(),
            client: Client::new(&file.config.settings.network, self.clock.clone())?,
            attempt: Attempt::default(),
        })
    }

    fn after_failure(&mut self, error: &JoinError, wait: Duration) {
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
        let advice = error.advice();
        let next = if advice.is_empty() {
            again
        } else {
            format!("{advice}; {again}")
        };
        self.announcer.say(NodeState::Joining, &chain(error), &next);
    }

    /// On a machine whose clock cannot be right, a time service gets its chance before certificates are looked at.
    async fn wait_for_time(&mut self, file: &FoundFile) {
        if self
            .joining
            .as_ref()
            .is_some_and(|joining| joining.digest == file.digest)
        {
            return;
        }
        while let TimeService::Awaited(left) =
            wait_for_time_service(self.clock_start, self.clock.synchronised(), self.started.elapsed())
        {
            let next = format!("going on without it in {} s", left.as_secs());
            let reason = "this machine's clock was not set; waiting for a time server";
            self.announcer.say(NodeState::Joining, reason, &next);
            tokio::time::sleep(TIME_AGAIN.min(left)).await;
        }
    }
}
