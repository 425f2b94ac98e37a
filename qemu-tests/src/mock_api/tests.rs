use std::process::{Command, Stdio};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use serde_json::{Value, json};

use super::*;
use crate::tools::judge;

mod faulty;
mod protocol;

const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const CLUSTER_INFO: &str = "/api/v1/namespaces/kube-public/configmaps/cluster-info";
const ROOT_AUTHORITIES: &str = "/api/v1/namespaces/kube-system/configmaps/kube-root-ca.crt";

/// A client of the tests' own, which trusts the mock's authority.
struct Http {
    client: reqwest::Client,
    url: String,
    bearer: Option<String>,
}

impl Http {
    fn new(mock: &MockApi) -> Self {
        Self::with(mock, None)
    }

    /// With the token of the setup.
    fn joining(mock: &MockApi) -> Self {
        Self {
            bearer: Some(mock.token.text()),
            ..Self::new(mock)
        }
    }

    /// With a client certificate.
    fn node(mock: &MockApi, certificate: &str, key: &KeyPair) -> Self {
        Self::with(mock, Some((certificate, key)))
    }

    fn with(mock: &MockApi, identity: Option<(&str, &KeyPair)>) -> Self {
        let config = builder(mock);
        let config = match identity {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = CertificateDer::pem_slice_iter(certificate.as_bytes())
                    .map(Result::unwrap)
                    .collect();
                let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
                config.with_client_auth_cert(chain, key).unwrap()
            }
        };
        Self {
            client: reqwest::Client::builder()
                .tls_backend_preconfigured(config)
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .build()
                .unwrap(),
            url: mock.endpoint().to_string(),
            bearer: None,
        }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> reqwest::Result<(u16, Value)> {
        let request = self
            .bearer
            .iter()
            .fold(request, |request, token| request.bearer_auth(token));
        let response = request.send().await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    async fn try_get(&self, path: &str) -> reqwest::Result<(u16, Value)> {
        self.send(self.client.get(format!("{}{path}", self.url))).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.try_get(path).await.unwrap()
    }

    async fn post(&self, path: &str, object: &Value) -> (u16, Value) {
        let request = self.client.post(format!("{}{path}", self.url)).body(object.to_string());
        self.send(request).await.unwrap()
    }

    async fn patch(&self, path: &str, object: &Value) -> (u16, Value) {
        let request = self
            .client
            .patch(format!("{}{path}", self.url))
            .body(object.to_string());
        self.send(request).await.unwrap()
    }

    async fn get_request(&self, name: &str) -> (u16, Value) {
        self.get(&format!("{REQUESTS}/{name}")).await
    }
}

fn builder(mock: &MockApi) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(mock.ca_pem().as_bytes()).unwrap())
        .unwrap();
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
}

/// TLS that trusts the mock's authority and nobody else.
fn trusting(mock: &MockApi) -> ClientConfig {
    builder(mock).with_no_client_auth()
}

/// A request of the node `name` for `key`.
fn request(name: &str, key: &KeyPair) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
    params
        .distinguished_name
        .push(DnType::CommonName, format!("system:node:{name}"));
    params.serialize_request(key).unwrap().pem().unwrap()
}

fn object(name: &str, pem: &str) -> Value {
    json!({
        "kind": "CertificateSigningRequest",
        "apiVersion": "certificates.k8s.io/v1",
        "metadata": { "name": name },
        "spec": {
            "request": STANDARD.encode(pem),
            "signerName": CLIENT_SIGNER,
            "usages": ["digital signature", "client auth"],
        },
    })
}

fn certificate_in(object: &Value) -> String {
    let encoded = object
        .pointer("/status/certificate")
        .and_then(Value::as_str)
        .expect("it is issued");
    String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
}

/// Posts a request for `key` and returns the certificate.
async fn join(mock: &MockApi, name: &str, key: &KeyPair) -> String {
    let http = Http::joining(mock);
    let (status, _) = http.post(REQUESTS, &object("csr-1", &request(name, key))).await;
    assert_eq!(status, 201);
    certificate_in(&http.get_request("csr-1").await.1)
}

/// What openssl says to `input`; none if it is not installed.
fn openssl(arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    judge("openssl", &["version"])?;
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input).unwrap();
    let outcome = child.wait_with_output().unwrap();
    assert!(outcome.status.success(), "openssl {arguments:?}: {}", outcome.status);
    Some(outcome.stdout)
}
