//! The cluster as it is kept: what kubelet's kubeconfig says, and nothing that could hold a token.

use serde::{Deserialize, Serialize};

use crate::certificates::{BundleError, MAX_CERTIFICATES, bundle, to_pem};
use crate::control_plane::Cluster;
use crate::join_config::Endpoint;
use crate::kubeconfig::{self, Purpose, to_yaml};

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
    pub server: Endpoint,
    /// Where else it answers. kubelet's kubeconfig names one place only; the relay knows them all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Endpoint>,
}

impl KnownCluster {
    /// The cluster for requests by the node itself.
    pub fn to_cluster(&self) -> Cluster {
        Cluster {
            server: self.server.clone(),
            others: self.others.clone(),
            authorities: self.authorities.clone(),
            tls_server_name: self.tls_server_name.clone(),
            credential: None,
        }
    }

    /// The same cluster with those of the authorities in `named`, PEM, that it does not have yet; none if it has them all.
    pub fn with_authorities(&self, named: &str) -> Result<Option<Self>, BundleError> {
        let mut all = bundle(&self.authorities)?;
        let known = all.len();
        for certificate in bundle(named)? {
            if !all.contains(&certificate) {
                all.push(certificate);
            }
        }
        match all.len() {
            len if len > MAX_CERTIFICATES => Err(BundleError::TooMany),
            len if len == known => Ok(None),
            _ => Ok(Some(Self {
                authorities: to_pem(&all),
                ..self.clone()
            })),
        }
    }

    /// kubelet's kubeconfig.
    pub(super) fn to_kubeconfig(&self) -> String {
        to_yaml(&self.to_cluster())
    }

    /// The cluster of a kubeconfig that [`KnownCluster::to_kubeconfig`] wrote; none if it is not exactly that.
    pub(super) fn from_kubeconfig(content: &[u8]) -> Option<Self> {
        // The reader refuses users whose keys lie in files.
        let users = std::str::from_utf8(content).ok()?.find("users:\n")?;
        let read = kubeconfig::parse(&content[..users], Purpose::ClusterInfo).ok()?;
        let cluster = Self {
            tls_server_name: read.tls_server_name,
            authorities: read.authorities,
            server: read.server,
            others: Vec::new(),
        };
        (cluster.to_kubeconfig().as_bytes() == content).then_some(cluster)
    }
}

impl From<&Cluster> for KnownCluster {
    fn from(cluster: &Cluster) -> Self {
        Self {
            tls_server_name: cluster.tls_server_name.clone(),
            authorities: cluster.authorities.clone(),
            server: cluster.server.clone(),
            others: cluster.others.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(name: &str) -> String {
        let authority = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        authority.cert.pem().replace("\r\n", "\n")
    }

    fn cluster(authorities: String) -> KnownCluster {
        KnownCluster {
            tls_server_name: None,
            authorities,
            server: "https://api.example.org".parse().unwrap(),
            others: Vec::new(),
        }
    }

    #[test]
    fn authorities_are_added_once_and_never_taken_away() {
        let [old, new] = ["old", "new"].map(authority);
        let before = cluster(old.clone());
        let both = format!("{old}{new}");
        for named in [both.clone(), new.clone(), format!("{new}{new}"), format!("{new}{old}")] {
            let after = before.with_authorities(&named).unwrap();
            assert_eq!(after, Some(cluster(both.clone())));
        }
        for named in [&old, &new, &both] {
            assert_eq!(cluster(both.clone()).with_authorities(named), Ok(None));
        }
    }

    #[test]
    fn a_bundle_that_cannot_be_read_or_grows_too_large_changes_nothing() {
        let before = cluster(authority("old"));
        assert_eq!(before.with_authorities("hello"), Err(BundleError::Empty));
        let many: String = (0..MAX_CERTIFICATES)
            .map(|number| authority(&format!("a{number}")))
            .collect();
        assert_eq!(before.with_authorities(&many), Err(BundleError::TooMany));
    }

    #[test]
    fn a_cluster_is_read_back_from_its_kubeconfig_and_not_from_a_part_or_another_text() {
        let authority = rcgen::generate_simple_self_signed(Vec::new()).unwrap();
        for tls_server_name in [None, Some("api.example.org".to_owned())] {
            let cluster = KnownCluster {
                tls_server_name,
                authorities: authority.cert.pem(),
                server: Endpoint {
                    host: "2001:db8::1".into(),
                    port: 6443,
                    path: "/k8s/clusters/c-x".into(),
                },
                others: Vec::new(),
            };
            let text = cluster.to_kubeconfig();
            assert_eq!(KnownCluster::from_kubeconfig(text.as_bytes()), Some(cluster));
            for len in (0..text.len()).step_by(7) {
                assert_eq!(KnownCluster::from_kubeconfig(&text.as_bytes()[..len]), None, "{len}");
            }
            let edited = text.replace("client-key", "client-cat");
            assert_eq!(KnownCluster::from_kubeconfig(edited.as_bytes()), None);
        }
    }
}
