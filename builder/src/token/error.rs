//! Why there is no token.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;

use skerry_firstboot::join_config::{Inexpressible, JoinConfigError};
use skerry_firstboot::kubeconfig::KubeconfigError;

use super::rbac::Permission;
use crate::failure::{Diagnose, FailureKind};

/// A token that was not made. Nothing in here tells a secret.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// A token that is never valid.
    #[error("a token has to be valid for some time")]
    NoTime,
    /// A group that tokens cannot have.
    #[error("`{group}` is no group for bootstrap tokens")]
    Group {
        /// The group, escaped.
        group: String,
    },
    /// The kubeconfig cannot be used.
    #[error("cannot use the kubeconfig {}", path.display())]
    Kubeconfig {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: KubeconfigError,
    },
    /// The kubeconfig says where, but not who.
    #[error("the kubeconfig's user has neither a certificate nor a token")]
    NoCredential,
    /// The kubeconfig's certificate and key are no pair.
    #[error("the kubeconfig's client certificate cannot be used")]
    Identity(#[source] reqwest::Error),
    /// The HTTP client could not be made.
    #[error("cannot set up the HTTP client")]
    Client(#[source] reqwest::Error),
    /// The operating system gave no event loop.
    #[error("cannot set up requests")]
    Runtime(#[source] io::Error),
    /// The operating system gave no random numbers.
    #[error("cannot get random numbers")]
    Random(#[source] io::Error),
    /// The server's name is not known.
    #[error("cannot look up `{host}`")]
    Lookup {
        /// The name.
        host: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The API server does not answer.
    #[error("cannot reach the API server {server}")]
    Unreachable {
        /// Its URL.
        server: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// An answer beyond every object's size.
    #[error("the answer of {server} is too long for an API server's")]
    TooLong {
        /// Its URL.
        server: String,
    },
    /// An answer that is no JSON.
    #[error("the API server's answer is no JSON")]
    NoJson(#[source] serde_json::Error),
    /// The API server does not know the operator.
    #[error("the API server does not accept the kubeconfig's credential")]
    Unauthorized,
    /// The operator may not do it.
    #[error("the kubeconfig's user may not {what}: {message}")]
    Forbidden {
        /// What was tried.
        what: &'static str,
        /// The server's words.
        message: String,
    },
    /// Another answer than expected.
    #[error("the API server answers {status} to the request to {what}: {message}")]
    Refused {
        /// What was tried.
        what: &'static str,
        /// HTTP status.
        status: u16,
        /// The server's words.
        message: String,
    },
    /// Every id that was tried is taken.
    #[error("every token id that was tried is taken")]
    NoId,
    /// Tokens are not accepted at all.
    #[error("the API server does not accept bootstrap tokens")]
    NotAccepted,
    /// The objects are there and do not help.
    #[error("the permissions were granted, and are not in force: {}", list(.left))]
    NotGranted {
        /// What is still missing.
        left: Vec<Permission>,
    },
    /// No join file can say it.
    #[error("cannot write the join file")]
    Write(#[source] Inexpressible),
    /// The join file would be refused by the machine.
    #[error("the join file would be refused by the machine")]
    JoinFile(#[source] Box<JoinConfigError>),
}

fn list(permissions: &[Permission]) -> String {
    let sentences: Vec<String> = permissions.iter().map(ToString::to_string).collect();
    sentences.join("; ")
}

/// Whether the server showed a certificate that the authorities did not sign.
fn is_certificate(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(rustls::Error::InvalidCertificate(_)) = inner.downcast_ref() {
            return true;
        }
        // An I/O error passes over what it wraps when it is asked for its source.
        let wrapped = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => inner.source(),
        };
    }
    false
}

impl Diagnose for TokenError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::NoTime | Self::Group { .. } => FailureKind::Usage,
            Self::Unreachable { source, .. } if is_certificate(source) => FailureKind::Verification,
            Self::Unreachable { .. } | Self::Lookup { .. } => FailureKind::Network,
            _ => FailureKind::Request,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::NoTime => "such as `--ttl 1h`",
            Self::Group { .. } => {
                "`system:bootstrappers:` and lower-case letters, digits, `:` and `-`, such as \
                 `system:bootstrappers:kubeadm:default-node-token`"
            }
            Self::NoCredential | Self::Unauthorized => {
                "`kubectl --kubeconfig FILE auth whoami` tells whom the API server takes this kubeconfig's user for"
            }
            Self::Unreachable { source, .. } if is_certificate(source) => {
                "the kubeconfig's `certificate-authority-data` is not that of this server; is it an old one?"
            }
            Self::Unreachable { .. } => "does `kubectl --kubeconfig FILE version` reach it from here?",
            Self::Forbidden { .. } => "use a kubeconfig of an administrator of the cluster",
            Self::NotAccepted => {
                "start kube-apiserver with `--enable-bootstrap-token-auth=true`; the token was taken back"
            }
            Self::NotGranted { .. } => {
                "is RBAC on (`--authorization-mode=Node,RBAC`)? bindings of the same names may have other subjects; the \
                 token was taken back"
            }
            Self::Kubeconfig { source, .. } => source.advice(),
            Self::JoinFile(source) => return vec![source.advice()],
            _ => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}
