//! What a real API server lets machines do: before they have a certificate, by what `skerry token create` grants, and as
//! nodes, by what Kubernetes grants.
#![allow(clippy::unwrap_used, reason = "tests: a surprise is a failure")]

use std::time::Duration;

use serde_json::{Value, json};
use skerry_builder::token::rbac::Permission;
use skerry_firstboot::client::Client;
use skerry_firstboot::control_plane::{ApiError, ApiErrorKind, Caller, ControlPlane as _};
use skerry_firstboot::disk::ModelDisk;
use skerry_firstboot::identity::{Home, Identity};
use skerry_firstboot::join_config;
use skerry_qemu_tests::control_plane::{ControlPlane, Joiners};
use skerry_qemu_tests::mock_api::joiner::same_certificates;
use skerry_qemu_tests::{join_file, joiner, wait};

const NODE: &str = "shop-7";
const PATIENCE: Duration = Duration::from_secs(60);

/// What `kubeadm init` lets machines do; a cluster that was set up by hand has none of it.
const KUBEADMS_BINDINGS: [&[&str]; 4] = [
    &["clusterrolebinding", "kubeadm:kubelet-bootstrap"],
    &["clusterrolebinding", "kubeadm:node-autoapprove-bootstrap"],
    &["clusterrolebinding", "kubeadm:node-autoapprove-certificate-rotation"],
    &[
        "rolebinding",
        "kubeadm:bootstrap-signer-clusterinfo",
        "--namespace=kube-public",
    ],
];

/// Whether `user` of `group` may do this; the answer of the API server's own authorizers.
fn may(cluster: &ControlPlane, user: &str, group: &str, what: &[&str]) -> bool {
    let who = [format!("--as={user}"), format!("--as-group={group}")];
    let who: Vec<&str> = who.iter().map(String::as_str).collect();
    // It exits with 1 for "no".
    let answer = cluster.try_kubectl(&[&["auth", "can-i"], what, &who].concat());
    match answer.as_deref().map(str::trim) {
        Ok("yes") => true,
        Ok(other) => panic!("{other}"),
        Err(reason) if reason.contains("\nno") => false,
        Err(reason) => panic!("{reason}"),
    }
}

fn may_node(cluster: &ControlPlane, what: &[&str]) -> bool {
    may(cluster, &format!("system:node:{NODE}"), "system:nodes", what)
}

/// What a machine with this join file comes to in a cluster that grants nothing: the first refusal.
fn refused(file: &str) -> ApiErrorKind {
    let config = join_config::parse(file.as_bytes()).unwrap().config;
    let discovered = joiner::runtime().block_on(joiner::client().discover(&config));
    discovered.map(|cluster| cluster.server).unwrap_err().kind
}

#[test]
fn a_cluster_that_grants_machines_nothing_lets_them_join_after_apply_rbac() {
    let cluster = ControlPlane::start("rights-token", Joiners::Here);
    for binding in KUBEADMS_BINDINGS {
        cluster.kubectl(&[&["delete"], binding].concat());
    }
    let (line, _) = join_file::kubeadm_line(&cluster);
    wait::until("the API server to have heard of it", PATIENCE, || {
        match refused(&line) {
            ApiErrorKind::Unauthorized | ApiErrorKind::Forbidden => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    let told = join_file::skerry_talking(&cluster, &[]);
    assert!(told.talk.contains("may not ask for a certificate"), "{}", told.talk);
    assert_eq!(cluster.client_requests(), 0);

    let made = join_file::skerry_talking(&cluster, &["--apply-rbac"]);
    for permission in Permission::ALL {
        let granted = format!("granted: {}", permission.name());
        assert!(made.talk.contains(&granted), "{}", made.talk);
    }
    assert!(
        made.text.contains("ca-pins = "),
        "cluster-info can be read: {}",
        made.talk
    );
    joiner::runtime().block_on(joiner::join(&made.text, NODE));
    let requests = cluster.get(&["certificatesigningrequests"]);
    let [request] = requests["items"].as_array().unwrap().as_slice() else {
        panic!("{requests}");
    };
    assert_eq!(
        request["spec"]["username"],
        format!("system:bootstrap:{}", made.token.id)
    );
    assert_eq!(approved_by(request), "AutoApproved");
    let renewal = [
        "create",
        "certificatesigningrequests.certificates.k8s.io/selfnodeclient",
    ];
    assert!(may_node(&cluster, &renewal), "a node's further certificates");

    // kubeadm's tokens are of the same group, and nothing is left to grant.
    let (line, _) = join_file::kubeadm_line(&cluster);
    joiner::runtime().block_on(joiner::join(&line, "shop-8"));
    let again = join_file::skerry_talking(&cluster, &["--apply-rbac"]);
    assert!(!again.talk.contains("granted"), "{}", again.talk);
}

/// The reason of the condition Approved.
fn approved_by(request: &Value) -> &str {
    let conditions = request["status"]["conditions"].as_array().unwrap();
    let approved = conditions.iter().find(|condition| condition["type"] == "Approved");
    approved.unwrap()["reason"].as_str().unwrap()
}

/// A node of a real cluster.
struct Node {
    client: Client,
    identity: Identity,
}

impl Node {
    fn join(cluster: &ControlPlane) -> Self {
        let (line, _) = join_file::kubeadm_line(cluster);
        let (client, home) = (joiner::client(), Home::new(ModelDisk::new()));
        let identity = joiner::runtime().block_on(joiner::identity(&client, &home, &line, NODE));
        Self { client, identity }
    }

    fn authorities(&self) -> Result<Option<String>, ApiError> {
        let caller = Caller::Node {
            certificate: &self.identity.pair.chain,
            key: &self.identity.pair.key,
        };
        let cluster = self.identity.cluster.to_cluster();
        joiner::runtime().block_on(self.client.authorities(&cluster, caller))
    }
}

/// A pod of kube-system on the node, as kube-proxy's DaemonSet would have it there; nothing runs it.
fn put_pod_into_kube_system(cluster: &ControlPlane) {
    cluster.apply(&json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": NODE } }).to_string());
    wait::until("a service account for the pod", PATIENCE, || {
        cluster.try_get(&["serviceaccount", "default", "--namespace=kube-system"])
    });
    let spec = json!({ "nodeName": NODE, "containers": [{ "name": "proxy", "image": "registry.example/proxy:1" }] });
    let metadata = json!({ "name": "proxy", "namespace": "kube-system" });
    cluster.apply(&json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec }).to_string());
}

#[test]
fn a_node_reads_its_clusters_authorities_in_cluster_info_and_through_a_pod_of_kube_system() {
    let cluster = ControlPlane::start("rights-node", Joiners::Here);
    let node = Node::join(&cluster);
    let authority = std::fs::read_to_string(cluster.authority_path()).unwrap();
    let info = ["get", "configmaps/cluster-info", "--namespace=kube-public"];
    let root = ["get", "configmaps/kube-root-ca.crt", "--namespace=kube-system"];
    assert!(
        !may_node(&cluster, &info),
        "kubeadm lets nobody but anonymous clients read it"
    );
    assert!(!may_node(&cluster, &root), "no pod of the node uses it");
    let named = node.authorities().unwrap().unwrap();
    assert!(same_certificates(&named, &authority), "{named}");

    cluster.kubectl(&[&["delete"], KUBEADMS_BINDINGS[3]].concat());
    wait::until("cluster-info to be closed", PATIENCE, || {
        match node.authorities().unwrap() {
            None => Ok(()),
            Some(named) => Err(named),
        }
    });
    put_pod_into_kube_system(&cluster);
    wait::until("the pod to open the other", PATIENCE, || {
        may_node(&cluster, &root)
            .then_some(())
            .ok_or_else(|| "not yet".to_owned())
    });
    let named = node.authorities().unwrap().unwrap();
    assert!(same_certificates(&named, &authority), "{named}");
}
