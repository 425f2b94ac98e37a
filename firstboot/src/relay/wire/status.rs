//! meta/v1 `Status`: what the API server says when it does not do what it is asked to.

use serde::Serialize;

use super::Flaw;
use super::envelope::{Kind, write_object};
use super::field::{Field, fields, put_bytes, put_number_field};

/// Fields of `Status`.
const METADATA: u32 = 1;
const STATUS: u32 = 2;
const MESSAGE: u32 = 3;
const REASON: u32 = 4;
const DETAILS: u32 = 5;
const CODE: u32 = 6;
/// Field of `StatusDetails`.
const RETRY_AFTER_SECS: u32 = 5;
/// Texts of `ListMeta` and `StatusDetails` that are always written, though empty.
const META_TEXTS: [u32; 3] = [1, 2, 3];
const DETAILS_TEXTS: [u32; 3] = [1, 2, 3];
const DETAILS_UID: u32 = 6;

/// Why a request is not answered with what it asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// The status of HTTP.
    pub code: u16,
    /// One word for programs, such as `ServiceUnavailable` (meta/v1 `StatusReason`).
    pub reason: String,
    /// A sentence for people.
    pub message: String,
    /// When to ask again, in seconds; none where asking again is no use, or at any time.
    pub retry_after_secs: Option<u32>,
}

/// The kind of every status.
pub(super) fn kind() -> Kind {
    Kind::new("v1", "Status")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Form<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: Nothing,
    status: &'static str,
    message: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<DetailsForm>,
    code: u16,
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DetailsForm {
    retry_after_seconds: u32,
}

impl Status {
    /// Reads a bare status, as [`super::WatchEvent::Error`] holds it.
    pub fn parse(bare: &[u8]) -> Result<Self, Flaw> {
        let mut status = Self::default();
        for field in fields(bare) {
            let field = field?;
            match field.number {
                MESSAGE => field.text()?.clone_into(&mut status.message),
                REASON => field.text()?.clone_into(&mut status.reason),
                CODE => status.code = small(&field)?,
                DETAILS => {
                    for detail in fields(field.bytes()?) {
                        let detail = detail?;
                        if detail.number == RETRY_AFTER_SECS {
                            status.retry_after_secs = Some(small(&detail)?).filter(|secs| *secs > 0);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(status)
    }

    /// The body of an answer in protobuf.
    pub fn to_protobuf(&self) -> Vec<u8> {
        write_object(&kind(), &self.to_bare())
    }

    /// The body of an answer in JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let form = Form {
            kind: "Status",
            api_version: "v1",
            metadata: Nothing {},
            status: "Failure",
            message: &self.message,
            reason: &self.reason,
            details: self.retry_after_secs.map(|secs| DetailsForm {
                retry_after_seconds: secs,
            }),
            code: self.code,
        };
        let mut body = serde_json::to_vec(&form).unwrap_or_default();
        body.push(b'\n');
        body
    }

    /// Without envelope.
    pub(super) fn to_bare(&self) -> Vec<u8> {
        let mut bare = Vec::new();
        put_bytes(&mut bare, METADATA, &empty_texts(META_TEXTS));
        put_bytes(&mut bare, STATUS, b"Failure");
        put_bytes(&mut bare, MESSAGE, self.message.as_bytes());
        put_bytes(&mut bare, REASON, self.reason.as_bytes());
        if let Some(secs) = self.retry_after_secs {
            let mut details = empty_texts(DETAILS_TEXTS);
            put_number_field(&mut details, RETRY_AFTER_SECS, u64::from(secs));
            put_bytes(&mut details, DETAILS_UID, b"");
            put_bytes(&mut bare, DETAILS, &details);
        }
        put_number_field(&mut bare, CODE, u64::from(self.code));
        bare
    }
}

/// A number that fits what it counts.
fn small<T: TryFrom<u64>>(field: &Field<'_>) -> Result<T, Flaw> {
    T::try_from(field.integer()?).map_err(|_| Flaw::OtherType(field.number))
}

fn empty_texts(numbers: [u32; 3]) -> Vec<u8> {
    let mut message = Vec::new();
    for number in numbers {
        put_bytes(&mut message, number, b"");
    }
    message
}
