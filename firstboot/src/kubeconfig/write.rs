//! Kubeconfigs as they are written: one cluster, one user, one context.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::control_plane::Cluster;
use crate::join_config::Credential;
use crate::secret::Secret;

/// Where kubelet keeps the certificate that it works with, and renews it (client-go, `util/certificate`).
pub const CLIENT_CERTIFICATE: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";

/// The kubeconfig of a node's kubelet at `cluster`: the authorities lie in it, certificate and key at
/// [`CLIENT_CERTIFICATE`].
pub fn to_yaml(cluster: &Cluster) -> String {
    let user = format!("    client-certificate: {CLIENT_CERTIFICATE}\n    client-key: {CLIENT_CERTIFICATE}\n");
    document(cluster, &user)
}

/// A kubeconfig that holds everything, the credential as well.
pub(crate) fn with_credential(cluster: &Cluster, credential: &Credential) -> Secret {
    let user = match credential {
        Credential::BootstrapToken(token) => format!("    token: {}\n", quoted(token.whole().expose())),
        Credential::Bearer(token) => format!("    token: {}\n", quoted(token.expose())),
        Credential::ClientCertificate { certificate, key } => format!(
            "    client-certificate-data: {}\n    client-key-data: {}\n",
            STANDARD.encode(certificate),
            STANDARD.encode(key.expose())
        ),
    };
    Secret::new(document(cluster, &user))
}

fn document(cluster: &Cluster, user: &str) -> String {
    let name = match &cluster.tls_server_name {
        Some(name) => format!("    tls-server-name: {}\n", quoted(name)),
        None => String::new(),
    };
    format!(
        "apiVersion: v1\n\
         kind: Config\n\
         clusters:\n\
         - name: default\n\
         \x20 cluster:\n\
         \x20   certificate-authority-data: {}\n\
         \x20   server: {}\n\
         {name}\
         contexts:\n\
         - name: default\n\
         \x20 context:\n\
         \x20   cluster: default\n\
         \x20   user: default\n\
         current-context: default\n\
         users:\n\
         - name: default\n\
         \x20 user:\n\
         {user}",
        STANDARD.encode(&cluster.authorities),
        quoted(&cluster.server.to_string()),
    )
}

/// A JSON string is a double-quoted scalar of YAML 1.2.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
