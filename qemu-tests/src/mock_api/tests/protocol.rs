//! The mock behaves as the API server does when nothing is to go wrong.

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::*;

#[tokio::test]
async fn cluster_info_is_open_to_everybody_and_signed_with_the_token() {
    let mock = MockApi::start(Setup::default());
    let (status, map) = Http::new(&mock).get(CLUSTER_INFO).await;
    assert_eq!((status, map["kind"].as_str()), (200, Some("ConfigMap")));
    let kubeconfig = map["data"]["kubeconfig"].as_str().unwrap();
    assert_eq!(
        map["data"]["jws-kubeconfig-abcdef"],
        sign(kubeconfig, "abcdef", "0123456789abcdef")
    );
    assert!(kubeconfig.contains(&mock.endpoint().to_string()));
    assert!(kubeconfig.contains(&STANDARD.encode(mock.ca_pem())));
}

#[tokio::test]
async fn expired_deleted_and_unknown_tokens_are_unauthorized_and_sign_nothing() {
    let mock = MockApi::start(Setup::default());
    let (http, key) = (Http::joining(&mock), KeyPair::generate().unwrap());
    let posted = object("csr-1", &request("a", &key));
    mock.move_clock(3600);
    mock.add_token(Token::new("abcdef", "0123456789abcdef").expiring(mock.unix() + 60));
    assert_eq!(http.get(&format!("{REQUESTS}/x")).await.0, 404);
    mock.expire_token("abcdef");
    let (status, answer) = http.post(REQUESTS, &posted).await;
    assert_eq!(
        (status, answer["kind"].as_str(), answer["reason"].as_str()),
        (401, Some("Status"), Some("Unauthorized"))
    );
    assert_eq!(
        Http::new(&mock).get(CLUSTER_INFO).await.1["data"]["jws-kubeconfig-abcdef"],
        Value::Null
    );
    mock.delete_token("abcdef");
    assert_eq!(http.post(REQUESTS, &posted).await.0, 401);
    assert_eq!(mock.signing_requests_created(), 0);
}

#[tokio::test]
async fn a_token_without_signing_authenticates_and_signs_nothing() {
    let token = Token::new("abcdef", "0123456789abcdef").without_signing();
    let mock = MockApi::start(Setup {
        token,
        ..Setup::default()
    });
    let (status, map) = Http::new(&mock).get(CLUSTER_INFO).await;
    assert_eq!((status, &map["data"]["jws-kubeconfig-abcdef"]), (200, &Value::Null));
    assert_eq!(Http::joining(&mock).get("/api/v1/nodes/shop-7").await.0, 404);
}

#[tokio::test]
async fn cluster_info_is_for_anonymous_clients_and_root_authorities_for_nodes_with_a_pod() {
    let mock = MockApi::start(Setup::default());
    let key = KeyPair::generate().unwrap();
    let certificate = join(&mock, "shop-7", &key).await;
    let node = Http::node(&mock, &certificate, &key);
    for (client, statuses) in [
        (Http::new(&mock), [200, 403]),
        (Http::joining(&mock), [403, 403]),
        (node, [403, 403]),
    ] {
        let answers = [client.get(CLUSTER_INFO).await.0, client.get(ROOT_AUTHORITIES).await.0];
        assert_eq!(answers, statuses);
    }
    mock.put_root_authorities("two certificates");
    assert_eq!(Http::joining(&mock).get(ROOT_AUTHORITIES).await.0, 403);
    let (status, map) = Http::node(&mock, &certificate, &key).get(ROOT_AUTHORITIES).await;
    assert_eq!(
        (status, map["data"]["ca.crt"].as_str()),
        (200, Some("two certificates"))
    );
}

#[tokio::test]
async fn nobody_posts_requests_without_a_credential() {
    let mock = MockApi::start(Setup::default());
    let posted = object("csr-1", &request("a", &KeyPair::generate().unwrap()));
    let (status, answer) = Http::new(&mock).post(REQUESTS, &posted).await;
    assert_eq!((status, answer["reason"].as_str()), (403, Some("Forbidden")));
}

#[tokio::test]
async fn a_request_is_signed_for_its_key_and_the_node_is_known_by_the_certificate() {
    let mock = MockApi::start(Setup::default());
    let key = KeyPair::generate().unwrap();
    let certificate = join(&mock, "shop-7", &key).await;
    let node = Http::node(&mock, &certificate, &key);
    assert_eq!(node.get("/api/v1/nodes/shop-7").await.0, 404);
    assert_eq!(node.get("/api/v1/nodes/shop-8").await.0, 403);
    mock.register_node("shop-7", Readiness::Ready, "4242");
    let (status, object) = node.get("/api/v1/nodes/shop-7").await;
    assert_eq!(
        (status, object["status"]["nodeInfo"]["machineID"].as_str()),
        (200, Some("4242"))
    );
    let request = mock.requests().pop().unwrap();
    assert_eq!(
        request.presented,
        Presented::Certificate("system:node:shop-7".to_owned())
    );
    assert_eq!(request.user.unwrap().node_name(), Some("shop-7"));
}

#[tokio::test]
async fn openssl_accepts_what_is_signed() {
    for authority in [KeyKind::Ecdsa, KeyKind::Rsa] {
        let mock = MockApi::start(Setup {
            authority,
            ..Setup::default()
        });
        let key = KeyPair::generate().unwrap();
        let certificate = join(&mock, "shop-7", &key).await;
        let folder = TempDir::new().unwrap();
        let (leaf, root) = (folder.path().join("leaf.pem"), folder.path().join("root.pem"));
        std::fs::write(&leaf, &certificate).unwrap();
        std::fs::write(&root, mock.ca_pem()).unwrap();
        let (leaf, root) = (leaf.to_str().unwrap(), root.to_str().unwrap());
        let verify = ["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", root, leaf];
        let Some(_) = judge("openssl", &verify) else { return };
        let subject = judge("openssl", &["x509", "-noout", "-subject", "-in", leaf]).unwrap();
        assert_eq!(subject.trim(), "subject=O = system:nodes, CN = system:node:shop-7");
        let public = judge("openssl", &["x509", "-noout", "-pubkey", "-in", leaf]).unwrap();
        assert_eq!(public, key.public_key_pem().replace("\r\n", "\n"));
    }
}

#[tokio::test]
async fn a_request_made_by_openssl_is_signed() {
    let mock = MockApi::start(Setup::default());
    let arguments =
        "req -new -newkey rsa:2048 -nodes -keyout /dev/null -batch -subj /O=system:nodes/CN=system:node:shop-7";
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let Some(pem) = openssl(&arguments, b"") else { return };
    let http = Http::joining(&mock);
    let pem = String::from_utf8(pem).unwrap();
    assert_eq!(http.post(REQUESTS, &object("csr-rsa", &pem)).await.0, 201);
    let certificate = certificate_in(&http.get_request("csr-rsa").await.1);
    let asked = openssl(&["req", "-noout", "-pubkey"], pem.as_bytes());
    assert_eq!(asked, openssl(&["x509", "-noout", "-pubkey"], certificate.as_bytes()));
}

#[tokio::test]
async fn the_pin_is_the_one_that_openssl_computes() {
    for authority in [KeyKind::Ecdsa, KeyKind::Rsa] {
        let mock = MockApi::start(Setup {
            authority,
            ..Setup::default()
        });
        let public = openssl(&["x509", "-noout", "-pubkey"], mock.ca_pem().as_bytes());
        let der = public.and_then(|public| openssl(&["pkey", "-pubin", "-outform", "der"], &public));
        let Some(der) = der else { return };
        assert_eq!(mock.pin().0, <[u8; 32]>::from(Sha256::digest(der)));
    }
}

#[tokio::test]
async fn a_taken_name_is_a_conflict_and_the_earlier_request_stays() {
    let mock = MockApi::start(Setup::default());
    let (http, keys) = (Http::joining(&mock), [(); 2].map(|()| KeyPair::generate().unwrap()));
    let objects = keys.each_ref().map(|key| object("csr-1", &request("a", key)));
    assert_eq!(http.post(REQUESTS, &objects[0]).await.0, 201);
    let (status, answer) = http.post(REQUESTS, &objects[1]).await;
    assert_eq!((status, answer["reason"].as_str()), (409, Some("AlreadyExists")));
    assert_eq!(
        http.get_request("csr-1").await.1["spec"]["request"],
        objects[0]["spec"]["request"]
    );
    assert_eq!(mock.signing_requests_created(), 1);
}

#[tokio::test]
async fn what_the_api_server_would_not_take_is_refused() {
    let mock = MockApi::start(Setup::default());
    let good = object("csr-1", &request("a", &KeyPair::generate().unwrap()));
    for (pointer, value, status) in [
        ("/kind", json!("Pod"), 400),
        ("/apiVersion", json!("certificates.k8s.io/v1beta1"), 400),
        ("/metadata/name", json!("../nodes"), 422),
        ("/metadata/name", json!(""), 422),
        ("/spec/usages", json!([]), 422),
        ("/spec/usages", json!(["signing everything"]), 422),
        ("/spec/signerName", json!("nobody"), 422),
        ("/spec/request", json!("AAAA"), 422),
        ("/spec/request", json!(STANDARD.encode(mock.ca_pem())), 422),
    ] {
        let mut wrong = good.clone();
        *wrong.pointer_mut(pointer).unwrap() = value.clone();
        let (answered, _) = Http::joining(&mock).post(REQUESTS, &wrong).await;
        assert_eq!(answered, status, "{pointer} {value}");
    }
    assert_eq!(mock.signing_requests_created(), 0);
}

#[tokio::test]
async fn a_person_approves_where_no_controller_does() {
    let mock = MockApi::start(Setup {
        approval: Approval::Manual,
        ..Setup::default()
    });
    let http = Http::joining(&mock);
    http.post(REQUESTS, &object("csr-1", &request("a", &KeyPair::generate().unwrap())))
        .await;
    http.post(REQUESTS, &object("csr-2", &request("a", &KeyPair::generate().unwrap())))
        .await;
    assert_eq!(http.get_request("csr-1").await.1["status"], json!({}));
    assert!(mock.approve("csr-1") && mock.deny("csr-2", "unknown machine"));
    certificate_in(&http.get_request("csr-1").await.1);
    let (_, denied) = http.get_request("csr-2").await;
    assert_eq!(denied["status"]["conditions"][0]["type"], "Denied");
    assert_eq!(denied["status"]["conditions"][0]["message"], "unknown machine");
    assert!(!mock.approve("csr-2"), "it is decided");
}

#[tokio::test]
async fn requests_are_swept_away_an_hour_after_the_decision_and_a_day_without_one() {
    let mock = MockApi::start(Setup {
        approval: Approval::Manual,
        ..Setup::default()
    });
    let http = Http::joining(&mock);
    http.post(REQUESTS, &object("csr-1", &request("a", &KeyPair::generate().unwrap())))
        .await;
    http.post(REQUESTS, &object("csr-2", &request("a", &KeyPair::generate().unwrap())))
        .await;
    assert!(mock.approve("csr-1"));
    assert_eq!(mock.signing_requests().len(), 2);
    mock.move_clock(3601);
    let left: Vec<String> = mock.signing_requests().into_iter().map(|entry| entry.name).collect();
    assert_eq!(left, ["csr-2"]);
    mock.move_clock(24 * 3600);
    assert!(mock.signing_requests().is_empty());
}

#[tokio::test]
async fn a_node_writes_itself_and_nobody_else() {
    let mock = MockApi::start(Setup::default());
    let key = KeyPair::generate().unwrap();
    let node = Http::node(&mock, &join(&mock, "a", &key).await, &key);
    let named = |name: &str| json!({"kind": "Node", "apiVersion": "v1", "metadata": {"name": name}});
    assert_eq!(node.post("/api/v1/nodes", &named("b")).await.0, 403);
    assert_eq!(node.post("/api/v1/nodes", &named("a")).await.0, 201);
    assert_eq!(node.post("/api/v1/nodes", &named("a")).await.0, 409);
    let status = json!({"status": {"nodeInfo": {"machineID": "1"}}});
    assert_eq!(node.patch("/api/v1/nodes/a/status", &status).await.0, 200);
    assert_eq!(node.get("/api/v1/nodes/a").await.1["status"], status["status"]);
    assert_eq!(node.patch("/api/v1/nodes/b/status", &status).await.0, 403);
}

#[tokio::test]
async fn kkps_secrets_are_for_its_service_account_only() {
    let mock = MockApi::start(Setup::default());
    mock.put_kkp_secret("md-kubelet-bootstrap-config", "kubeconfig", "text", "getter");
    let path = "/api/v1/namespaces/cloud-init-settings/secrets/md-kubelet-bootstrap-config";
    assert_eq!(Http::joining(&mock).get(path).await.0, 403);
    let http = Http {
        bearer: Some("getter".to_owned()),
        ..Http::new(&mock)
    };
    assert_eq!(http.get(path).await.1["data"]["kubeconfig"], STANDARD.encode("text"));
    assert_eq!(http.get(&path.replace("md", "other")).await.0, 404);
}
