//! What kubelet asks for is answered with the same bytes whether the relay stands in between or not.

use std::time::Duration;

use skerry_qemu_tests::control_plane::caller::{Caller, Reply};
use skerry_qemu_tests::control_plane::tunnel::Tunnel;
use skerry_qemu_tests::outpost::Outpost;
use skerry_qemu_tests::wait;

use super::attacks::{NODES, RELAY_PORT, TUNNEL_POD};

/// kubelet's own form, then that of people.
const FORMS: [&str; 2] = ["application/vnd.kubernetes.protobuf", "application/json"];
/// How long it may take until nothing has changed between two answers.
const PATIENCE: Duration = Duration::from_secs(300);

/// What kubelet v1.36 asks for (its requests were recorded), and what is refused to it.
fn requests(node: &str) -> Vec<String> {
    [
        "/api/v1/nodes?fieldSelector=metadata.name%3DNODE&limit=500&resourceVersion=0",
        "/api/v1/nodes/NODE?resourceVersion=0&timeout=10s",
        "/api/v1/pods?fieldSelector=spec.nodeName%3DNODE&limit=500&resourceVersion=0",
        "/api/v1/pods?fieldSelector=spec.nodeName%3DNODE&limit=1",
        "/api/v1/services?limit=500&resourceVersion=0",
        "/apis/storage.k8s.io/v1/csidrivers?limit=500&resourceVersion=0",
        "/apis/storage.k8s.io/v1/csinodes/NODE",
        "/apis/node.k8s.io/v1/runtimeclasses?limit=500&resourceVersion=0",
        "/api/v1/namespaces/default/configmaps?fieldSelector=metadata.name%3Dgiven&limit=500&resourceVersion=0",
        "/api/v1/namespaces/default/configmaps/given",
        "/api/v1/namespaces/default/secrets?fieldSelector=metadata.name%3Dgiven&limit=500&resourceVersion=0",
        "/api/v1/namespaces/default/configmaps?fieldSelector=metadata.name%3Dgiven&resourceVersion=1&timeoutSeconds=1&watch=true",
        "/api/v1/namespaces/default/configmaps?fieldSelector=metadata.name%3Dgiven&timeoutSeconds=1&watch=true",
        // A list in the form of a watch (KEP-3157), which client-go asks for first.
        "/api/v1/namespaces/default/configmaps?allowWatchBookmarks=true&fieldSelector=metadata.name%3Dgiven&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&timeoutSeconds=1&watch=true",
        "/api/v1/namespaces/default/services/kubernetes",
        "/api/v1/namespaces/default/services/nobody",
        "/api/v1/namespaces/kube-system/secrets",
        "/api/v1/namespaces/kube-system/secrets/nobody",
        "/api/v1/services?limit=nonsense",
        "/version",
        "/nowhere",
    ]
    .map(|path| path.replace("NODE", node))
    .to_vec()
}

/// Asks all of it both ways, as the node.
pub fn answers_have_the_same_bytes(outpost: &Outpost) {
    let cluster = &outpost.scene.cluster;
    let name = format!("system:node:{}", outpost.name);
    let caller = Caller::new(Some(&cluster.client_certificate(&name, Some(NODES))));
    let tunnel = Tunnel::dig(cluster, TUNNEL_POD, RELAY_PORT);
    let mut statuses = Vec::new();
    for path in requests(&outpost.name) {
        for form in FORMS {
            let ask = |port| {
                caller
                    .ask(port, &path, form)
                    .unwrap_or_else(|reason| panic!("{path}: {reason}"))
            };
            // A lease, say, is renewed between two answers: as the first and the third, so the second.
            let (direct, relayed) = wait::until(&path, PATIENCE, || {
                let (before, relayed, after) = (ask(cluster.port()), ask(tunnel.port()), ask(cluster.port()));
                (before == after)
                    .then_some((before, relayed))
                    .ok_or_else(|| "it changes".to_owned())
            });
            statuses.push(direct.status);
            compare(&path, form, &direct, &relayed);
        }
    }
    statuses.sort_unstable();
    statuses.dedup();
    println!(
        "{} requests compared, answered with {statuses:?}",
        2 * requests("").len()
    );
}

fn compare(path: &str, form: &str, direct: &Reply, relayed: &Reply) {
    assert_eq!(relayed.status, direct.status, "{form} {path}");
    assert_eq!(relayed.headers, direct.headers, "{form} {path}");
    assert!(
        relayed.body == direct.body,
        "{form} {path}:\n{}\n{}",
        String::from_utf8_lossy(&relayed.body),
        String::from_utf8_lossy(&direct.body)
    );
}
