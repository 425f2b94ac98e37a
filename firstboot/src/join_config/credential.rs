//! Tokens and pins as they are written.

use std::str::FromStr;

use super::{BootstrapToken, CaPin, Credential};
use crate::hex::parse_hex;
use crate::secret::Secret;

/// No bearer token of Kubernetes comes near it; a header of the request must hold it.
const BEARER_LEN: usize = 16 * 1024;
/// What kubeadm calls the digest of a public key.
const PIN_FORMAT: &str = "sha256";

/// Text that is no token. Never repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not `id.secret`.
    #[error("a bootstrap token is 6 and 16 lower-case letters and digits with a dot between them")]
    Bootstrap,
    /// Not what a header can hold (RFC 6750 §2.1).
    #[error("a bearer token is letters, digits and `-._~+/`, at most 16384 of them")]
    Bearer,
}

/// Text that is no pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a pin is `sha256:` and 64 hex digits")]
pub struct PinError;

impl FromStr for BootstrapToken {
    type Err = TokenError;

    /// `\A([a-z0-9]{6})\.([a-z0-9]{16})\z`, as the API server reads it.
    fn from_str(text: &str) -> Result<Self, TokenError> {
        let plain = |part: &str| {
            part.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        match text.split_once('.') {
            Some((id, secret))
                if id.len() == Self::ID_LEN && secret.len() == Self::SECRET_LEN && plain(id) && plain(secret) =>
            {
                Ok(Self {
                    id: id.to_owned(),
                    secret: Secret::new(secret),
                })
            }
            _ => Err(TokenError::Bootstrap),
        }
    }
}

impl BootstrapToken {
    /// Length of the public part, in characters.
    pub const ID_LEN: usize = 6;
    /// Length of the secret part.
    pub const SECRET_LEN: usize = 16;

    /// The whole token, `id.secret`.
    pub fn whole(&self) -> Secret {
        Secret::new(format!("{}.{}", self.id, self.secret.expose()))
    }
}

impl Credential {
    /// The secret part of a token.
    pub(super) fn secret(&self) -> Option<&str> {
        match self {
            Self::BootstrapToken(token) => Some(token.secret.expose()),
            Self::Bearer(token) => Some(token.expose()),
            Self::ClientCertificate { .. } => None,
        }
    }

    /// A token as it stands in a kubeconfig: a bootstrap token if it looks like one.
    pub(crate) fn from_token(text: &str) -> Result<Self, TokenError> {
        match text.parse() {
            Ok(token) => Ok(Self::BootstrapToken(token)),
            Err(_) => bearer(text).map(Self::Bearer),
        }
    }
}

/// A bearer token: `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="` (RFC 6750 §2.1).
pub(super) fn bearer(text: &str) -> Result<Secret, TokenError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    let body = text.trim_end_matches('=');
    match !body.is_empty() && text.len() <= BEARER_LEN && body.bytes().all(plain) {
        true => Ok(Secret::new(text)),
        false => Err(TokenError::Bearer),
    }
}

impl FromStr for CaPin {
    type Err = PinError;

    fn from_str(text: &str) -> Result<Self, PinError> {
        match text.split_once(':') {
            Some((format, digits)) if format.eq_ignore_ascii_case(PIN_FORMAT) => {
                parse_hex(digits).map(Self).ok_or(PinError)
            }
            _ => Err(PinError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bootstrap_token_is_read_and_put_together_again() {
        let token: BootstrapToken = "abcdef.0123456789abcdef".parse().unwrap();
        assert_eq!(token.id, "abcdef");
        assert_eq!(token.whole().expose(), "abcdef.0123456789abcdef");
        assert!(!format!("{token:?}").contains("0123456789abcdef"));
    }

    #[test]
    fn what_is_no_bootstrap_token_is_refused_without_being_repeated() {
        for text in [
            "",
            "abcdef",
            "abcdef.",
            "ABCDEF.0123456789abcdef",
            "abcdef.0123456789abcde",
            "abcdef.0123456789abcdefa",
            "abcde.0123456789abcdef",
            "abcdef.0123456789abcdef\n",
            "abcdef.0123456789abcde.",
            "äbcde.0123456789abcdef",
        ] {
            assert_eq!(text.parse::<BootstrapToken>(), Err(TokenError::Bootstrap), "{text:?}");
        }
    }

    #[test]
    fn a_token_of_another_kind_is_a_bearer_token_if_a_header_can_hold_it() {
        let bearer = Credential::from_token("eyJhbGciOi.eyJpc3Mi-_.c2ln==").unwrap();
        assert_eq!(bearer, Credential::Bearer(Secret::new("eyJhbGciOi.eyJpc3Mi-_.c2ln==")));
        for text in [
            "",
            "==",
            "a b",
            "a\r\nX-Header: 1",
            "a=b",
            "ü",
            &"a".repeat(BEARER_LEN + 1),
        ] {
            assert_eq!(Credential::from_token(text), Err(TokenError::Bearer));
        }
    }

    #[test]
    fn a_pin_is_read_in_either_case_and_shown_in_lower_case() {
        let text = "sha256:345959acb2c3b2feb87d281961c893f62a314207ef02599f1cc4a5fb255480b3";
        assert_eq!(text.parse::<CaPin>().unwrap().to_string(), text);
        assert_eq!(text.to_uppercase().parse::<CaPin>().unwrap().to_string(), text);
        for bad in [
            "",
            "sha256:",
            &text[7..],
            &text[..70],
            &text.replace("sha256", "sha512"),
            &format!("{text}{}", &text[7..]),
            &text.replace('3', "g"),
            &text.replace("34", "+4"),
            &text.replace("34", "ä"),
        ] {
            assert_eq!(bad.parse::<CaPin>(), Err(PinError), "{bad}");
        }
    }
}
