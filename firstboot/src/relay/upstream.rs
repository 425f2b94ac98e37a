//! The side towards the control plane: requests go out as the node, over as few connections as will do.
//!
//! ```text
//! send ─→ a connection with room ─────────────────────────────→ answer
//!   └──→ none: one request connects, the others wait for it ─────↑
//! ```
//!
//! - Endpoints are tried one after the other, the one that worked last first; a connection is kept until it breaks.
//! - One HTTP/2 connection holds as many requests as the server allows, 100 in an API server as it comes, and each watch
//!   is one. When they are taken, another connection is made, as Go's client does. A server with HTTP/1.1 only gets a
//!   connection for each request.
//! - The node's certificate is the one that `kubelet-client-current.pem` leads to. When that changes, new requests go
//!   over new connections; those under way end as they are.
//! - A connection that died while nobody used it is found out by the next request. That goes again over another one if it
//!   cannot have reached the server, or only reads and has no body.
//!
//! There is no time limit on answers: kubelet has its own. A dead connection is found by pings (HTTP/2), or by TCP.

mod hop;
mod identity;
mod lane;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::{Method, Request, Response};
use tokio::sync::Mutex;

use super::body::{Place, RelayBody};
use crate::client::connect::{Way, connect};
use crate::client::preference::Preference;
use crate::client::proxy::Proxy;
use crate::client::{Failure, Patience, ProxyError};
use crate::clock::Clock;
use crate::identity::paths;
use crate::join_config::{Endpoint, NetworkSettings};
use crate::tls::{Authorities, Check, Protocols, Tls, TlsError};
use identity::{NodeIdentity, Stamp};
use lane::{Lane, Unanswered};

/// How often a request is sent at most.
const TRIES: usize = 3;
/// More connections than a node has use for, even if each holds one request.
const MAX_CONNECTIONS: usize = 128;

/// The control plane, and how the node gets there.
#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    /// Its API servers, at least one.
    pub endpoints: Vec<Endpoint>,
    /// The name in their certificates, where it is not the endpoint's host.
    pub server_name: Option<String>,
    /// The authorities that sign them, PEM.
    pub authorities: String,
    /// Certificate and key of the node, or a link to them.
    pub identity: PathBuf,
    /// When to give up.
    pub pace: Pace,
}

/// When a connection is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Until TCP is connected, for each endpoint.
    pub connect: Duration,
    /// Until TLS is.
    pub handshake: Duration,
    /// How long it may be silent before it is asked for a sign of life.
    pub silence: Duration,
    /// How long that may take.
    pub sign_of_life: Duration,
}

/// Why there is no upstream.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// Nowhere to go.
    #[error("the cluster has no endpoint")]
    NoEndpoint,
    /// The proxy is none.
    #[error("the proxy on the way to the control plane cannot be used")]
    Proxy {
        /// The cause.
        source: ProxyError,
    },
    /// The authorities are none.
    #[error("the control plane cannot be recognised")]
    Authorities {
        /// The cause.
        source: TlsError,
    },
}

/// The connections to a control plane. For one thread; its tasks need a [`LocalRuntime`](tokio::runtime::LocalRuntime).
#[derive(Debug)]
pub struct Upstream {
    settings: UpstreamSettings,
    authorities: Arc<Authorities>,
    proxy: Option<Proxy>,
    clock: Arc<dyn Clock>,
    preference: Preference,
    lanes: RefCell<Vec<Rc<Lane>>>,
    /// Held while somebody connects; why that failed last.
    connecting: Mutex<Option<Failure>>,
    /// How often somebody has connected, or tried to.
    attempts: Cell<u64>,
}

impl Default for Pace {
    /// Pings are what keeps a line alive and finds out that it is dead: one in 15 s costs half a MB in a day.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            handshake: Duration::from_secs(10),
            silence: Duration::from_secs(15),
            sign_of_life: Duration::from_secs(15),
        }
    }
}

impl UpstreamSettings {
    /// The node's way to a cluster, with kubelet's certificate as it lies on a machine.
    pub fn new(endpoints: Vec<Endpoint>, server_name: Option<String>, authorities: String) -> Self {
        Self {
            endpoints,
            server_name,
            authorities,
            identity: PathBuf::from(paths::CURRENT),
            pace: Pace::default(),
        }
    }
}

impl Upstream {
    /// Uses the proxy of `network` if that says so, and `clock` to judge the server's certificates. Connects to nobody
    /// yet.
    pub fn new(
        settings: UpstreamSettings,
        network: &NetworkSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, UpstreamError> {
        if settings.endpoints.is_empty() {
            return Err(UpstreamError::NoEndpoint);
        }
        let authorities = Authorities::from_pem(&settings.authorities);
        Ok(Self {
            authorities: Arc::new(authorities.map_err(|source| UpstreamError::Authorities { source })?),
            proxy: Proxy::of(network).map_err(|source| UpstreamError::Proxy { source })?,
            settings,
            clock,
            preference: Preference::default(),
            lanes: RefCell::default(),
            connecting: Mutex::default(),
            attempts: Cell::default(),
        })
    }

    /// Sends `request`, whose path is below that of the endpoint. Tells the answer as soon as its head is there; the body
    /// comes as it comes. Both are as they are but for what concerns one connection only (RFC 9110 §7.6.1). Dropping the
    /// future, or the body, cancels the request.
    pub async fn send(&self, mut request: Request<RelayBody>) -> Result<Response<RelayBody>, Failure> {
        hop::strip(request.headers_mut());
        let mut tries = 0;
        loop {
            let (lane, place) = self.lane().await?;
            let copy = copy(&request);
            tries += 1;
            let Unanswered { failure, unsent } = match lane.send(request).await {
                Ok(response) => return Ok(answer(response, place)),
                Err(unanswered) => unanswered,
            };
            self.preference.failed(&lane.endpoint);
            if matches!(failure, Failure::NoAnswer) || lane.is_closed() {
                self.forget(&lane);
            }
            match unsent.or(copy) {
                Some(again) if tries < TRIES => request = again,
                _ => return Err(failure),
            }
        }
    }

    /// Has all requests from now on go over new connections.
    pub fn reconnect(&self) {
        self.lanes.borrow_mut().clear();
    }

    /// The endpoint that requests go to; none while there is no connection.
    pub fn endpoint(&self) -> Option<Endpoint> {
        let lanes = self.lanes.borrow();
        let open = lanes.iter().rfind(|lane| !lane.is_closed());
        open.map(|lane| lane.endpoint.clone())
    }

    /// A connection with room for a request, and a place in it. Who finds none connects; who comes while somebody does
    /// waits, and shares the outcome.
    async fn lane(&self) -> Result<(Rc<Lane>, Place), Failure> {
        if let Some(found) = self.lane_with_room() {
            return Ok(found);
        }
        let attempts = self.attempts.get();
        let mut failed = self.connecting.lock().await;
        if let Some(found) = self.lane_with_room() {
            return Ok(found);
        }
        if let Some(failure) = failed.as_ref()
            && self.attempts.get() != attempts
        {
            return Err(failure.clone());
        }
        let opened = self.open().await;
        self.attempts.set(self.attempts.get() + 1);
        *failed = opened.as_ref().err().cloned();
        let lane = Rc::new(opened?);
        let place = lane.take_place();
        self.lanes.borrow_mut().push(Rc::clone(&lane));
        Ok((lane, place))
    }

    fn lane_with_room(&self) -> Option<(Rc<Lane>, Place)> {
        let mut lanes = self.lanes.borrow_mut();
        let stamp = Stamp::of(&self.settings.identity);
        lanes.retain(|lane| !lane.is_closed() && lane.stamp == stamp);
        let lane = lanes.iter().find(|lane| lane.has_room())?;
        Some((Rc::clone(lane), lane.take_place()))
    }

    fn forget(&self, lost: &Rc<Lane>) {
        self.lanes.borrow_mut().retain(|lane| !Rc::ptr_eq(lane, lost));
    }

    /// A connection to the first endpoint that will have one.
    async fn open(&self) -> Result<Lane, Failure> {
        if self.lanes.borrow().len() >= MAX_CONNECTIONS {
            let reason = format!("{MAX_CONNECTIONS} connections are in use already");
            return Err(Failure::NoConnection(reason));
        }
        let identity = NodeIdentity::read(&self.settings.identity)?;
        let mut failed = Failure::NoConnection("there is no endpoint".to_owned());
        for endpoint in self.preference.order(&self.settings.endpoints) {
            match self.open_to(endpoint, &identity).await {
                Ok(lane) => {
                    self.preference.worked(endpoint);
                    return Ok(lane);
                }
                Err(failure) => {
                    self.preference.failed(endpoint);
                    failed = failure;
                }
            }
        }
        Err(failed)
    }

    async fn open_to(&self, endpoint: &Endpoint, identity: &NodeIdentity) -> Result<Lane, Failure> {
        let pace = &self.settings.pace;
        let check = Check::Authorities(Arc::clone(&self.authorities));
        let tls = Tls::new(check, Some(identity.shown()), &self.clock).map_err(Failure::Setup)?;
        let tls = tls.offering(Protocols::Http2OrHttp1);
        let patience = Patience {
            connect: pace.connect,
            handshake: pace.handshake,
            ..Patience::default()
        };
        let way = Way {
            endpoint,
            server_name: self.settings.server_name.as_deref(),
            proxy: self.proxy.as_ref(),
            patience: &patience,
        };
        let stream = connect(&way, &tls).await;
        let stream = stream.map_err(|failure| failure.judged_at(self.clock.now()))?;
        Lane::over(stream, endpoint.clone(), identity.stamp.clone(), pace).await
    }
}

/// The same request once more, if it may be sent twice: it only reads, and there is no body that would be used up.
fn copy(request: &Request<RelayBody>) -> Option<Request<RelayBody>> {
    use hyper::body::Body as _;
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !reads || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(RelayBody::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

fn answer(response: Response<hyper::body::Incoming>, place: Place) -> Response<RelayBody> {
    let mut response = response.map(|body| RelayBody::through(body, place));
    hop::strip(response.headers_mut());
    // Of the connection that it came over.
    *response.version_mut() = hyper::Version::default();
    response
}

#[cfg(test)]
mod tests;
