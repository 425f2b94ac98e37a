//! A node learns which authorities its cluster names beside those that it knows, as long as one of those still vouches for
//! the control plane: when the old one goes, the node knows the new one.

use crate::certificates::BundleError;
use crate::control_plane::{ApiError, Caller, ControlPlane};
use crate::disk::Disk;
use crate::identity::{Home, IdentityError, KnownCluster, Pair};

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learnt {
    /// There are more of them, and they are kept: kubelet has to read them.
    More,
    /// The node knows all of them.
    Nothing,
}

/// Why nothing was learnt.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// The control plane does not answer.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// What it names cannot be used.
    #[error("the authorities that the cluster names cannot be used")]
    Bundle(#[from] BundleError),
    /// They cannot be kept.
    #[error("cannot keep the authorities that the cluster names")]
    Keep(#[from] IdentityError),
}

/// Asks the control plane of the cluster `known`, as the node with the certificate `pair`, and keeps what is new beside
/// what is known; nothing is ever taken away. To be called when a call as this node has worked.
pub async fn learn_authorities<P: ControlPlane, D: Disk>(
    plane: &P,
    home: &Home<D>,
    known: &KnownCluster,
    pair: &Pair,
) -> Result<Learnt, LearnError> {
    let caller = Caller::Node {
        certificate: &pair.chain,
        key: &pair.key,
    };
    let Some(named) = plane.authorities(&known.to_cluster(), caller).await? else {
        return Ok(Learnt::Nothing);
    };
    match known.with_authorities(&named)? {
        None => Ok(Learnt::Nothing),
        Some(cluster) => {
            home.remember_cluster(&cluster)?;
            Ok(Learnt::More)
        }
    }
}
