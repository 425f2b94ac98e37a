//! Whoever can reach the relay without being this node's kubelet gets nothing from it.

use reqwest::{Client, Identity};
use skerry_qemu_tests::control_plane::certificates::{Pki, SignedCertificate};
use skerry_qemu_tests::control_plane::tunnel::Tunnel;
use skerry_qemu_tests::image::work_folder;
use skerry_qemu_tests::outpost::Outpost;
use skerry_qemu_tests::workload::{PRELOADED, powerful_pod};

/// Where the relay listens on the node's loopback.
const RELAY_PORT: u16 = 6444;
/// The store's folder, as a pod that sees the node's processes sees it.
const STORE: &str = "/proc/1/root/var/lib/skerry/relay";
const NODES: &str = "system:nodes";

/// What the relay answers to somebody in the node's network who shows `certificate`: the status, or why there is none.
fn knock(outpost: &Outpost, certificate: Option<&SignedCertificate>) -> Result<u16, String> {
    // kubectl gives a tunnel up when a connection in it fails.
    let pod = "daemonset/everywhere";
    let tunnel = Tunnel::dig(&outpost.scene.cluster, pod, RELAY_PORT);
    let mut client = Client::builder().no_proxy().tls_danger_accept_invalid_certs(true);
    if let Some(SignedCertificate { certificate, key }) = certificate {
        let pem = format!("{certificate}{key}");
        client = client.identity(Identity::from_pem(pem.as_bytes()).unwrap());
    }
    let url = format!("https://127.0.0.1:{}/api/v1/nodes/{}", tunnel.port(), outpost.name);
    let request = client.build().unwrap().get(url).send();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.unwrap().block_on(request) {
        Ok(response) => Ok(response.status().as_u16()),
        // The alert, if there was one, is among the causes.
        Err(error) => Err(format!("{error:?}")),
    }
}

/// From the node's own network, which a pod can have.
pub fn strangers_are_refused(outpost: &Outpost) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cluster = &outpost.scene.cluster;
    let name = format!("system:node:{}", outpost.name);
    let own = cluster.client_certificate(&name, Some(NODES));
    assert_eq!(knock(outpost, Some(&own)), Ok(200), "the relay is not reached");
    let foreign = Pki::create(&work_folder("standing-alone").join("foreign-pki")).client(&name, Some(NODES));
    for (who, certificate) in [
        ("nobody", None),
        (
            "another node",
            Some(cluster.client_certificate("system:node:other", Some(NODES))),
        ),
        ("a namesake of no group", Some(cluster.client_certificate(&name, None))),
        (
            "an administrator",
            Some(cluster.client_certificate("admin", Some("system:masters"))),
        ),
        ("the node by another authority", Some(foreign)),
    ] {
        let outcome = knock(outpost, certificate.as_ref());
        println!("{who}: {outcome:?}");
        assert!(matches!(outcome, Err(_) | Ok(401 | 403)), "{who}: {outcome:?}");
    }
    assert_eq!(knock(outpost, Some(&own)), Ok(200), "the relay is not reached any more");
}

/// Modes and owners, as `root` of the node sees them.
pub fn the_store_is_roots_alone(outpost: &Outpost) {
    let cluster = &outpost.scene.cluster;
    outpost
        .scene
        .run(&powerful_pod("witness", PRELOADED, "exec sleep 1000000"));
    let script = format!("stat -c '%F %a %u %g' {STORE}; stat -c '%F %a %u %g' {STORE}/*");
    let text = cluster.kubectl(&["exec", "witness", "--", "sh", "-c", &script]);
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("directory 700 0 0"), "{text}");
    let files: Vec<&str> = lines.collect();
    assert!(files.len() >= 2, "no key or no log: {text}");
    assert!(files.iter().all(|file| *file == "regular file 600 0 0"), "{text}");
}
