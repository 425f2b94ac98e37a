//! What Kubernetes wrote is read as Kubernetes means it, and written again as Kubernetes writes it.

use skerry_firstboot::relay::wire::{
    Change, Kind, Mark, ObjectView, Status, TokenRequest, WatchEvent, WatchReader, open, write_bookmark, write_error,
    write_event, write_object,
};

use crate::facts::{facts, golden, list, object, read_list, status, watch, write_list};

const LISTS: [&str; 4] = ["pods.list", "pods-streamed.list", "page.list", "none.list"];
const OBJECTS: [&str; 10] = [
    "pod",
    "pod-versions",
    "pod-unready",
    "pod-done",
    "pod-image",
    "pod-label",
    "pod-deleting",
    "pod-uid",
    "node",
    "node-later",
];

fn substance(name: &str) -> String {
    let body = golden(&format!("{name}.object"));
    let (kind, raw) = open(&body).unwrap();
    ObjectView::parse(raw).unwrap().substance(&kind.kind).to_string()
}

pub fn unavailable() -> Status {
    Status {
        code: 503,
        reason: "ServiceUnavailable".to_owned(),
        message: "the control plane cannot be reached".to_owned(),
        retry_after_secs: Some(10),
    }
}

#[test]
fn lists_are_read_as_kubernetes_means_them() {
    for name in LISTS {
        assert_eq!(list(&golden(name)), facts(name), "{name}");
    }
}

#[test]
fn objects_are_called_what_kubernetes_calls_them() {
    for name in OBJECTS {
        let name = format!("{name}.object");
        let body = golden(&name);
        let (kind, raw) = open(&body).unwrap();
        let expected = if name.starts_with("pod") { "Pod" } else { "Node" };
        assert_eq!(kind, Kind::new("v1", expected));
        assert_eq!(object(&ObjectView::parse(raw).unwrap()), facts(&name), "{name}");
    }
}

#[test]
fn events_are_read_as_kubernetes_means_them() {
    assert_eq!(watch(&golden("pods.watch")), facts("pods.watch"));
}

#[test]
fn a_list_of_what_was_read_is_the_same_list() {
    for name in ["pods.list", "pods-streamed.list", "none.list"] {
        let body = golden(name);
        let (end, items) = read_list(&body);
        assert!(write_list(&end.kind, &end.resource_version, &items) == body, "{name}");
    }
}

#[test]
fn an_object_that_was_read_is_written_as_it_was() {
    for name in OBJECTS {
        let body = golden(&format!("{name}.object"));
        let (kind, raw) = open(&body).unwrap();
        assert!(write_object(&kind, raw) == body, "{name}");
    }
}

#[test]
fn events_of_objects_and_errors_are_written_as_they_were() {
    let stream = golden("pods.watch");
    let mut written = Vec::new();
    let mut show = |event: WatchEvent<'_>| match event {
        WatchEvent::Added(object, kind) => written.push(write_event(Change::Added, &kind, object.bytes)),
        WatchEvent::Modified(object, kind) => written.push(write_event(Change::Modified, &kind, object.bytes)),
        WatchEvent::Deleted(object, kind) => written.push(write_event(Change::Deleted, &kind, object.bytes)),
        WatchEvent::Error(bare) => written.push(write_error(&Status::parse(bare).unwrap())),
        WatchEvent::Bookmark { .. } => {}
    };
    WatchReader::new().push(&stream, &mut show).unwrap();
    assert_eq!(written.len(), 4);
    for event in written {
        let there = stream.windows(event.len()).any(|window| window == event);
        assert!(there, "{}", String::from_utf8_lossy(&event));
    }
}

#[test]
fn bookmarks_that_are_written_are_read_again() {
    let kind = Kind::new("v1", "Pod");
    let mut stream = write_bookmark(&kind, "12", Mark::Progress);
    stream.extend(write_bookmark(&kind, "13", Mark::InitialEventsEnd));
    let events = watch(&stream);
    for (index, version, end) in [(0, "12", false), (1, "13", true)] {
        assert_eq!(events[index]["Type"], "BOOKMARK");
        assert_eq!(events[index]["Object"]["ResourceVersion"], version);
        assert_eq!(events[index]["InitialEventsEnd"], end);
    }
}

#[test]
fn a_status_is_written_as_kubernetes_writes_it() {
    let body = golden("status.object");
    assert!(unavailable().to_protobuf() == body);
    let (_, bare) = open(&body).unwrap();
    assert_eq!(Status::parse(bare), Ok(unavailable()));
    assert_eq!(status(&unavailable()), facts("status.object"));
}

#[test]
fn what_changes_all_day_is_no_change_of_a_pod_or_node() {
    assert_eq!(substance("pod-versions"), substance("pod"));
    assert_eq!(substance("pod-unready"), substance("pod"));
    assert_eq!(substance("node-later"), substance("node"));
}

#[test]
fn what_kubelet_acts_upon_is_a_change_of_a_pod() {
    for name in ["pod-done", "pod-image", "pod-label", "pod-deleting", "pod-uid"] {
        assert_ne!(substance(name), substance("pod"), "{name}");
    }
}

#[test]
fn the_status_of_other_objects_counts() {
    let of = |name: &str| {
        let body = golden(name);
        let (_, raw) = open(&body).unwrap();
        ObjectView::parse(raw).unwrap().substance("CSINode")
    };
    assert_ne!(of("pod-unready.object"), of("pod.object"));
    assert_ne!(of("node-later.object"), of("node.object"));
}

#[test]
fn a_request_for_a_token_tells_its_owner_and_its_terms() {
    let (token, long, free) = (
        golden("token.request"),
        golden("token-long.request"),
        golden("free.request"),
    );
    let token = TokenRequest::parse(&token).unwrap();
    let long = TokenRequest::parse(&long).unwrap();
    let free = TokenRequest::parse(&free).unwrap();
    assert_eq!(token.owner_uid, Some("uid-of-till-0"));
    assert_eq!(long.owner_uid, token.owner_uid);
    assert_eq!(free.owner_uid, None);
    assert!(token.terms != long.terms && token.terms != free.terms);
    assert!(TokenRequest::parse(&golden("pod.object")).is_err());
}
