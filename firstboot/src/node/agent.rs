//! The life of `skerry-node join`: what the machine has and what it finds decide what it does, again and again, until
//! the node is Ready.
//!
//! ```text
//! look at the disk and at the join file ─decide→ start kubelet and watch | join | wait
//!          ↑                                                              │
//!          └──────── a device came, a wait is over, a step failed ────────┘
//! ```

mod bring_up;
mod joining;
mod watching;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::announce::{Announcer, log};
use super::devices::{Devices, Woken};
use super::join_file::{self, FoundFile, Reach};
use super::state::NodeState;
use crate::clock::{self, Clock, Start, SystemClock};
use crate::device::Device;
use crate::disk::RealDisk;
use crate::identity::{Decision, Found, Home, Identity, KeyChoice, Loaded, WaitReason, decide};
use crate::join::retry::Jitter;
use crate::source::{PLACES, Place};
use joining::Joining;

/// How long until everything is looked at again although nothing came or went.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// The same while the clock may still be wrong.
const CLOCK_AGAIN: Duration = Duration::from_secs(5);
/// How long after a device appeared udev may need to give it its names.
const SETTLE: Duration = Duration::from_secs(2);

/// Whether kubelet was asked to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kubelet {
    NotYet,
    Started,
}

/// Whether there is anything left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Ready,
    LookAgain,
}

/// The agent and what it works with.
#[derive(Debug)]
struct Agent {
    place: Place,
    home: Home<RealDisk>,
    clock: Arc<dyn Clock>,
    /// What the clock was like, and when this program started.
    clock_start: Start,
    started: Instant,
    announcer: Announcer,
    devices: Devices,
    device: Device,
    jitter: Jitter,
    kubelet: Kubelet,
    joining: Option<Joining>,
}

/// Works until the node is Ready. Comes back with an error only if the machine cannot be watched.
pub fn run(place: &Place) -> std::io::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut agent = Agent::new(place)?;
        while agent.turn().await == Outcome::LookAgain {}
        Ok(ExitCode::SUCCESS)
    })
}

impl Agent {
    fn new(place: &Place) -> std::io::Result<Self> {
        let root = &place.root;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let clock_start = clock::raise_to_floor(&*clock, root).unwrap_or_else(|error| {
            log(&format!("cannot set the clock: {error}"));
            Start::Unset
        });
        let watched = [
            "dev",
            "dev/disk/by-label",
            "run/systemd/netif/leases",
            "run/systemd/netif/links",
        ];
        Ok(Self {
            home: Home::new(RealDisk::new(root)),
            clock,
            clock_start,
            started: Instant::now(),
            announcer: Announcer::new(root),
            devices: Devices::watch(&watched.map(|folder| root.join(folder)))?,
            device: Device::read(root),
            jitter: Jitter::from_system(),
            kubelet: Kubelet::NotYet,
            joining: None,
            place: place.clone(),
        })
    }

    /// Looks, decides, acts.
    async fn turn(&mut self) -> Outcome {
        let found = match self.home.load() {
            Ok(found) => found,
            Err(error) => {
                let advice = format!("{}; looking again in a minute", error.advice());
                self.announcer.say(NodeState::Failed, &chain(&error), &advice);
                self.pause(LOOK_AGAIN).await;
                return Outcome::LookAgain;
            }
        };
        found.findings.iter().for_each(|finding| log(&finding.to_string()));
        let file = match self.look_for_file(&found.state).await {
            Ok(file) => file,
            Err(problem) => {
                if let Some(outcome) = self.with_bad_file(&found, &problem).await {
                    return outcome;
                }
                None
            }
        };
        self.act(found, file).await
    }

    /// A machine that has joined needs no network to look for a join file: it starts from what it has.
    async fn look_for_file(&self, loaded: &Loaded) -> Result<Option<FoundFile>, join_file::BadJoinFile> {
        let reach = match loaded {
            Loaded::Joined(identity) if !identity.is_expired(self.clock.now()) => Reach::Local,
            _ => Reach::Network,
        };
        join_file::look(&self.place, &self.device, reach, &self.clock).await
    }

    /// A join file that can never work: what is wrong is said until it is replaced. None if the machine can go on
    /// without it.
    async fn with_bad_file(&mut self, found: &Found, problem: &join_file::BadJoinFile) -> Option<Outcome> {
        match decide(&found.state, None, self.clock.now()) {
            Decision::Wait { .. } => {
                let next = format!(
                    "{}; looking again when a device appears, and every minute",
                    problem.advice()
                );
                self.announcer.say(NodeState::Failed, &chain(problem), &next);
                self.pause(LOOK_AGAIN).await;
                Some(Outcome::LookAgain)
            }
            _ => {
                log(&format!("{}; the machine goes on as before", chain(problem)));
                None
            }
        }
    }

    async fn act(&mut self, found: Found, file: Option<FoundFile>) -> Outcome {
        let decision = decide(
            &found.state,
            file.as_ref().map(FoundFile::as_join_file).as_ref(),
            self.clock.now(),
        );
        match (decision, found.state, file) {
            (Decision::StartKubelet | Decision::StartKubeletAndFinishScrub, Loaded::Joined(identity), file) => {
                self.run_node(&identity, file.as_ref()).await
            }
            (Decision::Join { key }, _, Some(file)) => self.join(&file, key).await,
            (Decision::RenewIdentity { reason, key }, Loaded::Joined(identity), Some(file)) => {
                log(&format!("joining anew: {reason}"));
                self.join_beside(&identity, &file, key).await
            }
            (Decision::ProveSuccessor, Loaded::Joined(identity), _) => self.prove_successor(&identity).await,
            (Decision::Wait { reason }, _, _) => self.wait(&reason).await,
            (decision, ..) => {
                log(&format!("nothing to act on for {decision:?}"));
                self.pause(LOOK_AGAIN).await;
                Outcome::LookAgain
            }
        }
    }

    /// The old identity goes on working while the machine joins anew.
    async fn join_beside(&mut self, identity: &Identity, file: &FoundFile, key: KeyChoice) -> Outcome {
        if !identity.is_expired(self.clock.now())
            && let Err(problem) = self.start_kubelet(identity).await
        {
            log(&problem.to_string());
        }
        self.join(file, key).await
    }

    async fn wait(&mut self, reason: &WaitReason) -> Outcome {
        self.wait_for_containerd().await;
        let again = "looking again when a device appears, and every minute";
        match reason {
            WaitReason::NoJoinFile => {
                let reason = format!("containerd is up; no join file found ({PLACES})");
                self.announcer.say(NodeState::Waiting, &reason, again);
            }
            WaitReason::JoinFileGone { .. } => {
                let next = format!("put it back, or another one; {again}");
                self.announcer.say(NodeState::Waiting, &reason.to_string(), &next);
            }
            WaitReason::CertificateExpired { .. } if !self.clock.synchronised() => {
                let next = "waiting for a time server: this machine's clock may be ahead";
                self.announcer.say(NodeState::Failed, &reason.to_string(), next);
                self.pause(CLOCK_AGAIN).await;
                return Outcome::LookAgain;
            }
            WaitReason::CertificateExpired { .. } => {
                let next = format!("bring a new join file; {again}");
                self.announcer.say(NodeState::Failed, &reason.to_string(), &next);
            }
        }
        self.pause(LOOK_AGAIN).await;
        Outcome::LookAgain
    }

    /// Sleeps until something comes or goes, at most `patience`.
    async fn pause(&mut self, patience: Duration) -> Woken {
        self.devices.wait_settled(patience, SETTLE).await
    }
}

/// An error with its causes, outermost first.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// How long a failure stays on the screen before the machine restarts.
const READING_TIME: Duration = Duration::from_secs(30);

/// Says that the system did not come up and comes back when the restart is due.
pub fn announce_failure(root: &Path) {
    let reason = "the system did not come up; what failed is in the lines above";
    Announcer::new(root).say(NodeState::Failed, reason, "restarting in 30 seconds");
    std::thread::sleep(READING_TIME);
}
