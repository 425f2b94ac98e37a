//! What the join learns at each boot, a machine that runs for months learns on the way: the authorities that the cluster
//! names beside those that the node knows.

use std::path::Path;
use std::sync::Arc;

use super::config::{self, Config, ConfigError};
use crate::client::{Client, ProxyError};
use crate::clock::Clock;
use crate::disk::RealDisk;
use crate::identity::Home;
use crate::join::{LearnError, Learnt, learn_authorities};

/// Why nothing was learnt.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// Who the node is cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no way to the control plane.
    #[error("the proxy on the way to the control plane cannot be used")]
    Proxy(#[from] ProxyError),
    /// The control plane, or the disk.
    #[error(transparent)]
    Learn(#[from] LearnError),
}

/// Asks the control plane of the machine whose files lie below `root`, as its node. What is new is kept beside what is
/// known; kubelet reads its own copy anew by itself (`clientCAFile`), the relay when it begins anew.
pub async fn learn(root: &Path, clock: &Arc<dyn Clock>) -> Result<Learnt, AuthoritiesError> {
    let config = Config::read(root)?;
    let pair = config::pair(&config.certificate)?;
    let client = Client::new(&config.settings.network, Arc::clone(clock))?;
    let home = Home::new(RealDisk::new(root));
    Ok(learn_authorities(&client, &home, &config.cluster, &pair).await?)
}
