//! One connection to an API server.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future as _, poll_fn};
use std::io;
use std::os::fd::AsFd;
use std::pin::pin;
use std::rc::Rc;

use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::Pace;
use super::hop;
use super::identity::Stamp;
use crate::client::Failure;
use crate::client::exchange::broken;
use crate::client::proxy::authority;
use crate::join_config::Endpoint;
use crate::relay::body::{Place, RelayBody};
use crate::relay::local::Local;
use crate::tls::HTTP2;

/// What the server may send of one answer before kubelet has taken it, in bytes: on a line of 100 ms, 5 MB in a second.
/// It is memory only while kubelet is slower than the line. Go's own client has 4 MiB.
const STREAM_WINDOW_BYTES: u32 = 512 << 10;
/// The same over all answers of a connection, in bytes: one that nobody takes leaves room for the others.
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// What is kept of a request's body while the server does not read, in bytes.
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// Streams that were cancelled and may still be sent to; kubelet cancels all its watches at once when its certificate
/// changes. Data for a stream that is forgotten counts as an error, and of those no number ends the connection.
const CANCELLED_STREAMS: usize = 256;
/// The longest head of an answer, in bytes; Go's own client has 10 MiB.
const MAX_HEAD_BYTES: u32 = 64 << 10;
/// How many signs of life TCP asks for before it gives up.
const KEEP_ALIVE_TRIES: u32 = 3;

/// A connection and what it is for.
pub(super) struct Lane {
    pub endpoint: Endpoint,
    /// The certificate that was shown.
    pub stamp: Stamp,
    sender: RefCell<Sender>,
    taken: Rc<Cell<usize>>,
    places: Rc<Cell<usize>>,
}

enum Sender {
    Http1(http1::SendRequest<RelayBody>),
    Http2(http2::SendRequest<RelayBody>),
}

/// A request without an answer.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub failure: Failure,
    /// The request, if nothing of it has been sent.
    pub unsent: Option<Request<RelayBody>>,
}

impl Lane {
    pub async fn over(
        stream: TlsStream<TcpStream>,
        endpoint: Endpoint,
        stamp: Stamp,
        pace: &Pace,
    ) -> Result<Self, Failure> {
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
        let places = Rc::new(Cell::new(1));
        let sender = match is_http2 {
            true => http2(stream, Rc::clone(&places), pace).await,
            false => {
                // There is no ping in HTTP/1.1.
                let watched = watch_over(stream.get_ref().0, pace);
                watched.map_err(|error| Failure::Broken(format!("before the first request: {error}")))?;
                http1(stream).await
            }
        };
        Ok(Self {
            endpoint,
            stamp,
            sender: RefCell::new(sender.map_err(|error| broken(&error))?),
            taken: Rc::default(),
            places,
        })
    }

    pub fn is_closed(&self) -> bool {
        match &*self.sender.borrow() {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        }
    }

    /// Whether another request can be sent now.
    pub fn has_room(&self) -> bool {
        let is_ready = match &*self.sender.borrow() {
            Sender::Http1(sender) => sender.is_ready(),
            Sender::Http2(sender) => sender.is_ready(),
        };
        is_ready && self.taken.get() < self.places.get()
    }

    /// To be held until the answer has ended.
    pub fn take_place(&self) -> Place {
        Place::take(&self.taken)
    }

    /// Sends `request`, whose URI counts from its path on.
    pub async fn send(&self, mut request: Request<RelayBody>) -> Result<Response<Incoming>, Unanswered> {
        let original = request.uri().clone();
        if let Err(failure) = self.address(&mut request) {
            return Err(Unanswered { failure, unsent: None });
        }
        let sent = self.dispatch(request);
        sent.await.map_err(|mut error| {
            let mut unsent = error.take_message();
            if let Some(request) = &mut unsent {
                *request.uri_mut() = original;
            }
            Unanswered {
                failure: broken(error.error()),
                unsent,
            }
        })
    }

    /// Hands `request` to the connection. Not `async`: the sender is borrowed until then only.
    fn dispatch(
        &self,
        request: Request<RelayBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RelayBody>>>> + use<> {
        let (first, second) = match &mut *self.sender.borrow_mut() {
            Sender::Http1(sender) => (Some(sender.try_send_request(request)), None),
            Sender::Http2(sender) => (None, Some(sender.try_send_request(request))),
        };
        async move {
            match (first, second) {
                (Some(sent), _) => sent.await,
                (None, Some(sent)) => sent.await,
                (None, None) => unreachable!("one of them was made"),
            }
        }
    }

    /// Makes it a request to this endpoint: absolute in HTTP/2, a path with a `Host` in HTTP/1.1.
    fn address(&self, request: &mut Request<RelayBody>) -> Result<(), Failure> {
        let unwritable = || Failure::NotHttp("the request cannot be written down".to_owned());
        let uri = hop::at_endpoint(request.uri(), &self.endpoint).ok_or_else(unwritable)?;
        let is_http1 = matches!(&*self.sender.borrow(), Sender::Http1(_));
        *request.version_mut() = hyper::Version::default();
        request.headers_mut().remove(HOST);
        *request.uri_mut() = uri;
        if is_http1 {
            let host = HeaderValue::try_from(authority(&self.endpoint)).map_err(|_| unwritable())?;
            request.headers_mut().insert(HOST, host);
            let path = request.uri().path_and_query().cloned().ok_or_else(unwritable)?;
            *request.uri_mut() = path.into();
        }
        Ok(())
    }
}

async fn http2(stream: TlsStream<TcpStream>, places: Rc<Cell<usize>>, pace: &Pace) -> hyper::Result<Sender> {
    let handshake = http2::Builder::new(Local)
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_header_list_size(MAX_HEAD_BYTES)
        .max_concurrent_reset_streams(CANCELLED_STREAMS)
        .max_local_error_reset_streams(None)
        .keep_alive_interval(pace.silence)
        .keep_alive_timeout(pace.sign_of_life)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(stream))
        .await;
    let (sender, connection) = handshake?;
    places.set(connection.current_max_send_streams());
    tokio::task::spawn_local(async move {
        let mut connection = pin!(connection);
        // What goes wrong with the connection is told to whoever waits for an answer.
        let _ = poll_fn(|context| {
            let ended = connection.as_mut().poll(context);
            places.set(connection.current_max_send_streams());
            ended
        })
        .await;
    });
    Ok(Sender::Http2(sender))
}

async fn http1(stream: TlsStream<TcpStream>) -> hyper::Result<Sender> {
    let handshake = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES as usize)
        .handshake(TokioIo::new(stream))
        .await;
    let (mut sender, connection) = handshake?;
    tokio::task::spawn_local(connection);
    sender.ready().await?;
    Ok(Sender::Http1(sender))
}

/// Has TCP find out when the other end is gone: by itself while nothing is sent, and when nobody confirms what is.
fn watch_over(stream: &TcpStream, pace: &Pace) -> io::Result<()> {
    let secs = |duration: std::time::Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX).max(1);
    let (silence, sign_of_life) = (secs(pace.silence), secs(pace.sign_of_life));
    let millis = silence.saturating_add(sign_of_life).saturating_mul(1000);
    let socket = stream.as_fd();
    setsockopt(&socket, sockopt::KeepAlive, &true)?;
    setsockopt(&socket, sockopt::TcpKeepIdle, &silence)?;
    setsockopt(
        &socket,
        sockopt::TcpKeepInterval,
        &sign_of_life.div_ceil(KEEP_ALIVE_TRIES),
    )?;
    setsockopt(&socket, sockopt::TcpKeepCount, &KEEP_ALIVE_TRIES)?;
    setsockopt(&socket, sockopt::TcpUserTimeout, &millis)?;
    Ok(())
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane")
            .field("endpoint", &self.endpoint)
            .field("taken", &self.taken)
            .field("places", &self.places)
            .finish_non_exhaustive()
    }
}
