//! Conformance cases D: how a cluster is found and believed.

use super::*;
use crate::control_plane::ApiErrorKind;

#[tokio::test]
async fn a_pinned_cluster_is_discovered_in_two_requests_without_credentials() {
    let authority = authority();
    let server = described(&authority).await;
    let found = discover(
        &client().0,
        server.endpoint("localhost"),
        Trust::Pins(vec![pin_of(&authority)]),
    )
    .await
    .unwrap();
    assert_eq!(found.server.to_string(), "https://cp.example.com:6443");
    assert_eq!(found.authorities, authority.pem());
    assert_eq!((found.tls_server_name, found.credential), (None, None));
    let heard = server.heard();
    assert_eq!(
        heard.iter().map(|heard| heard.line.as_str()).collect::<Vec<_>>(),
        [INFO, INFO]
    );
    for heard in &heard {
        assert!(!heard.headers.contains("authorization"), "{}", heard.headers);
        assert_eq!(heard.sni.as_deref(), Some("localhost"));
    }
    assert_ne!(
        heard[0].connection, heard[1].connection,
        "nothing verified goes over the unverified connection"
    );
}

#[tokio::test]
async fn only_the_pinned_authority_of_a_bundle_is_trusted() {
    let (pinned, other) = (authority(), authority());
    let bundle = other.pem() + &pinned.pem();
    let info = cluster_info(&kubeconfig("https://cp.example.com:6443", &bundle), &token());
    let honest = pinned.server(&["localhost"], AROUND_NOW);
    let answer = info.clone();
    let server = StubServer::start(&honest, move |_| Answer::Json(200, answer.clone())).await;
    let pins = vec![CaPin([1; 32]), pin_of(&pinned)];
    let found = discover(&client().0, server.endpoint("localhost"), Trust::Pins(pins.clone()))
        .await
        .unwrap();
    assert_eq!(found.authorities, pinned.pem());
    // The same description from a server that the other authority of the bundle vouches for.
    let server = StubServer::start(&other.server(&["localhost"], AROUND_NOW), move |_| {
        Answer::Json(200, info.clone())
    })
    .await;
    let error = discover(&client().0, server.endpoint("localhost"), Trust::Pins(pins))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Untrusted);
}

#[tokio::test]
async fn a_wrong_pin_and_the_pin_of_the_server_itself_are_refused() {
    let authority = authority();
    let own = authority.server(&["localhost"], AROUND_NOW);
    let info = cluster_info(&kubeconfig("https://cp.example.com:6443", &authority.pem()), &token());
    let server = StubServer::start(&own, move |_| Answer::Json(200, info.clone())).await;
    for pin in [CaPin([1; 32]), pin::of(&own.chain[0]).unwrap()] {
        let error = discover(&client().0, server.endpoint("localhost"), Trust::Pins(vec![pin]))
            .await
            .unwrap_err();
        assert_eq!(error.kind, ApiErrorKind::Forged, "{error}");
        assert!(error.advice.contains("print-join-command"));
    }
}

/// Somebody who knows the token's id and not its secret.
fn stranger() -> BootstrapToken {
    BootstrapToken {
        secret: Secret::new("fedcba9876543210"),
        ..token()
    }
}

#[tokio::test]
async fn a_signature_that_appears_later_is_waited_for_and_a_wrong_one_is_not_believed() {
    let authority = authority();
    let kubeconfig = kubeconfig("https://cp.example.com:6443", &authority.pem());
    let unsigned = json!({"kind": "ConfigMap", "data": {"kubeconfig": kubeconfig}}).to_string();
    let answers = [
        unsigned,
        cluster_info(&kubeconfig, &stranger()),
        cluster_info(&kubeconfig, &token()),
    ];
    let answers = answers.map(|body| Answer::Json(200, body)).to_vec();
    let server = StubServer::start(&authority.server(&["localhost"], AROUND_NOW), in_turn(answers)).await;
    let (client, _) = client();
    let trust = || Trust::Pins(vec![pin_of(&authority)]);
    let mut kinds = Vec::new();
    while let Err(error) = discover(&client, server.endpoint("localhost"), trust()).await {
        kinds.push(error.kind);
    }
    assert_eq!(kinds, [ApiErrorKind::NotSigned, ApiErrorKind::Forged]);
}

#[tokio::test]
async fn another_description_from_the_verified_server_is_refused() {
    let authority = authority();
    let info = |server: &str| Answer::Json(200, cluster_info(&kubeconfig(server, &authority.pem()), &token()));
    let answers = vec![info("https://evil.example.com"), info("https://cp.example.com")];
    let server = StubServer::start(&authority.server(&["localhost"], AROUND_NOW), in_turn(answers)).await;
    let trust = Trust::Pins(vec![pin_of(&authority)]);
    let error = discover(&client().0, server.endpoint("localhost"), trust)
        .await
        .unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Forged);
    assert!(error.detail.contains("another cluster"), "{error}");
}

#[tokio::test]
async fn with_given_authorities_nothing_is_read_before_the_server_is_verified() {
    let authority = authority();
    let server = described(&authority).await;
    let own = Trust::Authorities(authority.pem());
    let found = discover(&client().0, server.endpoint("localhost"), own).await.unwrap();
    assert_eq!(found.server.to_string(), "https://cp.example.com:6443");
    assert_eq!(server.heard().len(), 1);
    let strange = Trust::Authorities(self::authority().pem());
    let error = discover(&client().0, server.endpoint("localhost"), strange)
        .await
        .unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Untrusted);
    assert_eq!(server.heard().len(), 1, "the handshake ended before a request");
}

#[tokio::test]
async fn with_given_authorities_a_signature_may_be_missing_but_not_wrong() {
    let authority = authority();
    let kubeconfig = kubeconfig("https://cp.example.com:6443", &authority.pem());
    let unsigned = json!({"kind": "ConfigMap", "data": {"kubeconfig": kubeconfig}}).to_string();
    let answers = [unsigned, cluster_info(&kubeconfig, &stranger())];
    let answers = answers.map(|body| Answer::Json(200, body)).to_vec();
    let server = StubServer::start(&authority.server(&["localhost"], AROUND_NOW), in_turn(answers)).await;
    let (client, _) = client();
    let trust = || Trust::Authorities(authority.pem());
    assert!(discover(&client, server.endpoint("localhost"), trust()).await.is_ok());
    let error = discover(&client, server.endpoint("localhost"), trust())
        .await
        .unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Forged);
}

#[tokio::test]
async fn with_given_authorities_a_cluster_that_does_not_describe_itself_is_taken_as_given() {
    let authority = authority();
    for code in [401, 403, 404] {
        let script = move |_: &Heard| status(code, "not for you");
        let server = StubServer::start(&authority.server(&["localhost"], AROUND_NOW), script).await;
        let trust = Trust::Authorities(authority.pem());
        let found = discover(&client().0, server.endpoint("localhost"), trust)
            .await
            .unwrap();
        assert_eq!(
            (found.server, found.authorities),
            (server.endpoint("localhost"), authority.pem())
        );
        let trust = Trust::Pins(vec![pin_of(&authority)]);
        let error = discover(&client().0, server.endpoint("localhost"), trust)
            .await
            .unwrap_err();
        assert!(error.advice.contains("kubeadm init phase bootstrap-token"), "{error:?}");
    }
}

#[tokio::test]
async fn with_the_token_only_its_signature_decides() {
    let authority = authority();
    let server = described(&authority).await;
    let found = discover(&client().0, server.endpoint("localhost"), Trust::UnsafeTokenOnly)
        .await
        .unwrap();
    assert_eq!(found.authorities, authority.pem());
    let mut config = config(vec![server.endpoint("localhost")], Trust::UnsafeTokenOnly);
    config.credential = Credential::Bearer(Secret::new("eyJhbGciOi"));
    let error = client().0.discover(&config).await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Untrusted);
}

#[tokio::test]
async fn what_is_given_is_taken_without_a_request() {
    let authority = authority();
    let server = described(&authority).await;
    let mut config = config(vec![server.endpoint("localhost")], Trust::Authorities(authority.pem()));
    config.discovery = Discovery::Given;
    let found = client().0.discover(&config).await.unwrap();
    assert_eq!(
        (found.server, found.authorities),
        (server.endpoint("localhost"), authority.pem())
    );
    assert!(server.heard().is_empty());
    config.trust = Trust::Pins(vec![pin_of(&authority)]);
    assert_eq!(
        client().0.discover(&config).await.unwrap_err().kind,
        ApiErrorKind::Untrusted
    );
}

/// KKP's Secret with a bootstrap kubeconfig.
fn kkp_secret(authorities: &str) -> String {
    let user = "users:\n- name: joiner\n  user:\n    token: aaaaaa.0123456789aaaaaa\n";
    let context = "contexts:\n- name: c\n  context: {cluster: \"\", user: joiner}\ncurrent-context: c\n";
    let base = kubeconfig("https://cp.example.com:6443", authorities);
    let cluster = base.split("contexts:").next().unwrap();
    let kubeconfig = STANDARD.encode(format!("{cluster}{context}{user}"));
    json!({"kind": "Secret", "data": {"kubeconfig": kubeconfig}}).to_string()
}

#[tokio::test]
async fn kkps_secret_gives_a_cluster_and_a_bootstrap_token() {
    let authority = authority();
    let (info, secret) = (
        cluster_info(&kubeconfig("https://cp.example.com:6443", &authority.pem()), &token()),
        kkp_secret(&authority.pem()),
    );
    let script = move |heard: &Heard| match heard.line.ends_with("/secrets/shop-kubelet-bootstrap-config") {
        true => Answer::Json(200, secret.clone()),
        false => Answer::Json(200, info.clone()),
    };
    let server = StubServer::start(&authority.server(&["localhost"], AROUND_NOW), script).await;
    for trust in [
        Trust::Authorities(authority.pem()),
        Trust::Pins(vec![pin_of(&authority)]),
    ] {
        let mut config = config(vec![server.endpoint("localhost")], trust);
        config.credential = Credential::Bearer(Secret::new("getter-token"));
        config.discovery = Discovery::KkpSecret {
            name: "shop-kubelet-bootstrap-config".to_owned(),
        };
        let found = client().0.discover(&config).await.unwrap();
        let Some(Credential::BootstrapToken(found_token)) = found.credential else {
            panic!("{:?}", found.credential);
        };
        assert_eq!(found_token.id, "aaaaaa");
        assert_eq!(found.authorities, authority.pem());
    }
    for heard in server.heard() {
        let is_secret = heard
            .line
            .starts_with("GET /api/v1/namespaces/cloud-init-settings/secrets/");
        assert_eq!(
            heard.headers.contains("authorization: bearer getter-token"),
            is_secret,
            "{}",
            heard.line
        );
    }
}

#[tokio::test]
async fn kkps_token_is_never_shown_to_a_server_that_is_not_verified() {
    let (authority, stranger) = (authority(), authority());
    let info = cluster_info(&kubeconfig("https://cp.example.com:6443", &authority.pem()), &token());
    let evil = stranger.server(&["localhost"], AROUND_NOW);
    let server = StubServer::start(&evil, move |_| Answer::Json(200, info.clone())).await;
    for trust in [
        Trust::Authorities(authority.pem()),
        Trust::Pins(vec![pin_of(&authority)]),
        Trust::UnsafeTokenOnly,
    ] {
        let mut config = config(vec![server.endpoint("localhost")], trust);
        config.credential = Credential::Bearer(Secret::new("getter-token"));
        config.discovery = Discovery::KkpSecret { name: "x".to_owned() };
        assert_eq!(
            client().0.discover(&config).await.unwrap_err().kind,
            ApiErrorKind::Untrusted
        );
    }
    assert!(
        server
            .heard()
            .iter()
            .all(|heard| !heard.headers.contains("getter-token"))
    );
}

#[tokio::test]
async fn a_dead_endpoint_is_passed_over_and_tried_last_from_then_on() {
    let authority = authority();
    let server = described(&authority).await;
    // A port that was free a moment ago, so nobody answers there.
    let dead = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let dead = Endpoint {
        host: "127.0.0.1".to_owned(),
        port: dead.port(),
        path: String::new(),
    };
    let nowhere = Endpoint {
        host: "no host name".to_owned(),
        ..dead.clone()
    };
    let endpoints = vec![dead.clone(), nowhere, server.endpoint("localhost")];
    let (client, _) = client();
    let trust = Trust::Pins(vec![pin_of(&authority)]);
    assert!(client.discover(&config(endpoints.clone(), trust.clone())).await.is_ok());
    assert_eq!(client.preference.order(&endpoints).last(), Some(&&endpoints[1]));
    let error = client
        .discover(&config(vec![dead.clone()], trust.clone()))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Connect);
    // The error that is told is the one of the endpoint that came furthest.
    let wrong = Trust::Pins(vec![CaPin([1; 32])]);
    let error = client.discover(&config(endpoints, wrong)).await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Forged);
}

#[tokio::test]
async fn an_endpoint_below_a_path_is_asked_below_it() {
    let authority = authority();
    let server = described(&authority).await;
    let endpoint = Endpoint {
        path: "/k8s/clusters/c-1".to_owned(),
        ..server.endpoint("127.0.0.1")
    };
    discover(&client().0, endpoint, Trust::Authorities(authority.pem()))
        .await
        .unwrap();
    let heard = server.heard().remove(0);
    assert_eq!(heard.line, INFO.replace("GET ", "GET /k8s/clusters/c-1"));
    assert_eq!(heard.sni, None, "an address is no name");
    assert!(
        heard.headers.contains(&format!("host: {}", server.address)),
        "{}",
        heard.headers
    );
}

#[tokio::test]
async fn the_join_files_name_for_the_certificate_is_for_its_endpoint_only() {
    let authority = authority();
    let own = authority.server(&["cp.example.com"], AROUND_NOW);
    for described_at in ["https://cp.example.com:6443", "its own address"] {
        let described = Arc::new(Mutex::new(described_at.to_owned()));
        let (script, pem) = (Arc::clone(&described), authority.pem());
        let answer =
            move |_: &Heard| Answer::Json(200, cluster_info(&kubeconfig(&script.lock().unwrap(), &pem), &token()));
        let server = StubServer::start(&own, answer).await;
        let endpoint = server.endpoint("127.0.0.1");
        let is_own = described_at == "its own address";
        if is_own {
            *described.lock().unwrap() = endpoint.to_string();
        }
        let mut config = config(vec![endpoint], Trust::Pins(vec![pin_of(&authority)]));
        config.tls_server_name = Some("cp.example.com".to_owned());
        let found = client().0.discover(&config).await.unwrap();
        assert_eq!(found.tls_server_name.is_some(), is_own);
        assert!(
            server
                .heard()
                .iter()
                .all(|heard| heard.sni.as_deref() == Some("cp.example.com"))
        );
    }
}

#[tokio::test]
async fn a_description_that_a_node_must_not_obey_is_refused_although_it_is_signed() {
    let authority = authority();
    let server = "    server: https://cp.example.com:6443\n";
    let good = kubeconfig("https://cp.example.com:6443", &authority.pem());
    for hostile in [
        good.replace(server, "    server: http://cp.example.com:6443\n"),
        good.replace(server, &format!("{server}    insecure-skip-tls-verify: true\n")),
        good.replace(server, &format!("{server}    proxy-url: http://proxy:3128\n")),
        good.replace("users: null", "users:\n- name: u\n  user: {exec: {command: sh}}"),
        good.replace("users: null", "users: &a [*a]"),
    ] {
        assert_ne!(hostile, good);
        let info = cluster_info(&hostile, &token());
        let own = authority.server(&["localhost"], AROUND_NOW);
        let server = StubServer::start(&own, move |_| Answer::Json(200, info.clone())).await;
        let trust = Trust::Pins(vec![pin_of(&authority)]);
        let error = discover(&client().0, server.endpoint("localhost"), trust)
            .await
            .unwrap_err();
        assert_eq!(error.kind, ApiErrorKind::BadAnswer, "{error}");
        assert!(!error.advice.is_empty(), "{error:?}");
    }
}
