//! Certificates of authorities, as PEM (RFC 7468) that people paste: indented, between other text, beside keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::certificates::{CERTIFICATE, MAX_CERTIFICATES, facts, pem};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Text that holds no usable certificates. Never repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthoritiesError {
    /// Nothing between BEGIN and END.
    #[error("it holds no certificate in PEM")]
    None,
    /// A block that does not end or is not base64.
    #[error("certificate {0} is damaged PEM")]
    Damaged(usize),
    /// Not X.509.
    #[error("certificate {0} is not X.509")]
    NotX509(usize),
    /// A private key beside the certificates.
    #[error("it holds a private key, which must never leave the control plane")]
    PrivateKey,
    /// More than [`MAX_CERTIFICATES`].
    #[error("it holds more than {MAX_CERTIFICATES} certificates")]
    TooMany,
}

/// What becomes of private keys beside the certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keys {
    Refused,
    PassedOver,
}

/// The certificates in `text`, written in one way only; text around them is dropped.
pub(crate) fn canonical(text: &str) -> Result<String, AuthoritiesError> {
    certificates(text, Keys::Refused)
}

/// The certificates in `text`, which may hold a key as well: a client's.
pub(crate) fn without_keys(text: &str) -> Result<String, AuthoritiesError> {
    certificates(text, Keys::PassedOver)
}

fn certificates(text: &str, keys: Keys) -> Result<String, AuthoritiesError> {
    let mut found = String::new();
    let mut count = 0;
    let mut rest = text;
    while let Some(at) = rest.find(BEGIN) {
        let number = count + 1;
        let damaged = AuthoritiesError::Damaged(number);
        let (label, body) = rest[at + BEGIN.len()..].split_once(DASHES).ok_or(damaged)?;
        if label.ends_with("PRIVATE KEY") && keys == Keys::Refused {
            return Err(AuthoritiesError::PrivateKey);
        }
        let (content, after) = body.split_once(END).ok_or(damaged)?;
        let after = after
            .strip_prefix(label)
            .and_then(|after| after.strip_prefix(DASHES))
            .ok_or(damaged)?;
        rest = after;
        if label != CERTIFICATE {
            continue;
        }
        count = number;
        if count > MAX_CERTIFICATES {
            return Err(AuthoritiesError::TooMany);
        }
        found.push_str(&certificate(content, number)?);
    }
    match count {
        0 => Err(AuthoritiesError::None),
        _ => Ok(found),
    }
}

fn certificate(content: &str, number: usize) -> Result<String, AuthoritiesError> {
    let packed: String = content.split_ascii_whitespace().collect();
    let der = STANDARD
        .decode(&packed)
        .map_err(|_| AuthoritiesError::Damaged(number))?;
    match facts(&der) {
        Some(_) => Ok(pem(CERTIFICATE, &der)),
        None => Err(AuthoritiesError::NotX509(number)),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A certificate of an authority of its own.
    pub(crate) fn some_authority(name: &str) -> String {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        canonical(&parameters.self_signed(&key).unwrap().pem()).unwrap()
    }

    #[test]
    fn certificates_are_kept_and_the_text_around_them_is_not() {
        let (one, two) = (some_authority("one"), some_authority("two"));
        let noisy = format!("subject=CN = one\r\n{}\r\n  {}# end", one.replace('\n', "\r\n"), two);
        assert_eq!(canonical(&noisy).unwrap(), format!("{one}{two}"));
        assert_eq!(canonical(&one).unwrap(), one);
    }

    #[test]
    fn blocks_of_other_kinds_are_passed_over_but_a_key_is_refused() {
        let one = some_authority("one");
        let crl = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
        assert_eq!(canonical(&format!("{crl}{one}")).unwrap(), one);
        for kind in ["EC PRIVATE KEY", "PRIVATE KEY", "RSA PRIVATE KEY"] {
            let key = format!("{one}-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n");
            assert_eq!(canonical(&key), Err(AuthoritiesError::PrivateKey));
            assert_eq!(without_keys(&key).as_ref(), Ok(&one));
        }
    }

    #[test]
    fn damaged_text_is_refused_and_says_which_certificate() {
        let one = some_authority("one");
        for (text, expected) in [
            (String::new(), AuthoritiesError::None),
            ("MIIB".to_owned(), AuthoritiesError::None),
            (one.replace("-----END", "----END"), AuthoritiesError::Damaged(1)),
            (format!("{one}{}", one.replace('M', "*")), AuthoritiesError::Damaged(2)),
            (
                one.replacen("END CERTIFICATE", "END CRL", 1),
                AuthoritiesError::Damaged(1),
            ),
            (pem(CERTIFICATE, b"\x30\x03abc"), AuthoritiesError::NotX509(1)),
            ("-----BEGIN ".to_owned(), AuthoritiesError::Damaged(1)),
            (one.repeat(MAX_CERTIFICATES + 1), AuthoritiesError::TooMany),
        ] {
            assert_eq!(canonical(&text), Err(expected), "{text}");
        }
    }
}
