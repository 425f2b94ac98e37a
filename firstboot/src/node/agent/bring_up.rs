//! From an identity to a running kubelet: files, containerd, the image's container images, the unit.

use std::time::Duration;

use tokio::time::Instant;

use super::{Agent, LOOK_AGAIN};
use crate::identity::{Identity, KnownCluster};
use crate::join_config::NodeSettings;
use crate::node::announce::log;
use crate::node::machine::{BringUpError, Machine};
use crate::node::service_manager::ServiceManagerError;
use crate::node::state::NodeState;
use crate::node::text_of;

/// How long until containerd is asked again; it comes up once, so asking often is cheap.
const CONTAINERD_AGAIN: Duration = Duration::from_millis(500);

/// Whether kubelet was asked to run, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kubelet {
    NotYet,
    Started(Box<RunsAs>),
}

/// What kubelet reads once, at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RunsAs {
    node_name: String,
    cluster: KnownCluster,
    settings: NodeSettings,
}

/// Whether containerd has the image's container images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Images {
    NotYet,
    /// It does not take them; when that was.
    Refused(Instant),
    There,
}

impl RunsAs {
    fn new(identity: &Identity) -> Self {
        Self {
            node_name: identity.node_name.clone(),
            cluster: identity.cluster.clone(),
            settings: identity.settings.clone(),
        }
    }
}

impl<M: Machine> Agent<M> {
    /// Starts kubelet with this identity; does nothing if it was started with it already.
    pub(super) async fn start_kubelet(&mut self, identity: &Identity) -> Result<(), BringUpError> {
        let wanted = RunsAs::new(identity);
        let runs = matches!(&self.kubelet, Kubelet::Started(running) if **running == wanted);
        let applied = self.applied.as_ref() == Some(&identity.settings);
        if runs && applied {
            return Ok(());
        }
        if !runs && self.kubelet != Kubelet::NotYet {
            self.stop_kubelet()?;
        }
        // A join file that is gone by now may have brought another network.
        self.applied = None;
        self.machine.prepare(&identity.settings, &identity.node_name)?;
        self.applied = Some(identity.settings.clone());
        if runs {
            return Ok(());
        }
        self.wait_for_containerd().await;
        self.bring_images().await;
        self.machine.start_kubelet()?;
        self.kubelet = Kubelet::Started(Box::new(wanted));
        Ok(())
    }

    /// Stops kubelet; its pods go on running.
    pub(super) fn stop_kubelet(&mut self) -> Result<(), ServiceManagerError> {
        self.machine.stop_kubelet()?;
        self.kubelet = Kubelet::NotYet;
        Ok(())
    }

    /// Brings the image's container images into containerd. kubelet is started even if that fails: on a full disk it is
    /// the one who makes room.
    pub(super) async fn bring_images(&mut self) {
        match self.images {
            Images::There => return,
            Images::Refused(at) if at.elapsed() < LOOK_AGAIN => return,
            Images::Refused(_) | Images::NotYet => {}
        }
        self.images = match self.machine.preload().await {
            Ok(names) => {
                names
                    .iter()
                    .for_each(|name| log(&format!("brought {name} into containerd")));
                Images::There
            }
            Err(error) => {
                log(&format!("{}; trying again in a minute", text_of(&error)));
                Images::Refused(Instant::now())
            }
        };
    }

    pub(super) async fn wait_for_containerd(&mut self) {
        if self.machine.has_containerd() {
            return;
        }
        if self.joining.is_none() {
            let next = "asking again twice a second";
            self.machine
                .say(NodeState::Starting, "containerd does not answer yet", next);
        }
        while !self.machine.has_containerd() {
            tokio::time::sleep(CONTAINERD_AGAIN).await;
        }
    }
}
