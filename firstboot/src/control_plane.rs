//! The requests that a joining machine makes of a control plane, and how they fail.
//!
//! [`ControlPlane`] is what the join needs and nothing more; `Client` is the real one. Tests and the simulation of
//! ten thousand machines put others in its place.

use std::fmt;
use std::time::Duration;

use crate::join_config::{Credential, Endpoint, JoinConfig};
use crate::secret::Secret;

/// A control plane as discovery found it: what goes into the node's kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Where the API server answers.
    pub server: Endpoint,
    /// Where else it answers, as the join file says.
    pub others: Vec<Endpoint>,
    /// The authorities that sign its certificate, PEM; only those that were pinned, where there are pins.
    pub authorities: String,
    /// The name its certificate is checked for, where it is not the server's host.
    pub tls_server_name: Option<String>,
    /// What may be done before the node has a certificate, if discovery brought another credential than the join file's.
    pub credential: Option<Credential>,
}

/// Who a request comes from.
#[derive(Debug, Clone, Copy)]
pub enum Caller<'a> {
    /// The machine that joins.
    Joining(&'a Credential),
    /// The node: its certificate chain and key, PEM.
    Node {
        /// The chain.
        certificate: &'a str,
        /// The key.
        key: &'a Secret,
    },
}

/// A certificate signing request, ready to be posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningRequest {
    /// Name of the object: derived from key and subject, so that a retry finds the earlier one.
    pub name: String,
    /// The PKCS #10 request, PEM.
    pub pem: String,
    /// Key usages as the API names them.
    pub usages: Vec<&'static str>,
}

/// What became of posting a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    /// It is there now.
    Created,
    /// It was there already, with the same key: an earlier try of this machine.
    AlreadyThere,
    /// Its name is taken by a request for another key.
    Taken,
}

/// How far a request has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SigningState {
    /// Nobody has decided.
    Pending,
    /// Approved, and the certificate is not there yet.
    Approved,
    /// Issued: the chain, PEM.
    Issued(String),
    /// Denied, with the reason given.
    Denied(String),
    /// The signer could not sign, with the reason given.
    Failed(String),
    /// The request is gone.
    Gone,
}

/// What is asked of a Node object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeView {
    /// Whether the condition Ready is True.
    pub ready: bool,
    /// Why it is not, in kubelet's words.
    pub reason: String,
    /// Addresses for its pods (`spec.podCIDRs`).
    pub pod_cidrs: Vec<String>,
    /// `status.nodeInfo.machineID`; empty if kubelet never reported.
    pub machine_id: String,
}

/// The requests of a join.
#[allow(async_fn_in_trait, reason = "one task drives a join; the futures need not be Send")]
pub trait ControlPlane {
    /// Finds the cluster that `config` means, and verifies it.
    async fn discover(&self, config: &JoinConfig) -> Result<Cluster, ApiError>;
    /// Posts a signing request.
    async fn post(&self, cluster: &Cluster, caller: Caller<'_>, request: &SigningRequest) -> Result<Posted, ApiError>;
    /// Asks how far a signing request has come.
    async fn signing_state(&self, cluster: &Cluster, caller: Caller<'_>, name: &str) -> Result<SigningState, ApiError>;
    /// Reads the Node object `name`; none if there is none.
    async fn node(&self, cluster: &Cluster, caller: Caller<'_>, name: &str) -> Result<Option<NodeView>, ApiError>;
    /// Asks for the authorities that the cluster names, PEM, over a connection that `cluster` vouches for; none if it
    /// does not tell the caller.
    async fn authorities(&self, cluster: &Cluster, caller: Caller<'_>) -> Result<Option<String>, ApiError>;
}

/// A request that failed.
#[derive(Debug, thiserror::Error)]
#[error("{endpoint}: {kind}: {detail}")]
pub struct ApiError {
    /// What class of failure it is: decides when to try again.
    pub kind: ApiErrorKind,
    /// Who was asked.
    pub endpoint: String,
    /// What happened, in one sentence without secrets.
    pub detail: String,
    /// What a person can do about it; empty if only time helps.
    pub advice: String,
}

/// Classes of failed requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiErrorKind {
    /// The name does not resolve.
    Dns,
    /// No connection.
    Connect,
    /// Connected, but no answer in time.
    Timeout,
    /// The server's certificate is not the pinned authority's, or not for this name.
    Untrusted,
    /// The server's certificate is the pinned authority's, but this machine's clock is outside of its validity. Holds
    /// the server's own time, seconds since 1970, if it told it over that connection.
    Clock {
        /// The server's `Date`.
        server_time: Option<u64>,
    },
    /// Something else answers in the control plane's place: a captive portal, a proxy, a web server.
    NotKubernetes,
    /// What was answered cannot be what a control plane says: malformed, too large, contradicting itself.
    BadAnswer,
    /// The description of the cluster bears no signature with this token yet.
    NotSigned,
    /// The signature or the pin does not fit.
    Forged,
    /// 401: the credential is unknown or has expired.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
    /// 429: too many requests.
    Throttled {
        /// When to come again.
        retry_after: Option<Duration>,
    },
    /// 5xx, or a status that has no meaning here.
    Server {
        /// The status.
        status: u16,
        /// When to come again.
        retry_after: Option<Duration>,
    },
}

impl ApiErrorKind {
    /// When to come again, if the control plane has said so.
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after } | Self::Server { retry_after, .. } => retry_after,
            _ => None,
        }
    }
}

impl fmt::Display for ApiErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "the name does not resolve",
            Self::Connect => "no connection",
            Self::Timeout => "no answer in time",
            Self::Untrusted => "not the control plane that the join file names",
            Self::Clock { .. } => "this machine's clock is wrong",
            Self::NotKubernetes => "something else answers in its place",
            Self::BadAnswer => "an answer that makes no sense",
            Self::NotSigned => "not signed with this token",
            Self::Forged => "the signature does not fit",
            Self::Unauthorized => "the token is unknown or has expired",
            Self::Forbidden => "not allowed",
            Self::NotFound => "not there",
            Self::Throttled { .. } => "too many machines at once",
            Self::Server { .. } => "the control plane is in trouble",
        })
    }
}
