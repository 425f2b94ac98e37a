//! The mock fails as it is told to, and no more often.

use super::*;

fn status(code: u16) -> Fault {
    Fault::Answer(BrokenAnswer::status(code))
}

#[tokio::test]
async fn an_answer_fails_as_often_as_the_script_says() {
    let mock = MockApi::start(Setup::default());
    let http = Http::new(&mock);
    mock.fault(status(503).on(Call::ClusterInfo).after(1).times(2));
    let mut seen = Vec::new();
    for _ in 0..4 {
        assert_eq!(http.get("/healthz").await.0, 200);
        seen.push(http.get(CLUSTER_INFO).await.0);
    }
    assert_eq!(seen, [200, 503, 503, 200]);
    let logged: Vec<u16> = mock.requests().iter().map(|request| request.status).collect();
    assert_eq!(logged, [200, 200, 200, 503, 200, 503, 200, 200]);
}

#[tokio::test]
async fn cut_and_stalled_bodies_arrive_in_part() {
    let mock = MockApi::start(Setup::default());
    let url = format!("{}/version", mock.endpoint());
    let http = Http::new(&mock);
    mock.fault(Fault::Answer(BrokenAnswer::Cut).times(1));
    let response = http.client.get(&url).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.is_err());
    mock.fault(Fault::Answer(BrokenAnswer::Stall).times(1));
    let mut response = http.client.get(&url).send().await.unwrap();
    assert!(!response.chunk().await.unwrap().unwrap().is_empty());
    let rest = tokio::time::timeout(std::time::Duration::from_millis(200), response.chunk());
    assert!(rest.await.is_err());
}

#[tokio::test]
async fn an_endless_body_goes_on_beyond_all_limits() {
    let mock = MockApi::start(Setup::default());
    mock.fault(Fault::Answer(BrokenAnswer::Endless));
    let mut response = Http::new(&mock)
        .client
        .get(format!("{}/version", mock.endpoint()))
        .send()
        .await
        .unwrap();
    let mut len = 0;
    while len < 4 << 20 {
        len += response.chunk().await.unwrap().unwrap().len();
    }
}

#[tokio::test]
async fn the_wrong_certificates_are_refused_by_a_plain_tls_client() {
    for shown in [
        ServerCertificate::OtherAuthority,
        ServerCertificate::SecondAuthority,
        ServerCertificate::SelfSigned,
        ServerCertificate::Expired,
        ServerCertificate::NotYetValid,
        ServerCertificate::OtherName,
        ServerCertificate::ClientOnly,
    ] {
        let mock = MockApi::start(Setup::default());
        mock.fault(Fault::Certificate(shown).times(1));
        assert!(Http::new(&mock).try_get("/healthz").await.is_err(), "{shown:?}");
        assert_eq!(Http::new(&mock).get("/healthz").await.0, 200);
        let log = mock.log();
        assert_eq!(log.connections[0].shown, shown);
        assert_eq!(log.connections[1].handshake, Handshake::Done);
        assert_eq!(log.requests.len(), 1);
    }
}

#[tokio::test]
async fn the_name_that_a_client_asks_for_is_logged_and_an_address_is_none() {
    let mock = MockApi::start(Setup::default());
    let http = Http::new(&mock);
    http.get("/healthz").await;
    let by_name = Http {
        url: mock.endpoint_at("localhost").to_string(),
        ..Http::new(&mock)
    };
    by_name.get("/healthz").await;
    assert_eq!(mock.server_names(), [None, Some("localhost".to_owned())]);
}

#[tokio::test]
async fn a_shut_door_refuses_connections_until_it_is_opened_on_the_same_port() {
    let mut mock = MockApi::start(Setup::default());
    let http = Http::new(&mock);
    assert_eq!(http.get("/healthz").await.0, 200);
    mock.shut();
    assert!(http.try_get("/healthz").await.is_err(), "its connection ended, too");
    let refused = Http::new(&mock).try_get("/healthz").await.unwrap_err();
    assert!(refused.is_connect(), "{refused:?}");
    mock.open();
    assert_eq!(http.get("/healthz").await.0, 200);
}

#[tokio::test]
async fn more_requests_than_the_limit_are_told_when_to_come_again() {
    let mock = MockApi::start(Setup {
        limits: Limits::upstream().with_requests(3),
        ..Setup::default()
    });
    let http = Http::new(&mock);
    let url = format!("{}/healthz", mock.endpoint());
    let mut refused = 0;
    for _ in 0..12 {
        let response = http.client.get(&url).send().await.unwrap();
        if response.status() == 429 {
            assert_eq!(response.headers()["retry-after"], "1");
            refused += 1;
        }
    }
    assert!(refused >= 5, "{refused}");
}

#[tokio::test]
async fn a_leaked_credential_is_found() {
    let mock = MockApi::start(Setup::default());
    Http::new(&mock).get(CLUSTER_INFO).await;
    Http::joining(&mock).get(CLUSTER_INFO).await;
    mock.assert_no_leak();
    let http = Http::new(&mock);
    http.get(&format!("/healthz?token={}", mock.token.text())).await;
    let state = mock.shared.lock();
    assert_eq!(state.log.misplaced(state.tokens.secrets()).len(), 1);
}

#[tokio::test]
async fn a_credential_on_discoverys_unverified_connection_is_a_leak() {
    let mock = MockApi::start(Setup::default());
    let anonymous = Http::new(&mock);
    anonymous.get(CLUSTER_INFO).await;
    let same_connection = Http {
        bearer: Some(mock.token.text()),
        ..anonymous
    };
    same_connection.get("/healthz").await;
    let log = mock.log();
    assert_eq!(log.connections.len(), 1);
    assert_eq!(log.leaks().len(), 1);
}

#[tokio::test]
async fn the_date_is_what_the_script_says() {
    let mock = MockApi::start(Setup::default());
    let http = Http::new(&mock);
    let url = format!("{}/healthz", mock.endpoint());
    for (date, expected) in [
        (DateHeader::Absent, None),
        (DateHeader::At(0), Some("Thu, 01 Jan 1970 00:00:00 GMT")),
        (DateHeader::Text("yesterday".to_owned()), Some("yesterday")),
    ] {
        mock.heal();
        mock.fault(Fault::Answer(BrokenAnswer::Date(date)));
        let response = http.client.get(&url).send().await.unwrap();
        let seen = response.headers().get("date").map(|value| value.to_str().unwrap());
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn wrong_certificates_differ_from_the_right_one_in_what_they_are_named_for() {
    let fields = |pem: &str| {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
        let usage = certificate.extended_key_usage().unwrap().unwrap();
        let names = certificate.subject_alternative_name().unwrap();
        (
            certificate.subject().to_string(),
            certificate.validity().is_valid(),
            usage.value.client_auth,
            names.is_some(),
            certificate.is_ca(),
            certificate.public_key().raw.to_vec(),
        )
    };
    let key = KeyPair::generate().unwrap();
    let mut made = Vec::new();
    for wrong in [
        None,
        Some(Issue::OtherKey),
        Some(Issue::OtherName),
        Some(Issue::OtherOrganization),
        Some(Issue::ExtraOrganization),
        Some(Issue::ExtraHostName),
        Some(Issue::Expired),
        Some(Issue::NoClientAuth),
        Some(Issue::IsAuthority),
    ] {
        let mock = MockApi::start(Setup::default());
        wrong.iter().for_each(|wrong| mock.fault(Fault::Issue(wrong.clone())));
        made.push(fields(&join(&mock, "a", &key).await));
    }
    let good = made.remove(0);
    assert_eq!(
        (good.0.as_str(), good.1, good.2),
        ("O=system:nodes, CN=system:node:a", true, true)
    );
    assert_ne!(made[0].5, good.5);
    assert!(made[1].0.ends_with("somebody-else"), "{}", made[1].0);
    assert!(made[2].0.starts_with("O=system:masters,"), "{}", made[2].0);
    assert!(
        made[3].0.contains("O=system:nodes") && made[3].0.contains("O=system:masters"),
        "{}",
        made[3].0
    );
    assert!(made[4].3 && !good.3);
    assert!(!made[5].1 && !made[6].2 && made[7].4);
}

#[tokio::test]
async fn a_proxy_tunnels_or_refuses_and_says_who_asked() {
    let mock = MockApi::start(Setup::default());
    let through = |proxy: &Proxy| {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(trusting(&mock))
            .proxy(reqwest::Proxy::all(proxy.url()).unwrap());
        client
            .build()
            .unwrap()
            .get(format!("{}/healthz", mock.endpoint()))
            .send()
    };
    let (open, closed) = (Proxy::start(ProxyRule::Open), Proxy::start(ProxyRule::Closed));
    assert_eq!(through(&open).await.unwrap().status(), 200);
    assert!(through(&closed).await.is_err());
    let expected = [format!("CONNECT {} HTTP/1.1", mock.address())];
    assert_eq!((open.asked(), closed.asked()), (expected.to_vec(), expected.to_vec()));
}
