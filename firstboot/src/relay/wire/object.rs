//! An object, of which only the metadata is understood.

use sha2::{Digest as _, Sha256};

use super::Flaw;
use super::field::{Field, fields};
use crate::digest::Digest;

/// `metadata` of every object (meta/v1 `ObjectMeta`).
pub(super) const METADATA: u32 = 1;
/// Fields of `ObjectMeta`.
const NAME: u32 = 1;
const NAMESPACE: u32 = 3;
const UID: u32 = 5;
pub(super) const RESOURCE_VERSION: u32 = 6;
const GENERATION: u32 = 7;
pub(super) const ANNOTATIONS: u32 = 12;
const MANAGED_FIELDS: u32 = 17;
/// `status` of `Pod` and of `Node` (core/v1).
const STATUS: u32 = 3;
/// `phase` of `PodStatus`.
const PHASE: u32 = 1;

/// A bare object, without envelope.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ObjectView<'a> {
    /// All of it.
    pub bytes: &'a [u8],
    /// Its name; empty if it has none.
    pub name: &'a str,
    /// The namespace that it lies in; empty if in none.
    pub namespace: &'a str,
    /// What tells it from an earlier object of its name.
    pub uid: &'a str,
    /// Its version.
    pub resource_version: &'a str,
}

/// An object may be a secret: only what it is called is shown.
impl std::fmt::Debug for ObjectView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectView")
            .field("len", &self.bytes.len())
            .field("name", &self.name)
            .field("namespace", &self.namespace)
            .field("uid", &self.uid)
            .field("resource_version", &self.resource_version)
            .finish()
    }
}

impl<'a> ObjectView<'a> {
    /// Reads what an object is called.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Flaw> {
        let mut view = Self {
            bytes,
            name: "",
            namespace: "",
            uid: "",
            resource_version: "",
        };
        for field in fields(bytes) {
            let field = field?;
            if field.number == METADATA {
                view.parse_metadata(field.bytes()?)?;
            }
        }
        Ok(view)
    }

    fn parse_metadata(&mut self, metadata: &'a [u8]) -> Result<(), Flaw> {
        for field in fields(metadata) {
            let field = field?;
            match field.number {
                NAME => self.name = field.text()?,
                NAMESPACE => self.namespace = field.text()?,
                UID => self.uid = field.text()?,
                RESOURCE_VERSION => self.resource_version = field.text()?,
                _ => {}
            }
        }
        Ok(())
    }

    /// A digest of what is worth a write to flash if it changes: the object without its version, its generation and the
    /// record of who wrote which field. Of pods and nodes, whose status changes all day, the status does not count either,
    /// but for a pod's phase: one that has come to its end must not be started again.
    pub fn substance(&self, kind: &str) -> Digest {
        let mut hash = Sha256::new();
        for field in fields(self.bytes) {
            let Ok(field) = field else { break };
            match (field.number, kind) {
                (METADATA, _) => add_some(&mut hash, &field, |number| {
                    !matches!(number, RESOURCE_VERSION | GENERATION | MANAGED_FIELDS)
                }),
                (STATUS, "Pod") => add_some(&mut hash, &field, |number| number == PHASE),
                (STATUS, "Node") => {}
                _ => hash.update(field.whole),
            }
        }
        Digest::finish(hash)
    }
}

/// Adds the fields of a message that count, in runs as long as they are. They stand between zeros, with which no field
/// begins, so that they cannot be taken for fields of the message around them. What is no field counts.
fn add_some(hash: &mut Sha256, message: &Field<'_>, counts: impl Fn(u32) -> bool) {
    let content = message.content.unwrap_or_default();
    let (mut begin, mut end) = (0, 0);
    hash.update([0]);
    for field in fields(content) {
        let Ok(field) = field else {
            end = content.len();
            break;
        };
        let next = end + field.whole.len();
        if !counts(field.number) {
            hash.update(&content[begin..end]);
            begin = next;
        }
        end = next;
    }
    hash.update(&content[begin..end]);
    hash.update([0]);
}
