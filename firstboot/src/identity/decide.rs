//! What is to be done at a boot, from what was found on the disk and in a join file. Pure: no disk, no network, no clock.

use std::fmt;

use super::{Digest, Identity, KnownCluster, Loaded, Medium, PendingJoin};
use crate::certificates::bundle;
use crate::discovery::pin::pinned;
use crate::join_config::{JoinConfig, Trust};

/// A join file that was found.
#[derive(Debug, Clone, Copy)]
pub struct JoinFile<'a> {
    /// What it says.
    pub config: &'a JoinConfig,
    /// Digest of its content.
    pub digest: Digest,
    /// The node's name that follows from it on this machine.
    pub node_name: &'a str,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The identity is good and nothing else is to be done. No network is needed.
    StartKubelet,
    /// The same, and the join file is still, or again, on its medium: it is to be erased once the identity is proven.
    StartKubeletAndFinishScrub,
    /// The machine has no identity and joins.
    Join {
        /// With which key.
        key: KeyChoice,
    },
    /// The machine has an identity, which stays until another one is proven, and joins anew.
    RenewIdentity {
        /// Why.
        reason: RenewReason,
        /// With which key.
        key: KeyChoice,
    },
    /// A new certificate lies ready; a call with it decides whether it takes the old one's place.
    ProveSuccessor,
    /// Somebody has to do something first.
    Wait {
        /// What for.
        reason: WaitReason,
    },
}

/// With which key a signing request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyChoice {
    /// The one of the join under way, so that the request is found that may have been posted.
    Pending,
    /// A new one.
    New,
}

/// Why a machine with an identity joins anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RenewReason {
    /// A join file that was not used before.
    NewJoinFile,
    /// It gives the node another name.
    NodeName {
        /// The name that the node has.
        from: String,
        /// The name that it is to have.
        to: String,
    },
    /// It is for another cluster.
    OtherCluster,
    /// The certificate has expired.
    CertificateExpired {
        /// When, seconds since 1970.
        not_after: u64,
    },
}

/// What a machine waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitReason {
    /// It has never seen a join file.
    NoJoinFile,
    /// It has asked for a certificate, and the join file is gone.
    JoinFileGone {
        /// The node's name it asked for.
        node_name: String,
    },
    /// The certificate has expired, and there is no join file.
    CertificateExpired {
        /// When, seconds since 1970.
        not_after: u64,
    },
}

/// The control plane at the known address is another cluster than the one that the machine belongs to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the control plane at {server} has other authorities than the cluster that this node belongs to")]
pub struct OtherCluster {
    /// Its address.
    pub server: String,
}

impl OtherCluster {
    /// What a person can do about it.
    pub fn advice(&self) -> &'static str {
        "if the cluster was made anew on purpose, give the machine a join file that names the new authority"
    }
}

/// What is to be done at `now`, seconds since 1970. The clock should be trusted when this is asked: one that is ahead
/// makes a good certificate look expired. One that is behind does no harm.
pub fn decide(loaded: &Loaded, join_file: Option<&JoinFile<'_>>, now: u64) -> Decision {
    match (loaded, join_file) {
        (Loaded::Fresh, None) => wait(WaitReason::NoJoinFile),
        (Loaded::Fresh, Some(_)) => Decision::Join { key: KeyChoice::New },
        (Loaded::Requested(pending), None) => wait(WaitReason::JoinFileGone {
            node_name: pending.node_name.clone(),
        }),
        (Loaded::Requested(pending), Some(file)) => Decision::Join {
            key: key_choice(Some(pending), file),
        },
        (Loaded::Joined(identity), file) => decide_joined(identity, file, now),
    }
}

fn decide_joined(identity: &Identity, join_file: Option<&JoinFile<'_>>, now: u64) -> Decision {
    let successor = identity.successor.as_deref();
    let known = join_file.and_then(|file| identity.consumed(&file.digest));
    let expired = identity.is_expired(now).then_some(identity.pair.leaf.not_after);
    if let Some(successor) = successor
        && is_ready(successor, now)
        && join_file.is_none_or(|file| known.is_some() || file.digest == successor.join_file)
    {
        return Decision::ProveSuccessor;
    }
    match (join_file, known, expired) {
        (None, _, None) => Decision::StartKubelet,
        (None, _, Some(not_after)) => wait(WaitReason::CertificateExpired { not_after }),
        (Some(_), Some(known), None) => match known.medium {
            Medium::ToErase | Medium::Erased => Decision::StartKubeletAndFinishScrub,
            Medium::Stays => Decision::StartKubelet,
        },
        (Some(file), None, None) => Decision::RenewIdentity {
            reason: renew_reason(identity, file),
            key: key_choice(successor, file),
        },
        (Some(file), _, Some(not_after)) => Decision::RenewIdentity {
            reason: RenewReason::CertificateExpired { not_after },
            key: key_choice(successor, file),
        },
    }
}

/// Whether there is nothing left but to try the certificate.
fn is_ready(successor: &PendingJoin, now: u64) -> bool {
    matches!(successor.pair(), Some(Ok(pair)) if now <= pair.leaf.not_after)
}

fn renew_reason(identity: &Identity, file: &JoinFile<'_>) -> RenewReason {
    if !names_cluster(file.config, &identity.cluster) {
        RenewReason::OtherCluster
    } else if file.node_name != identity.node_name {
        RenewReason::NodeName {
            from: identity.node_name.clone(),
            to: file.node_name.to_owned(),
        }
    } else {
        RenewReason::NewJoinFile
    }
}

/// A key serves for one cluster and one name. The same file means the same cluster, whatever address that turned out to
/// have: a new key would leave the first one's request behind.
fn key_choice(pending: Option<&PendingJoin>, file: &JoinFile<'_>) -> KeyChoice {
    let same = |pending: &PendingJoin| {
        pending.node_name == file.node_name
            && (pending.join_file == file.digest || names_cluster(file.config, &pending.cluster))
    };
    match pending.is_some_and(same) {
        true => KeyChoice::Pending,
        false => KeyChoice::New,
    }
}

/// To be asked after discovery: refuses a cluster that was made anew at the known address, unless the
/// join file itself names its authority.
pub fn check_cluster(loaded: &Loaded, config: &JoinConfig, discovered: &KnownCluster) -> Result<(), OtherCluster> {
    let Loaded::Joined(identity) = loaded else {
        return Ok(());
    };
    let same_place =
        identity.cluster.server == discovered.server || config.endpoints.contains(&identity.cluster.server);
    let named = config.trust != Trust::UnsafeTokenOnly;
    if !same_place || named || shares_authority(&identity.cluster.authorities, &discovered.authorities) {
        return Ok(());
    }
    Err(OtherCluster {
        server: discovered.server.to_string(),
    })
}

/// Whether `config` is about `cluster`.
fn names_cluster(config: &JoinConfig, cluster: &KnownCluster) -> bool {
    match &config.trust {
        Trust::Authorities(authorities) => shares_authority(authorities, &cluster.authorities),
        Trust::Pins(pins) => bundle(&cluster.authorities).is_ok_and(|found| !pinned(&found, pins).is_empty()),
        Trust::UnsafeTokenOnly => config.endpoints.contains(&cluster.server),
    }
}

fn shares_authority(some: &str, others: &str) -> bool {
    match (bundle(some), bundle(others)) {
        (Ok(some), Ok(others)) => some.iter().any(|certificate| others.contains(certificate)),
        _ => false,
    }
}

fn wait(reason: WaitReason) -> Decision {
    Decision::Wait { reason }
}

impl fmt::Display for RenewReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewJoinFile => f.write_str("there is a new join file"),
            Self::NodeName { from, to } => write!(f, "the join file renames the node from `{from}` to `{to}`"),
            Self::OtherCluster => f.write_str("the join file is for another cluster"),
            Self::CertificateExpired { .. } => f.write_str("the node's certificate has expired"),
        }
    }
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoJoinFile => f.write_str("no join file"),
            Self::JoinFileGone { node_name } => {
                write!(
                    f,
                    "a certificate for `{node_name}` was asked for, and the join file is gone"
                )
            }
            Self::CertificateExpired { .. } => {
                f.write_str("the node's certificate has expired, and there is no join file")
            }
        }
    }
}
