//! The life of `skerry-node join`: what the machine has and what it finds decide what it does, again and again, until
//! the node is Ready.
//!
//! ```text
//! look at the disk and at the join file ─decide→ start kubelet and look at the node | join | wait
//!          ↑                                                              │
//!          └──────── a device came, a wait is over, a step failed ────────┘
//! ```
//!
//! Every turn of this circle but the last one ends with a wait, or has brought the join a step forward.

mod bring_up;
mod joining;
mod looking;
mod succeeding;
mod watching;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::announce::{Announcer, log};
use super::devices::Woken;
use super::join_file::{BadJoinFile, FoundFile};
use super::machine::{Machine, RealMachine};
use super::state::NodeState;
use super::text_of;
use crate::clock::{self, Clock, Start};
use crate::identity::{Decision, Found, Home, Identity, KeyChoice, Loaded, WaitReason, decide};
use crate::join::retry::Jitter;
use crate::join_config::NodeSettings;
use crate::source::{PLACES, Place};
use bring_up::{Images, Kubelet};
use joining::Joining;
use looking::{Looked, Unread};
use watching::Watching;

/// How long until everything is looked at again although nothing came or went.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// The same while the clock may still be wrong.
const CLOCK_AGAIN: Duration = Duration::from_secs(5);

/// Whether there is anything left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// No: the node is Ready.
    Ready,
    /// Yes.
    LookAgain,
}

/// The agent and what it works with.
#[expect(missing_debug_implementations, reason = "a machine has nothing to show")]
pub struct Agent<M: Machine> {
    machine: M,
    home: Home<M::Disk>,
    clock: Arc<dyn Clock>,
    /// What the clock was like, and when this program started.
    clock_start: Start,
    started: Instant,
    jitter: Jitter,
    kubelet: Kubelet,
    images: Images,
    looked: Option<Looked>,
    /// What could not be looked at then, and what was said of that.
    unread: Option<Unread>,
    unread_told: Option<Unread>,
    joining: Option<Joining<M::Plane>>,
    watching: Option<Watching<M::Plane>>,
    /// When erasing the join file has failed.
    not_erased: Option<Instant>,
    /// What the machine's files say.
    applied: Option<NodeSettings>,
}

/// Works until the node is Ready. Comes back with an error only if the machine cannot be watched.
pub fn run(place: &Place) -> std::io::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let machine = RealMachine::new(place)?;
        let clock_start = clock::raise_to_floor(&*machine.clock(), &place.root).unwrap_or_else(|error| {
            log(&format!("cannot set the clock: {error}"));
            Start::Unset
        });
        let mut agent = Agent::new(machine, clock_start, Jitter::from_system());
        while agent.turn().await == Outcome::LookAgain {}
        Ok(ExitCode::SUCCESS)
    })
}

impl<M: Machine> Agent<M> {
    /// An agent that has not done anything yet, on a machine whose clock was like this at the start. Needs a tokio
    /// runtime for its time.
    pub fn new(machine: M, clock_start: Start, jitter: Jitter) -> Self {
        Self {
            home: Home::new(machine.disk()),
            clock: machine.clock(),
            machine,
            clock_start,
            started: Instant::now(),
            jitter,
            kubelet: Kubelet::NotYet,
            images: Images::NotYet,
            looked: None,
            unread: None,
            unread_told: None,
            joining: None,
            watching: None,
            not_erased: None,
            applied: None,
        }
    }

    /// Looks, decides, acts.
    pub async fn turn(&mut self) -> Outcome {
        let found = match self.home.load() {
            Ok(found) => found,
            Err(error) => {
                let advice = format!("{}; looking again in a minute", error.advice());
                self.machine.say(NodeState::Failed, &text_of(&error), &advice);
                return self.again_in(LOOK_AGAIN).await;
            }
        };
        found.findings.iter().for_each(|finding| log(&finding.to_string()));
        let seen = self.look_for_file(&found.state).await;
        match &*seen {
            Ok(file) => self.act(found, file.as_ref()).await,
            Err(problem) => self.act_without(found, problem).await,
        }
    }

    /// With a join file that can never work: what is wrong is said until it is replaced, unless the machine can go on
    /// without it.
    async fn act_without(&mut self, found: Found, problem: &BadJoinFile) -> Outcome {
        if !matches!(decide(&found.state, None, self.clock.now()), Decision::Wait { .. }) {
            return self.act(found, None).await;
        }
        let next = format!(
            "{}; looking again when a device appears, and every minute",
            problem.advice()
        );
        self.say_waiting(NodeState::Failed, &text_of(problem), &next);
        self.again_in(LOOK_AGAIN).await
    }

    async fn act(&mut self, found: Found, file: Option<&FoundFile>) -> Outcome {
        let described = file.map(FoundFile::as_join_file);
        let decision = decide(&found.state, described.as_ref(), self.clock.now());
        if !matches!(decision, Decision::Wait { .. }) {
            self.tell_unread(&found.state);
        }
        match (decision, found.state, file) {
            (Decision::StartKubelet | Decision::StartKubeletAndFinishScrub, Loaded::Joined(identity), file) => {
                self.run_node(&identity, file).await
            }
            (Decision::Join { key }, _, Some(file)) => self.join(file, key).await,
            (Decision::RenewIdentity { reason, key }, Loaded::Joined(identity), Some(file)) => {
                if self.joining.is_none() {
                    log(&format!("joining anew: {reason}"));
                }
                self.join_beside(&identity, file, key).await
            }
            (Decision::ProveSuccessor, Loaded::Joined(identity), _) => self.prove_successor(&identity).await,
            (Decision::Wait { reason }, Loaded::Joined(identity), _) => {
                self.start_pods_of_an_expired_node(&identity).await;
                self.wait_for(&reason).await
            }
            (Decision::Wait { reason }, _, _) => self.wait_for(&reason).await,
            (decision, ..) => {
                log(&format!("nothing to act on for {decision:?}"));
                self.again_in(LOOK_AGAIN).await
            }
        }
    }

    /// With the relay kubelet needs no certificate to start the pods that were seen last.
    async fn start_pods_of_an_expired_node(&mut self, identity: &Identity) {
        if identity.settings.relay.enabled
            && self.kubelet == Kubelet::NotYet
            && let Err(problem) = self.start_kubelet(identity).await
        {
            log(&text_of(&problem));
        }
    }

    /// The old identity goes on working while the machine joins anew.
    async fn join_beside(&mut self, identity: &Identity, file: &FoundFile, key: KeyChoice) -> Outcome {
        if (identity.settings.relay.enabled || !identity.is_expired(self.clock.now()))
            && self.kubelet == Kubelet::NotYet
            && let Err(problem) = self.start_kubelet(identity).await
        {
            self.say_cannot_start(&problem);
            // The new file may bring better settings.
            if problem.bad_setting().is_none() {
                return self.again_in(LOOK_AGAIN).await;
            }
        }
        self.join(file, key).await
    }

    async fn wait_for(&mut self, reason: &WaitReason) -> Outcome {
        self.wait_for_containerd().await;
        let again = "looking again when a device appears, and every minute";
        match reason {
            WaitReason::NoJoinFile => {
                let mut reason = "containerd is up; no join file found".to_owned();
                if self.unread.is_none() {
                    reason.push_str(&format!(" ({PLACES})"));
                }
                self.say_waiting(NodeState::Waiting, &reason, again);
            }
            WaitReason::JoinFileGone { .. } => {
                let next = format!("put it back, or another one; {again}");
                self.say_waiting(NodeState::Waiting, &reason.to_string(), &next);
            }
            WaitReason::CertificateExpired { .. } if !self.clock.synchronised() => {
                let next = "waiting for a time server: this machine's clock may be ahead";
                self.say_waiting(NodeState::Failed, &reason.to_string(), next);
                return self.again_in(CLOCK_AGAIN).await;
            }
            WaitReason::CertificateExpired { .. } => {
                let next = format!("bring a new join file; {again}");
                self.say_waiting(NodeState::Failed, &reason.to_string(), &next);
            }
        }
        self.again_in(LOOK_AGAIN).await
    }

    async fn again_in(&mut self, patience: Duration) -> Outcome {
        self.pause(patience).await;
        Outcome::LookAgain
    }

    /// Sleeps until something comes or goes, at most `patience`. What came may be a join file.
    async fn pause(&mut self, patience: Duration) -> Woken {
        let woken = self.machine.wait(patience).await;
        if woken == Woken::Change {
            self.look_soon();
        }
        woken
    }
}

/// How long a failure stays on the screen before the machine restarts.
const READING_TIME: Duration = Duration::from_secs(30);

/// Says that the system did not come up and comes back when the restart is due.
pub fn announce_failure(root: &Path) {
    let reason = "the system did not come up; what failed is in the lines above";
    Announcer::new(root).say(NodeState::Failed, reason, "restarting in 30 seconds");
    std::thread::sleep(READING_TIME);
}
