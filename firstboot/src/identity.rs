//! Everything of a join that lasts: key, certificate, kubeconfig, settings, and which join files were used.
//!
//! ```text
//! Fresh ──remember_key──→ Requested ──remember_certificate──→ Joined, not proven ──mark_proven──→ Joined, proven
//!                                                                          Joined, proven ──mark_scrubbed──→ no token left
//! Joined ──remember_key, remember_certificate──→ Joined, with a successor ──mark_proven──→ Joined as the successor
//! ```
//!
//! [`Home`] reads and changes it through a [`Disk`](crate::disk::Disk) only; [`decide`] says what is to be done with it.
//! The power may be cut at any instruction:
//!
//! - `pending.toml` holds a join under way in one file. Once it holds the certificate it is a log: [`Home::load`] carries
//!   out what a cut has left undone, and removes it last.
//! - `joined.toml` is written after all other files. `cluster.toml` and the certificate are what counts; kubelet.conf and
//!   ca.crt are made from them, and made again when they differ.
//! - kubelet rotates its certificate itself and syncs nothing: after a cut the newest certificate that is whole is linked.
//! - What cannot be repaired is renamed to `….damaged` and the machine counts as not joined. Nothing but a factory reset,
//!   or the proof of a successor, deletes a key.
//!
//! No token is ever given to the disk: no function here takes one. Times are seconds since 1970.

mod activate;
mod cluster;
mod decide;
mod error;
mod finding;
mod home;
mod joined;
mod load;
mod pair;
pub mod paths;
mod pending;
pub(crate) mod record;
mod repair;

pub use cluster::KnownCluster;
pub use decide::{Decision, JoinFile, KeyChoice, OtherCluster, RenewReason, WaitReason, check_cluster, decide};
pub use error::IdentityError;
pub use finding::{Finding, Remedy};
pub use home::Home;
pub use joined::{Consumed, Medium, Proven};
pub use pair::{Leaf, Pair, PairError};
pub use pending::PendingJoin;

pub use crate::digest::Digest;
use crate::join_config::NodeSettings;

/// What was found on the disk, and what was wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// How far the machine has come.
    pub state: Loaded,
    /// Damage, and what was done about it.
    pub findings: Vec<Finding>,
}

/// How far a machine has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loaded {
    /// Nothing was begun.
    Fresh,
    /// There is a key, and no certificate yet; a signing request may have been posted.
    Requested(Box<PendingJoin>),
    /// There is an identity that kubelet can run with.
    Joined(Box<Identity>),
}

/// A node's identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The node's name.
    pub node_name: String,
    /// Certificate and key.
    pub pair: Pair,
    /// The cluster.
    pub cluster: KnownCluster,
    /// What the node is to be like.
    pub settings: NodeSettings,
    /// Whether a call as this node has worked.
    pub proven: Proven,
    /// The join files that were used.
    pub consumed: Vec<Consumed>,
    /// A join under way that is to replace this identity once it is proven.
    pub successor: Option<Box<PendingJoin>>,
}

impl Identity {
    /// Whether the certificate has expired at `now`.
    pub fn is_expired(&self, now: u64) -> bool {
        now > self.pair.leaf.not_after
    }

    /// What is known of a join file with this digest; none if it was never used.
    pub fn consumed(&self, join_file: &Digest) -> Option<&Consumed> {
        self.consumed.iter().find(|known| known.join_file == *join_file)
    }

    /// Whether a join file with this digest was used already.
    pub fn is_consumed(&self, join_file: &Digest) -> bool {
        self.consumed(join_file).is_some()
    }

    /// Whether a join file still has to be erased from its medium.
    pub fn must_scrub(&self) -> bool {
        self.consumed.iter().any(|known| known.medium == Medium::ToErase)
    }
}
