//! authentication.k8s.io/v1 `TokenRequest`: for whom kubelet asks for a token of a service account.

use super::Flaw;
use super::envelope::{Kind, open};
use super::field::fields;
use crate::digest::Digest;

/// `spec` of `TokenRequest`.
const SPEC: u32 = 2;
/// `boundObjectRef` of `TokenRequestSpec`.
const BOUND_OBJECT: u32 = 3;
/// `uID` of `BoundObjectReference`.
const UID: u32 = 4;

/// What is asked for. The answer repeats it with what the API server has filled in, so its terms are others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenRequest<'a> {
    /// The id of the object, mostly a pod, with which the token ends; none if it does not depend on any.
    pub owner_uid: Option<&'a str>,
    /// Digest of all that is asked for: whom the token is shown to, for how long it is to be valid, with what it ends. Only
    /// a token that was issued for the same terms may stand in for a new one.
    pub terms: Digest,
}

impl<'a> TokenRequest<'a> {
    /// Reads the body of a request.
    pub fn parse(body: &'a [u8]) -> Result<Self, Flaw> {
        let (kind, raw) = open(body)?;
        if kind != Kind::new("authentication.k8s.io/v1", "TokenRequest") {
            return Err(Flaw::OtherContent);
        }
        let (mut spec, mut owner_uid) = (&[][..], None);
        for field in fields(raw) {
            let field = field?;
            if field.number == SPEC {
                spec = field.bytes()?;
            }
        }
        for field in fields(spec) {
            let field = field?;
            if field.number != BOUND_OBJECT {
                continue;
            }
            for inner in fields(field.bytes()?) {
                let inner = inner?;
                if inner.number == UID {
                    owner_uid = Some(inner.text()?).filter(|uid| !uid.is_empty());
                }
            }
        }
        Ok(Self {
            owner_uid,
            terms: Digest::of(spec),
        })
    }
}
