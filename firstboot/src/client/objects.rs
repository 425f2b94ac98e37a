//! The API's objects, as much of them as a join reads and writes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::control_plane::{NodeView, SigningRequest, SigningState};

/// The signer of kubelets' client certificates.
const SIGNER: &str = "kubernetes.io/kube-apiserver-client-kubelet";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewRequest<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: NewMetadata<'a>,
    spec: NewSpec<'a>,
}

#[derive(Serialize)]
struct NewMetadata<'a> {
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewSpec<'a> {
    request: String,
    signer_name: &'static str,
    usages: &'a [&'static str],
}

/// The body that posts `request`. How long the certificate lasts is left to the cluster.
pub(super) fn new_request(request: &SigningRequest) -> String {
    let object = NewRequest {
        api_version: "certificates.k8s.io/v1",
        kind: "CertificateSigningRequest",
        metadata: NewMetadata { name: &request.name },
        spec: NewSpec {
            request: STANDARD.encode(&request.pem),
            signer_name: SIGNER,
            usages: &request.usages,
        },
    };
    serde_json::to_string(&object).expect("strings and lists of strings")
}

#[derive(Deserialize)]
struct Status {
    kind: String,
    #[serde(default)]
    message: String,
}

/// The message of a `Status` object; nothing if it is none.
pub(super) fn status(body: &[u8]) -> Option<String> {
    let status: Status = serde_json::from_slice(body).ok()?;
    (status.kind == "Status").then_some(status.message)
}

#[derive(Deserialize)]
struct Request {
    kind: String,
    spec: RequestSpec,
    #[serde(default)]
    status: RequestStatus,
}

#[derive(Deserialize)]
struct RequestSpec {
    request: String,
}

#[derive(Deserialize, Default)]
struct RequestStatus {
    #[serde(default)]
    conditions: Option<Vec<Condition>>,
    #[serde(default)]
    certificate: Option<String>,
}

#[derive(Deserialize)]
struct Condition {
    r#type: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

impl Condition {
    /// Its reason and message as one text.
    fn words(&self) -> String {
        let Self { reason, message, .. } = self;
        match (reason.is_empty(), message.is_empty()) {
            (false, false) => format!("{reason}: {message}"),
            _ => format!("{reason}{message}"),
        }
    }
}

/// How far the request in `body` has come; nothing if it is none, or if what was issued is not text.
pub(super) fn signing_state(body: &[u8]) -> Option<SigningState> {
    let request = request(body)?;
    let conditions = request.status.conditions.unwrap_or_default();
    // The condition's own status came later than the API (1.18); before, there was none and it meant `True`.
    let find = |name: &str| {
        conditions
            .iter()
            .find(|found| found.r#type == name && found.status != "False")
    };
    if let Some(denied) = find("Denied") {
        return Some(SigningState::Denied(denied.words()));
    }
    if let Some(failed) = find("Failed") {
        return Some(SigningState::Failed(failed.words()));
    }
    let certificate = request.status.certificate.filter(|text| !text.is_empty());
    match (find("Approved"), certificate) {
        (None, _) => Some(SigningState::Pending),
        (Some(_), None) => Some(SigningState::Approved),
        (Some(_), Some(certificate)) => text(&certificate).map(SigningState::Issued),
    }
}

/// The PKCS #10 request in the object in `body`, PEM.
pub(super) fn posted_request(body: &[u8]) -> Option<String> {
    text(&request(body)?.spec.request)
}

fn request(body: &[u8]) -> Option<Request> {
    let request: Request = serde_json::from_slice(body).ok()?;
    (request.kind == "CertificateSigningRequest").then_some(request)
}

#[derive(Deserialize)]
struct Node {
    kind: String,
    #[serde(default)]
    spec: NodeSpec,
    #[serde(default)]
    status: NodeStatus,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct NodeSpec {
    #[serde(default, rename = "podCIDR")]
    pod_cidr: String,
    #[serde(default, rename = "podCIDRs")]
    pod_cidrs: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct NodeStatus {
    #[serde(default)]
    conditions: Vec<Condition>,
    #[serde(default)]
    node_info: NodeInfo,
}

#[derive(Deserialize, Default)]
struct NodeInfo {
    #[serde(default, rename = "machineID")]
    machine_id: String,
}

/// What is asked of the Node in `body`; nothing if it is none.
pub(super) fn node(body: &[u8]) -> Option<NodeView> {
    let node: Node = serde_json::from_slice(body)
        .ok()
        .filter(|node: &Node| node.kind == "Node")?;
    let ready = node
        .status
        .conditions
        .iter()
        .find(|condition| condition.r#type == "Ready");
    let is_ready = ready.is_some_and(|condition| condition.status == "True");
    let reason = match ready {
        None => "kubelet has not reported yet".to_owned(),
        Some(_) if is_ready => String::new(),
        Some(condition) => condition.words(),
    };
    let mut pod_cidrs = node.spec.pod_cidrs;
    if pod_cidrs.is_empty() && !node.spec.pod_cidr.is_empty() {
        pod_cidrs.push(node.spec.pod_cidr);
    }
    Some(NodeView {
        ready: is_ready,
        reason,
        pod_cidrs,
        machine_id: node.status.node_info.machine_id,
    })
}

#[derive(Deserialize)]
struct SecretObject {
    kind: String,
    #[serde(default)]
    data: SecretData,
}

#[derive(Deserialize, Default)]
struct SecretData {
    kubeconfig: Option<String>,
}

/// The kubeconfig in the Secret in `body`.
pub(super) fn kubeconfig(body: &[u8]) -> Option<String> {
    let secret: SecretObject = serde_json::from_slice(body).ok()?;
    let data = secret.data.kubeconfig.filter(|_| secret.kind == "Secret")?;
    text(&data)
}

#[derive(Deserialize)]
struct ConfigMap {
    kind: String,
    #[serde(default)]
    data: RootAuthorities,
}

#[derive(Deserialize, Default)]
struct RootAuthorities {
    #[serde(rename = "ca.crt")]
    pem: Option<String>,
}

/// The authorities in the ConfigMap `kube-root-ca.crt` in `body`, PEM.
pub(super) fn root_authorities(body: &[u8]) -> Option<String> {
    let map: ConfigMap = serde_json::from_slice(body).ok()?;
    map.data.pem.filter(|_| map.kind == "ConfigMap")
}

fn text(base64: &str) -> Option<String> {
    STANDARD
        .decode(base64)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_posted_body_is_the_one_that_kubelet_posts() {
        let request = SigningRequest {
            name: "node-csr-x".to_owned(),
            pem: "PEM\n".to_owned(),
            usages: vec!["digital signature", "client auth"],
        };
        let expected = concat!(
            r#"{"apiVersion":"certificates.k8s.io/v1","kind":"CertificateSigningRequest","metadata":{"name":"node-csr-x"},"#,
            r#""spec":{"request":"UEVNCg==","signerName":"kubernetes.io/kube-apiserver-client-kubelet","#,
            r#""usages":["digital signature","client auth"]}}"#
        );
        assert_eq!(new_request(&request), expected);
    }

    fn state(status: Value) -> Option<SigningState> {
        let object = json!({"kind": "CertificateSigningRequest", "spec": {"request": "UEVNCg=="}, "status": status});
        signing_state(object.to_string().as_bytes())
    }

    #[test]
    fn a_request_goes_from_pending_over_approved_to_issued() {
        let approved = json!([{"type": "Approved", "status": "True", "reason": "AutoApproved"}]);
        assert_eq!(state(json!({})), Some(SigningState::Pending));
        assert_eq!(state(json!({"conditions": null})), Some(SigningState::Pending));
        assert_eq!(state(json!({"certificate": "Q0VSVA=="})), Some(SigningState::Pending));
        assert_eq!(state(json!({"conditions": approved})), Some(SigningState::Approved));
        let issued = json!({"conditions": approved, "certificate": "Q0VSVA=="});
        assert_eq!(state(issued), Some(SigningState::Issued("CERT".to_owned())));
        assert_eq!(state(json!({"conditions": approved, "certificate": "%"})), None);
    }

    #[test]
    fn denied_and_failed_count_more_than_approved() {
        let state = |kind: &str| {
            let worse = json!({"type": kind, "status": "True", "reason": "Policy", "message": "no such shop"});
            state(json!({"conditions": [{"type": "Approved", "status": "True"}, worse], "certificate": "Q0VSVA=="}))
        };
        assert_eq!(
            state("Denied"),
            Some(SigningState::Denied("Policy: no such shop".to_owned()))
        );
        assert_eq!(
            state("Failed"),
            Some(SigningState::Failed("Policy: no such shop".to_owned()))
        );
    }

    #[test]
    fn a_condition_that_is_false_does_not_hold() {
        let conditions = json!([{"type": "Denied", "status": "False"}, {"type": "Approved"}]);
        assert_eq!(state(json!({"conditions": conditions})), Some(SigningState::Approved));
    }

    #[test]
    fn a_node_tells_whether_it_is_ready_and_its_addresses() {
        let object = |status: &str| {
            json!({
                "kind": "Node",
                "spec": {"podCIDR": "10.244.3.0/24", "podCIDRs": ["10.244.3.0/24", "fd00::/64"]},
                "status": {
                    "conditions": [
                        {"type": "MemoryPressure", "status": "False", "reason": "KubeletHasSufficientMemory"},
                        {"type": "Ready", "status": status, "reason": "KubeletNotReady", "message": "no CNI"},
                    ],
                    "nodeInfo": {"machineID": "0123"},
                },
            })
        };
        let ready = node(object("True").to_string().as_bytes()).unwrap();
        assert_eq!(
            (ready.ready, ready.reason.as_str(), ready.machine_id.as_str()),
            (true, "", "0123")
        );
        assert_eq!(ready.pod_cidrs, ["10.244.3.0/24", "fd00::/64"]);
        let not_ready = node(object("Unknown").to_string().as_bytes()).unwrap();
        assert_eq!(
            (not_ready.ready, not_ready.reason.as_str()),
            (false, "KubeletNotReady: no CNI")
        );
    }

    #[test]
    fn a_node_that_nobody_reported_for_is_not_ready() {
        let fresh = node(br#"{"kind":"Node","spec":{"podCIDR":"10.244.3.0/24"}}"#).unwrap();
        assert!(!fresh.ready && fresh.machine_id.is_empty());
        assert_eq!(
            (fresh.reason.as_str(), fresh.pod_cidrs.len()),
            ("kubelet has not reported yet", 1)
        );
    }

    #[test]
    fn an_object_of_another_kind_is_nothing() {
        assert_eq!(node(br#"{"kind":"Pod"}"#), None);
        assert_eq!(signing_state(br#"{"kind":"Status","spec":{"request":""}}"#), None);
        assert_eq!(
            kubeconfig(br#"{"kind":"ConfigMap","data":{"kubeconfig":"YQ=="}}"#),
            None
        );
        assert_eq!(
            kubeconfig(br#"{"kind":"Secret","data":{"kubeconfig":"YQ=="}}"#).as_deref(),
            Some("a")
        );
        assert_eq!(root_authorities(br#"{"kind":"Secret","data":{"ca.crt":"a"}}"#), None);
        assert_eq!(
            root_authorities(br#"{"kind":"ConfigMap","data":{"ca.crt":"a"}}"#).as_deref(),
            Some("a")
        );
        assert_eq!(status(br#"{"kind":"Status","message":"no"}"#).as_deref(), Some("no"));
        assert_eq!(status(b"404 page not found"), None);
    }

    proptest! {
        #[test]
        fn hostile_bodies_never_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (status(&body), signing_state(&body), posted_request(&body), node(&body), kubeconfig(&body), root_authorities(&body));
        }
    }
}
