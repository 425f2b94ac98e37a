//! A control plane of a few lines for the client's tests: TLS, one script for all requests, a record of what it heard.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::join_config::Endpoint;
use crate::tls::test_authority::{TestAuthority, TestServer};

/// A request as it arrived.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard {
    /// Method and path.
    pub line: String,
    pub headers: String,
    pub body: String,
    /// The name that the client asked for.
    pub sni: Option<String>,
    pub version: String,
    /// Whether the client showed a certificate.
    pub certificate: bool,
    /// Which connection it came over, counted from 0.
    pub connection: usize,
}

/// What is answered.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// JSON with a status, and the connection stays.
    Json(u16, String),
    /// These bytes, and the connection is closed.
    Raw(Vec<u8>),
    /// The beginning of an answer, and then nothing.
    Stall,
}

type Script = Box<dyn FnMut(&Heard) -> Answer + Send>;

/// A server; it ends with it.
pub(super) struct StubServer {
    pub address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    task: JoinHandle<()>,
}

impl StubServer {
    pub async fn start(server: &TestServer, script: impl FnMut(&Heard) -> Answer + Send + 'static) -> Self {
        Self::with_config(plain(server, rustls::ALL_VERSIONS), script).await
    }

    pub async fn with_config(config: ServerConfig, script: impl FnMut(&Heard) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (acceptor, record) = (TlsAcceptor::from(Arc::new(config)), Arc::clone(&heard));
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Box::new(script)));
        let task = tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, record, script) = (acceptor.clone(), Arc::clone(&record), Arc::clone(&script));
                tokio::spawn(async move { serve(connection, stream, acceptor, record, script).await });
            }
        });
        Self { address, heard, task }
    }

    pub fn endpoint(&self, host: &str) -> Endpoint {
        Endpoint {
            host: host.to_owned(),
            port: self.address.port(),
            path: String::new(),
        }
    }

    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for StubServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) fn plain(server: &TestServer, versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap();
    let builder = builder.with_no_client_auth();
    builder
        .with_single_cert(server.chain.clone(), server.key.clone_key())
        .unwrap()
}

/// As an API server: client certificates are asked for, and not needed.
pub(super) fn asking_for_certificates(server: &TestServer, clients: &TestAuthority) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(clients.certificate.clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let verifier = verifier.allow_unauthenticated().build().unwrap();
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = builder.with_client_cert_verifier(verifier);
    builder
        .with_single_cert(server.chain.clone(), server.key.clone_key())
        .unwrap()
}

async fn serve(
    connection: usize,
    stream: TcpStream,
    acceptor: TlsAcceptor,
    record: Arc<Mutex<Vec<Heard>>>,
    script: Arc<Mutex<Script>>,
) {
    // A client that refuses the certificate ends the handshake.
    let Ok(mut stream) = acceptor.accept(stream).await else {
        return;
    };
    let session = stream.get_ref().1;
    let blank = Heard {
        sni: session.server_name().map(str::to_owned),
        version: format!("{:?}", session.protocol_version().unwrap()),
        certificate: session.peer_certificates().is_some(),
        connection,
        ..Heard::default()
    };
    while let Some(heard) = read(&mut stream, &blank).await {
        record.lock().unwrap().push(heard.clone());
        let answer = (script.lock().unwrap())(&heard);
        let (bytes, stays) = match answer {
            Answer::Json(status, body) => (json(status, &body), true),
            Answer::Raw(bytes) => (bytes, false),
            Answer::Stall => (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{".to_vec(), true),
        };
        // The client may have gone by now; then there is nobody to tell.
        let _ = stream.write_all(&bytes).await;
        let _ = stream.flush().await;
        if !stays {
            let _ = stream.shutdown().await;
            return;
        }
    }
}

fn json(status: u16, body: &str) -> Vec<u8> {
    let len = body.len();
    format!("HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\nContent-Length: {len}\r\n\r\n{body}")
        .into_bytes()
}

async fn read(stream: &mut (impl AsyncRead + Unpin), blank: &Heard) -> Option<Heard> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let (line, headers) = head.split_once("\r\n").unwrap();
    let headers = headers.to_ascii_lowercase();
    let len = headers.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; len.map_or(0, |len| len.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some(Heard {
        line: line.trim_end_matches(" HTTP/1.1").to_owned(),
        headers,
        body: String::from_utf8(body).unwrap(),
        ..blank.clone()
    })
}
