//! Both ends of the relay for its tests: a kubelet, and a control plane.

mod control_plane;

use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Request, Response, client};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use super::listener::{Answerer, Listener};
use super::local::Local;
use super::peer::PeerCheck;
use super::server_certificate::{ADDRESS, ServerCertificate};
use crate::certificates;
use crate::clock::{Clock, ManualClock};
use crate::disk::RealDisk;
use crate::secret::Secret;
use crate::tls::test_authority::{AROUND_NOW, NOW, TestAuthority, TestServer, node_params};
use crate::tls::{Authorities, Check, HTTP2, Identity, Protocols, Tls};

pub(super) use control_plane::{Serving, ShownBy, TestControlPlane};

/// A relay's listener at work, and what is needed to be its kubelet.
pub(super) struct TestRelay {
    pub address: SocketAddr,
    pub cluster: TestAuthority,
    certificate: String,
    task: tokio::task::JoinHandle<()>,
}

/// A connection of kubelet.
pub(super) enum TestKubelet {
    Http1(client::conn::http1::SendRequest<Full<Bytes>>),
    Http2(client::conn::http2::SendRequest<Full<Bytes>>),
}

impl TestRelay {
    pub async fn start<A: Answerer + 'static>(answerer: Rc<A>) -> Self {
        Self::start_with(answerer, |peers| peers).await
    }

    /// The same with another rule who is let in.
    pub async fn start_with<A: Answerer + 'static>(answerer: Rc<A>, rule: impl FnOnce(PeerCheck) -> PeerCheck) -> Self {
        let cluster = TestAuthority::new("kubernetes", AROUND_NOW);
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("run/skerry")).unwrap();
        let certificate = ServerCertificate::obtain(&RealDisk::new(folder.path())).unwrap();
        let authorities = Arc::new(Authorities::from_pem(&cluster.pem()).unwrap());
        let peers = rule(PeerCheck::new(authorities, "edge-1", Arc::new(ManualClock::at(NOW))));
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let listener = Listener::new(socket, &certificate, Arc::new(peers)).unwrap();
        let task = tokio::task::spawn_local(async move {
            listener.serve(answerer).await;
        });
        Self {
            address,
            cluster,
            certificate: certificate.to_pem(),
            task,
        }
    }

    /// What this node's kubelet shows.
    pub fn kubelet_identity(&self) -> TestServer {
        self.cluster.issue(&node_params("edge-1"))
    }

    /// Connects as this node's kubelet.
    pub async fn kubelet(&self, protocols: Protocols) -> TestKubelet {
        let identity = self.kubelet_identity();
        self.connect(protocols, Some(&identity)).await.unwrap()
    }

    /// Connects with `shown`. With TLS 1.3 a refusal is seen only when something is read.
    pub async fn connect(&self, protocols: Protocols, shown: Option<&TestServer>) -> std::io::Result<TestKubelet> {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(NOW));
        let check = Check::Authorities(Arc::new(Authorities::from_pem(&self.certificate).unwrap()));
        let texts = shown.map(|shown| (certificates::to_pem(&shown.chain), key_pem(shown)));
        let identity = texts.as_ref().map(|(certificate, key)| Identity { certificate, key });
        let tls = Tls::new(check, identity, &clock).unwrap().offering(protocols);
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::from(ADDRESS);
        let stream = TlsConnector::from(tls.config).connect(name, stream).await?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
        let stream = TokioIo::new(stream);
        Ok(match is_http2 {
            true => {
                let (sender, connection) = client::conn::http2::handshake(Local, stream).await.unwrap();
                tokio::task::spawn_local(connection);
                TestKubelet::Http2(sender)
            }
            false => {
                let (sender, connection) = client::conn::http1::handshake(stream).await.unwrap();
                tokio::task::spawn_local(connection);
                TestKubelet::Http1(sender)
            }
        })
    }
}

impl Drop for TestRelay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TestKubelet {
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::Http1(sender) => sender.send_request(request).await,
            Self::Http2(sender) => sender.send_request(request).await,
        }
    }

    pub async fn get(&mut self, path: &str) -> hyper::Result<Response<Incoming>> {
        let uri = format!("https://127.0.0.1:6444{path}");
        self.send(Request::get(uri).body(Full::default()).unwrap()).await
    }
}

/// The whole of a body.
pub(super) async fn whole(response: Response<Incoming>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

pub(super) fn key_pem(identity: &TestServer) -> Secret {
    Secret::new(certificates::pem("PRIVATE KEY", identity.key.secret_der()))
}

/// A certificate that a stranger made for himself.
pub(super) fn stranger() -> TestServer {
    TestAuthority::new("kubernetes", AROUND_NOW).issue(&node_params("edge-1"))
}
