//! The signature of `cluster-info`: a compact JWS without its payload (RFC 7515 appendix F), HMAC-SHA-256 keyed with the
//! secret part of a bootstrap token.
//!
//! As upstream (`kubernetes/cluster-bootstrap`, `token/jws`) there is exactly one right text for a content and a token:
//! another header, order of its fields, algorithm or padding is refused before anything is computed with it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::join_config::BootstrapToken;

/// Whether `signature` is the one that `token` gives `content`. The secret part is compared in constant time.
pub fn verify(content: &[u8], signature: &str, token: &BootstrapToken) -> bool {
    let header = header(token);
    let mac = signature
        .strip_prefix(&header)
        .and_then(|rest| rest.strip_prefix(".."))
        // Refuses padding, other alphabets and left-over bits, so that one text only stands for these bytes.
        .and_then(|mac| URL_SAFE_NO_PAD.decode(mac).ok());
    mac.is_some_and(|mac| keyed(&header, content, token).verify_slice(&mac).is_ok())
}

/// Signs `content` with `token`: `header..signature`.
pub fn sign(content: &[u8], token: &BootstrapToken) -> String {
    let header = header(token);
    let mac = keyed(&header, content, token).finalize().into_bytes();
    format!("{header}..{}", URL_SAFE_NO_PAD.encode(mac))
}

/// The only header there is, encoded. A token's id needs no escaping.
fn header(token: &BootstrapToken) -> String {
    URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"HS256","kid":"{}"}}"#, token.id))
}

/// Signing input: `BASE64URL(header) . BASE64URL(payload)` (RFC 7515 §5.1).
fn keyed(header: &str, content: &[u8], token: &BootstrapToken) -> Hmac<Sha256> {
    let key = token.secret.expose().as_bytes();
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(header.as_bytes());
    mac.update(b".");
    mac.update(URL_SAFE_NO_PAD.encode(content).as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secret::Secret;

    const CONTENT: &[u8] = b"Hello from the other side. I must have called a thousand times.";
    const SIGNED: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9..VShe2taLd-YTrmWuRkcL_8QTNDHYxQIEBsAYYiIj1_8";

    fn token(id: &str, secret: &str) -> BootstrapToken {
        BootstrapToken {
            id: id.to_owned(),
            secret: Secret::new(secret),
        }
    }

    fn joshua() -> BootstrapToken {
        token("joshua", "my voice is my passcode")
    }

    #[test]
    fn the_vectors_of_upstream_come_out() {
        assert_eq!(sign(CONTENT, &joshua()), SIGNED);
        let (header, _) = SIGNED.split_once("..").unwrap();
        let empty = sign(b"", &joshua());
        assert_eq!(empty, format!("{header}..7Ui1ALizW4jXphVUB7xUqC9vLYLL9RZeOFfVLoB7Tgk"));
        let no_secret = sign(CONTENT, &token("joshua", ""));
        assert_eq!(
            no_secret,
            format!("{header}..UfkqvDGiIFxrMnFseDj9LYJOLNrvjW8aHhF71mvvAs8")
        );
    }

    #[test]
    fn the_right_signature_is_accepted() {
        assert!(verify(CONTENT, SIGNED, &joshua()));
    }

    #[test]
    fn another_content_secret_or_id_is_refused() {
        assert!(!verify(b"", SIGNED, &joshua()));
        assert!(!verify(&CONTENT[1..], SIGNED, &joshua()));
        assert!(!verify(CONTENT, SIGNED, &token("joshua", "my voice is my passphrase")));
        assert!(!verify(CONTENT, SIGNED, &token("joshub", "my voice is my passcode")));
    }

    /// A signature that is right for `header`, whatever the header says.
    fn with_header(header: &str) -> String {
        let encoded = URL_SAFE_NO_PAD.encode(header);
        let mac = keyed(&encoded, CONTENT, &joshua()).finalize().into_bytes();
        format!("{encoded}..{}", URL_SAFE_NO_PAD.encode(mac))
    }

    #[test]
    fn another_header_is_refused_even_if_the_signature_fits_it() {
        assert!(verify(
            CONTENT,
            &with_header(r#"{"alg":"HS256","kid":"joshua"}"#),
            &joshua()
        ));
        for header in [
            r#"{"kid":"joshua","alg":"HS256"}"#,
            r#"{"alg":"HS512","kid":"joshua"}"#,
            r#"{"alg":"none","kid":"joshua"}"#,
            r#"{"alg":"HS256","kid":"joshub"}"#,
            r#"{"alg":"HS256"}"#,
            r#"{"alg":"HS256","kid":"joshua","typ":"JWT"}"#,
            r#"{"alg":"HS256", "kid":"joshua"}"#,
            "",
        ] {
            assert!(!verify(CONTENT, &with_header(header), &joshua()), "{header}");
        }
    }

    #[test]
    fn another_way_to_write_the_same_signature_is_refused() {
        let (header, mac) = SIGNED.split_once("..").unwrap();
        let payload = URL_SAFE_NO_PAD.encode(CONTENT);
        for other in [
            format!("{header}..{mac}="),
            format!("{header}.{payload}.{mac}"),
            format!("{header}=..{mac}"),
            format!("{header}..{}", mac.replace('-', "+").replace('_', "/")),
            // The last character holds two bits that stand for nothing.
            format!("{header}..{}9", &mac[..mac.len() - 1]),
            format!("{header}..{mac}\n"),
            format!("{header}.."),
            format!("{header}.{mac}"),
            String::new(),
        ] {
            assert!(!verify(CONTENT, &other, &joshua()), "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_other_text_is_accepted(signature in ".{0,120}") {
            prop_assume!(signature != SIGNED);
            prop_assert!(!verify(CONTENT, &signature, &joshua()));
        }

        #[test]
        fn one_changed_character_is_refused(at in 0..SIGNED.len(), letter in "[A-Za-z0-9_.-]") {
            prop_assume!(SIGNED[at..=at] != letter);
            let mut signature = SIGNED.to_owned();
            signature.replace_range(at..=at, &letter);
            prop_assert!(!verify(CONTENT, &signature, &joshua()));
        }
    }
}
