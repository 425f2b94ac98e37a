//! Pins of authorities: SHA-256 over the SubjectPublicKeyInfo (RFC 7469 §2.4), as kubeadm's
//! `--discovery-token-ca-cert-hash`.
//!
//! kubeadm trusts the whole bundle when one certificate of it is pinned; here only the pinned ones are trusted.

use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};

use crate::certificates::facts;
use crate::join_config::CaPin;

/// The pin of a certificate's key; nothing if `der` is no certificate.
pub fn of(der: &[u8]) -> Option<CaPin> {
    facts(der).map(|facts| CaPin(Sha256::digest(&facts.public_key).into()))
}

/// Those of `certificates` that are pinned, in their order.
pub fn pinned(certificates: &[CertificateDer<'static>], pins: &[CaPin]) -> Vec<CertificateDer<'static>> {
    let is_pinned = |der: &&CertificateDer<'static>| of(der).is_some_and(|pin| pins.contains(&pin));
    certificates.iter().filter(is_pinned).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificates::bundle;

    /// `cmd/kubeadm/app/util/pubkeypin/testdata/test-cert.pem` and the authority of
    /// `cmd/kubeadm/app/discovery/token/testdata`.
    const UPSTREAM: &str = include_str!("data/upstream-certificates.pem");

    #[test]
    fn the_vectors_of_upstream_come_out() {
        let pins: Vec<_> = bundle(UPSTREAM)
            .unwrap()
            .iter()
            .map(|der| of(der).unwrap().to_string())
            .collect();
        assert_eq!(
            pins[0],
            "sha256:345959acb2c3b2feb87d281961c893f62a314207ef02599f1cc4a5fb255480b3"
        );
        assert_eq!(
            pins[1],
            "sha256:98be2e6d4d8a89aa308fb15de0c07e2531ce549c68dec1687cdd5c06f0826658"
        );
    }

    #[test]
    fn only_the_pinned_certificates_of_a_bundle_are_returned() {
        let certificates = bundle(UPSTREAM).unwrap();
        let [first, second] = [0, 1].map(|place| of(&certificates[place]).unwrap());
        let unknown = CaPin([7; 32]);
        assert_eq!(pinned(&certificates, &[unknown, second]), [certificates[1].clone()]);
        assert_eq!(pinned(&certificates, &[second, first]), certificates);
        assert!(pinned(&certificates, &[unknown]).is_empty());
        assert!(pinned(&certificates, &[]).is_empty());
    }

    #[test]
    fn what_is_no_certificate_has_no_pin() {
        assert_eq!(of(b"-----BEGIN CERTIFICATE-----"), None);
    }
}
