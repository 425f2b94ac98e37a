//! The side towards kubelet: TLS on loopback, HTTP/2 or HTTP/1.1 as ALPN decides (RFC 7301), each request handed to an
//! [`Answerer`].
//!
//! Nothing is answered before [`PeerCheck`] knows who asks. Until then a connection costs little and not for long: only
//! so many handshakes go on at a time, and a new one ends the oldest, so that whoever opens connections and says nothing
//! cannot keep kubelet out. No request has a time limit here: kubelet gives up when it wants to, and that is passed on.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::SingleCertAndKey;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::body::RelayBody;
use super::local::Local;
use super::peer::PeerCheck;
use super::server_certificate::ServerCertificate;
use crate::tls::{HTTP2, Protocols};

/// How long a handshake may take: it goes over loopback, but the machine may be busy with starting pods.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How many handshakes go on at a time.
const HANDSHAKES: usize = 16;
/// How long to wait after the system could not give a connection, which means that it is short of something.
const BREATH: Duration = Duration::from_millis(100);

/// Requests of one connection that go on at a time. kubelet holds a watch open for each Secret and ConfigMap in use, and
/// opens another connection when this many are open, which costs more than the streams.
const STREAMS: u32 = 1000;
/// What kubelet may send of a request's body before it is passed on, in bytes. The largest are images in a Node's status
/// and events, tens of KiB.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
/// The same over all requests of a connection, in bytes.
const CONNECTION_WINDOW_BYTES: u32 = 256 << 10;
/// What is kept of an answer while kubelet does not read, in bytes. Four frames keep a connection on loopback busy; more
/// would only lie there.
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// Requests that kubelet may cancel before they have been looked at: it cancels all its watches at once when its
/// certificate changes. More is how an attack looks (CVE-2023-44487).
const CANCELLED_AT_ONCE: usize = 1000;

/// Who answers requests.
pub trait Answerer {
    /// The answer. It is dropped when kubelet cancels the request.
    fn answer(&self, request: Request<RelayBody>) -> impl Future<Output = Response<RelayBody>>;

    /// Told that somebody at `from` was not let in, and why.
    fn turned_away(&self, from: SocketAddr, why: &str) {
        let _ = (from, why);
    }
}

/// A socket on which kubelet is waited for.
pub struct Listener {
    socket: TcpListener,
    door: Door,
}

/// What everybody has to pass.
#[derive(Clone)]
struct Door {
    acceptor: TlsAcceptor,
    peers: Arc<PeerCheck>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

/// The handshakes that go on, oldest first.
#[derive(Debug, Default)]
struct Handshakes(VecDeque<(Weak<()>, AbortHandle)>);

impl Listener {
    /// Shows `certificate` to whoever connects to `socket`, and lets in whom `peers` accepts.
    pub fn new(
        socket: TcpListener,
        certificate: &ServerCertificate,
        peers: Arc<PeerCheck>,
    ) -> Result<Self, rustls::Error> {
        let resolver = SingleCertAndKey::from(Arc::clone(&certificate.certified));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(Arc::clone(&peers) as Arc<dyn ClientCertVerifier>)
            .with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = Protocols::Http2OrHttp1.names();
        // Who resumes a session shows no certificate: it would be let in by what was right when the session began.
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self {
            socket,
            door: Door {
                acceptor: TlsAcceptor::from(Arc::new(config)),
                peers,
            },
        })
    }

    /// Serves for ever; all connections end with the future.
    pub async fn serve<A: Answerer + 'static>(self, answerer: Rc<A>) -> Infallible {
        let mut connections = JoinSet::new();
        let mut handshakes = Handshakes::default();
        loop {
            tokio::select! {
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, from)) => {
                        let mark = Rc::new(());
                        let running = Rc::downgrade(&mark);
                        let guest = Guest { stream, from, mark };
                        let task = serve_guest(guest, self.door.clone(), Rc::clone(&answerer));
                        handshakes.add(running, connections.spawn_local(task));
                    }
                    Err(_) => sleep(BREATH).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

impl Door {
    async fn greet(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        stream.set_nodelay(true)?;
        let stream = self.acceptor.accept(stream).await?;
        let (socket, session) = stream.get_ref();
        if session.peer_certificates().is_none() {
            let checked = self.peers.check_without(socket.peer_addr()?, socket.local_addr()?);
            checked.map_err(io::Error::other)?;
        }
        Ok(stream)
    }
}

impl Handshakes {
    fn add(&mut self, running: Weak<()>, task: AbortHandle) {
        self.0.retain(|(running, _)| running.strong_count() > 0);
        if self.0.len() == HANDSHAKES
            && let Some((_, oldest)) = self.0.pop_front()
        {
            oldest.abort();
        }
        self.0.push_back((running, task));
    }
}

/// Somebody who has connected.
struct Guest {
    stream: TcpStream,
    from: SocketAddr,
    /// Goes when the handshake is over.
    mark: Rc<()>,
}

async fn serve_guest<A: Answerer + 'static>(guest: Guest, door: Door, answerer: Rc<A>) {
    let Guest { stream, from, mark } = guest;
    let stream = match timeout(HANDSHAKE, door.greet(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return answerer.turned_away(from, &error.to_string()),
        Err(_) => return answerer.turned_away(from, "it did not finish the TLS handshake in time"),
    };
    drop(mark);
    // How a connection ends is kubelet's business; whatever was under way ends with it.
    let _ = serve_requests(stream, answerer).await;
}

async fn serve_requests<A: Answerer + 'static>(stream: TlsStream<TcpStream>, answerer: Rc<A>) -> hyper::Result<()> {
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
    let service = service_fn(move |request: Request<Incoming>| {
        let answerer = Rc::clone(&answerer);
        async move { Ok::<_, Infallible>(answerer.answer(request.map(RelayBody::from)).await) }
    });
    let stream = TokioIo::new(stream);
    match is_http2 {
        true => {
            http2::Builder::new(Local)
                .max_concurrent_streams(STREAMS)
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .max_send_buf_size(SEND_BUFFER_BYTES)
                .max_pending_accept_reset_streams(CANCELLED_AT_ONCE)
                .auto_date_header(false)
                .serve_connection(stream, service)
                .await
        }
        false => {
            http1::Builder::new()
                .max_buf_size(SEND_BUFFER_BYTES)
                .auto_date_header(false)
                .serve_connection(stream, service)
                .await
        }
    }
}

#[cfg(test)]
mod tests;
