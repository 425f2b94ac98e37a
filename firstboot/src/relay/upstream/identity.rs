//! The certificate by which the relay is the node: kubelet's, which kubelet replaces by another now and then.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use zeroize::Zeroizing;

use crate::client::Failure;
use crate::identity::Pair;
use crate::tls::Identity;

/// Which certificate it is, without reading it: where its link leads, and how old that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    target: Option<PathBuf>,
    modified: Option<SystemTime>,
}

/// A certificate and its key.
#[derive(Debug)]
pub(super) struct NodeIdentity {
    pair: Pair,
    pub stamp: Stamp,
}

impl Stamp {
    pub fn of(path: &Path) -> Self {
        Self {
            target: fs::read_link(path).ok(),
            modified: fs::metadata(path).and_then(|metadata| metadata.modified()).ok(),
        }
    }
}

impl NodeIdentity {
    pub fn read(path: &Path) -> Result<Self, Failure> {
        // Before the content: if the link moves in between, the stamp is old, and the content is read again.
        let stamp = Stamp::of(path);
        let unreadable = |reason: String| Failure::Identity(format!("{}: {reason}", path.display()));
        let content = fs::read(path).map(Zeroizing::new);
        let content = content.map_err(|error| unreadable(error.to_string()))?;
        let pair = Pair::parse(&content).map_err(|error| unreadable(error.to_string()))?;
        Ok(Self { pair, stamp })
    }

    /// What is shown to the server.
    pub fn shown(&self) -> Identity<'_> {
        Identity {
            certificate: &self.pair.chain,
            key: &self.pair.key,
        }
    }
}
