//! What is in an answer, in the words of `golden/wire/facts.json`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use skerry_firstboot::relay::wire::{
    ENVELOPE_END, Kind, ListEnd, ListHead, ListPart, ListReader, ObjectView, Status, WatchEvent, WatchReader, item_head,
};

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/wire")
}

pub fn golden(name: &str) -> Vec<u8> {
    fs::read(folder().join(name)).unwrap()
}

/// What Kubernetes says is in the golden file of this name.
pub fn facts(name: &str) -> Value {
    let all: Value = serde_json::from_slice(&golden("facts.json")).unwrap();
    all[name].clone()
}

/// The list, and the bare objects in it.
pub fn read_list(body: &[u8]) -> (ListEnd, Vec<Vec<u8>>) {
    let mut items = Vec::new();
    let mut reader = ListReader::new();
    let mut show = |part: ListPart<'_>| {
        if let ListPart::Item(object) = part {
            items.push(object.bytes.to_vec());
        }
    };
    reader.push(body, &mut show).unwrap();
    (reader.finish().unwrap(), items)
}

pub fn write_list(kind: &Kind, resource_version: &str, items: &[Vec<u8>]) -> Vec<u8> {
    let head = ListHead::new(kind, resource_version, items.iter().map(|item| item.len() as u64));
    let mut body = head.bytes;
    for item in items {
        body.extend(item_head(item.len() as u64));
        body.extend_from_slice(item);
    }
    body.extend(ENVELOPE_END);
    assert_eq!(body.len() as u64, head.body_len);
    body
}

pub fn object(object: &ObjectView<'_>) -> Value {
    json!({
        "Name": object.name,
        "Namespace": object.namespace,
        "UID": object.uid,
        "ResourceVersion": object.resource_version,
    })
}

pub fn list(body: &[u8]) -> Value {
    let (end, items) = read_list(body);
    let items = items.iter().map(|item| object(&ObjectView::parse(item).unwrap()));
    json!({
        "Kind": end.kind.kind,
        "ResourceVersion": end.resource_version,
        "Continues": end.continues,
        "Items": items.collect::<Vec<_>>(),
    })
}

pub fn status(status: &Status) -> Value {
    json!({
        "Code": status.code,
        "Reason": status.reason,
        "Message": status.message,
        "RetryAfterSeconds": status.retry_after_secs.unwrap_or_default(),
    })
}

pub fn watch(stream: &[u8]) -> Value {
    let mut events = Vec::new();
    let mut reader = WatchReader::new();
    reader.push(stream, &mut |found| events.push(event(&found))).unwrap();
    reader.finish().unwrap();
    Value::Array(events)
}

fn event(found: &WatchEvent<'_>) -> Value {
    let nothing = json!({"Name": "", "Namespace": "", "UID": "", "ResourceVersion": ""});
    let form = |name: &str, kind: &str, object: Value| {
        json!({
            "Type": name, "Kind": kind, "Object": object, "InitialEventsEnd": false, "Code": 0, "Reason": "",
        })
    };
    match found {
        WatchEvent::Added(view, kind) => form("ADDED", &kind.kind, object(view)),
        WatchEvent::Modified(view, kind) => form("MODIFIED", &kind.kind, object(view)),
        WatchEvent::Deleted(view, kind) => form("DELETED", &kind.kind, object(view)),
        WatchEvent::Bookmark {
            resource_version,
            initial_events_end,
        } => {
            let mut object = nothing;
            object["ResourceVersion"] = (*resource_version).into();
            let mut event = form("BOOKMARK", "Pod", object);
            event["InitialEventsEnd"] = (*initial_events_end).into();
            event
        }
        WatchEvent::Error(bare) => {
            let status = Status::parse(bare).unwrap();
            let mut event = form("ERROR", "Status", nothing);
            event["Code"] = status.code.into();
            event["Reason"] = status.reason.into();
            event
        }
    }
}
