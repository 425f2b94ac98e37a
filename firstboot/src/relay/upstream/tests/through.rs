//! From kubelet to the control plane and back, through both sides of the relay.

use std::cell::RefCell;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use hyper::{Request, Response};

use super::site::upstream;
use crate::certificates::to_pem;
use crate::relay::body::{End, Observer, RelayBody};
use crate::relay::listener::Answerer;
use crate::relay::test_ends::{Serving, TestControlPlane, TestRelay, key_pem, whole};
use crate::relay::unpack::{Encoding, Learner, Unpacking};
use crate::relay::upstream::{Upstream, UpstreamSettings};
use crate::tls::Protocols;
use crate::tls::test_authority::{AROUND_NOW, TestAuthority, node_params};

/// Larger than all windows and buffers together.
const LIST_BYTES: usize = 4 << 20;

/// A control plane with one long answer.
struct Lister(Vec<u8>);

/// A relay that looks at what passes.
struct Relay {
    upstream: Upstream,
    seen: Rc<RefCell<Seen>>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    bytes: Vec<u8>,
    end: Option<End>,
}

struct Watcher(Rc<RefCell<Seen>>);

impl Answerer for Lister {
    async fn answer(&self, request: Request<RelayBody>) -> Response<RelayBody> {
        let mut response = Response::new(RelayBody::whole(self.0.clone()));
        response.headers_mut().insert(CONTENT_LENGTH, self.0.len().into());
        if request.uri().path() == "/packed" {
            response.headers_mut().insert(CONTENT_ENCODING, "gzip".parse().unwrap());
        }
        response
    }
}

impl Learner for Watcher {
    fn data(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        self.0.borrow_mut().bytes.extend_from_slice(bytes);
        ControlFlow::Continue(())
    }

    fn end(self: Box<Self>, how: End) {
        self.0.borrow_mut().end = Some(how);
    }
}

/// Shows what passes to the one who learns, without a thread in between.
struct AtOnce(Unpacking);

impl Observer for AtOnce {
    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn data(&mut self, bytes: &Bytes) {
        self.0.data(bytes);
    }

    fn end(mut self: Box<Self>, how: End) {
        self.0.end(how);
    }
}

impl Answerer for Relay {
    async fn answer(&self, request: Request<RelayBody>) -> Response<RelayBody> {
        let (head, body) = self.upstream.send(request).await.unwrap().into_parts();
        let encoding = Encoding::of(&head.headers).unwrap();
        let unpacking = Unpacking::new(encoding, Box::new(Watcher(Rc::clone(&self.seen))));
        let body = body.observed(Box::new(AtOnce(unpacking)));
        Response::from_parts(head, body)
    }
}

/// Asks for `path` from a server that has `served` there; tells what was seen on the way.
async fn pass(path: &str, served: &[u8], serving: Serving, protocols: Protocols) -> Seen {
    let cluster = TestAuthority::new("kubernetes", AROUND_NOW);
    let server = TestControlPlane::start(&cluster, serving, Rc::new(Lister(served.to_vec()))).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubelet-client-current.pem");
    let identity = cluster.issue(&node_params("edge-1"));
    std::fs::write(&file, to_pem(&identity.chain) + key_pem(&identity).expose()).unwrap();
    let seen = Rc::<RefCell<Seen>>::default();
    let relay = Relay {
        upstream: upstream(UpstreamSettings {
            identity: file,
            ..UpstreamSettings::new(vec![server.endpoint()], None, cluster.pem())
        }),
        seen: Rc::clone(&seen),
    };
    let relay = TestRelay::start(Rc::new(relay)).await;
    let mut kubelet = relay.kubelet(protocols).await;
    let response = kubelet.get(path).await.unwrap();
    assert_eq!(response.headers()[CONTENT_LENGTH], served.len().to_string());
    assert!(whole(response).await == *served, "{path} {serving:?} {protocols:?}");
    seen.take()
}

#[tokio::test(flavor = "local")]
async fn a_long_list_passes_as_it_is_and_is_seen_unpacked() {
    let items: Vec<u8> = (0..LIST_BYTES).map(|at| (at / 64 * at % 251) as u8).collect();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&items).unwrap();
    let packed = encoder.finish().unwrap();
    for (path, served) in [("/plain", &items), ("/packed", &packed)] {
        for (serving, protocols) in [
            (Serving::HTTP2, Protocols::Http2OrHttp1),
            (Serving::HTTP1, Protocols::Http2OrHttp1),
            (Serving::HTTP2, Protocols::Http1),
        ] {
            let seen = pass(path, served, serving, protocols).await;
            assert_eq!(seen.end, Some(End::Complete), "{path} {serving:?} {protocols:?}");
            assert!(seen.bytes == items, "{path} {serving:?} {protocols:?}");
        }
    }
}
