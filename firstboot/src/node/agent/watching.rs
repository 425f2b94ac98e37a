//! Watches the Node object until it is Ready; on the way the identity is proven and the join file erased.

use std::time::Duration;

use super::{Agent, Kubelet, LOOK_AGAIN, Outcome, chain};
use crate::client::Client;
use crate::clock;
use crate::control_plane::{ApiError, Caller, ControlPlane as _, NodeView};
use crate::identity::{Identity, Loaded, Medium, Pair, PairError, PendingJoin, Proven};
use crate::node::announce::log;
use crate::node::devices::Woken;
use crate::node::join_file::FoundFile;
use crate::node::observe;
use crate::node::state::NodeState;

impl Agent {
    /// Starts kubelet and watches until the node is Ready and nothing is left to erase.
    pub(super) async fn run_node(&mut self, identity: &Identity, file: Option<&FoundFile>) -> Outcome {
        self.joining = None;
        if self.kubelet == Kubelet::NotYet {
            let reason = format!("this machine is the node {}", identity.node_name);
            self.announcer.say(NodeState::Joined, &reason, "starting kubelet");
        }
        if let Err(problem) = self.start_kubelet(identity).await {
            self.announcer
                .say(NodeState::Joined, &chain(&problem), "trying again in a minute");
            self.pause(LOOK_AGAIN).await;
            return Outcome::LookAgain;
        }
        let client = match Client::new(&identity.settings.network, self.clock.clone()) {
            Ok(client) => client,
            Err(problem) => {
                self.announcer.say(
                    NodeState::Joined,
                    &chain(&problem),
                    "correct `network.proxy` by a new join file",
                );
                self.pause(LOOK_AGAIN).await;
                return Outcome::LookAgain;
            }
        };
        self.watch(identity, &client, file).await
    }

    async fn watch(&mut self, identity: &Identity, client: &Client, file: Option<&FoundFile>) -> Outcome {
        let mut proven = identity.proven;
        for looks in 0_u32.. {
            let answer = self.own_node(identity, client).await;
            if answer.is_ok() {
                if proven == Proven::No {
                    proven = self.prove(&identity.pair);
                }
                if proven == Proven::Yes {
                    self.erase(identity, file);
                }
            }
            let finding = observe::judge(answer, &identity.node_name, &identity.settings.network);
            self.settle_pod_network(identity, &finding.pod_cidrs);
            self.announcer.say(finding.state, &finding.reason, &finding.next);
            if finding.state == NodeState::Ready {
                self.remember_time();
                return Outcome::Ready;
            }
            // Kubelet's events come through the control plane, not through /dev; a device may be a new join file.
            if self.pause_for_node(observe::pace(looks)).await == Woken::Change && self.another_file(file).await {
                break;
            }
        }
        Outcome::LookAgain
    }

    /// The Node object as this node sees it. kubelet may have rotated the certificate since it was read.
    async fn own_node(&self, identity: &Identity, client: &Client) -> Result<Option<NodeView>, ApiError> {
        let current = match self.home.load().map(|found| found.state) {
            Ok(Loaded::Joined(current)) => current.pair,
            _ => identity.pair.clone(),
        };
        let caller = Caller::Node {
            certificate: &current.chain,
            key: &current.key,
        };
        client
            .node(&identity.cluster.to_cluster(), caller, &identity.node_name)
            .await
    }

    fn prove(&self, pair: &Pair) -> Proven {
        match self.home.mark_proven(&pair.chain) {
            Ok(()) => Proven::Yes,
            Err(error) => {
                log(&format!("cannot keep that the certificate works: {}", chain(&error)));
                Proven::No
            }
        }
    }

    /// Erases the join file that led here, now that its token is not needed any more.
    fn erase(&self, identity: &Identity, file: Option<&FoundFile>) {
        let Some(file) = file else { return };
        let wanted = identity
            .consumed(&file.digest)
            .is_some_and(|known| known.medium != Medium::Stays);
        if !wanted {
            return;
        }
        let medium = match file.erase(&self.place.root) {
            Ok(medium) => medium,
            Err(error) => {
                log(&format!("the join file is still there: {}", chain(&error)));
                return;
            }
        };
        let kept = self.home.mark_scrubbed(file.digest, file.token_id(), medium);
        if let Err(error) = kept {
            log(&format!("cannot keep that the join file is gone: {}", chain(&error)));
        }
    }

    /// Tries a new certificate while the old identity still stands; it takes its place if it works.
    pub(super) async fn prove_successor(&mut self, identity: &Identity) -> Outcome {
        let Some(successor) = identity.successor.as_deref() else {
            return Outcome::LookAgain;
        };
        let problem = match self.try_successor(successor).await {
            Ok(pair) => {
                if let Err(error) = self.stop_kubelet() {
                    log(&chain(&error));
                }
                self.prove(&pair);
                return Outcome::LookAgain;
            }
            Err(problem) => problem,
        };
        let reason = format!("the new certificate does not work yet: {problem}");
        self.announcer.say(
            NodeState::Joining,
            &reason,
            "trying again in a minute; the old identity stays until then",
        );
        self.pause(LOOK_AGAIN).await;
        Outcome::LookAgain
    }

    async fn try_successor(&self, successor: &PendingJoin) -> Result<Pair, String> {
        let pair = successor.pair().unwrap_or(Err(PairError::Missing("certificate")));
        let pair = pair.map_err(|error| chain(&error))?;
        let client = Client::new(&successor.settings.network, self.clock.clone()).map_err(|error| chain(&error))?;
        let caller = Caller::Node {
            certificate: &pair.chain,
            key: &pair.key,
        };
        let answer = client
            .node(&successor.cluster.to_cluster(), caller, &successor.node_name)
            .await;
        answer.map_err(|error| chain(&error))?;
        Ok(pair)
    }

    async fn pause_for_node(&mut self, patience: Duration) -> Woken {
        self.devices.wait(patience).await
    }

    /// Whether a join file is there now that was not there before.
    async fn another_file(&self, before: Option<&FoundFile>) -> bool {
        let reach = crate::node::join_file::Reach::Local;
        let now = crate::node::join_file::look(&self.place, &self.device, reach, &self.clock).await;
        now.ok()
            .flatten()
            .is_some_and(|now| before.is_none_or(|before| before.digest != now.digest))
    }

    /// A verified control plane has agreed with this clock: it is never earlier than now again.
    fn remember_time(&self) {
        if let Err(error) = clock::remember(&self.place.root, self.clock.now()) {
            log(&format!("cannot keep the time: {error}"));
        }
    }
}
