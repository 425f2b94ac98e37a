//! From an identity to a running kubelet: files, containerd, the image's container images, the unit.

use std::time::Duration;

use super::{Agent, Kubelet, chain};
use crate::identity::Identity;
use crate::join_config::NodeSettings;
use crate::node::announce::log;
use crate::node::containerd;
use crate::node::service_manager::{self, ServiceManagerError};
use crate::node::state::NodeState;
use crate::node_files::{self, ApplyError, MachineFacts, PlanError, cni};
use crate::preload::{self, PreloadError};

/// How long containerd may take to greet; it does so in milliseconds unless the machine is starved.
const GREETING: Duration = Duration::from_secs(10);
/// How long until containerd is asked again; it comes up once, so asking often is cheap.
const CONTAINERD_AGAIN: Duration = Duration::from_millis(500);

const KUBELET: &str = "kubelet.service";

/// Why kubelet cannot be started.
#[derive(Debug, thiserror::Error)]
pub(super) enum BringUpError {
    /// A setting that cannot be carried out.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A file that cannot be written.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The image's container images.
    #[error(transparent)]
    Preload(#[from] PreloadError),
    /// systemd.
    #[error(transparent)]
    ServiceManager(#[from] ServiceManagerError),
}

impl BringUpError {
    /// What a person can do about it; empty if only time helps.
    pub(super) fn advice(&self) -> String {
        match self {
            Self::Plan(error) | Self::Apply(ApplyError::Plan(error)) => error.advice(),
            _ => String::new(),
        }
    }
}

impl Agent {
    /// Writes what the network needs of `settings` and has it read: a machine with a static address reaches nobody
    /// before. Files that are as they shall be are not touched.
    pub(super) fn apply_machine_settings(&self, settings: &NodeSettings) -> Result<(), BringUpError> {
        let root = &self.place.root;
        let files = node_files::machine_files(&MachineFacts::read(root), settings)?;
        let changed = node_files::write(root, &files)?;
        Ok(service_manager::tell(&changed)?)
    }

    /// Starts kubelet with this identity; does nothing if it was started already.
    pub(super) async fn start_kubelet(&mut self, identity: &Identity) -> Result<(), BringUpError> {
        if self.kubelet == Kubelet::Started {
            return Ok(());
        }
        let root = self.place.root.clone();
        let settings = &identity.settings;
        let files = node_files::plan(&MachineFacts::read(&root), settings, &identity.node_name)?;
        let changed = node_files::write(&root, &files)?;
        cni::apply(&root, &cni::plan(&settings.network, &[])?)?;
        service_manager::tell(&changed)?;
        self.wait_for_containerd().await;
        let socket = root.join(containerd::SOCKET.trim_start_matches('/'));
        let images = preload::preload(&socket, &root.join(preload::LAYOUT.trim_start_matches('/'))).await?;
        for name in &images.imported {
            log(&format!("brought {name} into containerd"));
        }
        service_manager::start(KUBELET)?;
        self.kubelet = Kubelet::Started;
        Ok(())
    }

    /// Stops kubelet; its pods go on running.
    pub(super) fn stop_kubelet(&mut self) -> Result<(), BringUpError> {
        self.kubelet = Kubelet::NotYet;
        Ok(service_manager::stop(KUBELET)?)
    }

    pub(super) async fn wait_for_containerd(&mut self) {
        let socket = self.place.root.join(containerd::SOCKET.trim_start_matches('/'));
        if containerd::answers(&socket, GREETING) {
            return;
        }
        if self.joining.is_none() {
            let next = "asking again twice a second";
            self.announcer
                .say(NodeState::Starting, "containerd does not answer yet", next);
        }
        while !containerd::answers(&socket, GREETING) {
            tokio::time::sleep(CONTAINERD_AGAIN).await;
        }
    }

    /// Writes the pods' network when the cluster has said which addresses it has. containerd notices by itself.
    pub(super) fn settle_pod_network(&self, identity: &Identity, pod_cidrs: &[String]) {
        let plan = cni::plan(&identity.settings.network, pod_cidrs).map_err(ApplyError::Plan);
        if let Err(error) = plan.and_then(|plan| cni::apply(&self.place.root, &plan)) {
            log(&format!("the pods have no network: {}", chain(&error)));
        }
    }
}
