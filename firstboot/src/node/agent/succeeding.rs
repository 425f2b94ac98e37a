//! A new identity takes the place of the old one, if it works.

use super::{Agent, LOOK_AGAIN, Outcome};
use crate::control_plane::{Caller, ControlPlane as _};
use crate::identity::{Identity, Loaded, Pair, PairError, PendingJoin};
use crate::node::announce::log;
use crate::node::machine::Machine;
use crate::node::state::NodeState;
use crate::node::text_of;

impl<M: Machine> Agent<M> {
    /// Tries a new certificate while the old identity still stands; it takes its place if it works. kubelet does not run
    /// while that happens.
    pub(super) async fn prove_successor(&mut self, identity: &Identity) -> Outcome {
        self.watching = None;
        let outcome = match &identity.successor {
            Some(successor) => self.try_successor(successor).await,
            None => Err("it is not there".to_owned()),
        };
        let problem = match outcome {
            Ok(pair) => match self.succeed(identity, &pair).await {
                Ok(()) => return Outcome::LookAgain,
                Err(problem) => problem,
            },
            Err(problem) => format!("the new certificate does not work yet: {problem}"),
        };
        let next = "trying again in a minute; the old identity stays until then";
        self.machine.say(NodeState::Joining, &problem, next);
        self.again_in(LOOK_AGAIN).await
    }

    async fn try_successor(&mut self, successor: &PendingJoin) -> Result<Pair, String> {
        let pair = successor.pair().unwrap_or(Err(PairError::Missing("certificate")));
        let pair = pair.map_err(|error| text_of(&error))?;
        let plane = self.machine.plane(&successor.settings.network);
        let plane = plane.map_err(|error| text_of(&error))?;
        let caller = Caller::Node {
            certificate: &pair.chain,
            key: &pair.key,
        };
        let answer = plane
            .node(&successor.cluster.to_cluster(), caller, &successor.node_name)
            .await;
        answer.map_err(|error| text_of(&error))?;
        Ok(pair)
    }

    async fn succeed(&mut self, identity: &Identity, pair: &Pair) -> Result<(), String> {
        self.stop_kubelet().map_err(|error| text_of(&error))?;
        let Err(error) = self.home.mark_proven(&pair.chain) else {
            return Ok(());
        };
        // If nothing has changed the old identity goes on; what was begun, the next look at the disk ends.
        if let Ok(Loaded::Joined(now)) = self.home.load().map(|found| found.state)
            && now.successor.is_some()
            && !identity.is_expired(self.clock.now())
            && let Err(problem) = self.start_kubelet(&now).await
        {
            log(&text_of(&problem));
        }
        Err(text_of(&error))
    }
}
