//! The cluster as it is kept: what kubelet's kubeconfig says, and nothing that could hold a token.

use serde::{Deserialize, Serialize};
use x509_parser::pem::Pem;

use crate::control_plane::Cluster;
use crate::join_config::Endpoint;

/// A cluster without any credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct KnownCluster {
    /// The name its certificate is checked for, where it is not the server's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_server_name: Option<String>,
    /// The authorities that sign its certificate, PEM.
    pub authorities: String,
    /// Where the API server answers.
    #[serde(with = "EndpointForm")]
    pub server: Endpoint,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Endpoint")]
struct EndpointForm {
    host: String,
    port: u16,
    path: String,
}

impl KnownCluster {
    /// The cluster for requests by the node itself.
    pub fn to_cluster(&self) -> Cluster {
        Cluster {
            server: self.server.clone(),
            authorities: self.authorities.clone(),
            tls_server_name: self.tls_server_name.clone(),
            credential: None,
        }
    }

    /// The authorities' certificates, DER.
    pub(super) fn certificates(&self) -> Vec<Vec<u8>> {
        certificates(&self.authorities)
    }

    /// Whether there are authorities and each can be read.
    pub(super) fn has_readable_authorities(&self) -> bool {
        let found = self.certificates();
        !found.is_empty()
            && found.len() == self.authorities.matches("-----BEGIN").count()
            && found.iter().all(|der| x509_parser::parse_x509_certificate(der).is_ok())
    }
}

/// The certificates of a bundle, DER.
pub(super) fn certificates(bundle: &str) -> Vec<Vec<u8>> {
    let blocks = Pem::iter_from_buffer(bundle.as_bytes()).filter_map(Result::ok);
    blocks.map(|block| block.contents).collect()
}

impl From<&Cluster> for KnownCluster {
    fn from(cluster: &Cluster) -> Self {
        Self {
            tls_server_name: cluster.tls_server_name.clone(),
            authorities: cluster.authorities.clone(),
            server: cluster.server.clone(),
        }
    }
}
