//! Looks at the Node object until it is Ready; on the way the identity is proven and the join file erased.

use std::time::Duration;

use tokio::time::Instant;

use super::bring_up::{Images, Kubelet};
use super::{Agent, LOOK_AGAIN, Outcome};
use crate::control_plane::{ApiError, Caller, ControlPlane as _, NodeView};
use crate::identity::{Identity, Medium, Proven};
use crate::join::retry::Backoff;
use crate::join::{Learnt, learn_authorities};
use crate::join_config::NetworkSettings;
use crate::node::announce::log;
use crate::node::devices::Woken;
use crate::node::join_file::FoundFile;
use crate::node::machine::{BringUpError, Machine};
use crate::node::observe::{self, Finding};
use crate::node::state::NodeState;
use crate::node::text_of;

/// How long until a control plane is asked again for its authorities, while the node is not Ready.
const ASK_FOR_AUTHORITIES_AGAIN: Duration = Duration::from_secs(3600);

/// A Node object that is looked at again and again.
pub(super) struct Watching<P> {
    plane: P,
    network: NetworkSettings,
    since: Instant,
    backoff: Backoff,
    registered: Registered,
    /// Until when the control plane has asked to be left alone.
    told: Option<Instant>,
    /// When it was asked for its authorities.
    asked_for_authorities: Option<Instant>,
}

/// What one look has led to.
enum Look {
    Ready,
    /// After so long.
    Again(Duration),
}

/// Whether the node was seen among the cluster's nodes since kubelet was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Registered {
    Yes,
    NotYet,
}

impl<P> Watching<P> {
    /// How long to wait first, because the control plane has asked for it.
    fn told_to_wait(&self) -> Option<Duration> {
        self.told
            .map(|told| told.saturating_duration_since(Instant::now()))
            .filter(|rest| !rest.is_zero())
    }
}

impl<M: Machine> Agent<M> {
    /// Starts kubelet if it does not run, and looks at the node once.
    pub(super) async fn run_node(&mut self, identity: &Identity, file: Option<&FoundFile>) -> Outcome {
        self.joining = None;
        if self.kubelet == Kubelet::NotYet {
            let reason = format!("this machine is the node {}", identity.node_name);
            self.machine.say(NodeState::Joined, &reason, "starting kubelet");
        }
        if let Err(problem) = self.start_kubelet(identity).await {
            self.say_cannot_start(&problem);
            return self.again_in(LOOK_AGAIN).await;
        }
        self.bring_images().await;
        let mut watching = match self.take_watching(&identity.settings.network) {
            Ok(watching) => watching,
            Err(problem) => {
                let next = "correct `network.proxy` by a new join file";
                self.machine.say(NodeState::Failed, &problem, next);
                return self.again_in(LOOK_AGAIN).await;
            }
        };
        let wait = match watching.told_to_wait() {
            Some(rest) => rest,
            None => match self.look_at_node(identity, file, &mut watching).await {
                Look::Again(wait) => wait,
                Look::Ready => return Outcome::Ready,
            },
        };
        if self.pause(wait).await == Woken::Change {
            watching.backoff.reset();
        }
        self.watching = Some(watching);
        Outcome::LookAgain
    }

    async fn look_at_node(
        &mut self,
        identity: &Identity,
        file: Option<&FoundFile>,
        watching: &mut Watching<M::Plane>,
    ) -> Look {
        let answer = self.own_node(identity, &watching.plane).await;
        if answer.is_ok() && self.learn(identity, watching).await == Learnt::More {
            // What kubelet runs with is looked at anew.
            return Look::Again(Duration::ZERO);
        }
        let wait = match &answer {
            Ok(_) => {
                watching.backoff.reset();
                self.settle(identity, file);
                observe::pace(watching.since.elapsed(), &mut self.jitter)
            }
            Err(error) => {
                let wait = observe::pace_after(error, &mut watching.backoff, &mut self.jitter);
                watching.told = error.kind.retry_after().map(|_| Instant::now() + wait);
                wait
            }
        };
        let finding = self.judge(answer, identity, watching);
        if let Err(error) = self
            .machine
            .settle_pod_network(&identity.settings.network, &finding.pod_cidrs)
        {
            log(&format!("the pods have no network: {}", text_of(&error)));
        }
        self.machine.say(finding.state, &finding.reason, &finding.next);
        if finding.state == NodeState::Ready {
            self.machine.remember_time();
            return Look::Ready;
        }
        Look::Again(wait)
    }

    pub(super) fn say_cannot_start(&mut self, problem: &BringUpError) {
        match problem.bad_setting() {
            Some(setting) => self
                .machine
                .say(NodeState::Failed, &setting.to_string(), &setting.advice()),
            None => self
                .machine
                .say(NodeState::Joined, &text_of(problem), "trying again in a minute"),
        }
    }

    fn take_watching(&mut self, network: &NetworkSettings) -> Result<Watching<M::Plane>, String> {
        if let Some(watching) = self.watching.take_if(|watching| watching.network == *network) {
            return Ok(watching);
        }
        let plane = self.machine.plane(network).map_err(|error| text_of(&error))?;
        Ok(Watching {
            plane,
            network: network.clone(),
            since: Instant::now(),
            backoff: Backoff::default(),
            registered: Registered::NotYet,
            told: None,
            asked_for_authorities: None,
        })
    }

    /// The Node object as this node sees it.
    async fn own_node(&self, identity: &Identity, plane: &M::Plane) -> Result<Option<NodeView>, ApiError> {
        let caller = Caller::Node {
            certificate: &identity.pair.chain,
            key: &identity.pair.key,
        };
        plane
            .node(&identity.cluster.to_cluster(), caller, &identity.node_name)
            .await
    }

    /// Learns the cluster's authorities from a control plane that has just proved itself by those that are known.
    async fn learn(&mut self, identity: &Identity, watching: &mut Watching<M::Plane>) -> Learnt {
        if watching
            .asked_for_authorities
            .is_some_and(|at| at.elapsed() < ASK_FOR_AUTHORITIES_AGAIN)
        {
            return Learnt::Nothing;
        }
        watching.asked_for_authorities = Some(Instant::now());
        match learn_authorities(&watching.plane, &self.home, &identity.cluster, &identity.pair).await {
            Ok(Learnt::Nothing) => Learnt::Nothing,
            Ok(Learnt::More) => {
                let reason = "the cluster names another authority beside the known ones";
                self.machine.say(
                    NodeState::Joined,
                    reason,
                    "starting kubelet anew, which trusts it from now on",
                );
                Learnt::More
            }
            Err(problem) => {
                log(&text_of(&problem));
                Learnt::Nothing
            }
        }
    }

    fn judge(
        &mut self,
        answer: Result<Option<NodeView>, ApiError>,
        identity: &Identity,
        watching: &mut Watching<M::Plane>,
    ) -> Finding {
        let name = &identity.node_name;
        let was_registered = watching.registered;
        if let Ok(view) = &answer {
            watching.registered = match view {
                Some(_) => Registered::Yes,
                None => Registered::NotYet,
            };
        }
        let deleted = was_registered == Registered::Yes && watching.registered == Registered::NotYet;
        let finding = observe::judge(answer, name, &identity.settings.network);
        if deleted {
            // kubelet registers its node when it starts, and not again.
            return match self.stop_kubelet() {
                Ok(()) => observe::deleted(name),
                Err(error) => {
                    watching.registered = Registered::Yes;
                    log(&text_of(&error));
                    finding
                }
            };
        }
        match (finding.state, self.images) {
            (NodeState::Ready, Images::Refused(_)) => observe::without_images(finding, name),
            _ => finding,
        }
    }

    /// A call as this node has worked: the identity is proven, and no join file is needed any more.
    fn settle(&mut self, identity: &Identity, file: Option<&FoundFile>) {
        if identity.proven == Proven::No
            && let Err(error) = self.home.mark_proven(&identity.pair.chain)
        {
            log(&format!("cannot keep that the certificate works: {}", text_of(&error)));
            return;
        }
        if self.not_erased.is_some_and(|at| at.elapsed() < LOOK_AGAIN) {
            return;
        }
        let outcome = self
            .erase(identity, file)
            .and_then(|()| self.forget_others(identity, file));
        self.not_erased = outcome.err().map(|problem| {
            log(&problem);
            Instant::now()
        });
    }

    /// Erases the join file that led here, now that its token is not needed any more.
    fn erase(&mut self, identity: &Identity, file: Option<&FoundFile>) -> Result<(), String> {
        let Some(file) = file else { return Ok(()) };
        let wanted = identity
            .consumed(&file.digest)
            .is_some_and(|known| known.medium != Medium::Stays);
        if !wanted {
            return Ok(());
        }
        let medium = self
            .machine
            .erase(file)
            .map_err(|error| format!("the join file is still there: {}", text_of(&error)))?;
        self.keep_scrubbed(file, medium)?;
        self.look_anew();
        match medium {
            Medium::ToErase => Err("the join file is erased when its medium is back".to_owned()),
            Medium::Erased | Medium::Stays => Ok(()),
        }
    }

    fn keep_scrubbed(&self, file: &FoundFile, medium: Medium) -> Result<(), String> {
        self.home
            .mark_scrubbed(file.digest, file.token_id(), medium)
            .map_err(|error| format!("cannot keep what has become of the join file: {}", text_of(&error)))
    }

    /// Files that were to be erased and are in none of the places any more. One that comes back is erased then.
    fn forget_others(&self, identity: &Identity, file: Option<&FoundFile>) -> Result<(), String> {
        let seen = file.map(|file| file.digest);
        let gone = identity
            .consumed
            .iter()
            .filter(|known| known.medium == Medium::ToErase && Some(known.join_file) != seen);
        for known in gone {
            let token_id = known.token_id.as_deref();
            self.home
                .mark_scrubbed(known.join_file, token_id, Medium::Erased)
                .map_err(|error| format!("cannot keep that a join file is gone: {}", text_of(&error)))?;
        }
        Ok(())
    }
}
