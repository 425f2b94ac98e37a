//! The control plane that the other tests join is a real one: its own tools work with it.
#![allow(clippy::unwrap_used, reason = "tests: a surprise is a failure")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use skerry_qemu_tests::control_plane::{ControlPlane, Joiners};
use skerry_qemu_tests::image::work_folder;
use skerry_qemu_tests::registry::Registry;
use skerry_qemu_tests::{join_file, wait, workload};

#[test]
fn a_control_plane_starts_signs_cluster_info_for_guests_and_lets_tokens_in() {
    let cluster = ControlPlane::start("control-plane", Joiners::Guests);
    let (line, token) = join_file::kubeadm_line(&cluster);
    assert!(line.contains(" --discovery-token-ca-cert-hash sha256:"), "{line}");
    let info = wait::until("the signature", Duration::from_secs(60), || {
        let info = cluster.try_get(&["configmap", "cluster-info", "--namespace=kube-public"])?;
        let signed = info["data"].get(format!("jws-kubeconfig-{}", token.id)).is_some();
        signed.then_some(info.clone()).ok_or_else(|| info.to_string())
    });
    let kubeconfig = info["data"]["kubeconfig"].as_str().unwrap();
    assert!(
        kubeconfig.contains(&format!("https://{}", cluster.endpoint())),
        "{kubeconfig}"
    );
    let who = cluster.kubectl(&[
        "auth",
        "can-i",
        "create",
        "certificatesigningrequests",
        "--as-group=system:bootstrappers:kubeadm:default-node-token",
        "--as=system:bootstrap:abcdef",
    ]);
    assert_eq!(who.trim(), "yes");
}

#[test]
fn a_registry_takes_the_packed_page_and_tells_what_was_pulled() {
    let registry = Registry::start("registry");
    registry.push(&workload::pack(&work_folder("registry")), "page", "1");
    assert_eq!(registry.pulls(), Vec::<String>::new());
    let mut connection = TcpStream::connect(("127.0.0.1", registry.port())).unwrap();
    connection
        .write_all(b"GET /v2/page/manifests/1 HTTP/1.0\r\nAccept: application/vnd.oci.image.manifest.v1+json\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\"layers\""), "{answer}");
    let pulls = wait::until("the registry's log", Duration::from_secs(10), || {
        let pulls = registry.pulls();
        (!pulls.is_empty()).then_some(pulls).ok_or_else(|| "empty".to_owned())
    });
    assert_eq!(pulls.len(), 1, "{pulls:?}");
}
