//! The control plane that the other tests join is a real one: its own tools work with it.
#![allow(clippy::unwrap_used, reason = "tests: a surprise is a failure")]

use std::time::Duration;

use skerry_qemu_tests::control_plane::{ControlPlane, Joiners};
use skerry_qemu_tests::{join_file, wait};

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
