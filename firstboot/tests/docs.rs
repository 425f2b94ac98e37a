//! What the pages in `docs/` quote of the code is what the code says.

use std::time::Duration;

use skerry_firstboot::control_plane::{ApiError, ApiErrorKind};
use skerry_firstboot::identity::WaitReason;
use skerry_firstboot::join::JoinError;
use skerry_firstboot::join_config::{KubeletSettings, NetworkSettings, Swap};
use skerry_firstboot::node::observe::{deleted, judge};
use skerry_firstboot::node::state::NodeState;
use skerry_firstboot::node_files::sizing::{MIB, Sizing};
use skerry_firstboot::node_files::{MachineFacts, zram};
use skerry_firstboot::source;

const JOINING: &str = include_str!("../../docs/joining.md");
const NODE: &str = include_str!("../../docs/node.md");

fn assert_quoted(text: &str) {
    assert!(JOINING.contains(text), "docs/joining.md does not have: {text}");
}

#[test]
fn every_state_and_every_class_of_failed_requests_is_explained() {
    NodeState::names().for_each(|name| assert_quoted(&format!("| `{name}` | ")));
    let retry_after = Some(Duration::from_secs(1));
    for kind in [
        ApiErrorKind::Dns,
        ApiErrorKind::Connect,
        ApiErrorKind::Timeout,
        ApiErrorKind::Untrusted,
        ApiErrorKind::Clock { server_time: None },
        ApiErrorKind::NotKubernetes,
        ApiErrorKind::BadAnswer,
        ApiErrorKind::NotSigned,
        ApiErrorKind::Forged,
        ApiErrorKind::Unauthorized,
        ApiErrorKind::Forbidden,
        ApiErrorKind::NotFound,
        ApiErrorKind::Throttled { retry_after },
        ApiErrorKind::Server {
            status: 500,
            retry_after,
        },
    ] {
        assert_quoted(&kind.to_string());
    }
}

#[test]
fn what_a_machine_waits_for_is_quoted_as_it_says_it() {
    let name = || "NAME".to_owned();
    for reason in [
        WaitReason::JoinFileGone { node_name: name() },
        WaitReason::CertificateExpired { not_after: 0 },
    ] {
        assert_quoted(&reason.to_string());
    }
    let (request, reason) = ("…".to_owned(), String::new());
    let denied = JoinError::Denied { request, reason };
    assert_quoted(denied.to_string().trim_end_matches([':', ' ']));
    assert_quoted(&JoinError::NameTaken { name: "…".to_owned() }.to_string());
    assert_quoted(&deleted("NAME").reason);
    let nobody = judge(Ok(None), "NAME", &NetworkSettings::default());
    assert_quoted(&nobody.reason);
    let replaced = ApiError {
        kind: ApiErrorKind::Untrusted,
        endpoint: String::new(),
        detail: String::new(),
        advice: String::new(),
    };
    let finding = judge(Err(replaced), "NAME", &NetworkSettings::default());
    assert_quoted(finding.next.split(';').next().unwrap());
}

#[test]
fn the_places_and_names_of_join_files_are_those_that_are_looked_at() {
    let names = source::FILES.map(|name| format!("`{name}`")).join(", ");
    assert_quoted(&names);
    for place in ["SKERRY-JOIN", "skerry.join", "skerry.join-url"] {
        assert!(source::PLACES.contains(place));
        assert_quoted(place);
    }
}

/// `MemTotal`, pods, reserved, eviction, heap limit, zram: as the page writes them.
fn row(memory_mib: u64) -> String {
    let facts = MachineFacts {
        memory_bytes: memory_mib * MIB,
        cpus: 1,
    };
    let sizing = Sizing::of(&facts, &KubeletSettings::default());
    let mib = |bytes: Option<u64>| bytes.map_or("none".to_owned(), |bytes| format!("{} MiB", bytes / MIB));
    format!(
        "| {memory_mib} MiB | {} | {} | {} | {} | {} |",
        sizing.max_pods,
        mib(Some(sizing.reserved_bytes)),
        mib(Some(sizing.eviction_bytes)),
        mib(sizing.heap_limit_bytes),
        mib(zram::size_bytes(&facts, Swap::Auto)),
    )
}

#[test]
fn the_table_of_sizes_is_what_kubelet_is_told() {
    let rows: Vec<&str> = NODE
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains(" MiB | "))
        .collect();
    assert!(rows.len() >= 6, "{rows:?}");
    for line in rows {
        let memory = line.trim_start_matches("| ").split(' ').next().unwrap();
        assert_eq!(line, row(memory.parse().unwrap()));
    }
}
