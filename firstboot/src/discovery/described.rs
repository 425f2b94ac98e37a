//! The kubeconfig that a control plane hands out, as far as a join needs it. Strict, because it comes from the network:
//! everything that would make the node trust less, read a file, run a program or take a detour is refused, and so are
//! YAML's anchors, aliases and merge keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::certificates::{self, BundleError};
use crate::join_config::{BootstrapToken, Credential, Endpoint};
use crate::secret::Secret;

/// A cluster as a kubeconfig describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Where it answers.
    pub server: Endpoint,
    /// Its authorities, PEM.
    pub authorities: String,
    /// The name its certificate is checked for, where it is not the server's host.
    pub tls_server_name: Option<String>,
}

/// Why a kubeconfig describes no cluster to join.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DescribedError {
    /// It cannot be read.
    #[error("the kubeconfig is not YAML as kubeconfigs use it: {0}")]
    NotYaml(String),
    /// No cluster is named `""`, and none is the current context's.
    #[error("the kubeconfig has no cluster named \"\" and none for its current context")]
    NoCluster,
    /// It says something that a node must not obey.
    #[error("the kubeconfig has `{0}`, which a node does not obey")]
    Refused(&'static str),
    /// The server is not an https address.
    #[error("the kubeconfig's server is not an https address")]
    NotHttps,
    /// There are no authorities in it.
    #[error("the kubeconfig has no `certificate-authority-data`")]
    NoAuthorities,
    /// The authorities cannot be read.
    #[error("the kubeconfig's `certificate-authority-data` is damaged: {0}")]
    BadAuthorities(BundleError),
    /// It gives no credential.
    #[error("the kubeconfig has no token and no client certificate for its current context")]
    NoCredential,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Kubeconfig {
    #[serde(default)]
    clusters: Option<Vec<NamedCluster>>,
    #[serde(default)]
    contexts: Option<Vec<NamedContext>>,
    #[serde(default)]
    users: Option<Vec<NamedUser>>,
    #[serde(default)]
    current_context: String,
}

#[derive(Deserialize)]
struct NamedCluster {
    #[serde(default)]
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    #[serde(default)]
    server: String,
    certificate_authority_data: Option<String>,
    tls_server_name: Option<String>,
    #[serde(default)]
    insecure_skip_tls_verify: bool,
    certificate_authority: Option<IgnoredAny>,
    proxy_url: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct NamedContext {
    #[serde(default)]
    name: String,
    context: Context,
}

#[derive(Deserialize)]
struct Context {
    #[serde(default)]
    cluster: String,
    #[serde(default)]
    user: String,
}

#[derive(Deserialize)]
struct NamedUser {
    #[serde(default)]
    name: String,
    #[serde(default)]
    user: Option<User>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<IgnoredAny>,
    client_certificate: Option<IgnoredAny>,
    client_key: Option<IgnoredAny>,
    exec: Option<IgnoredAny>,
    auth_provider: Option<IgnoredAny>,
}

/// The cluster that `kubeconfig` describes: the one named `""` (kubeadm and KKP write it), else the current context's.
pub fn cluster_of(kubeconfig: &str) -> Result<Described, DescribedError> {
    let config = read(kubeconfig)?;
    let named = |name: &str| config.clusters.iter().flatten().find(|cluster| cluster.name == name);
    let current = || named(&config.context()?.cluster);
    let cluster = &named("").or_else(current).ok_or(DescribedError::NoCluster)?.cluster;
    let authorities = match &cluster.certificate_authority_data {
        Some(data) if !data.is_empty() => decode(data).ok_or(DescribedError::NoAuthorities)?,
        _ => return Err(DescribedError::NoAuthorities),
    };
    certificates::bundle(&authorities).map_err(DescribedError::BadAuthorities)?;
    Ok(Described {
        server: endpoint(&cluster.server).ok_or(DescribedError::NotHttps)?,
        authorities,
        tls_server_name: cluster.tls_server_name.clone().filter(|name| !name.is_empty()),
    })
}

/// The credential of the current context's user.
pub fn credential_of(kubeconfig: &str) -> Result<Credential, DescribedError> {
    let config = read(kubeconfig)?;
    let name = &config.context().ok_or(DescribedError::NoCredential)?.user;
    let user = config.users.iter().flatten().find(|user| user.name == *name);
    let user = user
        .and_then(|user| user.user.as_ref())
        .ok_or(DescribedError::NoCredential)?;
    match user {
        User { token: Some(token), .. } if !token.is_empty() => Ok(bearer(token)),
        User {
            client_certificate_data: Some(certificate),
            client_key_data: Some(key),
            ..
        } => Ok(Credential::ClientCertificate {
            certificate: decode(certificate).ok_or(DescribedError::NoCredential)?,
            key: Secret::new(decode(key).ok_or(DescribedError::NoCredential)?),
        }),
        _ => Err(DescribedError::NoCredential),
    }
}

impl Kubeconfig {
    fn context(&self) -> Option<&Context> {
        let current = |context: &&NamedContext| context.name == self.current_context;
        self.contexts.iter().flatten().find(current).map(|named| &named.context)
    }

    /// Refuses the whole file for any of its clusters or users: no honest cluster-info has such things.
    fn check(self) -> Result<Self, DescribedError> {
        for NamedCluster { cluster, .. } in self.clusters.iter().flatten() {
            let refused = [
                (cluster.insecure_skip_tls_verify, "insecure-skip-tls-verify"),
                (cluster.certificate_authority.is_some(), "certificate-authority"),
                (cluster.proxy_url.is_some(), "proxy-url"),
            ];
            refuse(&refused)?;
        }
        for user in self.users.iter().flatten().filter_map(|named| named.user.as_ref()) {
            let refused = [
                (user.exec.is_some(), "exec"),
                (user.auth_provider.is_some(), "auth-provider"),
                (user.token_file.is_some(), "tokenFile"),
                (user.client_certificate.is_some(), "client-certificate"),
                (user.client_key.is_some(), "client-key"),
            ];
            refuse(&refused)?;
        }
        Ok(self)
    }
}

fn refuse(findings: &[(bool, &'static str)]) -> Result<(), DescribedError> {
    let found = findings.iter().find(|(there, _)| *there);
    found.map_or(Ok(()), |(_, key)| Err(DescribedError::Refused(key)))
}

fn read(text: &str) -> Result<Kubeconfig, DescribedError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_anchors: 0,
            max_aliases: 0,
            max_merge_keys: 0,
            max_depth: 16,
            max_documents: 1,
            max_events: 20_000,
            max_nodes: 10_000,
        },
        merge_keys: serde_saphyr::options::MergeKeyPolicy::Error,
    };
    let config: Kubeconfig = serde_saphyr::from_str_with_options(text, options)
        // The parser's message may repeat the text, which may hold a secret: only the place is told.
        .map_err(|error| match error.location() {
            Some(place) => DescribedError::NotYaml(format!("line {}, column {}", place.line(), place.column())),
            None => DescribedError::NotYaml("no place given".to_owned()),
        })?;
    config.check()
}

/// `https://HOST[:PORT][/PATH]`; kubeconfigs may leave out the port, then it is 443.
fn endpoint(url: &str) -> Option<Endpoint> {
    let rest = url.strip_prefix("https://")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').filter(|(host, _)| host.contains(':'))?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
        None if port.is_empty() => 443,
        None => return None,
    };
    let in_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    let in_path = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:@".contains(&byte);
    let valid = !host.is_empty() && host.bytes().all(in_host) && path.bytes().all(in_path);
    valid.then(|| Endpoint {
        host: host.to_owned(),
        port,
        path: path.trim_end_matches('/').to_owned(),
    })
}

/// A bearer token; one that looks like a bootstrap token is one.
fn bearer(token: &str) -> Credential {
    let plain = |text: &str, len: usize| {
        text.len() == len
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    match token.split_once('.') {
        Some((id, secret)) if plain(id, 6) && plain(secret, 16) => Credential::BootstrapToken(BootstrapToken {
            id: id.to_owned(),
            secret: Secret::new(secret),
        }),
        _ => Credential::Bearer(Secret::new(token)),
    }
}

fn decode(data: &str) -> Option<String> {
    let data: String = data.split_whitespace().collect();
    STANDARD
        .decode(data)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
}

#[cfg(test)]
mod tests;
