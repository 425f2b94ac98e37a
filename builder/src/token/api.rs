//! The few requests that making a token takes.

use std::net::ToSocketAddrs as _;
use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_TYPE, DATE, RETRY_AFTER};
use reqwest::{Certificate, ClientBuilder, Identity, Method, Proxy, RequestBuilder};
use skerry_firstboot::join_config::{Credential, Endpoint};
use skerry_firstboot::kubeconfig::Kubeconfig;
use skerry_firstboot::secret::Secret;

use super::TokenError;

/// A ConfigMap or Secret is at most 1 MiB; JSON makes it longer.
const MAX_ANSWER_BYTES: usize = 4 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(30);
/// How many bytes of an answer that is no `Status` are told.
const TOLD: usize = 200;
/// Tries of a request that the server puts off.
const TRIES: u32 = 4;
/// The longest time that a server can put a request off.
const MAX_DELAY: Duration = Duration::from_secs(10);

/// Who asks.
#[derive(Clone, Copy)]
pub(super) enum Who<'a> {
    /// The operator whose kubeconfig it is.
    Operator,
    /// Somebody with this token.
    Bearer(&'a Secret),
    /// Somebody without credentials.
    Nobody,
}

/// An API server.
pub(super) struct Api {
    base: String,
    operator: reqwest::Client,
    bearer: Option<Secret>,
    /// Without the operator's certificate.
    stranger: reqwest::Client,
}

/// An answer, whatever it says.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    date: Option<SystemTime>,
}

impl Api {
    pub(super) fn new(kubeconfig: &Kubeconfig) -> Result<Self, TokenError> {
        // Fails if there is one already, which then is this one, too.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut bearer = None;
        let mut operator = builder(kubeconfig)?;
        match &kubeconfig.credential {
            None => return Err(TokenError::NoCredential),
            Some(Credential::Bearer(token)) => bearer = Some(token.clone()),
            Some(Credential::BootstrapToken(token)) => bearer = Some(token.whole()),
            Some(Credential::ClientCertificate { certificate, key }) => {
                let pem = Secret::new(format!("{certificate}\n{}", key.expose()));
                let identity = Identity::from_pem(pem.expose().as_bytes()).map_err(TokenError::Identity)?;
                operator = operator.identity(identity);
            }
        }
        // The name that the certificate is checked for is the one in the URL; the address is looked up for the other.
        let shown = match &kubeconfig.tls_server_name {
            Some(name) => Endpoint {
                host: name.clone(),
                ..kubeconfig.server.clone()
            },
            None => kubeconfig.server.clone(),
        };
        Ok(Self {
            base: shown.to_string(),
            operator: operator.build().map_err(TokenError::Client)?,
            bearer,
            stranger: builder(kubeconfig)?.build().map_err(TokenError::Client)?,
        })
    }

    pub(super) async fn get(&self, path: &str, who: Who<'_>) -> Result<Answer, TokenError> {
        self.send(|| self.request(Method::GET, path, who)).await
    }

    pub(super) async fn post(&self, path: &str, object: &serde_json::Value) -> Result<Answer, TokenError> {
        let body = Secret::new(object.to_string());
        self.send(|| {
            self.request(Method::POST, path, Who::Operator)
                .header(CONTENT_TYPE, "application/json")
                .body(body.expose().to_owned())
        })
        .await
    }

    pub(super) async fn post_yaml(&self, path: &str, text: String) -> Result<Answer, TokenError> {
        self.send(|| {
            self.request(Method::POST, path, Who::Operator)
                .header(CONTENT_TYPE, "application/yaml")
                .body(text.clone())
        })
        .await
    }

    pub(super) async fn delete(&self, path: &str) -> Result<Answer, TokenError> {
        self.send(|| self.request(Method::DELETE, path, Who::Operator)).await
    }

    /// The time by the server's clock, if it tells it.
    pub(super) async fn server_time(&self) -> Result<Option<SystemTime>, TokenError> {
        let answer = self.get("/version", Who::Operator).await?;
        match answer.status {
            401 => Err(TokenError::Unauthorized),
            _ => Ok(answer.date),
        }
    }

    fn request(&self, method: Method, path: &str, who: Who<'_>) -> RequestBuilder {
        let url = format!("{}{path}", self.base);
        let (client, bearer) = match who {
            Who::Operator => (&self.operator, self.bearer.as_ref()),
            Who::Bearer(token) => (&self.stranger, Some(token)),
            Who::Nobody => (&self.stranger, None),
        };
        let request = client.request(method, url);
        match bearer {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }

    /// Sends a request; again if the server is busy and says so.
    async fn send(&self, request: impl Fn() -> RequestBuilder) -> Result<Answer, TokenError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let response = request().send().await.map_err(|source| self.unreachable(source))?;
            let status = response.status().as_u16();
            let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
            if matches!(status, 429 | 503) && tries < TRIES {
                let asked = header(RETRY_AFTER)
                    .and_then(|text| text.parse().ok())
                    .map(Duration::from_secs);
                tokio::time::sleep(asked.unwrap_or(Duration::from_secs(1)).min(MAX_DELAY)).await;
                continue;
            }
            let date = header(DATE).and_then(|text| httpdate::parse_http_date(text).ok());
            let body = self.body(response).await?;
            return Ok(Answer { status, body, date });
        }
    }

    async fn body(&self, mut response: reqwest::Response) -> Result<Vec<u8>, TokenError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|source| self.unreachable(source))? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(TokenError::TooLong {
                    server: self.base.clone(),
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn unreachable(&self, source: reqwest::Error) -> TokenError {
        TokenError::Unreachable {
            server: self.base.clone(),
            source: source.without_url(),
        }
    }
}

impl Answer {
    /// The body as JSON.
    pub(super) fn json(&self) -> Result<serde_json::Value, TokenError> {
        serde_json::from_slice(&self.body).map_err(TokenError::NoJson)
    }

    /// What the server says against doing `what`.
    pub(super) fn refused(&self, what: &'static str) -> TokenError {
        let status = self.json().unwrap_or_default();
        let message = match status["message"].as_str() {
            Some(message) => message.to_owned(),
            None => String::from_utf8_lossy(&self.body[..self.body.len().min(TOLD)]).into_owned(),
        };
        match self.status {
            401 => TokenError::Unauthorized,
            403 => TokenError::Forbidden { what, message },
            status => TokenError::Refused { what, status, message },
        }
    }
}

/// A client that trusts the kubeconfig's authorities and nobody else.
fn builder(kubeconfig: &Kubeconfig) -> Result<ClientBuilder, TokenError> {
    let authorities = Certificate::from_pem_bundle(kubeconfig.authorities.as_bytes()).map_err(TokenError::Client)?;
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("skerry/", env!("CARGO_PKG_VERSION")))
        .tls_certs_only(authorities)
        .redirect(reqwest::redirect::Policy::none())
        .https_only(true)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT);
    let Endpoint { host, port, .. } = &kubeconfig.server;
    if let Some(proxy) = &kubeconfig.proxy {
        builder = builder.proxy(Proxy::all(proxy).map_err(TokenError::Client)?);
    } else if host == "localhost"
        || host
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    {
        // Go's programs never ask a proxy for this machine either.
        builder = builder.no_proxy();
    }
    if let Some(name) = &kubeconfig.tls_server_name {
        let found = (host.as_str(), *port).to_socket_addrs();
        let addresses: Vec<_> = found
            .map_err(|source| TokenError::Lookup {
                host: host.clone(),
                source,
            })?
            .collect();
        builder = builder.resolve_to_addrs(name, &addresses);
    }
    Ok(builder)
}
