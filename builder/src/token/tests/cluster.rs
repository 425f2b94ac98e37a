//! An API server on loopback that knows as much as making a token takes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use skerry_firstboot::certificates;
use skerry_firstboot::discovery::{cluster_info, jws, pin};
use skerry_firstboot::join_config::CaPin;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use super::*;

/// Whoever shows it is the operator.
pub(super) const OPERATOR_TOKEN: &str = "operator-token";
const SECRETS: &str = "/api/v1/namespaces/kube-system/secrets";
/// 2,000,000,000 seconds after 1970.
const DATE: &str = "Wed, 18 May 2033 03:33:20 GMT";

/// How the server behaves.
#[derive(Debug, Clone)]
pub(super) struct Habits {
    /// The kubeconfig of `cluster-info`; an empty one stands for the server's own.
    pub(super) cluster_info: Option<String>,
    /// How often `cluster-info` is read before it is signed.
    pub(super) signs_after: usize,
    /// Status for those without credentials.
    pub(super) anonymous: u16,
    pub(super) takes_tokens: bool,
    /// Subresources of signing requests that nobody may create.
    pub(super) denied: Vec<&'static str>,
    /// Whether bindings change what is denied.
    pub(super) grants: bool,
    /// How many requests are put off.
    pub(super) busy: usize,
    pub(super) certificate_name: &'static str,
}

impl Habits {
    pub(super) fn good() -> Self {
        Self {
            cluster_info: Some(String::new()),
            signs_after: 0,
            anonymous: 200,
            takes_tokens: true,
            denied: Vec::new(),
            grants: true,
            busy: 0,
            certificate_name: "127.0.0.1",
        }
    }
}

#[derive(Debug, Default)]
struct State {
    secrets: BTreeMap<String, Value>,
    applied: Vec<String>,
    reads: usize,
    puts_off: usize,
}

/// The server; it ends when dropped.
pub(super) struct Cluster {
    shared: Arc<Shared>,
    client: (String, String),
    _runtime: Runtime,
}

struct Shared {
    port: u16,
    authorities: String,
    habits: Habits,
    state: Mutex<State>,
}

/// Who a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    Operator,
    Token,
    Nobody,
    Unknown,
}

struct Asked {
    method: String,
    path: String,
    bearer: Option<String>,
    body: String,
}

impl Cluster {
    pub(super) fn start(habits: Habits) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let signed = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new([name.to_owned()]).unwrap();
            (params.signed_by(&key, &issuer).unwrap(), key)
        };
        let (client, client_key) = signed("operator");
        let (server, server_key) = signed(habits.certificate_name);
        let config = server_config(&authority, &server, &server_key);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let state = State {
            puts_off: habits.busy,
            ..State::default()
        };
        let shared = Arc::new(Shared {
            port: listener.local_addr().unwrap().port(),
            authorities: certificates::to_pem([authority.der()]),
            habits,
            state: Mutex::new(state),
        });
        runtime.spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), shared.clone()));
        Self {
            shared,
            client: (client.pem(), client_key.serialize_pem()),
            _runtime: runtime,
        }
    }

    pub(super) fn kubeconfig(&self) -> Kubeconfig {
        Kubeconfig {
            server: self.server(),
            authorities: self.authorities(),
            tls_server_name: None,
            proxy: None,
            user_name: "operator".to_owned(),
            credential: Some(Credential::ClientCertificate {
                certificate: self.client.0.clone(),
                key: Secret::new(self.client.1.clone()),
            }),
        }
    }

    pub(super) fn server(&self) -> Endpoint {
        format!("https://127.0.0.1:{}", self.shared.port).parse().unwrap()
    }

    pub(super) fn authorities(&self) -> String {
        self.shared.authorities.clone()
    }

    pub(super) fn pin(&self) -> CaPin {
        let bundle = certificates::bundle(&self.shared.authorities).unwrap();
        pin::of(&bundle[0]).unwrap()
    }

    pub(super) fn secret(&self, id: &str) -> Option<Value> {
        let state = self.shared.state.lock().unwrap();
        state.secrets.get(&format!("bootstrap-token-{id}")).cloned()
    }

    pub(super) fn secrets(&self) -> usize {
        self.shared.state.lock().unwrap().secrets.len()
    }

    pub(super) fn applied(&self) -> Vec<String> {
        self.shared.state.lock().unwrap().applied.clone()
    }
}

/// Shows `server` and takes clients with a certificate of `authority`, and others.
fn server_config(authority: &Certificate, server: &Certificate, key: &KeyPair) -> ServerConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![server.der().clone()], key)
        .unwrap()
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        // A client that gives up in the handshake is part of the tests.
        let _ = answer(stream, &acceptor, &shared).await;
    }
}

/// One request for each connection: that is all the HTTP that is needed.
async fn answer(stream: TcpStream, acceptor: &TlsAcceptor, shared: &Shared) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let has_certificate = stream.get_ref().1.peer_certificates().is_some();
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
            .next()
    };
    let len: usize = header("content-length").map_or(0, |text| text.parse().unwrap());
    while bytes.len() < end + len {
        stream.read_buf(&mut bytes).await?;
    }
    let mut words = head.split(' ');
    let asked = Asked {
        method: words.next().unwrap().to_owned(),
        path: words.next().unwrap().to_owned(),
        bearer: header("authorization").and_then(|value| value.strip_prefix("Bearer ").map(str::to_owned)),
        body: String::from_utf8_lossy(&bytes[end..]).into_owned(),
    };
    let caller = shared.caller(&asked, has_certificate);
    let (status, body) = shared.reply(&asked, caller);
    let reply = format!(
        "HTTP/1.1 {status} Whatever\r\nDate: {DATE}\r\nRetry-After: 0\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(reply.as_bytes()).await?;
    stream.shutdown().await
}

impl Shared {
    fn caller(&self, asked: &Asked, has_certificate: bool) -> Caller {
        let state = self.state.lock().unwrap();
        let is_token = |bearer: &str| {
            state.secrets.values().any(|secret| {
                let field = |key: &str| secret["stringData"][key].as_str().unwrap_or_default().to_owned();
                format!("{}.{}", field("token-id"), field("token-secret")) == bearer
            })
        };
        match asked.bearer.as_deref() {
            Some(OPERATOR_TOKEN) => Caller::Operator,
            Some(bearer) if self.habits.takes_tokens && is_token(bearer) => Caller::Token,
            Some(_) => Caller::Unknown,
            None if has_certificate => Caller::Operator,
            None => Caller::Nobody,
        }
    }

    fn reply(&self, asked: &Asked, caller: Caller) -> (u16, String) {
        let mut state = self.state.lock().unwrap();
        if state.puts_off > 0 {
            state.puts_off -= 1;
            return (429, String::new());
        }
        let no = |status: u16| (status, json!({ "kind": "Status", "message": "no" }).to_string());
        let ok = |status: u16, value: Value| (status, value.to_string());
        match (caller, asked.method.as_str(), asked.path.as_str()) {
            (Caller::Unknown, ..) => no(401),
            (Caller::Nobody, _, cluster_info::PATH) if self.habits.anonymous != 200 => no(self.habits.anonymous),
            (_, "GET", cluster_info::PATH) => self.cluster_info(&mut state),
            (_, "GET", "/version") => ok(200, json!({})),
            (Caller::Operator, "POST", SECRETS) => {
                let secret: Value = serde_json::from_str(&asked.body).unwrap();
                let name = secret["metadata"]["name"].as_str().unwrap().to_owned();
                state.secrets.insert(name, secret.clone());
                ok(201, secret)
            }
            (Caller::Operator, "DELETE", path) => {
                state.secrets.remove(path.rsplit('/').next().unwrap());
                ok(200, json!({}))
            }
            (Caller::Operator, "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews") => {
                let review: Value = serde_json::from_str(&asked.body).unwrap();
                ok(
                    201,
                    json!({ "status": { "allowed": self.allows(&state, &review["spec"]) } }),
                )
            }
            (Caller::Operator, "POST", path) if path.starts_with("/apis/rbac.authorization.k8s.io/v1/") => {
                state.applied.push(asked.body.clone());
                ok(201, json!({}))
            }
            _ => no(403),
        }
    }

    fn allows(&self, state: &State, spec: &Value) -> bool {
        let attributes = &spec["resourceAttributes"];
        match (attributes["resource"].as_str(), attributes["subresource"].as_str()) {
            (Some("certificatesigningrequests"), Some(subresource)) => {
                let role = format!(":{subresource}\n");
                let granted = state.applied.iter().any(|text| text.contains(&role));
                !self.habits.denied.contains(&subresource) || (self.habits.grants && granted)
            }
            (Some("configmaps"), _) => self.habits.anonymous == 200,
            other => panic!("an unexpected question: {other:?}"),
        }
    }

    fn cluster_info(&self, state: &mut State) -> (u16, String) {
        let Some(kubeconfig) = &self.habits.cluster_info else {
            return (404, json!({ "kind": "Status", "message": "not found" }).to_string());
        };
        let kubeconfig = match kubeconfig.as_str() {
            "" => self.own_kubeconfig(),
            other => other.to_owned(),
        };
        let mut data = json!({ "kubeconfig": kubeconfig });
        state.reads += 1;
        if state.reads > self.habits.signs_after {
            for secret in state.secrets.values() {
                let field = |key: &str| secret["stringData"][key].as_str().unwrap().to_owned();
                let token = BootstrapToken {
                    id: field("token-id"),
                    secret: Secret::new(field("token-secret")),
                };
                let key = format!("jws-kubeconfig-{}", token.id);
                data[key] = jws::sign(kubeconfig.as_bytes(), &token).into();
            }
        }
        (200, json!({ "kind": "ConfigMap", "data": data }).to_string())
    }

    fn own_kubeconfig(&self) -> String {
        use base64::Engine as _;
        let authorities = base64::engine::general_purpose::STANDARD.encode(&self.authorities);
        let server = format!("https://127.0.0.1:{}", self.port);
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "", "cluster": { "server": server, "certificate-authority-data": authorities } }],
        })
        .to_string()
    }
}
