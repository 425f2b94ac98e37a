//! Plain questions over HTTPS with a client certificate, to see each byte of what is answered.

use std::collections::BTreeMap;

use reqwest::header::ACCEPT;
use reqwest::{Client, Identity};
use tokio::runtime::Runtime;

use super::certificates::SignedCertificate;

/// What every answer has of its own: when it was given, its number in the audit log, and how its end is told, which
/// depends on the version of HTTP.
const PASSING: [&str; 4] = ["audit-id", "content-length", "date", "transfer-encoding"];

/// Somebody who asks.
#[derive(Debug)]
pub struct Caller {
    client: Client,
    runtime: Runtime,
}

/// An answer, without what is of the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers that say something, several of a name joined.
    pub headers: BTreeMap<String, String>,
    /// The body as it came, compressed if it was.
    pub body: Vec<u8>,
}

impl Caller {
    /// Shows `certificate`, if any, to whomever it asks, whose own it does not check.
    pub fn new(certificate: Option<&SignedCertificate>) -> Self {
        // An error says that another test of this process was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = Client::builder().no_proxy().tls_danger_accept_invalid_certs(true);
        if let Some(SignedCertificate { certificate, key }) = certificate {
            let identity = Identity::from_pem(format!("{certificate}{key}").as_bytes());
            client = client.identity(identity.expect("it was made a moment ago"));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Self {
            client: client.build().expect("a client can be made"),
            runtime: runtime.expect("a runtime can be made"),
        }
    }

    /// Asks `port` of this machine for `path`; why there is no answer.
    pub fn ask(&self, port: u16, path: &str, accept: &str) -> Result<Reply, String> {
        let url = format!("https://127.0.0.1:{port}{path}");
        let request = self.client.get(url).header(ACCEPT, accept);
        // As kubelet does.
        let request = request.header("accept-encoding", "gzip");
        let outcome = self.runtime.block_on(async {
            let response = request.send().await?;
            let status = response.status().as_u16();
            let mut headers: BTreeMap<String, String> = BTreeMap::new();
            for (name, value) in response.headers() {
                if !PASSING.contains(&name.as_str()) {
                    let value = String::from_utf8_lossy(value.as_bytes());
                    *headers.entry(name.as_str().to_owned()).or_default() += &format!("{value}; ");
                }
            }
            let body = response.bytes().await?.to_vec();
            Ok::<_, reqwest::Error>(Reply { status, headers, body })
        });
        // The alert, if there was one, is among the causes.
        outcome.map_err(|error| format!("{error:?}"))
    }
}
