//! X.509 certificates (RFC 5280) in PEM bundles, as much as joining needs: their keys, their names, their validity.
//!
//! Whether a chain is to be trusted is decided elsewhere, with webpki; here certificates are only read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Name};

use crate::visible::visible;

/// More than any cluster has authorities; a bound on what is parsed.
pub(crate) const MAX_CERTIFICATES: usize = 64;
/// What a block with a certificate is called (RFC 7468 §5).
pub(crate) const CERTIFICATE: &str = "CERTIFICATE";
/// Characters of base64 in a line (RFC 7468 §2).
const PEM_COLUMNS: usize = 64;
/// Longest name that is told.
const MAX_NAME_CHARS: usize = 120;

/// Why a text is no bundle of certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// There is no `BEGIN CERTIFICATE` in it.
    #[error("there is no certificate in it")]
    Empty,
    /// A PEM block is damaged.
    #[error("certificate {number} is not PEM")]
    NotPem {
        /// Which one, counted from 1.
        number: usize,
    },
    /// A block holds something else than a certificate.
    #[error("certificate {number} is not an X.509 certificate")]
    NotX509 {
        /// Which one, counted from 1.
        number: usize,
    },
    /// There are too many.
    #[error("there are more than {MAX_CERTIFICATES} certificates in it")]
    TooMany,
}

/// What a certificate says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Whose it is, fit for a console.
    pub subject: String,
    /// Who signed it, fit for a console.
    pub issuer: String,
    /// The subject's common name as it is; empty if there is none in text.
    pub common_name: String,
    /// Its SubjectPublicKeyInfo, DER.
    pub public_key: Vec<u8>,
    /// From when to when it is valid.
    pub validity: Validity,
}

/// A span of time, both ends included, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub not_before: u64,
    /// The last second.
    pub not_after: u64,
}

impl Validity {
    /// Whether `time` is within it.
    pub fn contains(&self, time: u64) -> bool {
        (self.not_before..=self.not_after).contains(&time)
    }

    /// The time that both cover; its ends are the wrong way around if there is none.
    pub fn and(self, other: Self) -> Self {
        Self {
            not_before: self.not_before.max(other.not_before),
            not_after: self.not_after.min(other.not_after),
        }
    }
}

/// All certificates of a PEM text, at least one; each of them can be read with [`facts`].
pub fn bundle(pem: &str) -> Result<Vec<CertificateDer<'static>>, BundleError> {
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let number = certificates.len() + 1;
        if number > MAX_CERTIFICATES {
            return Err(BundleError::TooMany);
        }
        let certificate = certificate.map_err(|_| BundleError::NotPem { number })?;
        facts(&certificate).ok_or(BundleError::NotX509 { number })?;
        certificates.push(certificate);
    }
    match certificates.is_empty() {
        true => Err(BundleError::Empty),
        false => Ok(certificates),
    }
}

/// What a certificate in DER says about itself; nothing if it is none or something follows it.
pub fn facts(der: &[u8]) -> Option<Facts> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    let validity = certificate.validity();
    let mut names = certificate.subject().iter_common_name();
    let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
    rest.is_empty().then(|| Facts {
        subject: printable(certificate.subject()),
        issuer: printable(certificate.issuer()),
        common_name: names
            .next()
            .and_then(|name| name.as_str().ok())
            .unwrap_or_default()
            .to_owned(),
        public_key: certificate.public_key().raw.to_vec(),
        validity: Validity {
            not_before: seconds(validity.not_before.timestamp()),
            not_after: seconds(validity.not_after.timestamp()),
        },
    })
}

/// A PEM block with `label` (RFC 7468).
pub fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in STANDARD.encode(der).as_bytes().chunks(PEM_COLUMNS) {
        text.extend(line.iter().copied().map(char::from));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// Certificates as one PEM text.
pub fn to_pem<'a>(certificates: impl IntoIterator<Item = &'a CertificateDer<'static>>) -> String {
    certificates.into_iter().map(|der| pem(CERTIFICATE, der)).collect()
}

/// Names come from strangers: no control characters, and not too long.
fn printable(name: &X509Name<'_>) -> String {
    name.to_string().chars().take(MAX_NAME_CHARS).map(visible).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData as _};

    use super::*;

    fn certificate(name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(2001, 9, 9);
        params.not_after = rcgen::date_time_ymd(2033, 5, 18);
        (params.self_signed(&key).unwrap(), key)
    }

    #[test]
    fn a_certificate_tells_its_name_key_and_validity() {
        let (certificate, key) = certificate("shop\u{7}");
        let facts = facts(certificate.der()).unwrap();
        assert_eq!(
            (facts.subject.as_str(), facts.issuer.as_str()),
            ("CN=shop ", "CN=shop ")
        );
        assert_eq!(facts.public_key, key.subject_public_key_info());
        // Midnight UTC of 2001-09-09 and 2033-05-18.
        let expected = Validity {
            not_before: 999_993_600,
            not_after: 1_999_987_200,
        };
        assert_eq!(facts.validity, expected);
    }

    #[test]
    fn a_bundle_is_read_whole_and_written_as_it_was() {
        let text = certificate("a").0.pem().replace("\r\n", "\n") + &certificate("b").0.pem().replace("\r\n", "\n");
        let certificates = bundle(&format!("# the authorities\n{text}")).unwrap();
        assert_eq!(to_pem(&certificates), text);
    }

    #[test]
    fn what_is_no_bundle_is_refused() {
        let good = certificate("a").0.pem();
        assert_eq!(bundle("hello"), Err(BundleError::Empty));
        let cut = &good[..good.len() - 40];
        assert_eq!(bundle(&format!("{good}{cut}")), Err(BundleError::NotPem { number: 2 }));
        let other = pem("CERTIFICATE", b"not DER");
        assert_eq!(bundle(&other), Err(BundleError::NotX509 { number: 1 }));
        assert_eq!(bundle(&good.repeat(65)), Err(BundleError::TooMany));
    }

    proptest! {
        #[test]
        fn damaged_certificates_never_panic(at in 0_usize..200, byte: u8) {
            let (certificate, _) = certificate("a");
            let mut der = certificate.der().to_vec();
            der[at] = byte;
            let _ = facts(&der);
        }
    }
}
