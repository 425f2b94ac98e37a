//! Conformance cases D9 to D12 and T: bad links, wrong servers, wrong clocks.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::certificates::Validity;
use crate::client::test_server::plain;
use crate::control_plane::ApiErrorKind;
use crate::source::https::Fetch as _;
use crate::tls::test_authority::{DAY, TestServer};

async fn discover_at(client: &Client, server: &StubServer, authority: &TestAuthority) -> ApiError {
    let trust = Trust::Authorities(authority.pem());
    discover(client, server.endpoint("localhost"), trust).await.unwrap_err()
}

/// How the discovery of a server fails that answers everybody like this.
async fn fails(answer: Answer) -> ApiError {
    let authority = authority();
    let own = authority.server(&["localhost"], AROUND_NOW);
    let server = StubServer::start(&own, move |_| answer.clone()).await;
    let by_pins = Trust::Pins(vec![pin_of(&authority)]);
    let by_pins = discover(&client().0, server.endpoint("localhost"), by_pins)
        .await
        .unwrap_err();
    let by_authorities = discover_at(&client().0, &server, &authority).await;
    assert_eq!(by_pins.kind, by_authorities.kind);
    by_pins
}

#[tokio::test]
async fn tls_1_2_will_do() {
    let authority = authority();
    let own = authority.server(&["localhost"], AROUND_NOW);
    let info = cluster_info(&kubeconfig("https://cp.example.com:6443", &authority.pem()), &token());
    let config = plain(&own, &[&rustls::version::TLS12]);
    let server = StubServer::with_config(config, move |_| Answer::Json(200, info.clone())).await;
    let trust = Trust::Pins(vec![pin_of(&authority)]);
    discover(&client().0, server.endpoint("localhost"), trust)
        .await
        .unwrap();
    assert_eq!(server.heard()[1].version, "TLSv1_2");
}

#[tokio::test]
async fn a_certificate_for_other_names_is_refused_and_the_names_are_told() {
    let authority = authority();
    let own = authority.server(&["kubernetes.default", "10.96.0.1"], AROUND_NOW);
    let info = cluster_info(&kubeconfig("https://cp.example.com:6443", &authority.pem()), &token());
    let server = StubServer::start(&own, move |_| Answer::Json(200, info.clone())).await;
    let trust = Trust::Pins(vec![pin_of(&authority)]);
    let error = discover(&client().0, server.endpoint("localhost"), trust)
        .await
        .unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Untrusted);
    assert!(error.detail.contains("kubernetes.default"), "{error}");
    assert!(error.advice.contains("certSANs"), "{}", error.advice);
}

#[tokio::test]
async fn a_captive_portal_is_recognised_and_its_certificate_named() {
    let portal = TestAuthority::new("Hotel Wi-Fi", AROUND_NOW).server(&["localhost"], AROUND_NOW);
    let page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>".to_vec();
    let redirect = b"HTTP/1.1 302 Found\r\nLocation: http://login.hotel.example/\r\nContent-Length: 0\r\n\r\n".to_vec();
    for answer in [page, redirect] {
        let server = StubServer::start(&portal, move |_| Answer::Raw(answer.clone())).await;
        let trust = Trust::Pins(vec![CaPin([1; 32])]);
        let error = discover(&client().0, server.endpoint("localhost"), trust)
            .await
            .unwrap_err();
        assert_eq!(error.kind, ApiErrorKind::NotKubernetes);
        assert!(error.detail.contains("issued by CN=Hotel Wi-Fi"), "{error}");
        assert_eq!(server.heard().len(), 1, "no redirect is followed");
        let error = discover_at(&client().0, &server, &authority()).await;
        assert_eq!(error.kind, ApiErrorKind::Untrusted);
        assert!(error.detail.contains("issued by CN=Hotel Wi-Fi"), "{error}");
    }
}

#[tokio::test]
async fn answers_that_break_off_or_are_too_large_or_no_http_are_told_apart() {
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"kind\"".to_vec();
    let error = fails(Answer::Raw(cut)).await;
    assert_eq!(error.kind, ApiErrorKind::Connect, "{error}");
    let mut large = b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n".to_vec();
    large.extend(std::iter::repeat_n(b' ', 2_000_000));
    assert_eq!(fails(Answer::Raw(large)).await.kind, ApiErrorKind::BadAnswer);
    let endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
    let endless = [endless, chunk.repeat(17)].concat();
    assert_eq!(fails(Answer::Raw(endless)).await.kind, ApiErrorKind::BadAnswer);
    assert_eq!(
        fails(Answer::Raw(b"SSH-2.0-OpenSSH_10.0\r\n".to_vec())).await.kind,
        ApiErrorKind::BadAnswer
    );
    assert_eq!(
        fails(Answer::Json(200, "{\"kind\":\"Config\"}".to_owned())).await.kind,
        ApiErrorKind::BadAnswer
    );
}

#[tokio::test]
async fn a_server_that_stalls_does_not_hold_the_client_for_ever() {
    let authority = authority();
    let own = authority.server(&["localhost"], AROUND_NOW);
    let server = StubServer::start(&own, |_| Answer::Stall).await;
    let error = discover_at(&impatient(), &server, &authority).await;
    assert_eq!(error.kind, ApiErrorKind::Timeout, "{error}");
}

#[tokio::test]
async fn tls_that_does_not_get_through_is_told_from_a_host_that_does_not_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint {
        host: "127.0.0.1".to_owned(),
        port: listener.local_addr().unwrap().port(),
        path: String::new(),
    };
    // The kernel accepts the connection; nobody ever reads from it.
    let error = discover(&impatient(), endpoint, Trust::UnsafeTokenOnly)
        .await
        .unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Timeout);
    assert!(error.advice.contains("MTU"), "{}", error.advice);
}

#[tokio::test]
async fn a_server_without_tls_is_not_kubernetes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint {
        host: "127.0.0.1".to_owned(),
        port: listener.local_addr().unwrap().port(),
        path: String::new(),
    };
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut hello = [0; 16];
        stream.read_exact(&mut hello).await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream
    };
    let (client, _) = client();
    let (found, _stream) = tokio::join!(discover(&client, endpoint, Trust::UnsafeTokenOnly), serve);
    assert_eq!(found.unwrap_err().kind, ApiErrorKind::NotKubernetes);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_told_as_such() {
    let endpoint = Endpoint {
        host: "control-plane.invalid".to_owned(),
        port: 6443,
        path: String::new(),
    };
    let error = discover(&client().0, endpoint, Trust::UnsafeTokenOnly)
        .await
        .unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Dns);
    assert!(error.detail.contains("control-plane.invalid"), "{error}");
}

/// A server that tells this time, and what a client whose clock is at `now` makes of it.
async fn clock_error(own: &TestServer, authority: &TestAuthority, date: &'static str, now: u64) -> ApiError {
    let answer = format!("HTTP/1.1 401 No\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n");
    let server = StubServer::start(own, move |_| Answer::Raw(answer.clone().into_bytes())).await;
    let (client, clock) = client();
    clock.synchronise(now);
    let error = discover_at(&client, &server, authority).await;
    for heard in server.heard() {
        assert_eq!(heard.line, "GET /version");
        assert!(!heard.headers.contains("authorization"));
    }
    error
}

#[tokio::test]
async fn a_machine_of_1970_learns_the_time_from_the_verified_server_and_nothing_else() {
    let authority = authority();
    let own = authority.server(&["localhost"], AROUND_NOW);
    let error = clock_error(&own, &authority, "Mon, 01 Jun 2026 00:00:00 GMT", 0).await;
    let server_time = Some(NOW);
    assert_eq!(error.kind, ApiErrorKind::Clock { server_time });
    assert!(
        error.detail.contains("1970-01-01") && error.detail.contains("2026-06-01"),
        "{error}"
    );
}

#[tokio::test]
async fn a_machine_that_is_ten_years_ahead_is_told_the_time_too() {
    let authority = authority();
    let own = authority.server(&["localhost"], AROUND_NOW);
    let error = clock_error(&own, &authority, "Mon, 01 Jun 2026 00:00:00 GMT", NOW + 3650 * DAY).await;
    let server_time = Some(NOW);
    assert_eq!(error.kind, ApiErrorKind::Clock { server_time });
}

#[tokio::test]
async fn a_date_outside_of_the_certificates_validity_is_not_believed() {
    let authority = authority();
    let own = authority.server(&["localhost"], AROUND_NOW);
    for date in ["Fri, 01 Jun 2035 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "now"] {
        let error = clock_error(&own, &authority, date, 0).await;
        assert_eq!(error.kind, ApiErrorKind::Clock { server_time: None }, "{date}");
    }
}

#[tokio::test]
async fn a_server_whose_certificate_ran_out_says_so() {
    let authority = authority();
    let past = Validity {
        not_before: NOW - 20 * DAY,
        not_after: NOW - 10 * DAY,
    };
    let own = authority.server(&["localhost"], past);
    let error = clock_error(&own, &authority, "Mon, 01 Jun 2026 00:00:00 GMT", NOW).await;
    assert_eq!(error.kind, ApiErrorKind::Clock { server_time: None });
    assert!(error.advice.contains("kubeadm certs renew"), "{}", error.advice);
}

#[tokio::test]
async fn a_wrong_clock_does_not_make_another_authoritys_server_be_asked_for_the_time() {
    let own = authority().server(&["localhost"], AROUND_NOW);
    let error = clock_error(&own, &authority(), "Mon, 01 Jun 2026 00:00:00 GMT", 0).await;
    assert_eq!(error.kind, ApiErrorKind::Untrusted);
}

#[tokio::test]
async fn when_the_clock_has_jumped_the_next_try_works() {
    let authority = authority();
    let server = described(&authority).await;
    let (client, clock) = client();
    clock.synchronise(17);
    let error = discover_at(&client, &server, &authority).await;
    assert!(matches!(error.kind, ApiErrorKind::Clock { .. }));
    clock.synchronise(NOW);
    let trust = Trust::Pins(vec![pin_of(&authority)]);
    assert!(discover(&client, server.endpoint("localhost"), trust).await.is_ok());
}

#[tokio::test]
async fn a_control_plane_behind_a_proxy_is_reached_through_it_and_verified_all_the_same() {
    let authority = authority();
    let server = described(&authority).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let network = NetworkSettings {
        proxy: Some(format!("http://{}", listener.local_addr().unwrap())),
        proxy_control_plane: true,
        ..NetworkSettings::default()
    };
    let client = Client::new(&network, Arc::new(ManualClock::at(NOW))).unwrap();
    let asked = Arc::new(Mutex::new(String::new()));
    let (record, target) = (Arc::clone(&asked), server.address);
    let proxy = tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(near.read_u8().await.unwrap());
        }
        *record.lock().unwrap() = String::from_utf8(head).unwrap();
        near.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await.unwrap();
        let mut far = tokio::net::TcpStream::connect(target).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    });
    let endpoint = server.endpoint("localhost");
    let found = discover(&client, endpoint.clone(), Trust::Authorities(authority.pem())).await;
    proxy.abort();
    assert!(found.is_ok(), "{found:?}");
    let asked = asked.lock().unwrap().clone();
    assert!(
        asked.starts_with(&format!("CONNECT localhost:{} HTTP/1.1\r\n", endpoint.port)),
        "{asked}"
    );
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let network = NetworkSettings {
        proxy: Some(format!("http://{free}")),
        proxy_control_plane: true,
        ..NetworkSettings::default()
    };
    let client = Client::new(&network, Arc::new(ManualClock::at(NOW))).unwrap();
    let authority = authority();
    let server = described(&authority).await;
    let error = discover_at(&client, &server, &authority).await;
    assert_eq!(error.kind, ApiErrorKind::Connect);
    assert!(
        error.detail.contains("proxy") && error.advice.contains("proxy"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_join_file_is_fetched_from_a_pinned_server_whatever_the_clock_says() {
    let own = authority().server(&["boot.example.com"], AROUND_NOW);
    let pins = [pin::of(&own.chain[0]).unwrap()];
    let file = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nversion = 1".to_vec();
    let answers = vec![
        Answer::Raw(file),
        Answer::Json(404, String::new()),
        Answer::Json(403, String::new()),
    ];
    let server = StubServer::start(&own, in_turn(answers)).await;
    let (client, clock) = client();
    clock.synchronise(17);
    let url = format!("{}/join?serial=0042", server.endpoint("localhost"));
    assert_eq!(client.get(&url, &pins).await.unwrap().unwrap(), b"version = 1");
    assert_eq!(client.get(&url, &pins).await.unwrap(), None);
    assert_eq!(client.get(&url, &pins).await.unwrap_err().kind, ApiErrorKind::Forbidden);
    assert_eq!(server.heard()[0].line, "GET /join?serial=0042");
    let error = client.get(&url, &[CaPin([1; 32])]).await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Untrusted);
    assert_eq!(server.heard().len(), 3);
}

#[tokio::test]
async fn a_join_file_behind_a_pinned_authority_needs_a_clock_and_says_so() {
    let authority = authority();
    let mut own = authority.server(&["localhost"], AROUND_NOW);
    own.chain.push(authority.certificate.clone());
    let server = StubServer::start(&own, |_| Answer::Json(200, "version = 1".to_owned())).await;
    let (client, clock) = client();
    let pins = [pin_of(&authority)];
    let url = server.endpoint("localhost").to_string();
    assert!(client.get(&url, &pins).await.unwrap().is_some());
    assert_eq!(server.heard()[0].line, "GET /");
    clock.synchronise(17);
    let error = client.get(&url, &pins).await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Clock { server_time: None });
}
