//! C7: a name under which another machine is at work.

use skerry_firstboot::control_plane::{ApiErrorKind, NodeView};
use skerry_firstboot::join::JoinError;

use crate::api_server::{ApiServer, Call, Fault};
use crate::issuer::Issuer;
use crate::joiner::{HOUR, Joiner, MACHINE_ID, joined};
use crate::machine::{NODE, blank_disk};

const OTHER_ID: &str = "fedcba9876543210fedcba9876543210";

fn node(ready: bool, machine_id: &str) -> NodeView {
    NodeView {
        ready,
        machine_id: machine_id.into(),
        ..NodeView::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_under_which_another_machine_is_ready_is_refused_with_advice_until_it_is_free() {
    let issuer = Issuer::new("ca");
    let server = ApiServer::new(&issuer);
    server.nodes.borrow_mut().insert(NODE.into(), node(true, OTHER_ID));
    let mut machine = Joiner::boot(&issuer, blank_disk());
    let error = machine.run(&server, HOUR * 6).await.error();
    assert!(matches!(error, JoinError::NameTaken { .. }), "{error}");
    let advice = error.advice();
    assert!(
        advice.contains("node.name") && advice.contains("kubectl delete node pole-7"),
        "{advice}"
    );
    assert_eq!(server.created(), [] as [String; 0]);
    let looks = server.times(Call::ReadNode).len();
    assert!((20..60).contains(&looks), "{looks} looks in six hours");
    server.nodes.borrow_mut().clear();
    joined(&mut machine, &server).await;
}

#[tokio::test(start_paused = true)]
async fn another_name_in_the_join_file_ends_the_conflict() {
    let issuer = Issuer::new("ca");
    let server = ApiServer::new(&issuer);
    server.nodes.borrow_mut().insert(NODE.into(), node(true, OTHER_ID));
    let mut machine = Joiner::boot(&issuer, blank_disk());
    machine.run(&server, HOUR).await.error();
    machine.node_name = "pole-8".into();
    machine.content = "the corrected join file".into();
    assert_eq!(joined(&mut machine, &server).await.node_name, "pole-8");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_not_ready_or_this_machines_own_is_taken_over() {
    let issuer = Issuer::new("ca");
    for node in [
        node(false, OTHER_ID),
        node(false, ""),
        node(true, MACHINE_ID),
        node(false, MACHINE_ID),
    ] {
        let server = ApiServer::new(&issuer);
        server.nodes.borrow_mut().insert(NODE.into(), node);
        let mut machine = Joiner::boot(&issuer, blank_disk());
        joined(&mut machine, &server).await;
        assert_eq!(server.times(Call::Discover).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn who_may_not_read_nodes_joins_all_the_same() {
    let issuer = Issuer::new("ca");
    let server = ApiServer::new(&issuer);
    server.nodes.borrow_mut().insert(NODE.into(), node(true, OTHER_ID));
    server.trouble(|asked| (asked.call == Call::ReadNode).then_some(Fault::Refused(ApiErrorKind::Forbidden)));
    let mut machine = Joiner::boot(&issuer, blank_disk());
    joined(&mut machine, &server).await;
    assert_eq!(server.times(Call::ReadNode).len(), 1);
}
