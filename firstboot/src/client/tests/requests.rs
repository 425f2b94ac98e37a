//! Conformance cases C: signing requests and Nodes.

use std::time::Duration;

use super::*;
use crate::client::test_server::asking_for_certificates;
use crate::control_plane::{ApiErrorKind, Caller, Posted, SigningState};
use crate::csr::{new_key, signing_request};

const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

fn credential() -> Credential {
    Credential::BootstrapToken(token())
}

/// The object that a posted request becomes.
fn object(pem: &str) -> String {
    json!({"kind": "CertificateSigningRequest", "spec": {"request": STANDARD.encode(pem)}, "status": {}}).to_string()
}

async fn answering(authority: &TestAuthority, answers: Vec<Answer>) -> StubServer {
    StubServer::start(&authority.server(&["localhost"], AROUND_NOW), in_turn(answers)).await
}

#[tokio::test]
async fn a_request_is_posted_with_the_token() {
    let (authority, key) = (authority(), new_key().unwrap());
    let request = signing_request(&key, "edge-1").unwrap();
    let server = answering(&authority, vec![Answer::Json(201, object(&request.pem))]).await;
    let (cluster, credential) = (cluster(&server, &authority), credential());
    let posted = client()
        .0
        .post(&cluster, Caller::Joining(&credential), &request)
        .await
        .unwrap();
    assert_eq!(posted, Posted::Created);
    let heard = server.heard().remove(0);
    assert_eq!(heard.line, format!("POST {REQUESTS}"));
    assert!(
        heard
            .headers
            .contains("authorization: bearer abcdef.0123456789abcdef\r\n")
    );
    assert!(heard.headers.contains("content-type: application/json\r\n"));
    let body: serde_json::Value = serde_json::from_str(&heard.body).unwrap();
    assert_eq!(body["metadata"]["name"], request.name);
    assert_eq!(body["spec"]["request"], STANDARD.encode(&request.pem));
}

#[tokio::test]
async fn a_request_that_is_there_already_is_ours_only_if_its_key_is() {
    let authority = authority();
    let (own, other) = (new_key().unwrap(), new_key().unwrap());
    let request = signing_request(&own, "edge-1").unwrap();
    // Signed anew, so not the same bytes.
    let same = signing_request(&own, "edge-1").unwrap().pem;
    for (there, expected) in [
        (same, Posted::AlreadyThere),
        (signing_request(&other, "edge-1").unwrap().pem, Posted::Taken),
    ] {
        let server = answering(
            &authority,
            vec![status(409, "already exists"), Answer::Json(200, object(&there))],
        )
        .await;
        let (cluster, credential) = (cluster(&server, &authority), credential());
        let posted = client()
            .0
            .post(&cluster, Caller::Joining(&credential), &request)
            .await
            .unwrap();
        assert_eq!(posted, expected);
        assert_eq!(server.heard()[1].line, format!("GET {REQUESTS}/{}", request.name));
    }
}

#[tokio::test]
async fn refusals_are_told_apart_and_say_what_to_do() {
    let (authority, key) = (authority(), new_key().unwrap());
    let request = signing_request(&key, "edge-1").unwrap();
    let throttled = b"HTTP/1.1 429 Slow\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n".to_vec();
    let retry_after = Some(Duration::from_secs(9));
    for (answer, kind, advice) in [
        (
            status(401, "Unauthorized"),
            ApiErrorKind::Unauthorized,
            "skerry token create",
        ),
        (
            status(403, "forbidden"),
            ApiErrorKind::Forbidden,
            "--clusterrole=system:node-bootstrapper",
        ),
        (status(404, "page"), ApiErrorKind::NotFound, ""),
        (Answer::Raw(throttled), ApiErrorKind::Throttled { retry_after }, ""),
        (
            status(503, "etcd is down"),
            ApiErrorKind::Server {
                status: 503,
                retry_after: None,
            },
            "",
        ),
    ] {
        let server = answering(&authority, vec![answer]).await;
        let (cluster, credential) = (cluster(&server, &authority), credential());
        let error = client()
            .0
            .post(&cluster, Caller::Joining(&credential), &request)
            .await
            .unwrap_err();
        assert_eq!(error.kind, kind);
        assert!(error.advice.contains(advice), "{error:?}");
        assert!(!format!("{error:?}").contains("0123456789abcdef"));
    }
}

#[tokio::test]
async fn a_request_is_followed_to_its_certificate_over_one_connection() {
    let (authority, credential) = (authority(), credential());
    let state = |status: serde_json::Value| {
        let object = json!({"kind": "CertificateSigningRequest", "spec": {"request": ""}, "status": status});
        Answer::Json(200, object.to_string())
    };
    let approved = json!([{"type": "Approved", "status": "True"}]);
    let denied = json!({"conditions": [{"type": "Denied", "status": "True", "reason": "No", "message": "a\u{1b}b"}]});
    let answers = vec![
        state(json!({})),
        state(json!({"conditions": approved})),
        state(json!({"conditions": approved, "certificate": STANDARD.encode("CHAIN")})),
        state(denied),
        status(404, "gone"),
    ];
    let server = answering(&authority, answers).await;
    let (client, cluster) = (client().0, cluster(&server, &authority));
    for expected in [
        SigningState::Pending,
        SigningState::Approved,
        SigningState::Issued("CHAIN".to_owned()),
        SigningState::Denied("No: a b".to_owned()),
        SigningState::Gone,
    ] {
        let state = client
            .signing_state(&cluster, Caller::Joining(&credential), "node-csr-x")
            .await
            .unwrap();
        assert_eq!(state, expected);
    }
    let heard = server.heard();
    assert!(heard.iter().all(|heard| heard.connection == 0), "{heard:?}");
    assert!(
        heard
            .iter()
            .all(|heard| heard.line == format!("GET {REQUESTS}/node-csr-x"))
    );
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_is_replaced() {
    let (authority, credential) = (authority(), credential());
    let node = r#"{"kind":"Node"}"#;
    let closing = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{node}", node.len());
    let server = answering(&authority, vec![Answer::Raw(closing.into_bytes())]).await;
    let (client, cluster) = (client().0, cluster(&server, &authority));
    for _ in 0..3 {
        assert!(
            client
                .node(&cluster, Caller::Joining(&credential), "edge-1")
                .await
                .unwrap()
                .is_some()
        );
    }
    assert_eq!(server.heard().len(), 3);
}

#[tokio::test]
async fn a_node_is_read_with_the_nodes_own_certificate() {
    let authority = authority();
    let pair = rcgen::KeyPair::generate().unwrap();
    let key = Secret::new(pair.serialize_pem());
    let certificate = crate::certificates::to_pem([&authority.client(&pair)]);
    let body = json!({"kind": "Node", "spec": {"podCIDRs": ["10.0.0.0/24"]}, "status": {
        "conditions": [{"type": "Ready", "status": "True"}], "nodeInfo": {"machineID": "0123"}}});
    let script = in_turn(vec![
        Answer::Json(200, body.to_string()),
        status(404, "not found"),
        status(401, "Unauthorized"),
    ]);
    let config = asking_for_certificates(&authority.server(&["localhost"], AROUND_NOW), &authority);
    let server = StubServer::with_config(config, script).await;
    let (client, cluster) = (client().0, cluster(&server, &authority));
    let caller = Caller::Node {
        certificate: &certificate,
        key: &key,
    };
    let node = client.node(&cluster, caller, "edge-1").await.unwrap().unwrap();
    assert!(node.ready);
    assert_eq!(
        (node.pod_cidrs, node.machine_id),
        (vec!["10.0.0.0/24".to_owned()], "0123".to_owned())
    );
    assert_eq!(client.node(&cluster, caller, "edge-1").await.unwrap(), None);
    let error = client.node(&cluster, caller, "edge-1").await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Unauthorized);
    assert!(error.advice.contains("does not know this node's certificate"));
    for heard in server.heard() {
        assert!(
            heard.certificate && !heard.headers.contains("authorization"),
            "{heard:?}"
        );
    }
}

#[tokio::test]
async fn a_node_that_may_not_be_seen_before_the_join_is_forbidden_and_no_more() {
    let (authority, credential) = (authority(), credential());
    let server = answering(&authority, vec![status(403, "cannot get resource nodes")]).await;
    let cluster = cluster(&server, &authority);
    let error = client()
        .0
        .node(&cluster, Caller::Joining(&credential), "edge-1")
        .await
        .unwrap_err();
    assert_eq!((error.kind, error.advice.as_str()), (ApiErrorKind::Forbidden, ""));
}

#[tokio::test]
async fn the_name_in_the_certificate_may_be_another_than_the_hosts() {
    let (authority, credential) = (authority(), credential());
    let server = authority.server(&["cp.example.com"], AROUND_NOW);
    let server = StubServer::start(&server, |_| Answer::Json(200, r#"{"kind":"Node"}"#.to_owned())).await;
    let named = Cluster {
        server: server.endpoint("127.0.0.1"),
        tls_server_name: Some("cp.example.com".to_owned()),
        ..cluster(&server, &authority)
    };
    assert!(
        client()
            .0
            .node(&named, Caller::Joining(&credential), "edge-1")
            .await
            .is_ok()
    );
    let heard = server.heard().remove(0);
    assert_eq!(heard.sni.as_deref(), Some("cp.example.com"));
    assert!(heard.headers.contains("host: 127.0.0.1:"), "{}", heard.headers);
}

#[tokio::test]
async fn an_answer_of_another_kind_makes_no_sense() {
    let (authority, credential) = (authority(), credential());
    let server = answering(&authority, vec![Answer::Json(200, r#"{"kind":"PodList"}"#.to_owned())]).await;
    let (client, cluster) = (client().0, cluster(&server, &authority));
    let error = client
        .node(&cluster, Caller::Joining(&credential), "edge-1")
        .await
        .unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::BadAnswer);
    let error = client
        .signing_state(&cluster, Caller::Joining(&credential), "x")
        .await
        .unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::BadAnswer);
}
