//! `runtime.Unknown`, which every body begins with: the kind of an object, and the object.

use std::fmt;

use super::Flaw;
use super::field::{fields, put_bytes, put_head};
use crate::visible::one_line;

/// runtime/serializer/protobuf/protobuf.go: `protoEncodingPrefix`.
pub(super) const MAGIC: [u8; 4] = *b"k8s\0";
/// What comes behind the object: no content encoding and no content type, written out as Go writes them.
pub const ENVELOPE_END: [u8; 4] = [0x1a, 0, 0x22, 0];

/// Fields of `runtime.Unknown`.
pub(super) const TYPE_META: u32 = 1;
pub(super) const RAW: u32 = 2;
pub(super) const CONTENT_ENCODING: u32 = 3;
pub(super) const CONTENT_TYPE: u32 = 4;
/// Fields of `runtime.TypeMeta`.
const API_VERSION: u32 = 1;
const KIND: u32 = 2;

/// The group of kinds that stand for other objects: tables and partial metadata.
const SUBSTITUTES: &str = "meta.k8s.io/";
const LIST: &str = "List";

/// Of what kind an object is (TypeMeta).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind {
    /// `v1` or `GROUP/VERSION`.
    pub api_version: String,
    /// Such as `Pod`.
    pub kind: String,
}

impl Kind {
    /// A kind.
    pub fn new(api_version: &str, kind: &str) -> Self {
        Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
        }
    }

    /// The kind of the objects in a list of this kind; none if it is no list of whole objects.
    pub fn of_items(&self) -> Option<Self> {
        let kind = self.kind.strip_suffix(LIST).filter(|kind| !kind.is_empty())?;
        self.is_whole().then(|| Self::new(&self.api_version, kind))
    }

    /// The kind of a list of such objects.
    pub fn of_list(&self) -> Self {
        Self::new(&self.api_version, &format!("{}{LIST}", self.kind))
    }

    /// Whether such an object is what is stored at its path, and not a table or an excerpt of it.
    pub fn is_whole(&self) -> bool {
        !self.api_version.starts_with(SUBSTITUTES)
    }

    /// Reads `runtime.TypeMeta`.
    pub(super) fn parse(message: &[u8]) -> Result<Self, Flaw> {
        let mut kind = Self::new("", "");
        for field in fields(message) {
            let field = field?;
            match field.number {
                API_VERSION => field.text()?.clone_into(&mut kind.api_version),
                KIND => field.text()?.clone_into(&mut kind.kind),
                _ => {}
            }
        }
        Ok(kind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", one_line(&self.api_version), one_line(&self.kind))
    }
}

/// Opens a body that is there as a whole: the kind of what is in it, and the bare object.
pub fn open(body: &[u8]) -> Result<(Kind, &[u8]), Flaw> {
    let message = body.strip_prefix(&MAGIC).ok_or(Flaw::NotProtobuf)?;
    let (mut kind, mut raw) = (None, None);
    for field in fields(message) {
        let field = field?;
        match field.number {
            TYPE_META if kind.is_none() && raw.is_none() => kind = Some(Kind::parse(field.bytes()?)?),
            RAW if raw.is_none() => raw = Some(field.bytes()?),
            TYPE_META | RAW => return Err(Flaw::BadEnvelope),
            number => check_content(number, field.bytes()?)?,
        }
    }
    kind.zip(raw).ok_or(Flaw::BadEnvelope)
}

/// Fails if what stands beside the object says that it is no protobuf.
pub(super) fn check_content(number: u32, content: &[u8]) -> Result<(), Flaw> {
    let plain = match number {
        CONTENT_ENCODING => content.is_empty(),
        CONTENT_TYPE => content.is_empty() || content == super::MEDIA_TYPE.as_bytes(),
        _ => true,
    };
    plain.then_some(()).ok_or(Flaw::OtherContent)
}

/// What comes before an object of `raw_len` bytes. Behind it comes [`ENVELOPE_END`].
pub fn envelope(kind: &Kind, raw_len: u64) -> Vec<u8> {
    let mut type_meta = Vec::with_capacity(64);
    put_bytes(&mut type_meta, API_VERSION, kind.api_version.as_bytes());
    put_bytes(&mut type_meta, KIND, kind.kind.as_bytes());
    let mut head = MAGIC.to_vec();
    put_bytes(&mut head, TYPE_META, &type_meta);
    put_head(&mut head, RAW, raw_len);
    head
}

/// The body of an answer that is one object.
pub fn write_object(kind: &Kind, raw: &[u8]) -> Vec<u8> {
    let mut body = envelope(kind, raw.len() as u64);
    body.extend_from_slice(raw);
    body.extend_from_slice(&ENVELOPE_END);
    body
}
