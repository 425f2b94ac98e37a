//! Why a join has not come to its end yet.

use std::time::Duration;

use super::retry::{Backoff, Random};
use crate::control_plane::{ApiError, ApiErrorKind};
use crate::csr::{CertificateError, RequestError};
use crate::identity::{IdentityError, OtherCluster};

/// Why a join has not come to its end yet. None of these is final while the machine has power.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The control plane.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The disk.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The key.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The certificate that was issued is of no use.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The control plane is another cluster than the one that the machine belongs to.
    #[error(transparent)]
    OtherCluster(#[from] OtherCluster),
    /// Somebody does not want this machine.
    #[error("the request {request} was denied: {reason}")]
    Denied {
        /// Its name.
        request: String,
        /// The words of who denied it.
        reason: String,
    },
    /// The signer cannot sign.
    #[error("the request {request} was not signed: {reason}")]
    NotSigned {
        /// Its name.
        request: String,
        /// The signer's words.
        reason: String,
    },
    /// Somebody else's requests have every name that was tried.
    #[error("the request's name {request} and its alternatives are taken by requests for other keys")]
    NoFreeName {
        /// The first of the names.
        request: String,
    },
    /// The request was there and is not any more.
    #[error("the request {request} is gone")]
    Gone {
        /// Its name.
        request: String,
    },
    /// Another machine works under this name.
    #[error("another machine is Ready under the name `{name}`")]
    NameTaken {
        /// The name.
        name: String,
    },
}

/// Where to go on after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// Where the join stood: nothing that was found out has become doubtful.
    Here,
    /// From the beginning.
    FromStart,
}

impl JoinError {
    /// What a person can do about it; empty if only time helps.
    pub fn advice(&self) -> String {
        match self {
            Self::Api(error) => error.advice.clone(),
            Self::Identity(error) => error.advice().to_owned(),
            Self::OtherCluster(error) => error.advice().to_owned(),
            Self::Request(_) => String::new(),
            Self::Certificate(_) => "look at who signs for the cluster (`kubectl get csr`)".to_owned(),
            Self::Denied { request, .. } => {
                format!("if that was a mistake: `kubectl delete csr {request}`, and the machine asks again")
            }
            Self::NotSigned { .. } => "look at the log of kube-controller-manager".to_owned(),
            Self::NoFreeName { request } => {
                format!("see who made them: `kubectl get csr | grep {request}`, and delete them")
            }
            Self::Gone { .. } => String::new(),
            Self::NameTaken { name } => format!(
                "give this machine another name (`node.name` in the join file), or delete the other: `kubectl delete \
                 node {name}`"
            ),
        }
    }

    /// How long to wait before the next try.
    pub fn wait(&self, backoff: &mut Backoff, random: &mut impl Random) -> Duration {
        let kind = match self {
            Self::Api(error) => error.kind,
            Self::Identity(_) | Self::Request(_) | Self::Gone { .. } => ApiErrorKind::Connect,
            // A person has to do something.
            Self::Certificate(_)
            | Self::OtherCluster(_)
            | Self::Denied { .. }
            | Self::NotSigned { .. }
            | Self::NoFreeName { .. }
            | Self::NameTaken { .. } => ApiErrorKind::Forbidden,
        };
        backoff.after(kind, random)
    }

    /// What class of failure it is, if a request has failed.
    pub(super) fn api_kind(&self) -> Option<ApiErrorKind> {
        match self {
            Self::Api(error) => Some(error.kind),
            _ => None,
        }
    }

    /// Whether the control plane, or somebody behind it, has decided about the request, and a new one may meet the same.
    pub(super) fn is_verdict(&self) -> bool {
        matches!(
            self,
            Self::Certificate(_) | Self::Denied { .. } | Self::NotSigned { .. } | Self::Gone { .. }
        )
    }

    /// Where to go on.
    pub fn resume(&self) -> Resume {
        match self {
            Self::Api(error) => match error.kind {
                ApiErrorKind::Timeout
                | ApiErrorKind::Connect
                | ApiErrorKind::Dns
                | ApiErrorKind::Clock { .. }
                | ApiErrorKind::Throttled { .. }
                | ApiErrorKind::Server { .. } => Resume::Here,
                _ => Resume::FromStart,
            },
            Self::Certificate(_)
            | Self::NotSigned { .. }
            | Self::NoFreeName { .. }
            | Self::Gone { .. }
            | Self::Identity(_)
            | Self::Denied { .. } => Resume::Here,
            Self::Request(_) | Self::OtherCluster(_) | Self::NameTaken { .. } => Resume::FromStart,
        }
    }
}
