//! With a real client over loopback.

use std::cell::RefCell;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Version;
use hyper::header::DATE;
use rcgen::DnType;
use tokio::io::AsyncReadExt as _;
use tokio::sync::Notify;

use super::super::body::BodySender;
use super::super::peer::SocketOwner;
use super::super::test_ends::{TestKubelet, TestRelay, key_pem, stranger, whole};
use super::*;
use crate::certificates::{Validity, to_pem};
use crate::tls::test_authority::{AROUND_NOW, DAY, NOW, TestAuthority, node_params, set_name, set_validity};

/// Tells what it was asked, and waits when it is told to.
#[derive(Default)]
struct Echo {
    turned_away: RefCell<Vec<String>>,
    refusal: Notify,
    /// Those of the bodies that are not finished.
    open: RefCell<Vec<BodySender>>,
    cancelled: Notify,
}

/// Says so when it goes.
struct Alarm<'a>(&'a Notify);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Answerer for Echo {
    async fn answer(&self, request: Request<RelayBody>) -> Response<RelayBody> {
        match request.uri().path() {
            "/never" => {
                let _alarm = Alarm(&self.cancelled);
                std::future::pending().await
            }
            "/open" => {
                let (sender, body) = RelayBody::channel();
                sender.send("first").await.unwrap();
                self.open.borrow_mut().push(sender);
                Response::new(body)
            }
            path => {
                let path = path.to_owned();
                let body = request.into_body().collect().await.unwrap().to_bytes();
                Response::new(RelayBody::whole([path.as_bytes(), b" ", &body].concat()))
            }
        }
    }

    fn turned_away(&self, _from: SocketAddr, why: &str) {
        self.turned_away.borrow_mut().push(why.to_owned());
        self.refusal.notify_one();
    }
}

async fn echo() -> (TestRelay, Rc<Echo>) {
    let echo = Rc::new(Echo::default());
    (TestRelay::start(Rc::clone(&echo)).await, echo)
}

#[tokio::test(flavor = "local")]
async fn kubelet_is_answered_over_either_protocol() {
    let (relay, _) = echo().await;
    for (protocols, version) in [
        (Protocols::Http1, Version::HTTP_11),
        (Protocols::Http2OrHttp1, Version::HTTP_2),
    ] {
        let mut kubelet = relay.kubelet(protocols).await;
        let request = Request::post("https://127.0.0.1:6444/echo").body(Full::from("body"));
        let response = kubelet.send(request.unwrap()).await.unwrap();
        assert_eq!(response.version(), version);
        assert!(
            !response.headers().contains_key(DATE),
            "only the control plane dates answers"
        );
        assert_eq!(whole(response).await, "/echo body");
    }
}

#[tokio::test(flavor = "local")]
async fn who_is_not_this_nodes_kubelet_gets_no_answer() {
    let (relay, echo) = echo().await;
    let other_node = relay.cluster.issue(&node_params("edge-2"));
    let mut params = node_params("edge-1");
    set_name(&mut params, "system:node:edge-1");
    params
        .distinguished_name
        .push(DnType::OrganizationName, "system:masters");
    let no_node = relay.cluster.issue(&params);
    let stranger = stranger();
    for protocols in [Protocols::Http1, Protocols::Http2OrHttp1] {
        for shown in [None, Some(&other_node), Some(&no_node), Some(&stranger)] {
            let answered = match relay.connect(protocols, shown).await {
                Ok(mut kubelet) => kubelet.get("/echo").await.is_ok(),
                Err(_) => false,
            };
            assert!(!answered);
            echo.refusal.notified().await;
        }
    }
    let told = echo.turned_away.borrow();
    assert_eq!(told.len(), 8);
    assert!(told.iter().any(|why| why.contains("edge-2")), "{told:?}");
}

/// Whether a process with one of these ids is let in without a certificate, when the node's own ends at `not_after`.
async fn let_in_without(process_ids: &str, not_after: u64) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, processes) = (folder.path().join("current.pem"), folder.path().join("cgroup.procs"));
    let mut params = node_params("edge-1");
    let not_before = NOW - 90 * DAY;
    set_validity(&mut params, Validity { not_before, not_after });
    let own = TestAuthority::new("kubernetes", AROUND_NOW).issue(&params);
    std::fs::write(&certificate, to_pem(&own.chain) + key_pem(&own).expose()).unwrap();
    std::fs::write(&processes, process_ids).unwrap();
    let rule = |peers: PeerCheck| peers.or_without(certificate, SocketOwner::of(processes));
    let relay = TestRelay::start_with(Rc::new(Echo::default()), rule).await;
    match relay.connect(Protocols::Http2OrHttp1, None).await {
        Ok(mut kubelet) => kubelet.get("/echo").await.is_ok(),
        Err(_) => false,
    }
}

#[tokio::test(flavor = "local")]
async fn without_a_certificate_only_kubelet_is_let_in_and_only_when_its_own_has_expired() {
    let (own, other) = (
        std::process::id().to_string(),
        std::os::unix::process::parent_id().to_string(),
    );
    assert!(let_in_without(&own, NOW - 1).await);
    assert!(!let_in_without(&other, NOW - 1).await);
    assert!(!let_in_without("", NOW - 1).await);
    assert!(!let_in_without(&own, NOW + 1).await);
}

#[tokio::test(flavor = "local")]
async fn a_node_whose_certificate_cannot_be_read_lets_nobody_in_without() {
    let processes = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(processes.path(), std::process::id().to_string()).unwrap();
    let owner = SocketOwner::of(processes.path().to_owned());
    let rule = |peers: PeerCheck| peers.or_without("/nowhere".into(), owner);
    let echo = Rc::new(Echo::default());
    let relay = TestRelay::start_with(Rc::clone(&echo), rule).await;
    if let Ok(mut kubelet) = relay.connect(Protocols::Http2OrHttp1, None).await {
        assert!(kubelet.get("/echo").await.is_err());
    }
    echo.refusal.notified().await;
}

#[tokio::test(flavor = "local")]
async fn connections_that_say_nothing_do_not_keep_kubelet_out() {
    let (relay, _) = echo().await;
    let mut silent = Vec::new();
    for _ in 0..HANDSHAKES * 3 {
        silent.push(TcpStream::connect(relay.address).await.unwrap());
    }
    let mut kubelet = relay.kubelet(Protocols::Http2OrHttp1).await;
    assert_eq!(whole(kubelet.get("/echo").await.unwrap()).await, "/echo ");
    // The oldest have been ended, long before their time was over.
    for stream in &mut silent[..HANDSHAKES * 2] {
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    }
}

#[tokio::test(flavor = "local")]
async fn a_piece_arrives_before_the_next_one_is_there() {
    let (relay, echo) = echo().await;
    for protocols in [Protocols::Http1, Protocols::Http2OrHttp1] {
        let mut kubelet = relay.kubelet(protocols).await;
        let mut body = kubelet.get("/open").await.unwrap().into_body();
        assert_eq!(piece(&mut body).await, "first");
        let sender = echo.open.borrow_mut().pop().unwrap();
        sender.send("second").await.unwrap();
        assert_eq!(piece(&mut body).await, "second");
        drop(sender);
        assert_eq!(body.collect().await.unwrap().to_bytes(), "");
    }
}

async fn piece(body: &mut Incoming) -> Bytes {
    body.frame().await.unwrap().unwrap().into_data().unwrap()
}

#[tokio::test(flavor = "local")]
async fn a_body_that_is_cut_short_does_not_look_whole() {
    let (relay, echo) = echo().await;
    for protocols in [Protocols::Http1, Protocols::Http2OrHttp1] {
        let mut kubelet = relay.kubelet(protocols).await;
        let body = kubelet.get("/open").await.unwrap().into_body();
        let sender = echo.open.borrow_mut().pop().unwrap();
        sender.cut_short().await;
        assert!(body.collect().await.is_err(), "{protocols:?}");
    }
}

#[tokio::test(flavor = "local")]
async fn what_kubelet_cancels_is_dropped() {
    let (relay, echo) = echo().await;
    let mut kubelet = relay.kubelet(Protocols::Http2OrHttp1).await;
    // While the answer is open: the body is dropped.
    let response = kubelet.get("/open").await.unwrap();
    drop(response);
    let sender = echo.open.borrow_mut().pop().unwrap();
    sender.unwanted().await;
    assert_eq!(sender.send("more").await, Err(super::super::body::Unwanted));
    // While there is no answer yet: the answerer's future is dropped. The next answer shows that the request arrived.
    let TestKubelet::Http2(mut sender) = kubelet else {
        panic!("not HTTP/2");
    };
    let mut ask = |path: &str| {
        let request = Request::get(format!("https://127.0.0.1:6444{path}")).body(Full::default());
        sender.send_request(request.unwrap())
    };
    let never = ask("/never");
    ask("/echo").await.unwrap();
    drop(never);
    echo.cancelled.notified().await;
}
