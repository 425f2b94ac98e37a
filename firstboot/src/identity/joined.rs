//! The record that a machine has joined: written last, and the only word on which join files it has used.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// How many join files are remembered, the latest ones.
const REMEMBERED: usize = 16;

/// Whether a call as the node has worked. Until then the join file may still be needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proven {
    /// It has.
    Yes,
    /// Not yet.
    #[default]
    No,
}

/// What has become of the medium with the join file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Medium {
    /// The file is to be erased.
    ToErase,
    /// It was erased.
    Erased,
    /// It stays: that was wanted, or the medium cannot be written.
    Stays,
}

/// A join file that was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Consumed {
    /// Digest of its content.
    pub join_file: Digest,
    /// Public part of its bootstrap token, if it held one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// Where the file is now.
    pub medium: Medium,
}

/// What `joined.toml` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct JoinedRecord {
    pub(super) node_name: String,
    /// Fingerprint of the certificate with which the machine joined; kubelet replaces it by later ones.
    pub(super) certificate: Digest,
    pub(super) proven: Proven,
    #[serde(default)]
    pub(super) consumed: Vec<Consumed>,
}

impl JoinedRecord {
    /// Adds a join file, or replaces what was known of it.
    pub(super) fn remember(&mut self, consumed: Consumed) {
        self.consumed.retain(|known| known.join_file != consumed.join_file);
        self.consumed.push(consumed);
        let surplus = self.consumed.len().saturating_sub(REMEMBERED);
        self.consumed.drain(..surplus);
    }
}
