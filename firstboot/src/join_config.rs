//! What a machine needs to know to join a control plane.
//!
//! In: the bytes of a join file, in any of the forms of [`parse`]. Out: a checked [`JoinConfig`] and sentences about keys
//! that this version does not know. The secret part ([`JoinConfig::credential`]) lives in memory only; everything that
//! must outlive the join is in [`NodeSettings`] and [`Cluster`](crate::control_plane::Cluster).

pub(crate) mod authorities;
mod credential;
mod draft;
mod endpoint;
mod error;
mod form;
mod k0s;
mod kkp;
mod kubeadm;
pub(crate) mod labels;
mod mask;
pub(crate) mod network;
pub(crate) mod node_name;
mod parse;
mod quantity;
mod section;
mod settings;
mod settings_form;
mod shell_words;
mod toml_form;
pub(crate) mod wifi;
mod write;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hex::write_hex;
use crate::secret::Secret;

pub use authorities::AuthoritiesError;
pub use credential::{PinError, TokenError};
pub use endpoint::EndpointError;
pub use error::{Contradiction, JoinConfigError, Problem};
pub use k0s::K0sError;
pub use mask::Spot;
pub use node_name::{NameError, check_template as check_node_name};
pub use parse::{MAX_BYTES, Parsed, parse, parse_strict};
pub use wifi::WifiSettings;
pub use write::Inexpressible;

pub(crate) use mask::shown;
pub use settings::{
    Address, KubeletSettings, Labels, NetworkSettings, NodeSettings, PodNetwork, RegistryMirror, RelaySettings,
    ServingCertificate, Swap,
};

/// The version of the format that this program reads and writes.
pub const VERSION: u32 = 1;

/// A checked join file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinConfig {
    /// Where the control plane answers, in the order in which it is tried; at least one.
    pub endpoints: Vec<Endpoint>,
    /// By what the control plane is recognised.
    pub trust: Trust,
    /// How the cluster's own description is obtained.
    pub discovery: Discovery,
    /// What the machine may do before it has a certificate.
    pub credential: Credential,
    /// The name that the server's certificate is checked for, where it is not the endpoint's host.
    pub tls_server_name: Option<String>,
    /// What happens to the file when the machine has joined.
    pub after_join: AfterJoin,
    /// What the node is to be like; kept on the machine.
    pub settings: NodeSettings,
}

/// A place where the API server answers: always HTTPS.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// Host name or address; an IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path below which the API lies, such as `/k8s/clusters/c-x`; empty or beginning with `/`, never ending with one.
    pub path: String,
}

/// By what the control plane is recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Certificates of authorities, PEM.
    Authorities(String),
    /// Digests of authorities' public keys; at least one. The certificates come from the control plane.
    Pins(Vec<CaPin>),
    /// Nothing but the token: who knows any token of the cluster can pose as it. Only by an explicit key.
    UnsafeTokenOnly,
}

/// SHA-256 of an authority's SubjectPublicKeyInfo in DER, as kubeadm's `sha256:…` (RFC 7469 §2.4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaPin(pub [u8; 32]);

/// How the cluster's own description is obtained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Discovery {
    /// From the ConfigMap `kube-public/cluster-info`, signed with the token (kubeadm's token discovery).
    ClusterInfo,
    /// Not at all: endpoints and authorities are as given (a kubeconfig or a k0s token).
    Given,
    /// From a bootstrap kubeconfig in a Secret of `cloud-init-settings` (the values of KKP's edge script).
    KkpSecret {
        /// The Secret's name.
        name: String,
    },
}

/// What the machine may do before it has a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A bootstrap token.
    BootstrapToken(BootstrapToken),
    /// Some other bearer token.
    Bearer(Secret),
    /// A client certificate with its key, both PEM.
    ClientCertificate {
        /// The chain.
        certificate: String,
        /// The key.
        key: Secret,
    },
}

/// A bootstrap token, `id.secret`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootstrapToken {
    /// Public part: 6 characters.
    pub id: String,
    /// Secret part: 16 characters.
    pub secret: Secret,
}

/// What happens to the join file when the machine has joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AfterJoin {
    /// It is overwritten and deleted.
    #[default]
    Erase,
    /// It stays: a stick that serves several machines.
    Keep,
}

impl JoinConfig {
    /// The endpoints beside `server`.
    pub fn others_than(&self, server: &Endpoint) -> Vec<Endpoint> {
        let others = self.endpoints.iter().filter(|endpoint| *endpoint != server);
        others.cloned().collect()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, path } = self;
        match host.contains(':') {
            true => write!(f, "https://[{host}]:{port}{path}"),
            false => write!(f, "https://{host}:{port}{path}"),
        }
    }
}

impl fmt::Debug for CaPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for CaPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        write_hex(f, &self.0)
    }
}

#[cfg(test)]
mod tests;
