//! What lies between machine and control plane: certificates, networks, portals, proxies (D9 to D12).

use skerry_firstboot::control_plane::ApiError;
use skerry_firstboot::join_config::{Endpoint, NetworkSettings};
use skerry_qemu_tests::mock_api::{BrokenConnection, Proxy, ProxyRule};

use super::*;

fn shown(kind: ServerCertificate) -> Fault {
    Fault::Certificate(kind)
}

fn by_authorities(mock: &MockApi) -> JoinConfig {
    JoinConfig {
        trust: Trust::Authorities(mock.ca_pem()),
        ..mock.join_config()
    }
}

fn at(mock: &MockApi, hosts: &[&str]) -> JoinConfig {
    JoinConfig {
        endpoints: hosts.iter().map(|host| mock.endpoint_at(host)).collect(),
        ..mock.join_config()
    }
}

/// A port on loopback where nobody listens.
fn dead() -> (MockApi, Endpoint) {
    let mut dead = mock();
    dead.shut();
    let endpoint = dead.endpoint();
    (dead, endpoint)
}

async fn impatient_refusal(mock: &MockApi) -> ApiError {
    let joiner = Joiner::new().impatient();
    joiner
        .discover(&mock.join_config())
        .await
        .expect_err("nothing usable answers")
}

#[tokio::test]
async fn a_certificate_that_is_not_the_control_planes_is_refused_at_the_verified_reading() {
    for kind in [
        ServerCertificate::OtherAuthority,
        ServerCertificate::SelfSigned,
        ServerCertificate::OtherName,
        ServerCertificate::ClientOnly,
    ] {
        let mock = mock();
        mock.fault(shown(kind).after(1));
        assert_refused(&mock, &mock.join_config(), ApiErrorKind::Untrusted).await;
        assert_eq!(
            mock.requests().len(),
            1,
            "{kind:?}: nothing is asked over that connection"
        );
    }
}

#[tokio::test]
async fn with_given_authorities_nothing_is_asked_of_another_server() {
    for kind in [
        ServerCertificate::OtherAuthority,
        ServerCertificate::SelfSigned,
        ServerCertificate::OtherName,
        ServerCertificate::ClientOnly,
    ] {
        let mock = mock();
        mock.fault(shown(kind));
        assert_refused(&mock, &by_authorities(&mock), ApiErrorKind::Untrusted).await;
        assert!(mock.requests().is_empty(), "{kind:?}");
    }
}

#[tokio::test]
async fn an_expired_certificate_is_a_matter_of_time_and_still_refused() {
    for kind in [ServerCertificate::Expired, ServerCertificate::NotYetValid] {
        let mock = mock();
        mock.fault(shown(kind));
        let kind = Joiner::new().refusal(&by_authorities(&mock)).await;
        // The server's time is outside of its own certificate: it proves nothing.
        assert_eq!(kind, ApiErrorKind::Clock { server_time: None });
        mock.assert_no_leak();
    }
}

#[tokio::test]
async fn tls_1_2_is_good_enough() {
    let mock = mock();
    mock.fault(shown(ServerCertificate::GenuineTls12));
    assert!(Joiner::new().discover(&mock.join_config()).await.is_ok());
}

#[tokio::test]
async fn a_host_name_is_told_in_the_handshake_and_an_address_is_not() {
    let mock = mock();
    let (name, address) = (at(&mock, &["localhost"]), at(&mock, &["127.0.0.1"]));
    Joiner::new().discover(&name).await.unwrap();
    Joiner::new().discover(&address).await.unwrap();
    let localhost = Some("localhost".to_owned());
    assert_eq!(mock.server_names(), [localhost.clone(), localhost, None, None]);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_broken_connection() {
    let mock = mock();
    mock.fault(Fault::Answer(BrokenAnswer::Cut).times(1));
    let joiner = Joiner::new();
    assert_eq!(joiner.refusal(&mock.join_config()).await, ApiErrorKind::Connect);
    assert!(joiner.discover(&mock.join_config()).await.is_ok());
}

#[tokio::test]
async fn a_control_plane_that_is_down_is_found_when_it_is_up_again() {
    let mut mock = mock();
    let (joiner, config) = (Joiner::new(), mock.join_config());
    mock.shut();
    assert_eq!(joiner.refusal(&config).await, ApiErrorKind::Connect);
    mock.open();
    assert!(joiner.discover(&config).await.is_ok());
}

#[tokio::test]
async fn a_dead_endpoint_is_passed_over_and_not_tried_first_again() {
    let mock = mock();
    let (_dead, first) = dead();
    let config = JoinConfig {
        endpoints: vec![first, mock.endpoint_at("nowhere.invalid"), mock.endpoint()],
        ..mock.join_config()
    };
    let joiner = Joiner::new();
    assert_eq!(joiner.discover(&config).await.unwrap().server, mock.endpoint());
    assert!(joiner.discover(&config).await.is_ok());
    // An unverified one for each discovery, and the verified one, which is kept.
    assert_eq!(mock.log().connections.len(), 3);
}

#[tokio::test]
async fn of_several_failures_the_one_that_came_furthest_is_told() {
    let mock = mock();
    mock.fault(Fault::Description(Description::NoSignature));
    let (_dead, last) = dead();
    let config = JoinConfig {
        endpoints: vec![mock.endpoint_at("nowhere.invalid"), mock.endpoint(), last],
        ..mock.join_config()
    };
    assert_eq!(Joiner::new().refusal(&config).await, ApiErrorKind::NotSigned);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_told_apart_from_a_host_that_does_not_answer() {
    let mock = mock();
    let joiner = Joiner::new();
    assert_eq!(
        joiner.refusal(&at(&mock, &["nowhere.invalid"])).await,
        ApiErrorKind::Dns
    );
    let (_dead, endpoint) = dead();
    let config = JoinConfig {
        endpoints: vec![endpoint],
        ..mock.join_config()
    };
    assert_eq!(joiner.refusal(&config).await, ApiErrorKind::Connect);
}

#[tokio::test]
async fn a_control_plane_with_ipv6_only_is_joined() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        #[allow(clippy::print_stdout, reason = "a skipped case is reported")]
        {
            println!("skipped: no IPv6 on loopback");
        }
        return;
    }
    let mock = MockApi::start(Setup {
        address: "[::1]:0".parse().unwrap(),
        host: "::1".to_owned(),
        ..Setup::default()
    });
    let cluster = Joiner::new().discover(&mock.join_config()).await.unwrap();
    assert_eq!(cluster.server, mock.endpoint());
}

#[tokio::test]
async fn silence_is_given_up_wherever_it_begins() {
    for fault in [
        Fault::Connection(BrokenConnection::Silent),
        Fault::Connection(BrokenConnection::SilentAfterHello),
        Fault::Answer(BrokenAnswer::Silence),
        Fault::Answer(BrokenAnswer::Stall),
        Fault::Answer(BrokenAnswer::Slow),
    ] {
        let mock = mock();
        mock.fault(fault.clone());
        let error = impatient_refusal(&mock).await;
        assert_eq!(error.kind, ApiErrorKind::Timeout, "{fault:?}: {error}");
        mock.heal();
        assert!(Joiner::new().discover(&mock.join_config()).await.is_ok());
    }
}

#[tokio::test]
async fn large_packets_that_do_not_come_through_are_named_as_the_likely_cause() {
    let mock = mock();
    mock.fault(Fault::Connection(BrokenConnection::SilentAfterHello));
    let error = impatient_refusal(&mock).await;
    assert!(
        error.detail.contains("TLS handshake") && error.advice.contains("MTU"),
        "{error}: {}",
        error.advice
    );
}

#[tokio::test]
async fn a_connection_that_is_closed_at_once_is_no_connection() {
    let mock = mock();
    mock.fault(Fault::Connection(BrokenConnection::Closed));
    assert_eq!(impatient_refusal(&mock).await.kind, ApiErrorKind::Connect);
}

#[tokio::test]
async fn a_captive_portal_is_recognised_in_each_of_its_forms() {
    let page = || Fault::Answer(BrokenAnswer::WebPage);
    let login = || Fault::Answer(BrokenAnswer::Redirect("https://portal.example/login".to_owned()));
    for (certificate, answer) in [
        (ServerCertificate::SelfSigned, Some(page())),
        (ServerCertificate::OtherAuthority, Some(login())),
        (ServerCertificate::Genuine, Some(page())),
        (ServerCertificate::Genuine, Some(login())),
        (ServerCertificate::Genuine, None),
    ] {
        let mock = mock();
        mock.fault(shown(certificate));
        mock.fault(answer.clone().unwrap_or(Fault::Connection(BrokenConnection::PlainText)));
        let error = Joiner::new()
            .discover(&mock.join_config())
            .await
            .expect_err("that is no control plane");
        assert_eq!(
            error.kind,
            ApiErrorKind::NotKubernetes,
            "{certificate:?} {answer:?}: {error}"
        );
        assert!(!error.advice.is_empty());
        // A redirection is not followed: the portal's host would have been looked up.
        assert!(mock.requests().len() <= 1);
        mock.assert_no_leak();
    }
}

#[tokio::test]
async fn a_login_page_after_the_first_reading_is_refused_by_its_certificate() {
    let mock = mock();
    mock.fault(shown(ServerCertificate::SelfSigned).after(1));
    mock.fault(Fault::Answer(BrokenAnswer::WebPage).after(1));
    assert_refused(&mock, &mock.join_config(), ApiErrorKind::Untrusted).await;
}

fn through(proxy: &Proxy) -> NetworkSettings {
    NetworkSettings {
        proxy: Some(proxy.url()),
        proxy_control_plane: true,
        ..NetworkSettings::default()
    }
}

#[tokio::test]
async fn the_control_plane_is_reached_through_the_proxy_only_if_the_join_file_says_so() {
    let (mock, proxy) = (mock(), Proxy::start(ProxyRule::Open));
    let direct = NetworkSettings {
        proxy_control_plane: false,
        ..through(&proxy)
    };
    Joiner::behind(&direct).discover(&mock.join_config()).await.unwrap();
    assert!(proxy.asked().is_empty());
    Joiner::behind(&through(&proxy))
        .discover(&mock.join_config())
        .await
        .unwrap();
    let expected = format!("CONNECT {} HTTP/1.1", mock.address());
    assert_eq!(proxy.asked(), [expected.clone(), expected]);
}

#[tokio::test]
async fn an_exempted_host_is_reached_past_the_proxy() {
    let (mock, proxy) = (mock(), Proxy::start(ProxyRule::Closed));
    let network = NetworkSettings {
        no_proxy: vec!["127.0.0.0/8".to_owned()],
        ..through(&proxy)
    };
    assert!(Joiner::behind(&network).discover(&mock.join_config()).await.is_ok());
    assert!(proxy.asked().is_empty());
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_and_never_gone_around() {
    let (mock, proxy) = (mock(), Proxy::start(ProxyRule::Closed));
    let error = Joiner::behind(&through(&proxy))
        .discover(&mock.join_config())
        .await
        .unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Connect);
    assert!(error.detail.contains("proxy"), "{error}");
    assert!(mock.log().connections.is_empty());
}
