//! What containerd is told of this machine: its environment. Its configuration is the same everywhere and part of the
//! image (`overlays/node/etc/containerd/config.toml`).
//!
//! An environment file that the unit names always, not a drop-in: systemd reads it at each start of the service, without
//! a reload of its own.

use super::sizing::Sizing;
use super::{MachineFacts, PlanError, PlannedFile, Reader, proxy};
use crate::join_config::NodeSettings;

/// The environment of `containerd.service`.
pub const ENVIRONMENT: &str = "/run/skerry/containerd.env";

/// The environment file. It is not secret, but a proxy's URL can hold a password.
pub fn plan(facts: &MachineFacts, settings: &NodeSettings) -> Result<Vec<PlannedFile>, PlanError> {
    let heap = Sizing::of(facts, &settings.kubelet).heap_environment();
    let proxy = proxy::environment(&settings.network)?;
    Ok(vec![PlannedFile {
        path: ENVIRONMENT.into(),
        mode: 0o600,
        content: format!("{heap}{proxy}"),
        reader: Reader::Containerd,
    }])
}
