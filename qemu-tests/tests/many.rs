//! Many machines join the real API server at once.
#![allow(clippy::unwrap_used, reason = "tests: a surprise is a failure")]

use std::collections::BTreeSet;

use skerry_qemu_tests::control_plane::{ControlPlane, Joiners};
use skerry_qemu_tests::{join_file, joiner};
use tokio::task::LocalSet;

const MACHINES: usize = 200;

#[test]
fn two_hundred_machines_at_once_get_a_certificate_each_by_one_request_each() {
    let cluster = ControlPlane::start("many", Joiners::Here);
    let (line, _) = join_file::kubeadm_line(&cluster);
    let joins = LocalSet::new();
    let machines: Vec<_> = (0..MACHINES)
        .map(|number| {
            let line = line.clone();
            joins.spawn_local(async move { joiner::join(&line, &format!("machine-{number}")).await })
        })
        .collect();
    let runtime = joiner::runtime();
    runtime.block_on(joins);
    for machine in machines {
        runtime.block_on(machine).expect("every machine joins");
    }
    let requests = cluster.get(&["certificatesigningrequests"]);
    let requests = requests["items"].as_array().unwrap();
    let subjects: BTreeSet<&str> = requests
        .iter()
        .map(|request| request["spec"]["request"].as_str().unwrap())
        .collect();
    assert_eq!((requests.len(), subjects.len()), (MACHINES, MACHINES));
    assert!(
        requests
            .iter()
            .all(|request| request["status"]["certificate"].is_string())
    );
}
