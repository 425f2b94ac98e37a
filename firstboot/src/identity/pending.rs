//! A join under way, as it is kept before anything is asked of the control plane.

use serde::{Deserialize, Serialize};

use super::cluster::KnownCluster;
use super::joined::{Consumed, Medium, Proven};
use super::pair::{self, Leaf, Pair, PairError};
use crate::digest::Digest;
use crate::join_config::NodeSettings;
use crate::secret::Secret;

/// A join under way. One file holds it all, so that the key never parts from what it was made for.
///
/// The same key is used until the join is done: the signing request's name follows from it, so that every retry finds
/// the first one again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PendingJoin {
    /// The node's name.
    pub node_name: String,
    /// Name of the signing request.
    pub csr_name: String,
    /// How many other names were tried before, because somebody else's request had them.
    #[serde(default)]
    pub csr_variant: u32,
    /// Digest of the join file.
    pub join_file: Digest,
    /// Public part of the file's bootstrap token, if it holds one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// What is to become of the file.
    pub medium: Medium,
    /// Whether a call with the certificate has worked.
    #[serde(default)]
    pub proven: Proven,
    /// The node's key, PEM.
    #[serde(with = "key_form")]
    pub key: Secret,
    /// The chain, PEM, once it was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The cluster that it is about.
    pub cluster: KnownCluster,
    /// What the node is to be like.
    #[serde(default)]
    pub settings: NodeSettings,
}

impl PendingJoin {
    /// Certificate and key, once the certificate was issued.
    pub fn pair(&self) -> Option<Result<Pair, PairError>> {
        self.certificate.as_ref().map(|chain| Pair::new(chain, &self.key))
    }

    /// Whether key and certificate can be used.
    pub(super) fn check(&self) -> Result<(), PairError> {
        match self.pair() {
            Some(pair) => pair.map(drop),
            None => pair::public_key(&self.key).map(drop),
        }
    }

    /// By what the certificate is recognised in the record of what was joined.
    pub(super) fn fingerprint(&self) -> Option<Digest> {
        let leaf = Leaf::parse(self.certificate.as_ref()?).ok()?;
        Some(leaf.fingerprint)
    }

    pub(super) fn consumed(&self) -> Consumed {
        Consumed {
            join_file: self.join_file,
            token_id: self.token_id.clone(),
            medium: self.medium,
        }
    }
}

/// The one file in which the key lies open, readable for root alone.
mod key_form {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::secret::Secret;

    pub(super) fn serialize<S: Serializer>(key: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(key.expose())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}
