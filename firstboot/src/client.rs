//! The client of a control plane: [`ControlPlane`] over HTTPS.
//!
//! ```text
//! endpoint ─connect→ TCP (perhaps through a proxy) ─tls→ judged certificate ─exchange→ Reply ─judge→ object | ApiError
//! ```
//!
//! One request at a time, on a current-thread runtime. Everything is bounded: the steps of a connection, the whole request,
//! the size of an answer. No redirect is followed and no variable of the environment is looked at. Credentials go only
//! over connections whose other end has been verified; [`Client::stranger`] is the one way to one that has not, and takes
//! none.

mod advice;
mod authorities;
pub(crate) mod connect;
mod discover;
pub(crate) mod exchange;
mod failure;
mod fetch;
mod objects;
pub(crate) mod preference;
pub(crate) mod proxy;
mod requests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use crate::certificates::Validity;
use crate::clock::Clock;
use crate::control_plane::{ApiError, Caller, Cluster, ControlPlane, NodeView, Posted, SigningRequest, SigningState};
use crate::join_config::{CaPin, Credential, Endpoint, JoinConfig, NetworkSettings};
use crate::secret::Secret;
use crate::source::https::Fetch;
use crate::tls::{Authorities, Check, Identity, Shown, Tls, Verdict};
use connect::{Way, connect};
use exchange::{Connection, Reply, Request};
use preference::Preference;
use proxy::Proxy;

pub use failure::Failure;
pub use proxy::ProxyError;

/// How long a request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Until TCP is connected, from the name on and through a proxy.
    pub connect: Duration,
    /// Until TLS is.
    pub handshake: Duration,
    /// From the beginning to the last byte of the answer.
    pub whole: Duration,
}

/// A client of control planes.
#[derive(Debug)]
pub struct Client {
    clock: Arc<dyn Clock>,
    patience: Patience,
    proxy: Option<Proxy>,
    preference: Preference,
    /// The last verified connection: a machine that waits for its certificate asks again and again.
    kept: Mutex<Option<(Party, Connection)>>,
}

/// What a request is for; decides what advice its failure gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    JoinFile,
    ClusterInfo,
    KkpSecret,
    SigningRequest,
    /// The Node, asked by the machine that joins.
    NodeBefore,
    /// The Node, asked by itself.
    NodeItself,
    /// The cluster's authorities, asked by a node.
    Authorities,
}

/// A question, as far as its failure is told with it.
#[derive(Debug)]
struct Asked<'a> {
    endpoint: &'a Endpoint,
    /// The name in its certificate, where it is not the endpoint's host.
    server_name: Option<&'a str>,
    purpose: Purpose,
    /// What must not be repeated, even if the server does.
    secrets: Vec<&'a Secret>,
}

/// The other end, and by what it is recognised.
#[derive(Debug, Clone, Copy)]
struct Target<'a> {
    endpoint: &'a Endpoint,
    /// The name in its certificate, where it is not the endpoint's host.
    server_name: Option<&'a str>,
    /// PEM; none accepts anybody.
    authorities: Option<&'a str>,
    identity: Option<Identity<'a>>,
}

/// Who talks to whom over a connection: what must be the same for it to be used again.
#[derive(Debug, PartialEq, Eq)]
struct Party {
    endpoint: Endpoint,
    server_name: Option<String>,
    authorities: String,
    certificate: Option<String>,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
            whole: Duration::from_secs(30),
        }
    }
}

impl Client {
    /// A client that uses the proxy of `network` if that says so, and `clock` to judge certificates.
    pub fn new(network: &NetworkSettings, clock: Arc<dyn Clock>) -> Result<Self, ProxyError> {
        Ok(Self {
            clock,
            patience: Patience::default(),
            proxy: Proxy::of(network)?,
            preference: Preference::default(),
            kept: Mutex::new(None),
        })
    }

    /// Whether there can be a client for a machine with this network.
    pub fn check(network: &NetworkSettings) -> Result<(), ProxyError> {
        Proxy::of(network).map(drop)
    }

    /// The same client with another patience.
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// Sends `request` to a verified `target`.
    async fn ask(&self, target: &Target<'_>, request: &Request, asked: &Asked<'_>) -> Result<Reply, ApiError> {
        let answered = timeout(self.patience.whole, self.send(target, request)).await;
        let failure = match answered.unwrap_or(Err(Failure::NoAnswer)) {
            Ok(reply) => {
                self.preference.worked(target.endpoint);
                return Ok(reply);
            }
            Err(failure) => failure,
        };
        self.preference.failed(target.endpoint);
        Err(self.with_server_time(target, failure).await.explain(asked))
    }

    /// Gets `path` from whoever answers at the endpoint, without any credential, and tells who that was.
    async fn stranger(&self, path: &str, asked: &Asked<'_>) -> Result<(Reply, Option<Shown>), ApiError> {
        self.get_once(Check::Nothing, path, asked).await
    }

    /// Gets `path` over a connection of its own, without any credential.
    async fn get_once(&self, check: Check, path: &str, asked: &Asked<'_>) -> Result<(Reply, Option<Shown>), ApiError> {
        let target = Target {
            endpoint: asked.endpoint,
            server_name: asked.server_name,
            authorities: None,
            identity: None,
        };
        let tls = Tls::new(check, None, &self.clock).map_err(|error| Failure::Setup(error).explain(asked))?;
        let exchange = async {
            let mut connection = self.open(&target, &tls).await?;
            connection.send(target.endpoint, &Request::get(path)).await
        };
        let answered = timeout(self.patience.whole, exchange)
            .await
            .unwrap_or(Err(Failure::NoAnswer));
        let now = self.clock.now();
        let reply = answered.map_err(|failure| failure.judged_at(now).explain(asked))?;
        let seen = tls.seen();
        let shown = seen.as_ref().map(failure::words);
        Ok((Reply { shown, ..reply }, seen))
    }

    /// Sends over the kept connection if it is the right one and still there, else over a new one. All requests may be
    /// sent twice: a second POST finds the first one's object.
    async fn send(&self, target: &Target<'_>, request: &Request) -> Result<Reply, Failure> {
        let party = target.party();
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((with, mut connection)) = kept
            && with == party
            && connection.is_open()
            && let Ok(reply) = connection.send(target.endpoint, request).await
        {
            self.keep(party, connection);
            return Ok(reply);
        }
        let tls = target.tls(&self.clock)?;
        let mut connection = self.open(target, &tls).await?;
        let reply = connection.send(target.endpoint, request).await?;
        self.keep(party, connection);
        let shown = tls.seen().as_ref().map(failure::words);
        Ok(Reply { shown, ..reply })
    }

    fn keep(&self, party: Party, connection: Connection) {
        if connection.is_open() {
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((party, connection));
        }
    }

    async fn open(&self, target: &Target<'_>, tls: &Tls) -> Result<Connection, Failure> {
        let way = Way {
            endpoint: target.endpoint,
            server_name: target.server_name,
            proxy: self.proxy.as_ref(),
            patience: &self.patience,
        };
        Connection::over(connect(&way, tls).await?).await
    }

    /// Asks a server whose certificate is right in everything but the time for its time. What it says counts only within
    /// its certificate's validity: who got hold of an old certificate cannot move a clock any further than that.
    async fn with_server_time(&self, target: &Target<'_>, failure: Failure) -> Failure {
        match failure.judged_at(self.clock.now()) {
            Failure::OutOfTime { validity, now, .. } => {
                let date = timeout(self.patience.whole, self.date_of(target)).await;
                let server_time = date.ok().and_then(Result::ok).flatten();
                Failure::OutOfTime {
                    validity,
                    now,
                    server_time: server_time.filter(|time| validity.contains(*time)),
                }
            }
            failure => failure,
        }
    }

    async fn date_of(&self, target: &Target<'_>) -> Result<Option<u64>, Failure> {
        let authorities = Arc::new(target.authorities()?);
        let tls = Tls::new(Check::AnyTime(authorities), None, &self.clock).map_err(Failure::Setup)?;
        let mut connection = self.open(target, &tls).await?;
        let reply = connection.send(target.endpoint, &Request::get("/version")).await?;
        let within = |validity: Validity| reply.date.filter(|date| validity.contains(*date));
        Ok(match tls.seen().map(|shown| shown.verdict) {
            Some(Verdict::OutOfTime(validity)) => within(validity),
            _ => None,
        })
    }
}

impl<'a> Target<'a> {
    /// A cluster and what the caller shows to it.
    fn of(cluster: &'a Cluster, caller: Caller<'a>) -> Self {
        let identity = match caller {
            Caller::Node { certificate, key } => Some(Identity { certificate, key }),
            Caller::Joining(Credential::ClientCertificate { certificate, key }) => Some(Identity { certificate, key }),
            Caller::Joining(_) => None,
        };
        Self {
            endpoint: &cluster.server,
            server_name: cluster.tls_server_name.as_deref(),
            authorities: Some(&cluster.authorities),
            identity,
        }
    }

    fn party(&self) -> Party {
        Party {
            endpoint: self.endpoint.clone(),
            server_name: self.server_name.map(str::to_owned),
            authorities: self.authorities.unwrap_or_default().to_owned(),
            certificate: self.identity.map(|identity| identity.certificate.to_owned()),
        }
    }

    /// A target without authorities has an empty bundle here, which is refused: nobody is trusted by omission.
    fn authorities(&self) -> Result<Authorities, Failure> {
        Authorities::from_pem(self.authorities.unwrap_or_default()).map_err(Failure::Setup)
    }

    fn tls(&self, clock: &Arc<dyn Clock>) -> Result<Tls, Failure> {
        let check = Check::Authorities(Arc::new(self.authorities()?));
        Tls::new(check, self.identity, clock).map_err(Failure::Setup)
    }
}

impl Fetch for Client {
    /// From a server with one of `pins` in its chain, as [`Check::Pins`] means it; no redirect is followed.
    async fn get(&self, url: &str, pins: &[CaPin]) -> Result<Option<Vec<u8>>, ApiError> {
        fetch::get(self, url, pins).await
    }
}

impl ControlPlane for Client {
    async fn discover(&self, config: &JoinConfig) -> Result<Cluster, ApiError> {
        discover::discover(self, config).await
    }

    async fn post(&self, cluster: &Cluster, caller: Caller<'_>, request: &SigningRequest) -> Result<Posted, ApiError> {
        requests::post(self, cluster, caller, request).await
    }

    async fn signing_state(&self, cluster: &Cluster, caller: Caller<'_>, name: &str) -> Result<SigningState, ApiError> {
        requests::signing_state(self, cluster, caller, name).await
    }

    async fn node(&self, cluster: &Cluster, caller: Caller<'_>, name: &str) -> Result<Option<NodeView>, ApiError> {
        requests::node(self, cluster, caller, name).await
    }

    async fn authorities(&self, cluster: &Cluster, caller: Caller<'_>) -> Result<Option<String>, ApiError> {
        authorities::named(self, cluster, caller).await
    }
}

#[cfg(test)]
mod test_server;
#[cfg(test)]
mod tests;
