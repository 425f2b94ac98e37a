//! What the agent asks of the machine that it runs on: [`RealMachine`] is that; tests put another in its place.

mod real;

use std::sync::Arc;
use std::time::Duration;

use super::devices::Woken;
use super::join_file::{FoundFile, Reach, Sight};
use super::radio::Radio;
use super::service_manager::ServiceManagerError;
use super::state::NodeState;
use crate::client::ProxyError;
use crate::clock::Clock;
use crate::control_plane::ControlPlane;
use crate::disk::Disk;
use crate::identity::{Consumed, Medium};
use crate::join_config::{NetworkSettings, NodeSettings};
use crate::node_files::{ApplyError, PlanError};
use crate::preload::PreloadError;
use crate::scrub::ScrubError;

pub use real::RealMachine;

/// A machine that is to be a node.
#[allow(async_fn_in_trait, reason = "one task drives a node; the futures need not be Send")]
pub trait Machine {
    /// Where what lasts is kept.
    type Disk: Disk;
    /// How control planes are asked.
    type Plane: ControlPlane;

    /// The disk that holds `/var`.
    fn disk(&self) -> Self::Disk;
    /// The time.
    fn clock(&self) -> Arc<dyn Clock>;
    /// The machine's own id, as kubelet reports it; empty if it has none.
    fn id(&self) -> &str;

    /// The join file that matters most to a machine that has joined by the files in `consumed`.
    async fn look_for_file(&self, reach: Reach, consumed: &[Consumed]) -> Sight;
    /// Takes a join file from its medium and says what has become of it there.
    fn erase(&self, file: &FoundFile) -> Result<Medium, ScrubError>;
    /// A client for a machine with this network.
    fn plane(&self, network: &NetworkSettings) -> Result<Self::Plane, ProxyError>;

    /// Writes the files of the machine itself, such as its network's, and has them read: a machine with a static address
    /// reaches nobody before. Files that are as they shall be are not touched.
    fn apply(&mut self, settings: &NodeSettings) -> Result<(), BringUpError>;
    /// The same for all files that kubelet needs as the node `node_name`.
    fn prepare(&mut self, settings: &NodeSettings, node_name: &str) -> Result<(), BringUpError>;
    /// Writes the pods' network for these addresses, if there are any.
    fn settle_pod_network(&self, network: &NetworkSettings, pod_cidrs: &[String]) -> Result<(), ApplyError>;

    /// What its Wi-Fi radio does.
    fn radio(&self) -> Radio;

    /// Whether containerd answers.
    fn has_containerd(&self) -> bool;
    /// Brings the image's container images into containerd, and tells the names of those that were not there.
    async fn preload(&self) -> Result<Vec<String>, PreloadError>;
    /// Starts kubelet and does not wait for it; does nothing if it runs.
    fn start_kubelet(&self) -> Result<(), ServiceManagerError>;
    /// Stops kubelet; its pods go on running.
    fn stop_kubelet(&self) -> Result<(), ServiceManagerError>;

    /// Says where the node is; the same thing is said once.
    fn say(&mut self, state: NodeState, reason: &str, next: &str);
    /// Keeps the time, on which a control plane agrees, as the earliest that it can be from now on.
    fn remember_time(&self);
    /// Sleeps until a device or a network link comes or goes, at most `patience`; then until it has come to rest.
    async fn wait(&mut self, patience: Duration) -> Woken;
}

/// Why kubelet cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum BringUpError {
    /// A setting that cannot be carried out.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A file that cannot be written.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// systemd.
    #[error(transparent)]
    ServiceManager(#[from] ServiceManagerError),
}

impl BringUpError {
    /// The setting that can never be carried out, if it is that.
    pub fn bad_setting(&self) -> Option<&PlanError> {
        match self {
            Self::Plan(error) | Self::Apply(ApplyError::Plan(error)) => Some(error),
            _ => None,
        }
    }
}
