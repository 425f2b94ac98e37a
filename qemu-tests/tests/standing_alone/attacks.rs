//! Whoever reaches the relay and is not this node's kubelet gets nothing from it.

use skerry_qemu_tests::control_plane::caller::Caller;
use skerry_qemu_tests::control_plane::certificates::{Pki, SignedCertificate};
use skerry_qemu_tests::control_plane::tunnel::Tunnel;
use skerry_qemu_tests::image::work_folder;
use skerry_qemu_tests::outpost::Outpost;

/// Where the relay listens on the node's loopback.
pub const RELAY_PORT: u16 = 6444;
/// A pod in the node's network.
pub const TUNNEL_POD: &str = "daemonset/everywhere";
/// The group of nodes.
pub const NODES: &str = "system:nodes";

/// What the relay answers to somebody in the node's network who shows `certificate`: the status, or why there is none.
fn knock(outpost: &Outpost, certificate: Option<&SignedCertificate>) -> Result<u16, String> {
    // kubectl gives a tunnel up when a connection in it fails.
    let tunnel = Tunnel::dig(&outpost.scene.cluster, TUNNEL_POD, RELAY_PORT);
    let path = format!("/api/v1/nodes/{}", outpost.name);
    let reply = Caller::new(certificate).ask(tunnel.port(), &path, "application/json");
    reply.map(|reply| reply.status)
}

/// From the node's own network, which a pod can have.
pub fn strangers_are_refused(outpost: &Outpost) {
    let cluster = &outpost.scene.cluster;
    let name = format!("system:node:{}", outpost.name);
    let own = cluster.client_certificate(&name, Some(NODES));
    assert_eq!(knock(outpost, Some(&own)), Ok(200), "the relay is not reached");
    let foreign = Pki::create(&work_folder("standing-alone").join("foreign-pki")).client(&name, Some(NODES));
    let signed = |name: &str, group| Some(cluster.client_certificate(name, group));
    for (who, certificate) in [
        ("nobody", None),
        ("another node", signed("system:node:other", Some(NODES))),
        ("a namesake of no group", signed(&name, None)),
        ("an administrator", signed("admin", Some("system:masters"))),
        ("the node by another authority", Some(foreign)),
    ] {
        let outcome = knock(outpost, certificate.as_ref());
        println!("{who}: {outcome:?}");
        assert!(matches!(outcome, Err(_) | Ok(401 | 403)), "{who}: {outcome:?}");
    }
    assert_eq!(knock(outpost, Some(&own)), Ok(200), "the relay is not reached any more");
}
