//! Kubernetes' protobuf, as far as a relay has to read it: which objects are in an answer, and what they are called.
//!
//! In: bodies of media type `application/vnd.kubernetes.protobuf`, whole or in pieces. Out: bare objects, one after the
//! other, and the bytes to answer with what was kept of them. Forms (k8s.io/apimachinery v0.36): `runtime.Unknown` behind
//! the four bytes `k8s\0` (runtime/generated.proto, runtime/serializer/protobuf), lists of `ListMeta metadata = 1` and
//! `repeated items = 2` (the API server's own streaming encoder relies on the same), `WatchEvent` behind a length of four
//! bytes (util/framer). Objects are not taken apart beyond their metadata. Tables, partial metadata and JSON are refused.
//!
//! Whatever comes in, memory is bounded by one object and nothing panics.

mod carry;
mod envelope;
mod field;
mod list;
mod object;
mod status;
mod token;
mod watch;
mod write;

pub use envelope::{ENVELOPE_END, Kind, envelope, open, write_object};
pub use list::{ListEnd, ListPart, ListReader};
pub use object::ObjectView;
pub use status::Status;
pub use token::TokenRequest;
pub use watch::{WatchEvent, WatchReader};
pub use write::{Change, ListHead, Mark, item_head, write_bookmark, write_error, write_event};

/// The media type of what is read and written here.
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";
/// No object may be larger, in bytes. The store behind an API server takes requests of up to 1.5 MiB (etcd's
/// `--max-request-bytes`), so that no object of Kubernetes' own comes near.
pub const MAX_OBJECT_BYTES: usize = 2 << 20;

/// Why a stream cannot be read further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {at} of the answer: {flaw}")]
pub struct WireError {
    /// Where the piece begins that is wrong, counted from the beginning of the stream.
    pub at: u64,
    /// What is wrong there.
    pub flaw: Flaw,
}

/// What is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The four bytes are missing that begin Kubernetes' protobuf.
    #[error("this is not Kubernetes' protobuf")]
    NotProtobuf,
    /// The message ends within a field.
    #[error("it ends within a field")]
    Cut,
    /// A number of more than 64 bits.
    #[error("a number has too many digits")]
    BadNumber,
    /// There is no such field, or no such way to write one.
    #[error("a field has the tag {0}, which none can have")]
    BadTag(u64),
    /// A known field has another type.
    #[error("field {0} has another type than it should have")]
    OtherType(u32),
    /// A name or version is no UTF-8.
    #[error("field {0} should be text and is not")]
    NotText(u32),
    /// A field is larger than anything of its kind.
    #[error("{what} of {len} bytes; {limit} are allowed")]
    TooLarge {
        /// What the field holds.
        what: &'static str,
        /// How large it is, in bytes.
        len: u64,
        /// How large it may be, in bytes.
        limit: usize,
    },
    /// The content comes before its kind, twice, or not at all.
    #[error("the envelope does not hold one kind and then one object")]
    BadEnvelope,
    /// The content is encoded or not protobuf.
    #[error("the envelope holds something else than protobuf")]
    OtherContent,
    /// It is a single object, a table, or part of the objects only.
    #[error("`{0}` is no list of whole objects")]
    NotList(Kind),
    /// An event of a kind that is not known.
    #[error("an event has a type that is not known")]
    UnknownEvent,
    /// The reader met a flaw before and does not know where it is.
    #[error("nothing can be read after a flaw")]
    Lost,
}

#[cfg(test)]
mod tests;
