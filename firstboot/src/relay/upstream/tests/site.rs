//! A server, what it heard, and the node's way to it.

use std::cell::{Cell, RefCell};
use std::fs;
use std::os::unix::fs::symlink;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName};
use hyper::{Request, Response, StatusCode};
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;
use tokio::sync::Notify;

use super::super::*;
use crate::certificates;
use crate::clock::ManualClock;
use crate::relay::body::{BodySender, RelayBody};
use crate::relay::listener::Answerer;
use crate::relay::test_ends::{Serving, ShownBy, TestControlPlane, key_pem};
use crate::tls::test_authority::{AROUND_NOW, NOW, TestAuthority, node_params};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub target: String,
    pub host: String,
    pub authorization: Option<String>,
    pub has_hop_header: bool,
    pub shown_by: Option<CertificateDer<'static>>,
}

#[derive(Default)]
pub(super) struct Script {
    heard: RefCell<Vec<Heard>>,
    open: RefCell<Vec<BodySender>>,
    arrived: Notify,
    cancelled: Notify,
    /// How many of the next requests have their connection cut.
    cuts: Cell<usize>,
    cut: Notify,
}

/// Everything but the request.
pub(super) struct Site {
    pub server: TestControlPlane,
    pub cluster: TestAuthority,
    pub upstream: Upstream,
    pub script: Rc<Script>,
    pub folder: TempDir,
    certificates: RefCell<Vec<CertificateDer<'static>>>,
}

struct Alarm<'a>(&'a Notify);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Answerer for Script {
    async fn answer(&self, request: Request<RelayBody>) -> Response<RelayBody> {
        self.heard.borrow_mut().push(hear(&request));
        if let Some(left) = self.cuts.get().checked_sub(1) {
            self.cuts.set(left);
            self.cut.notify_one();
            std::future::pending::<()>().await;
        }
        let body = match request.uri().path() {
            "/never" => {
                let _alarm = Alarm(&self.cancelled);
                self.arrived.notify_one();
                std::future::pending().await
            }
            "/open" => {
                let (sender, body) = RelayBody::channel();
                self.open.borrow_mut().push(sender);
                body
            }
            "/trailers" => {
                let (sender, body) = RelayBody::channel();
                let trailers = HeaderMap::from_iter([(HeaderName::from_static("x-trailer"), "last".parse().unwrap())]);
                sender.trailers(trailers).await;
                body
            }
            _ => RelayBody::whole(request.into_body().collect().await.unwrap().to_bytes()),
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::CREATED;
        response.headers_mut().insert("x-served", "yes".parse().unwrap());
        response
    }
}

fn hear(request: &Request<RelayBody>) -> Heard {
    let header = |name| {
        let value: Option<&hyper::header::HeaderValue> = request.headers().get(name);
        value.map(|value| value.to_str().unwrap().to_owned())
    };
    let host = request.uri().authority().map(|authority| authority.to_string());
    Heard {
        target: format!("{} {}", request.method(), request.uri().path_and_query().unwrap()),
        host: host.or_else(|| header(HOST)).unwrap(),
        authorization: header(AUTHORIZATION),
        has_hop_header: request.headers().contains_key("x-hop"),
        shown_by: request.extensions().get::<ShownBy>().and_then(|shown| shown.0.clone()),
    }
}

/// Patient: the machine that runs the tests may be busy.
pub(super) const PACE: Pace = Pace {
    connect: Duration::from_secs(20),
    handshake: Duration::from_secs(20),
    silence: Duration::from_secs(20),
    sign_of_life: Duration::from_secs(20),
};

impl Site {
    pub async fn new(serving: Serving) -> Self {
        let cluster = TestAuthority::new("kubernetes", AROUND_NOW);
        let script = Rc::<Script>::default();
        let server = TestControlPlane::start(&cluster, serving, Rc::clone(&script)).await;
        let folder = tempfile::tempdir().unwrap();
        let settings = UpstreamSettings {
            identity: folder.path().join("kubelet-client-current.pem"),
            pace: PACE,
            ..UpstreamSettings::new(vec![server.endpoint()], None, cluster.pem())
        };
        let site = Self {
            upstream: upstream(settings),
            server,
            cluster,
            script,
            folder,
            certificates: RefCell::default(),
        };
        site.rotate();
        site
    }

    /// The same machine with other settings.
    pub fn with(mut self, change: impl FnOnce(&mut UpstreamSettings)) -> Self {
        let mut settings = self.upstream.settings.clone();
        change(&mut settings);
        self.upstream = upstream(settings);
        self
    }

    /// As kubelet does: a new file, then the link.
    pub fn rotate(&self) {
        let identity = self.cluster.issue(&node_params("edge-1"));
        let number = self.certificates.borrow().len();
        let file = self.folder.path().join(format!("kubelet-client-{number}.pem"));
        let content = certificates::to_pem(&identity.chain) + key_pem(&identity).expose();
        fs::write(&file, content).unwrap();
        let (link, new) = (&self.upstream.settings.identity, self.folder.path().join("new"));
        symlink(&file, &new).unwrap();
        fs::rename(new, link).unwrap();
        self.certificates.borrow_mut().push(identity.chain[0].clone());
    }

    pub fn certificate(&self, number: usize) -> CertificateDer<'static> {
        self.certificates.borrow()[number].clone()
    }

    pub fn heard(&self) -> Vec<Heard> {
        self.script.heard.borrow().clone()
    }

    /// The body of the oldest `/open`.
    pub fn take_open(&self) -> BodySender {
        self.script.open.borrow_mut().remove(0)
    }

    pub async fn arrival(&self) {
        self.script.arrived.notified().await;
    }

    pub async fn cancelled(&self) {
        self.script.cancelled.notified().await;
    }

    /// Cuts the connections of the next `number` requests when they have arrived.
    pub async fn cut_next(&self, number: usize) {
        self.script.cuts.set(number);
        for _ in 0..number {
            self.script.cut.notified().await;
            self.server.cut();
        }
    }
}

pub(super) fn upstream(settings: UpstreamSettings) -> Upstream {
    Upstream::new(settings, &NetworkSettings::default(), Arc::new(ManualClock::at(NOW))).unwrap()
}

pub(super) fn get(path: &str) -> Request<RelayBody> {
    let uri = format!("https://127.0.0.1:6444{path}");
    Request::get(uri).body(RelayBody::empty()).unwrap()
}

pub(super) fn post(path: &str, body: &'static str) -> Request<RelayBody> {
    let uri = format!("https://127.0.0.1:6444{path}");
    Request::post(uri).body(RelayBody::whole(body)).unwrap()
}
