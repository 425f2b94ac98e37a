//! A control plane of a few lines: TLS that asks for client certificates, one answerer for all requests.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinHandle};
use tokio_rustls::TlsAcceptor;

use crate::join_config::Endpoint;
use crate::relay::body::RelayBody;
use crate::relay::listener::Answerer;
use crate::relay::local::Local;
use crate::tls::test_authority::{AROUND_NOW, TestAuthority};
use crate::tls::{HTTP2, Protocols};

/// Who a request came from, among its extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::relay) struct ShownBy(pub Option<CertificateDer<'static>>);

/// A server; it ends with it.
pub(in crate::relay) struct TestControlPlane {
    pub address: SocketAddr,
    /// How many connections there have been.
    pub connections: Rc<Cell<usize>>,
    open: Rc<RefCell<Vec<AbortHandle>>>,
    task: JoinHandle<()>,
}

/// How a server serves.
#[derive(Debug, Clone, Copy)]
pub(in crate::relay) struct Serving {
    pub protocols: Protocols,
    pub max_streams: u32,
}

impl Serving {
    pub const HTTP2: Self = Self {
        protocols: Protocols::Http2OrHttp1,
        max_streams: 100,
    };
    pub const HTTP1: Self = Self {
        protocols: Protocols::Http1,
        max_streams: 1,
    };
}

impl TestControlPlane {
    pub async fn start<A: Answerer + 'static>(cluster: &TestAuthority, serving: Serving, answerer: Rc<A>) -> Self {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config(cluster, serving)));
        let (connections, open) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(Vec::<AbortHandle>::new())));
        let (count, list) = (Rc::clone(&connections), Rc::clone(&open));
        let task = tokio::task::spawn_local(async move {
            loop {
                let (stream, _) = socket.accept().await.unwrap();
                count.set(count.get() + 1);
                let task = tokio::task::spawn_local(serve(stream, acceptor.clone(), serving, Rc::clone(&answerer)));
                list.borrow_mut().push(task.abort_handle());
            }
        });
        Self {
            address,
            connections,
            open,
            task,
        }
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint {
            host: self.address.ip().to_string(),
            port: self.address.port(),
            path: String::new(),
        }
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        self.open.borrow_mut().drain(..).for_each(|task| task.abort());
    }
}

impl Drop for TestControlPlane {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

fn config(cluster: &TestAuthority, serving: Serving) -> ServerConfig {
    let server = cluster.server(&["127.0.0.1"], AROUND_NOW);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(cluster.certificate.clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.allow_unauthenticated().build().unwrap())
        .with_single_cert(server.chain, server.key)
        .unwrap();
    config.alpn_protocols = serving.protocols.names();
    config
}

async fn serve<A: Answerer + 'static>(stream: TcpStream, acceptor: TlsAcceptor, serving: Serving, answerer: Rc<A>) {
    stream.set_nodelay(true).unwrap();
    // A client that refuses the certificate ends the handshake.
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let session = stream.get_ref().1;
    let shown = ShownBy(session.peer_certificates().map(|chain| chain[0].clone().into_owned()));
    let is_http2 = session.alpn_protocol() == Some(HTTP2);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(shown.clone());
        let answerer = Rc::clone(&answerer);
        async move { Ok::<_, Infallible>(answerer.answer(request.map(RelayBody::from)).await) }
    });
    let stream = TokioIo::new(stream);
    // Clients may go whenever they want to.
    let _ = match is_http2 {
        true => {
            http2::Builder::new(Local)
                .max_concurrent_streams(serving.max_streams)
                .serve_connection(stream, service)
                .await
        }
        false => http1::Builder::new().serve_connection(stream, service).await,
    };
}
