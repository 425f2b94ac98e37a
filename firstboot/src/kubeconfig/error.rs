//! What can be wrong with a kubeconfig. No message repeats text that could be a secret.

use std::path::PathBuf;

use super::MAX_BYTES;
use crate::join_config::{AuthoritiesError, EndpointError, TokenError, shown};

/// A kubeconfig that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// More than any kubeconfig.
    #[error("it has more than {MAX_BYTES} bytes")]
    TooLarge,
    /// Not UTF-8.
    #[error("it is not UTF-8 text")]
    NotText,
    /// Neither YAML nor JSON of this kind.
    #[error("line {line}, column {column}: this is not how a kubeconfig is written")]
    Syntax {
        /// From 1; 0 if unknown.
        line: u64,
        /// From 1; 0 if unknown.
        column: u64,
    },
    /// Anchors, aliases, depth: nothing that a kubeconfig needs.
    #[error("line {line}: anchors, aliases and nesting of this kind have no place in a kubeconfig")]
    Excess {
        /// From 1; 0 if unknown.
        line: u64,
    },
    /// Some other document.
    #[error("its `kind` is not `Config`")]
    OtherKind,
    /// Nothing says which cluster is meant.
    #[error("it has no `current-context`")]
    NoContext,
    /// Something that is named is not there.
    #[error("there is no {kind} `{name}`")]
    Missing {
        /// `cluster`, `context` or `user`.
        kind: &'static str,
        /// Its name, masked.
        name: String,
    },
    /// Something is there more than once.
    #[error("there is more than one {kind} `{name}`")]
    Twice {
        /// `cluster`, `context` or `user`.
        kind: &'static str,
        /// Its name, masked.
        name: String,
    },
    /// No `server`.
    #[error("its cluster has no `server`")]
    NoServer,
    /// `server` without a scheme.
    #[error("`server` is not a URL that begins with `https://`")]
    ServerIsNoUrl,
    /// `server` cannot be used.
    #[error("`server` cannot be used")]
    Server(#[source] EndpointError),
    /// `insecure-skip-tls-verify`.
    #[error("it says `insecure-skip-tls-verify`: anybody could pose as the control plane")]
    Insecure,
    /// Nothing to recognise the control plane by.
    #[error("it has no `certificate-authority-data`")]
    NoAuthorities,
    /// The authorities cannot be used.
    #[error("`certificate-authority-data` cannot be used")]
    Authorities(#[source] AuthoritiesError),
    /// The user's certificate cannot be used.
    #[error("`client-certificate-data` cannot be used")]
    ClientCertificate(#[source] AuthoritiesError),
    /// Data that is not base64.
    #[error("`{0}-data` is not base64")]
    NotBase64(&'static str),
    /// Data that is not PEM.
    #[error("`{0}` is not PEM")]
    NotPem(&'static str),
    /// A file is named where none can be.
    #[error("`{0}` names a file, which is not on this machine")]
    FileReference(&'static str),
    /// A file that is named cannot be read.
    #[error("cannot read {}, which `{field}` names", path.display())]
    Read {
        /// The key.
        field: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// `tls-server-name` cannot be used.
    #[error("`tls-server-name` is neither a DNS name nor an address")]
    TlsServerName,
    /// `proxy-url` where nobody may set one.
    #[error("it says `proxy-url`: a cluster's description must not choose the way to it")]
    Proxy,
    /// `proxy-url` cannot be used.
    #[error("`proxy-url` is not `http://host:port`")]
    ProxyUrl,
    /// A program to be run.
    #[error("its user is an `exec` plugin, and that program is not on this machine")]
    Exec,
    /// A plugin of old.
    #[error("its user needs an `auth-provider`, which no longer exists")]
    AuthProvider,
    /// `username`.
    #[error("its user has a user name and password, which API servers no longer accept")]
    Password,
    /// `as`.
    #[error("its user acts as somebody else (`as`)")]
    Impersonation,
    /// A certificate without its key, or the other way round.
    #[error("its user has no `{0}-data`")]
    HalfCertificate(&'static str),
    /// The token cannot be used.
    #[error("`token` cannot be used")]
    Token(#[source] TokenError),
}

impl KubeconfigError {
    pub(super) fn missing(kind: &'static str, name: &str) -> Self {
        Self::Missing {
            kind,
            name: shown(name),
        }
    }

    pub(super) fn twice(kind: &'static str, name: &str) -> Self {
        Self::Twice {
            kind,
            name: shown(name),
        }
    }

    /// What a person can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::FileReference(_) => "embed the files with `kubectl config view --raw --flatten --minify`",
            Self::Read { .. } => {
                "correct the path in the kubeconfig; without a leading `/` it begins at the kubeconfig's folder"
            }
            Self::Exec | Self::AuthProvider | Self::Password | Self::Impersonation | Self::HalfCertificate(_) => {
                "use a kubeconfig whose user has a token, such as kubeadm's or k0s' for joining"
            }
            Self::Insecure | Self::NoAuthorities | Self::Authorities(_) => {
                "put the control plane's authority (`pki/ca.crt`) into `certificate-authority-data`"
            }
            Self::NoContext | Self::Missing { .. } | Self::Twice { .. } => {
                "choose one cluster and user with `kubectl config view --raw --flatten --minify`"
            }
            Self::NoServer | Self::ServerIsNoUrl | Self::Server(_) => "write `server: https://HOST:PORT`",
            Self::TlsServerName => "give the DNS name in the server's certificate",
            Self::Proxy => "remove `proxy-url` from `kube-public/cluster-info`; set `network.proxy` in the join file",
            Self::ProxyUrl => "write `proxy-url: http://HOST:PORT`, without user name and path",
            Self::Token(_) => "copy the file again, or make a new token",
            Self::TooLarge
            | Self::NotText
            | Self::Syntax { .. }
            | Self::Excess { .. }
            | Self::OtherKind
            | Self::ClientCertificate(_)
            | Self::NotBase64(_)
            | Self::NotPem(_) => {
                "copy the file again, or write it anew with `kubectl config view --raw --flatten --minify`"
            }
        }
    }
}
