//! Signatures of `cluster-info`: detached JWS (RFC 7515 appendix F) as the bootstrap signer makes them, and forgeries.
//!
//! Written from the RFC and kubernetes' `cluster-bootstrap/token/jws`, sharing nothing with the client that is tested.

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What is wrong with a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgery {
    /// Made with another secret.
    OtherSecret,
    /// `alg` is `none`, and there is no signature.
    AlgNone,
    /// The header names HS512.
    Hs512,
    /// Valid, with one more field in the header.
    ExtraField,
    /// Valid, with the header's fields in the other order.
    Reordered,
    /// Valid, with a space in the header.
    Spaced,
    /// Valid, with base64 padding.
    Padded,
    /// Valid, with the payload between the dots.
    Attached,
    /// Valid, for another token's id.
    OtherKid,
    /// Valid but for one bit.
    FlippedBit,
    /// The header without a signature.
    Unsigned,
    /// No text at all.
    Empty,
}

impl Forgery {
    /// Each of them.
    pub const ALL: [Self; 12] = [
        Self::OtherSecret,
        Self::AlgNone,
        Self::Hs512,
        Self::ExtraField,
        Self::Reordered,
        Self::Spaced,
        Self::Padded,
        Self::Attached,
        Self::OtherKid,
        Self::FlippedBit,
        Self::Unsigned,
        Self::Empty,
    ];
}

/// Signs `content` with the token `id` and `secret`.
pub fn sign(content: &str, id: &str, secret: &str) -> String {
    with_header(&header("HS256", id), content, secret)
}

/// A signature with the fault `forgery`.
pub fn forge(forgery: Forgery, content: &str, id: &str, secret: &str) -> String {
    let valid = sign(content, id, secret);
    match forgery {
        Forgery::OtherSecret => sign(content, id, "fedcba9876543210"),
        Forgery::AlgNone => format!("{}..", URL_SAFE_NO_PAD.encode(header("none", id))),
        Forgery::Hs512 => with_header(&header("HS512", id), content, secret),
        Forgery::ExtraField => with_header(
            &format!(r#"{{"alg":"HS256","kid":"{id}","typ":"JWT"}}"#),
            content,
            secret,
        ),
        Forgery::Reordered => with_header(&format!(r#"{{"kid":"{id}","alg":"HS256"}}"#), content, secret),
        Forgery::Spaced => with_header(&format!(r#"{{"alg": "HS256","kid":"{id}"}}"#), content, secret),
        Forgery::Padded => {
            let (head, signature) = valid.split_once("..").unwrap_or_default();
            let raw = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
            format!("{head}..{}", URL_SAFE.encode(raw))
        }
        Forgery::Attached => valid.replacen("..", &format!(".{}.", URL_SAFE_NO_PAD.encode(content)), 1),
        Forgery::OtherKid => sign(content, "zzzzzz", secret),
        Forgery::FlippedBit => {
            let (head, signature) = valid.split_once("..").unwrap_or_default();
            let mut raw = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
            raw.iter_mut().take(1).for_each(|byte| *byte ^= 1);
            format!("{head}..{}", URL_SAFE_NO_PAD.encode(raw))
        }
        Forgery::Unsigned => URL_SAFE_NO_PAD.encode(header("HS256", id)),
        Forgery::Empty => String::new(),
    }
}

fn header(algorithm: &str, id: &str) -> String {
    format!(r#"{{"alg":"{algorithm}","kid":"{id}"}}"#)
}

fn with_header(header: &str, content: &str, secret: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(header);
    let input = format!("{header}.{}", URL_SAFE_NO_PAD.encode(content));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(input.as_bytes());
    format!("{header}..{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: &str = "Hello from the other side. I must have called a thousand times.";
    const HEADER: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9..";

    // kubernetes/cluster-bootstrap token/jws/jws_test.go
    #[test]
    fn signatures_are_those_of_kubernetes_own_tests() {
        let sign = |content, secret| sign(content, "joshua", secret);
        let passcode = "my voice is my passcode";
        let expected = format!("{HEADER}VShe2taLd-YTrmWuRkcL_8QTNDHYxQIEBsAYYiIj1_8");
        assert_eq!(sign(CONTENT, passcode), expected);
        assert!(sign("", passcode).ends_with("..7Ui1ALizW4jXphVUB7xUqC9vLYLL9RZeOFfVLoB7Tgk"));
        assert!(sign(CONTENT, "").ends_with("..UfkqvDGiIFxrMnFseDj9LYJOLNrvjW8aHhF71mvvAs8"));
    }

    #[test]
    fn no_forgery_is_the_valid_signature() {
        let valid = sign(CONTENT, "joshua", "secret");
        for forgery in Forgery::ALL {
            assert_ne!(forge(forgery, CONTENT, "joshua", "secret"), valid, "{forgery:?}");
        }
    }
}
