//! Lists and events, written from what was kept.

use super::envelope::{ENVELOPE_END, Kind, envelope, write_object};
use super::field::{put_bytes, put_head};
use super::list::{CONTINUE, ITEMS, LIST_META, RESOURCE_VERSION as LIST_VERSION};
use super::object::{ANNOTATIONS, METADATA, RESOURCE_VERSION};
use super::watch::{INITIAL_EVENTS_END, KEY, OBJECT, RAW, TYPE, VALUE};
use super::{Status, status};

/// `selfLink` of `ListMeta`, which is always empty and always written.
const SELF_LINK: u32 = 1;

/// How a list begins. Behind it come, for each object, [`item_head`] and the object, and then [`ENVELOPE_END`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListHead {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How long the whole body will be, in bytes: its `content-length`.
    pub body_len: u64,
}

impl ListHead {
    /// The beginning of a list of this kind (`PodList`), at this version, with objects of these lengths in bytes.
    pub fn new(kind: &Kind, resource_version: &str, lengths: impl IntoIterator<Item = u64>) -> Self {
        let mut meta = Vec::new();
        put_bytes(&mut meta, SELF_LINK, b"");
        put_bytes(&mut meta, LIST_VERSION, resource_version.as_bytes());
        put_bytes(&mut meta, CONTINUE, b"");
        let mut list = Vec::new();
        put_bytes(&mut list, LIST_META, &meta);
        let items: u64 = lengths.into_iter().map(|len| item_head(len).len() as u64 + len).sum();
        let mut bytes = envelope(kind, list.len() as u64 + items);
        bytes.extend_from_slice(&list);
        Self {
            body_len: (bytes.len() + ENVELOPE_END.len()) as u64 + items,
            bytes,
        }
    }
}

/// What comes before an object of `len` bytes in a list.
pub fn item_head(len: u64) -> Vec<u8> {
    let mut head = Vec::new();
    put_head(&mut head, ITEMS, len);
    head
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is there.
    Added,
    /// It has changed.
    Modified,
    /// It is gone.
    Deleted,
}

/// What a bookmark marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// How far a watch has come.
    Progress,
    /// The end of the objects with which it began.
    InitialEventsEnd,
}

/// An event of a watch, with its length before it.
pub fn write_event(change: Change, kind: &Kind, raw: &[u8]) -> Vec<u8> {
    let name = match change {
        Change::Added => "ADDED",
        Change::Modified => "MODIFIED",
        Change::Deleted => "DELETED",
    };
    frame(name, &write_object(kind, raw))
}

/// A bookmark of a watch of such objects.
pub fn write_bookmark(kind: &Kind, resource_version: &str, mark: Mark) -> Vec<u8> {
    let mut metadata = Vec::new();
    put_bytes(&mut metadata, RESOURCE_VERSION, resource_version.as_bytes());
    if mark == Mark::InitialEventsEnd {
        let mut entry = Vec::new();
        put_bytes(&mut entry, KEY, INITIAL_EVENTS_END.as_bytes());
        put_bytes(&mut entry, VALUE, b"true");
        put_bytes(&mut metadata, ANNOTATIONS, &entry);
    }
    let mut object = Vec::new();
    put_bytes(&mut object, METADATA, &metadata);
    frame("BOOKMARK", &write_object(kind, &object))
}

/// The event that ends a watch.
pub fn write_error(status: &Status) -> Vec<u8> {
    frame("ERROR", &write_object(&status::kind(), &status.to_bare()))
}

fn frame(name: &str, body: &[u8]) -> Vec<u8> {
    let mut object = Vec::new();
    put_bytes(&mut object, RAW, body);
    let mut event = vec![0; 4];
    put_bytes(&mut event, TYPE, name.as_bytes());
    put_bytes(&mut event, OBJECT, &object);
    // Objects of more than 4 GiB are not kept; if one were, its event would be refused as too short, not misread.
    let len = u32::try_from(event.len() - 4).unwrap_or(u32::MAX);
    event[..4].copy_from_slice(&len.to_be_bytes());
    event
}
