//! What goes wrong, and what is done about it.

use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::site::{PACE, Site, get, post};
use super::{BOTH, at_once};
use crate::client::Failure;
use crate::clock::ManualClock;
use crate::join_config::{Endpoint, NetworkSettings};
use crate::relay::test_ends::{Serving, TestControlPlane};
use crate::relay::upstream::{Pace, Upstream, UpstreamError, UpstreamSettings};
use crate::tls::test_authority::{AROUND_NOW, DAY, NOW, TestAuthority};

/// For what never comes.
const SHORT: Duration = Duration::from_millis(100);

fn endpoint(socket: &TcpListener) -> Endpoint {
    Endpoint {
        host: "127.0.0.1".to_owned(),
        port: socket.local_addr().unwrap().port(),
        path: String::new(),
    }
}

async fn socket() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap()
}

/// An endpoint where nothing listens.
async fn dead() -> Endpoint {
    endpoint(&socket().await)
}

#[tokio::test(flavor = "local")]
async fn the_next_request_after_a_lost_connection_is_answered() {
    for serving in BOTH {
        let site = Site::new(serving).await;
        site.upstream.send(get("/echo")).await.unwrap();
        site.server.cut();
        site.upstream.send(get("/echo")).await.unwrap();
        assert_eq!(site.server.connections.get(), 2);
    }
}

#[tokio::test(flavor = "local")]
async fn a_read_is_sent_again_and_a_write_is_not() {
    for serving in BOTH {
        let site = Site::new(serving).await;
        let (answer, ()) = tokio::join!(site.upstream.send(get("/echo")), site.cut_next(2));
        assert!(answer.is_ok(), "{answer:?}");
        assert_eq!(site.heard().len(), 3);
        let (answer, ()) = tokio::join!(site.upstream.send(get("/echo")), site.cut_next(3));
        assert!(matches!(answer, Err(Failure::Broken(_))), "{answer:?}");
        assert_eq!(site.heard().len(), 6);
        let (answer, ()) = tokio::join!(site.upstream.send(post("/echo", "token")), site.cut_next(1));
        assert!(matches!(answer, Err(Failure::Broken(_))), "{answer:?}");
        assert_eq!(site.heard().len(), 7);
    }
}

#[tokio::test(flavor = "local")]
async fn a_body_that_breaks_off_ends_with_an_error() {
    for serving in BOTH {
        let site = Site::new(serving).await;
        let response = site.upstream.send(get("/open")).await.unwrap();
        let sender = site.take_open();
        sender.send("half").await.unwrap();
        let mut body = response.into_body();
        assert!(body.frame().await.unwrap().is_ok());
        site.server.cut();
        assert!(body.frame().await.unwrap().is_err());
    }
}

#[tokio::test(flavor = "local")]
async fn failures_are_told_apart() {
    let nowhere = dead().await;
    let site = Site::new(Serving::HTTP2).await;
    let site = site.with(|settings| settings.endpoints = vec![nowhere]);
    let failure = site.upstream.send(get("/")).await.unwrap_err();
    assert!(matches!(failure, Failure::NoConnection(_)), "{failure:?}");

    let other = TestAuthority::new("kubernetes", AROUND_NOW).pem();
    let site = Site::new(Serving::HTTP2).await;
    let site = site.with(|settings| settings.authorities = other);
    let failure = site.upstream.send(get("/")).await.unwrap_err();
    assert!(matches!(failure, Failure::Untrusted(_)), "{failure:?}");
    assert_eq!(site.heard().len(), 0, "nothing is told to a stranger");

    let site = Site::new(Serving::HTTP2).await;
    let site = site.with(|settings| settings.identity = "/nowhere".into());
    let failure = site.upstream.send(get("/")).await.unwrap_err();
    assert!(matches!(failure, Failure::Identity(_)), "{failure:?}");

    let site = Site::new(Serving::HTTP2).await;
    let late = Arc::new(ManualClock::at(NOW + 400 * DAY));
    let late = Upstream::new(site.upstream.settings.clone(), &NetworkSettings::default(), late).unwrap();
    let failure = late.send(get("/")).await.unwrap_err();
    assert!(matches!(failure, Failure::OutOfTime { .. }), "{failure:?}");
}

#[tokio::test(flavor = "local")]
async fn what_does_not_speak_tls_is_told_apart() {
    let socket = socket().await;
    let portal = endpoint(&socket);
    let site = Site::new(Serving::HTTP2).await;
    let site = site.with(|settings| {
        settings.endpoints = vec![portal];
        settings.pace.handshake = SHORT;
    });
    let plain = async {
        let (mut stream, _) = socket.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 302 Found\r\n\r\n").await.unwrap();
        stream
    };
    let (answer, _stream) = tokio::join!(site.upstream.send(get("/")), plain);
    assert!(matches!(answer, Err(Failure::NotTls)), "{answer:?}");
    // Now the system takes the connection, and nobody says anything.
    let failure = site.upstream.send(get("/")).await.unwrap_err();
    assert!(matches!(failure, Failure::HandshakeTimeout), "{failure:?}");
}

#[tokio::test(flavor = "local")]
async fn who_comes_while_somebody_connects_shares_the_outcome() {
    let socket = socket().await;
    let closing = endpoint(&socket);
    let site = Site::new(Serving::HTTP2).await;
    let site = site.with(|settings| settings.endpoints = vec![closing]);
    // If each connected for itself, the second one would wait for ever.
    let close_one = async || {
        let (mut stream, _) = socket.accept().await.unwrap();
        // By now everybody waits.
        stream.read_u8().await.unwrap();
    };
    let all = at_once((0..20).map(|_| site.upstream.send(get("/"))));
    let (answers, ()) = tokio::join!(all, close_one());
    assert!(answers.iter().all(Result::is_err));
    // The next one tries for itself.
    let (answer, ()) = tokio::join!(site.upstream.send(get("/")), close_one());
    assert!(answer.is_err());
}

#[tokio::test(flavor = "local")]
async fn another_endpoint_takes_over() {
    let nowhere = dead().await;
    let site = Site::new(Serving::HTTP2).await;
    let second = TestControlPlane::start(&site.cluster, Serving::HTTP2, Rc::clone(&site.script)).await;
    let endpoints = vec![nowhere, site.server.endpoint(), second.endpoint()];
    let site = site.with(|settings| settings.endpoints = endpoints);
    site.upstream.send(get("/echo")).await.unwrap();
    assert_eq!(site.upstream.endpoint(), Some(site.server.endpoint()));
    let Site {
        server,
        upstream,
        folder: _folder,
        ..
    } = site;
    drop(server);
    upstream.send(get("/echo")).await.unwrap();
    assert_eq!(upstream.endpoint(), Some(second.endpoint()));
    assert_eq!(second.connections.get(), 1);
}

#[tokio::test(flavor = "local")]
async fn a_server_that_falls_silent_is_given_up() {
    let site = Site::new(Serving::HTTP2).await;
    let (endpoint, silence) = wire_to(&site).await;
    let site = site.with(|settings| {
        settings.endpoints = vec![endpoint];
        settings.pace = Pace {
            silence: SHORT,
            sign_of_life: SHORT * 10,
            ..PACE
        };
    });
    let response = site.upstream.send(get("/open")).await.unwrap();
    silence.notify_one();
    let mut body = response.into_body();
    assert!(body.frame().await.unwrap().is_err());
    assert_eq!(site.upstream.endpoint(), None);
    let failure = site.upstream.send(get("/")).await.unwrap_err();
    assert!(matches!(failure, Failure::NoConnection(_)), "{failure:?}");
}

#[tokio::test(flavor = "local")]
async fn a_request_to_a_silent_server_fails_by_time() {
    let site = Site::new(Serving::HTTP2).await;
    let (endpoint, silence) = wire_to(&site).await;
    let site = site.with(|settings| {
        settings.endpoints = vec![endpoint];
        settings.pace = Pace {
            silence: SHORT,
            sign_of_life: SHORT * 10,
            ..PACE
        };
    });
    site.upstream.send(get("/echo")).await.unwrap();
    silence.notify_one();
    let failure = site.upstream.send(post("/never", "token")).await.unwrap_err();
    assert!(matches!(failure, Failure::NoAnswer), "{failure:?}");
}

/// A wire to the server, for one connection, that can be silenced: then it stays open, and nothing comes through.
async fn wire_to(site: &Site) -> (Endpoint, Rc<Notify>) {
    let socket = socket().await;
    let (endpoint, silence) = (endpoint(&socket), Rc::new(Notify::new()));
    let (silenced, server) = (Rc::clone(&silence), site.server.address);
    tokio::task::spawn_local(async move {
        let (mut near, _) = socket.accept().await.unwrap();
        drop(socket);
        let mut far = TcpStream::connect(server).await.unwrap();
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
            () = silenced.notified() => std::future::pending().await,
        }
    });
    (endpoint, silence)
}

#[test]
fn there_must_be_somewhere_to_go() {
    let settings = UpstreamSettings::new(Vec::new(), None, String::new());
    let refused = Upstream::new(settings, &NetworkSettings::default(), Arc::new(ManualClock::at(NOW)));
    assert!(matches!(refused, Err(UpstreamError::NoEndpoint)));
}
