//! Reads a watch while it passes: each event as soon as its last byte is there.

use super::carry::{Carry, Step};
use super::envelope::{Kind, open};
use super::field::fields;
use super::list::bounded;
use super::object::{ANNOTATIONS, METADATA};
use super::{Flaw, MAX_OBJECT_BYTES, ObjectView, WireError};

/// util/framer: how long an event is stands before it, in four bytes.
const LENGTH_BYTES: usize = 4;
/// What an event may take beside its object: its type, the envelope, the kind.
const MAX_WRAPPING_BYTES: usize = 4 << 10;

/// Fields of meta/v1 `WatchEvent`.
pub(super) const TYPE: u32 = 1;
pub(super) const OBJECT: u32 = 2;
/// Field of `runtime.RawExtension`.
pub(super) const RAW: u32 = 1;
/// Fields of an entry of a map.
pub(super) const KEY: u32 = 1;
pub(super) const VALUE: u32 = 2;

/// meta/v1 `InitialEventsAnnotationKey`.
pub(super) const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// An event of a watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent<'a> {
    /// An object is there.
    Added(ObjectView<'a>, Kind),
    /// An object has changed.
    Modified(ObjectView<'a>, Kind),
    /// An object is gone, or no longer what the selectors ask for; this is its last state.
    Deleted(ObjectView<'a>, Kind),
    /// All changes up to a version have been told.
    Bookmark {
        /// The version.
        resource_version: &'a str,
        /// Whether this is the end of the objects with which the watch began.
        initial_events_end: bool,
    },
    /// The watch cannot go on: a bare `Status`.
    Error(&'a [u8]),
}

/// Reads a watch that comes in chunks of any size. Does not hold more than one event.
#[derive(Debug, Default)]
pub struct WatchReader {
    carry: Carry,
    /// The length of the event that has begun.
    frame: Option<usize>,
}

impl WatchReader {
    /// A reader before the first byte.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads on, and shows what it finds to `show`. After an error nothing more can be read.
    pub fn push(&mut self, chunk: &[u8], show: &mut impl FnMut(WatchEvent<'_>)) -> Result<(), WireError> {
        let frame = &mut self.frame;
        self.carry.feed(chunk, |bytes| step(frame, bytes, show))
    }

    /// Fails if the watch ends within an event.
    pub fn finish(self) -> Result<(), WireError> {
        self.carry.finish()?;
        match self.frame {
            None => Ok(()),
            Some(_) => Err(self.carry.error(Flaw::Cut)),
        }
    }
}

fn step(frame: &mut Option<usize>, bytes: &[u8], show: &mut impl FnMut(WatchEvent<'_>)) -> Result<Step, Flaw> {
    let Some(len) = *frame else {
        let Some((length, _)) = bytes.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(Step::Wants(LENGTH_BYTES));
        };
        let len = u64::from(u32::from_be_bytes(*length));
        *frame = Some(bounded("an event", len, MAX_OBJECT_BYTES + MAX_WRAPPING_BYTES)?);
        return Ok(Step::Took(LENGTH_BYTES));
    };
    let Some(message) = bytes.get(..len) else {
        return Ok(Step::Wants(len));
    };
    show(parse(message)?);
    *frame = None;
    Ok(Step::Took(len))
}

fn parse(message: &[u8]) -> Result<WatchEvent<'_>, Flaw> {
    let (mut event, mut body) = ("", None);
    for field in fields(message) {
        let field = field?;
        match field.number {
            TYPE => event = field.text()?,
            OBJECT => {
                for inner in fields(field.bytes()?) {
                    let inner = inner?;
                    if inner.number == RAW {
                        body = Some(inner.bytes()?);
                    }
                }
            }
            _ => {}
        }
    }
    let (kind, raw) = open(body.ok_or(Flaw::BadEnvelope)?)?;
    match event {
        "ADDED" => Ok(WatchEvent::Added(ObjectView::parse(raw)?, kind)),
        "MODIFIED" => Ok(WatchEvent::Modified(ObjectView::parse(raw)?, kind)),
        "DELETED" => Ok(WatchEvent::Deleted(ObjectView::parse(raw)?, kind)),
        "BOOKMARK" => Ok(WatchEvent::Bookmark {
            resource_version: ObjectView::parse(raw)?.resource_version,
            initial_events_end: annotation(raw, INITIAL_EVENTS_END)? == Some("true"),
        }),
        "ERROR" => Ok(WatchEvent::Error(raw)),
        _ => Err(Flaw::UnknownEvent),
    }
}

/// The value of an annotation.
fn annotation<'a>(object: &'a [u8], name: &str) -> Result<Option<&'a str>, Flaw> {
    let mut found = None;
    for field in fields(object) {
        let field = field?;
        if field.number != METADATA {
            continue;
        }
        for inner in fields(field.bytes()?) {
            let inner = inner?;
            if inner.number != ANNOTATIONS {
                continue;
            }
            let (key, value) = entry(inner.bytes()?)?;
            if key == name {
                found = Some(value);
            }
        }
    }
    Ok(found)
}

/// An entry of a map of texts.
fn entry(message: &[u8]) -> Result<(&str, &str), Flaw> {
    let (mut key, mut value) = ("", "");
    for field in fields(message) {
        let field = field?;
        match field.number {
            KEY => key = field.text()?,
            VALUE => value = field.text()?,
            _ => {}
        }
    }
    Ok((key, value))
}
