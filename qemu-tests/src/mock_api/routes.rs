//! From a request to its answer: who asks, what for, what the script says about it.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};

use super::answer::Answer;
use super::client_certificate::{common_name, user_of};
use super::cluster_info;
use super::description::{Description, Facts};
use super::faults::{Call, Fault};
use super::log::{Presented, Request};
use super::server_certificate::ServerCertificate;
use super::signing::{self, Refused};
use super::state::{Shared, State};
use super::users::User;

const CLUSTER_INFO: &str = "/api/v1/namespaces/kube-public/configmaps/cluster-info";
const ROOT_AUTHORITIES: &str = "/api/v1/namespaces/kube-system/configmaps/kube-root-ca.crt";
const SIGNING_REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const NODES: &str = "/api/v1/nodes";
const SECRETS: &str = "/api/v1/namespaces/cloud-init-settings/secrets/";

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The connection's number.
    pub connection: usize,
    /// The certificate that the client saw.
    pub shown: ServerCertificate,
    /// The client's certificates.
    pub chain: Arc<[CertificateDer<'static>]>,
    /// Method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    ClusterInfo,
    RootAuthorities,
    SigningRequests,
    SigningRequest(String),
    Nodes,
    Node(String),
    Secret(String),
    Health,
    Version,
    Unknown,
}

/// Answers, and notes it in the log.
pub fn answer(shared: &Shared, asked: Asked) -> Answer {
    let mut state = shared.lock();
    let target = target(asked.path.split('?').next().unwrap_or_default());
    let faults = state.script.at(call(&target, &asked.method));
    let presented = presented(&asked);
    let user = user(&state, &asked, &presented);
    let answer = answer_to(&mut state, &asked, &target, user.as_ref(), &faults);
    let broken = faults.iter().filter_map(|fault| match fault {
        Fault::Answer(broken) => Some(broken),
        _ => None,
    });
    let answer = broken.fold(answer, |answer, fault| answer.broken(fault));
    let at = state.clock.running();
    state.log.requests.push(Request {
        connection: asked.connection,
        shown: asked.shown,
        method: asked.method,
        path: asked.path,
        headers: asked.headers,
        body: asked.body,
        presented,
        user,
        status: answer.status,
        at,
    });
    answer
}

fn target(path: &str) -> Target {
    let below = |folder: &str| {
        let name = path.strip_prefix(folder)?.trim_start_matches('/');
        (!name.is_empty()).then(|| name.trim_end_matches("/status").to_owned())
    };
    if let Some(name) = below(SIGNING_REQUESTS) {
        return Target::SigningRequest(name);
    }
    if let Some(name) = below(NODES) {
        return Target::Node(name);
    }
    if let Some(name) = below(SECRETS) {
        return Target::Secret(name);
    }
    match path {
        CLUSTER_INFO => Target::ClusterInfo,
        ROOT_AUTHORITIES => Target::RootAuthorities,
        SIGNING_REQUESTS => Target::SigningRequests,
        NODES => Target::Nodes,
        "/healthz" | "/livez" | "/readyz" => Target::Health,
        "/version" => Target::Version,
        _ => Target::Unknown,
    }
}

fn call(target: &Target, method: &str) -> Call {
    match (target, method) {
        (Target::ClusterInfo, _) => Call::ClusterInfo,
        (Target::RootAuthorities, _) => Call::ReadRootAuthorities,
        (Target::SigningRequests, _) => Call::CreateRequest,
        (Target::SigningRequest(_), _) => Call::ReadRequest,
        (Target::Node(_), "GET") => Call::ReadNode,
        (Target::Node(_) | Target::Nodes, _) => Call::WriteNode,
        (Target::Secret(_), _) => Call::ReadSecret,
        (Target::Health | Target::Version | Target::Unknown, _) => Call::Other,
    }
}

fn presented(asked: &Asked) -> Presented {
    let mut headers = asked.headers.iter();
    let authorization = headers.find(|(name, _)| name == "authorization");
    match (asked.chain.first(), authorization) {
        (Some(leaf), _) => Presented::Certificate(common_name(leaf)),
        (None, Some((_, value))) => Presented::Bearer(value.trim_start_matches("Bearer ").to_owned()),
        (None, None) => Presented::Nothing,
    }
}

fn user(state: &State, asked: &Asked, presented: &Presented) -> Option<User> {
    let unix = state.clock.unix();
    match presented {
        Presented::Nothing => Some(User::anonymous()),
        Presented::Bearer(token) => state.tokens.user(token, unix),
        Presented::Certificate(_) => user_of(&asked.chain, state.identity.genuine.der(), unix),
    }
}

fn answer_to(state: &mut State, asked: &Asked, target: &Target, user: Option<&User>, faults: &[Fault]) -> Answer {
    let now = state.clock.running();
    if !state.gate.take(now) {
        let message = "too many requests, please try again later";
        return Answer::failure(429, "TooManyRequests", message).header("retry-after", "1");
    }
    let Some(user) = user else {
        return Answer::unauthorized();
    };
    match (target, asked.method.as_str()) {
        (Target::ClusterInfo, "GET") => describe(state, user, faults),
        (Target::RootAuthorities, "GET") => read_root_authorities(state, user),
        (Target::SigningRequests, "POST") => create_request(state, asked, user),
        (Target::SigningRequest(name), "GET") => read_request(state, name, user),
        (Target::Node(name), "GET") => read_node(state, name, user),
        (Target::Node(name), "PATCH") => patch_node(state, name, asked, user),
        (Target::Nodes, "POST") => create_node(state, asked, user),
        (Target::Secret(name), "GET") => read_secret(state, name, user),
        (Target::Health, "GET") => Answer::text(200, "ok"),
        (Target::Version, "GET") => Answer::json(
            200,
            &json!({ "major": "1", "minor": "36", "gitVersion": "v1.36.3", "platform": "linux/amd64" }),
        ),
        (Target::Unknown, _) => Answer::failure(404, "NotFound", "the server could not find the requested resource"),
        _ => Answer::failure(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        ),
    }
}

fn describe(state: &State, user: &User, faults: &[Fault]) -> Answer {
    if !user.may_read_cluster_info() {
        return Answer::forbidden(&user.name, "get", r#"configmaps "cluster-info""#);
    }
    let wrong: Vec<&Description> = faults
        .iter()
        .filter_map(|fault| match fault {
            Fault::Description(wrong) => Some(wrong),
            _ => None,
        })
        .collect();
    cluster_info::answer(&state.facts(), state.tokens.signing(state.clock.unix()), &wrong)
}

impl State {
    /// What descriptions of this cluster are made of.
    pub fn facts(&self) -> Facts<'_> {
        Facts {
            server: &self.server,
            authority: self.identity.genuine.pem(),
            second: self.identity.second.pem(),
            other: self.identity.other.pem(),
        }
    }
}

fn read_root_authorities(state: &State, user: &User) -> Answer {
    match &state.root_authorities {
        Some(pem) if user.node_name().is_some() => Answer::json(200, &cluster_info::root_authorities(pem)),
        _ => Answer::forbidden(&user.name, "get", r#"configmaps "kube-root-ca.crt""#),
    }
}

fn create_request(state: &mut State, asked: &Asked, user: &User) -> Answer {
    let resource = "certificatesigningrequests.certificates.k8s.io";
    if !user.may_request_certificates() {
        return Answer::forbidden(&user.name, "create", resource);
    }
    let (name, spec) = match signing::read(&asked.body, user) {
        Ok(read) => read,
        Err(Refused::Unreadable(why)) => return Answer::failure(400, "BadRequest", &why),
        Err(Refused::Invalid(why)) => return Answer::failure(422, "Invalid", &why),
    };
    let (now, unix) = (state.clock.running(), state.clock.unix());
    if !state.signing.create(&name, spec, now, unix) {
        let message = format!(r#"{resource} "{name}" already exists"#);
        return Answer::failure(409, "AlreadyExists", &message);
    }
    Answer::json(201, &state.signing.get(&name).map_or(Value::Null, signing::object))
}

fn read_request(state: &mut State, name: &str, user: &User) -> Answer {
    let resource = "certificatesigningrequests.certificates.k8s.io";
    if !user.may_request_certificates() {
        return Answer::forbidden(&user.name, "get", resource);
    }
    match state.settle(name) {
        Some(entry) => Answer::json(200, &signing::object(&entry)),
        None => Answer::failure(404, "NotFound", &format!(r#"{resource} "{name}" not found"#)),
    }
}

fn read_node(state: &State, name: &str, user: &User) -> Answer {
    if !user.may_read_node(name) {
        return Answer::forbidden(&user.name, "get", &format!(r#"nodes "{name}""#));
    }
    match state.nodes.get(name) {
        Some(node) => Answer::json(200, node),
        None => Answer::failure(404, "NotFound", &format!(r#"nodes "{name}" not found"#)),
    }
}

fn create_node(state: &mut State, asked: &Asked, user: &User) -> Answer {
    let posted: Value = match serde_json::from_slice(&asked.body) {
        Ok(posted) => posted,
        Err(error) => return Answer::failure(400, "BadRequest", &error.to_string()),
    };
    let name = posted
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let name = name.to_owned();
    if !user.may_write_node(&name) {
        return Answer::forbidden(&user.name, "create", &format!(r#"nodes "{name}""#));
    }
    match state.nodes.create(&name, posted) {
        true => Answer::json(201, state.nodes.get(&name).unwrap_or(&Value::Null)),
        false => Answer::failure(409, "AlreadyExists", &format!(r#"nodes "{name}" already exists"#)),
    }
}

fn patch_node(state: &mut State, name: &str, asked: &Asked, user: &User) -> Answer {
    if !user.may_write_node(name) {
        return Answer::forbidden(&user.name, "patch", &format!(r#"nodes "{name}""#));
    }
    match serde_json::from_slice(&asked.body).map(|patch| state.nodes.patch(name, patch)) {
        Err(error) => Answer::failure(400, "BadRequest", &error.to_string()),
        Ok(None) => Answer::failure(404, "NotFound", &format!(r#"nodes "{name}" not found"#)),
        Ok(Some(node)) => Answer::json(200, node),
    }
}

fn read_secret(state: &State, name: &str, user: &User) -> Answer {
    if !user.may_read_cloud_init_settings() {
        return Answer::forbidden(&user.name, "get", &format!(r#"secrets "{name}""#));
    }
    match state.secrets.object(name) {
        Some(secret) => Answer::json(200, &secret),
        None => Answer::failure(404, "NotFound", &format!(r#"secrets "{name}" not found"#)),
    }
}
