//! The client against a server of its own, over real sockets and real TLS.

mod discovery;
mod faults;
mod requests;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::test_server::{Answer, Heard, StubServer};
use super::{Client, Patience};
use crate::clock::ManualClock;
use crate::control_plane::{ApiError, Cluster, ControlPlane as _};
use crate::discovery::{jws, pin};
use crate::join_config::{
    AfterJoin, BootstrapToken, CaPin, Credential, Discovery, Endpoint, JoinConfig, NetworkSettings, NodeSettings, Trust,
};
use crate::secret::Secret;
use crate::tls::test_authority::{AROUND_NOW, NOW, TestAuthority};

const INFO: &str = "GET /api/v1/namespaces/kube-public/configmaps/cluster-info";

fn token() -> BootstrapToken {
    BootstrapToken {
        id: "abcdef".to_owned(),
        secret: Secret::new("0123456789abcdef"),
    }
}

fn authority() -> TestAuthority {
    TestAuthority::new("kubernetes", AROUND_NOW)
}

fn pin_of(authority: &TestAuthority) -> CaPin {
    pin::of(&authority.certificate).unwrap()
}

/// A client that is patient enough for a busy machine.
fn client() -> (Client, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(NOW));
    let client = Client::new(&NetworkSettings::default(), Arc::clone(&clock) as Arc<_>).unwrap();
    (client, clock)
}

/// A client that a server's silence does not keep waiting; only for tests in which the server is silent.
fn impatient() -> Client {
    let short = Duration::from_millis(200);
    let (client, _) = client();
    client.with_patience(Patience {
        connect: Duration::from_secs(10),
        handshake: short,
        whole: Duration::from_millis(600),
    })
}

fn config(endpoints: Vec<Endpoint>, trust: Trust) -> JoinConfig {
    JoinConfig {
        endpoints,
        trust,
        discovery: Discovery::ClusterInfo,
        credential: Credential::BootstrapToken(token()),
        tls_server_name: None,
        after_join: AfterJoin::Erase,
        settings: NodeSettings::default(),
    }
}

/// The kubeconfig that describes a cluster at `server` with these authorities.
fn kubeconfig(server: &str, authorities: &str) -> String {
    let data = STANDARD.encode(authorities);
    format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {data}\n    server: {server}\n  name: \"\"\n\
         contexts: null\ncurrent-context: \"\"\nkind: Config\nusers: null\n"
    )
}

/// The ConfigMap with this kubeconfig, signed by `token`.
fn cluster_info(kubeconfig: &str, token: &BootstrapToken) -> String {
    let signature = jws::sign(kubeconfig.as_bytes(), token);
    json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "cluster-info"}, "data": {
        "kubeconfig": kubeconfig, format!("jws-kubeconfig-{}", token.id): signature,
    }})
    .to_string()
}

/// The Status object that comes with an error.
fn status(code: u16, message: &str) -> Answer {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code});
    Answer::Json(code, body.to_string())
}

/// A control plane that describes itself, at a name and an address.
async fn described(authority: &TestAuthority) -> StubServer {
    let info = cluster_info(&kubeconfig("https://cp.example.com:6443", &authority.pem()), &token());
    let server = authority.server(&["localhost", "127.0.0.1"], AROUND_NOW);
    StubServer::start(&server, move |_| Answer::Json(200, info.clone())).await
}

/// The cluster that `server` is, as discovery would have found it.
fn cluster(server: &StubServer, authority: &TestAuthority) -> Cluster {
    Cluster {
        server: server.endpoint("localhost"),
        others: Vec::new(),
        authorities: authority.pem(),
        tls_server_name: None,
        credential: None,
    }
}

/// A script that gives these answers in turn, and the last one for ever.
fn in_turn(answers: Vec<Answer>) -> impl FnMut(&Heard) -> Answer + Send {
    let place = Mutex::new(0);
    move |_| {
        let mut place = place.lock().unwrap();
        let answer = answers[(*place).min(answers.len() - 1)].clone();
        *place += 1;
        answer
    }
}

async fn discover(client: &Client, endpoint: Endpoint, trust: Trust) -> Result<Cluster, ApiError> {
    client.discover(&config(vec![endpoint], trust)).await
}
