//! What the relay works with, from the files that the join has left. Nothing is written here: `skerry-node join` looks
//! after these files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::identity::record::parse_sealed;
use crate::identity::{KnownCluster, Pair, PairError, paths};
use crate::join_config::NodeSettings;
use crate::node_files::{self, ApplyError};

/// Who the node is, and where its control plane.
#[derive(Debug)]
pub struct Config {
    /// The node's name.
    pub node_name: String,
    /// The cluster.
    pub cluster: KnownCluster,
    /// What the node is like.
    pub settings: NodeSettings,
    /// Where kubelet keeps the certificate in use, with its key.
    pub certificate: PathBuf,
}

/// Why the relay does not know what to work with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that is not to be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No cluster that this program knows how to read.
    #[error("{path}: {wrong}; it is mended at the next boot")]
    Cluster {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        wrong: String,
    },
    /// No certificate.
    #[error("{path} is no certificate of a node")]
    Certificate {
        /// Which.
        path: PathBuf,
        /// Why.
        source: PairError,
    },
    /// The settings.
    #[error(transparent)]
    Settings(#[from] ApplyError),
}

impl Config {
    /// Reads it from the machine whose files lie below `root`.
    pub fn read(root: &Path) -> Result<Self, ConfigError> {
        let at = |path: &str| root.join(path.trim_start_matches('/'));
        let path = at(paths::CLUSTER);
        let cluster = parse_sealed::<KnownCluster>(&read(&path)?);
        let cluster = cluster.map_err(|error| ConfigError::Cluster {
            path,
            wrong: error.to_string(),
        })?;
        let certificate = at(paths::CURRENT);
        let pair = pair(&certificate)?;
        Ok(Self {
            node_name: pair.leaf.node_name,
            cluster,
            settings: node_files::kept_settings(root)?,
            certificate,
        })
    }
}

/// The node's certificate and key, as they are now: kubelet rotates them.
pub fn pair(path: &Path) -> Result<Pair, ConfigError> {
    Pair::parse(&read(path)?).map_err(|source| ConfigError::Certificate {
        path: path.to_owned(),
        source,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    fs::read(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })
}

/// Whether the machine's settings ask for a relay. Settings that cannot be read ask for none: kubelet was told so, too.
pub fn wanted(root: &Path) -> bool {
    node_files::kept_settings(root).is_ok_and(|settings| settings.relay.enabled)
}
