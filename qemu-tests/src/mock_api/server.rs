//! The listening side: TCP, TLS and HTTP/1.1, with the faults that lie below HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::LazyConfigAcceptor;

use super::answer::{Answer, DateHeader};
use super::body::Delivered;
use super::log::Handshake;
use super::routes::{self, Asked};
use super::server_certificate::ServerCertificate;
use super::state::Shared;

/// A page in clear text, as a portal answers whatever comes.
const PLAIN: &[u8] = b"HTTP/1.1 302 Found\r\nLocation: http://portal.example/\r\nContent-Length: 0\r\n\r\n";
/// Larger bodies are not read.
const MAX_BODY: usize = 1 << 20;

/// What happens in place of a TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokenConnection {
    /// It is closed at once.
    Closed,
    /// Nothing is ever said.
    Silent,
    /// The first message of the handshake is read, and nothing is said: large packets do not come through.
    SilentAfterHello,
    /// An HTTP answer without TLS.
    PlainText,
}

/// Whether the server takes connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// It does.
    Open,
    /// Nobody listens, and connections that exist end.
    Shut,
}

/// Holds a port while nobody listens on it, so that nothing else on this machine gets it.
#[derive(Debug)]
pub struct Reservation {
    _socket: TcpSocket,
    address: SocketAddr,
}

impl Reservation {
    /// Takes a free port on `address`.
    pub fn new(address: SocketAddr) -> std::io::Result<Self> {
        let socket = reusable(address)?;
        let address = socket.local_addr()?;
        Ok(Self {
            _socket: socket,
            address,
        })
    }

    /// The address with the port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn listen(&self) -> std::io::Result<TcpListener> {
        reusable(self.address)?.listen(1024)
    }
}

fn reusable(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Serves for as long as the runtime lives. `ready` is told each time the door is as it was asked to be.
pub async fn serve(
    reservation: Reservation,
    shared: Arc<Shared>,
    mut door: watch::Receiver<Door>,
    ready: watch::Sender<Option<Door>>,
) {
    loop {
        let wanted = *door.borrow_and_update();
        match wanted {
            Door::Shut => {
                ready.send_replace(Some(Door::Shut));
                if door.changed().await.is_err() {
                    return;
                }
            }
            Door::Open => {
                let Ok(listener) = reservation.listen() else { return };
                ready.send_replace(Some(Door::Open));
                if accept_until_shut(listener, &shared, &mut door).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn accept_until_shut(
    listener: TcpListener,
    shared: &Arc<Shared>,
    door: &mut watch::Receiver<Door>,
) -> Result<(), watch::error::RecvError> {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            changed = door.changed() => {
                drop(listener);
                connections.shutdown().await;
                return changed;
            }
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        if let Ok((stream, _)) = accepted {
            connections.spawn(connection(stream, shared.clone()));
        }
    }
}

async fn connection(mut stream: TcpStream, shared: Arc<Shared>) {
    let (number, shown, broken) = shared.connected();
    match broken {
        Some(BrokenConnection::Closed) => {}
        Some(BrokenConnection::Silent) => linger(&mut stream).await,
        Some(BrokenConnection::PlainText) => {
            // Whoever hangs up in between has seen enough.
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(PLAIN).await;
        }
        broken => handshake(stream, shared, number, (shown, broken)).await,
    }
}

/// Reads until the client gives up.
async fn linger(stream: &mut TcpStream) {
    let mut heard = [0; 1024];
    while stream.read(&mut heard).await.is_ok_and(|len| len > 0) {}
}

async fn handshake(
    stream: TcpStream,
    shared: Arc<Shared>,
    number: usize,
    (shown, broken): (ServerCertificate, Option<BrokenConnection>),
) {
    let Ok(start) = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await else {
        return shared.handshake(number, Handshake::Failed);
    };
    let name = start.client_hello().server_name().map(str::to_owned);
    shared.hello(number, name);
    if broken == Some(BrokenConnection::SilentAfterHello) {
        return std::future::pending().await;
    }
    let Ok(stream) = start.into_stream(shared.tls(shown)).await else {
        return shared.handshake(number, Handshake::Failed);
    };
    shared.handshake(number, Handshake::Done);
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let chain: Arc<[CertificateDer<'static>]> = chain.iter().map(|der| der.clone().into_owned()).collect();
    let service = service_fn(|request| answer(request, shared.clone(), number, (shown, chain.clone())));
    // Clients hang up, and the script cuts connections: neither is news.
    let _ = http1::Builder::new()
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: hyper::Request<Incoming>,
    shared: Arc<Shared>,
    connection: usize,
    (shown, chain): (ServerCertificate, Arc<[CertificateDer<'static>]>),
) -> std::io::Result<hyper::Response<Delivered>> {
    let (head, body) = request.into_parts();
    let body = http_body_util::Limited::new(body, MAX_BODY).collect().await;
    let body = body.map_err(|_| std::io::ErrorKind::InvalidData)?.to_bytes();
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.as_str().to_owned(), value.into_owned())
    });
    let asked = Asked {
        connection,
        shown,
        chain,
        method: head.method.as_str().to_owned(),
        path: head.uri.to_string(),
        headers: headers.collect(),
        body: body.to_vec(),
    };
    let answer = routes::answer(&shared, asked);
    if answer.status == 0 {
        return std::future::pending().await;
    }
    Ok(response(answer, shared.unix()))
}

fn response(answer: Answer, unix: u64) -> hyper::Response<Delivered> {
    let date = match answer.date {
        None => Some(http_date(unix)),
        Some(DateHeader::Absent) => None,
        Some(DateHeader::At(unix)) => Some(http_date(unix)),
        Some(DateHeader::Text(text)) => Some(text),
    };
    let mut response = hyper::Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    if let Some(date) = date {
        response = response.header("date", date);
    }
    if answer.delivery != super::answer::Delivery::Endless {
        response = response.header("content-length", answer.body.len());
    }
    let body = Delivered::new(answer.body, answer.delivery);
    response.body(body).expect("the mock's own headers are well formed")
}

fn http_date(unix: u64) -> String {
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(unix))
}
