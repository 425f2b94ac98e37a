//! Kubeconfig files: read as a join file, as the description of a cluster that anybody could have sent, or as an
//! operator's own; written for kubelet.
//!
//! In: YAML or JSON (`k8s.io/client-go/tools/clientcmd/api/v1`). Out: one cluster with one user. It is the cluster named
//! `""` if there is one (kubeadm and KKP write it into `cluster-info`), else the one of `current-context`. Not supported,
//! on purpose: YAML anchors and aliases, several documents, exec plugins, basic authentication, impersonation.

mod error;
mod raw;
mod write;

use std::path::Path;

use crate::join_config::{Credential, Endpoint, authorities, network};
use crate::secret::Secret;

pub use error::KubeconfigError;
pub(crate) use write::with_credential;
pub use write::{CLIENT_CERTIFICATE, to_yaml};

use raw::{Cluster, File, Named, Source, User};

/// More than any kubeconfig; `cluster-info` lies in a ConfigMap, which cannot be larger.
pub const MAX_BYTES: usize = 1024 * 1024;

/// What a kubeconfig is read for; decides what it may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The public description of a cluster, of which only the signature says who wrote it.
    ClusterInfo,
    /// What somebody gave to the machine to join with.
    JoinFile,
}

/// One cluster, and what may be done there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kubeconfig {
    /// Where the API server answers.
    pub server: Endpoint,
    /// The authorities that sign its certificate, PEM.
    pub authorities: String,
    /// The name its certificate is checked for, where it is not the server's host.
    pub tls_server_name: Option<String>,
    /// The proxy on the way to it.
    pub proxy: Option<String>,
    /// The user's name in the file; empty if there is none.
    pub user_name: String,
    /// What the user proves who it is with. Never there for [`Purpose::ClusterInfo`].
    pub credential: Option<Credential>,
}

/// Reads a kubeconfig that came from elsewhere: nothing in it may point to a file.
pub fn parse(bytes: &[u8], purpose: Purpose) -> Result<Kubeconfig, KubeconfigError> {
    let file = raw::read(bytes)?;
    match purpose {
        Purpose::ClusterInfo => {
            file.users()
                .iter()
                .try_for_each(|user| refuse_helpers(user.content()))?;
            let cluster = cluster(&file)?;
            if !cluster.proxy_url.is_empty() {
                return Err(KubeconfigError::Proxy);
            }
            read_cluster(cluster, &Source::Refused)
        }
        Purpose::JoinFile => whole(&file, &Source::Refused),
    }
}

/// Reads an operator's kubeconfig, which lies in `folder`; files that it names are read, relative to it.
pub fn parse_admin(bytes: &[u8], folder: &Path) -> Result<Kubeconfig, KubeconfigError> {
    whole(&raw::read(bytes)?, &Source::Folder(folder.to_owned()))
}

fn whole(file: &File, source: &Source) -> Result<Kubeconfig, KubeconfigError> {
    let mut kubeconfig = read_cluster(cluster(file)?, source)?;
    if let Some((name, user)) = user(file)? {
        kubeconfig.user_name = name.to_owned();
        kubeconfig.credential = read_user(user, source)?;
    }
    Ok(kubeconfig)
}

fn find<'f, T>(list: &'f [Named<T>], kind: &'static str, name: &str) -> Result<&'f T, KubeconfigError> {
    let mut found = list.iter().filter(|entry| entry.name() == name);
    let entry = found.next().ok_or_else(|| KubeconfigError::missing(kind, name))?;
    match found.next() {
        Some(_) => Err(KubeconfigError::twice(kind, name)),
        None => Ok(entry.content()),
    }
}

fn cluster(file: &File) -> Result<&Cluster, KubeconfigError> {
    if file.clusters().iter().any(|cluster| cluster.name().is_empty()) {
        return find(file.clusters(), "cluster", "");
    }
    match file.current_context() {
        "" => Err(KubeconfigError::NoContext),
        name => find(
            file.clusters(),
            "cluster",
            find(file.contexts(), "context", name)?.cluster(),
        ),
    }
}

/// The user of the current context; a file without contexts and with one user (file discovery) means that one.
fn user(file: &File) -> Result<Option<(&str, &User)>, KubeconfigError> {
    let name = match (file.current_context(), file.users()) {
        ("", [only]) => only.name(),
        ("", _) => return Ok(None),
        (name, _) => match find(file.contexts(), "context", name)?.user() {
            "" => return Ok(None),
            name => name,
        },
    };
    Ok(Some((name, find(file.users(), "user", name)?)))
}

fn read_cluster(cluster: &Cluster, source: &Source) -> Result<Kubeconfig, KubeconfigError> {
    if cluster.insecure_skip_tls_verify {
        return Err(KubeconfigError::Insecure);
    }
    let field = "certificate-authority";
    let pem = source
        .bytes(
            field,
            cluster.certificate_authority_data.as_deref(),
            cluster.certificate_authority.as_deref(),
        )?
        .ok_or(KubeconfigError::NoAuthorities)?;
    let pem = std::str::from_utf8(&pem).map_err(|_| KubeconfigError::NotPem(field))?;
    let name = Some(cluster.tls_server_name.as_str()).filter(|name| !name.is_empty());
    let proxy = Some(cluster.proxy_url.as_str()).filter(|proxy| !proxy.is_empty());
    Ok(Kubeconfig {
        server: server(&cluster.server)?,
        authorities: authorities::canonical(pem).map_err(KubeconfigError::Authorities)?,
        tls_server_name: name
            .map(network::host)
            .transpose()
            .map_err(|_| KubeconfigError::TlsServerName)?,
        proxy: proxy
            .map(network::proxy)
            .transpose()
            .map_err(|_| KubeconfigError::ProxyUrl)?,
        user_name: String::new(),
        credential: None,
    })
}

fn server(text: &str) -> Result<Endpoint, KubeconfigError> {
    match text {
        "" => Err(KubeconfigError::NoServer),
        _ if !text.contains("://") => Err(KubeconfigError::ServerIsNoUrl),
        _ => text.parse().map_err(KubeconfigError::Server),
    }
}

fn refuse_programs(user: &User) -> Result<(), KubeconfigError> {
    match (&user.exec, &user.auth_provider) {
        (Some(_), _) => Err(KubeconfigError::Exec),
        (None, Some(_)) => Err(KubeconfigError::AuthProvider),
        (None, None) => Ok(()),
    }
}

/// A cluster's description has no users; one that wants programs run or files read is not what it seems.
fn refuse_helpers(user: &User) -> Result<(), KubeconfigError> {
    refuse_programs(user)?;
    let files = [
        ("client-certificate", &user.client_certificate),
        ("client-key", &user.client_key),
        ("tokenFile", &user.token_file),
    ];
    match files.iter().find(|(_, file)| file.is_some()) {
        Some((field, _)) => Err(KubeconfigError::FileReference(field)),
        None => Ok(()),
    }
}

fn read_user(user: &User, source: &Source) -> Result<Option<Credential>, KubeconfigError> {
    refuse_programs(user)?;
    if user.has_password() {
        return Err(KubeconfigError::Password);
    }
    if user.impersonates() {
        return Err(KubeconfigError::Impersonation);
    }
    let certificate = source.bytes(
        "client-certificate",
        user.client_certificate_data.as_deref(),
        user.client_certificate.as_deref(),
    )?;
    let key = source.bytes("client-key", user.client_key_data(), user.client_key.as_deref())?;
    match (certificate, key) {
        (Some(certificate), Some(key)) => return client_certificate(certificate, key).map(Some),
        (Some(_), None) => return Err(KubeconfigError::HalfCertificate("client-key")),
        (None, Some(_)) => return Err(KubeconfigError::HalfCertificate("client-certificate")),
        (None, None) => {}
    }
    let token = source.token(user.token(), user.token_file.as_deref())?;
    let read = |token: Secret| Credential::from_token(token.expose()).map_err(KubeconfigError::Token);
    token.map(read).transpose()
}

fn client_certificate(certificate: Vec<u8>, key: Vec<u8>) -> Result<Credential, KubeconfigError> {
    let text = |bytes: Vec<u8>, field| String::from_utf8(bytes).map_err(|_| KubeconfigError::NotPem(field));
    let certificate = text(certificate, "client-certificate")?;
    let key = Secret::new(text(key, "client-key")?);
    if !key.expose().contains("PRIVATE KEY-----") {
        return Err(KubeconfigError::NotPem("client-key"));
    }
    // The certificate's file may hold the key as well, as kubelet's own does; only the chain is wanted of it.
    let certificate = authorities::without_keys(&certificate).map_err(KubeconfigError::ClientCertificate)?;
    Ok(Credential::ClientCertificate { certificate, key })
}

#[cfg(test)]
mod tests;
