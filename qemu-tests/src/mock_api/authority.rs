//! Certificate authorities: what signs the server's certificate and the nodes'.
//!
//! As kubeadm and KKP make them: one self-signed authority for ten years that signs both kinds.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
use skerry_firstboot::join_config::CaPin;
use x509_parser::parse_x509_certificate;

use super::clock::Clock;

/// Ten years.
const LIFETIME_SECS: i64 = 3650 * 86_400;
/// The cluster has been there for three years.
const AGE_SECS: i64 = 3 * 365 * 86_400;

/// KKP's authorities are RSA; rcgen with ring cannot make such keys. Made once by openssl, valid for 100 years.
const RSA_CERTIFICATE: &str = include_str!("data/rsa-authority.pem");
const RSA_KEY: &str = include_str!("data/rsa-authority.key");

/// What kind of key an authority has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyKind {
    /// ECDSA P-256, made anew for each mock.
    #[default]
    Ecdsa,
    /// RSA with 2048 bits, always the same, as old clusters and KKP have.
    Rsa,
}

/// An authority with its key.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
}

impl Authority {
    /// An authority with the usual name. Two of them differ in the key only, as an impostor's would.
    pub fn new(kind: KeyKind, clock: &Clock) -> Self {
        match kind {
            KeyKind::Ecdsa => Self::ecdsa(clock),
            KeyKind::Rsa => Self::rsa(),
        }
    }

    fn ecdsa(clock: &Clock) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "kubernetes");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.not_before = clock.after(-AGE_SECS);
        params.not_after = clock.after(LIFETIME_SECS);
        let key = KeyPair::generate().expect("the system has random numbers");
        let certificate = params.self_signed(&key).expect("the parameters are complete");
        Self {
            der: certificate.der().clone(),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    fn rsa() -> Self {
        let key = KeyPair::from_pem(RSA_KEY).expect("the key in data/ is a key");
        Self {
            der: CertificateDer::from_pem_slice(RSA_CERTIFICATE.as_bytes()).expect("the file in data/ is PEM"),
            pem: RSA_CERTIFICATE.to_owned(),
            issuer: Issuer::from_ca_cert_pem(RSA_CERTIFICATE, key).expect("the certificate in data/ is one"),
        }
    }

    /// Its certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its certificate, DER.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The digest of its public key.
    pub fn pin(&self) -> CaPin {
        pin_of(&self.der)
    }

    /// Signs a certificate with `params` for the key of `public`.
    pub fn sign(&self, params: &CertificateParams, public: &impl PublicKeyData) -> Certificate {
        params
            .signed_by(public, &self.issuer)
            .expect("an authority can sign what it made itself")
    }
}

/// SHA-256 of a certificate's SubjectPublicKeyInfo (RFC 7469 §2.4), as kubeadm's `--discovery-token-ca-cert-hash`.
pub fn pin_of(der: &CertificateDer<'_>) -> CaPin {
    let (_, certificate) = parse_x509_certificate(der).expect("the mock's own certificates can be read");
    CaPin(Sha256::digest(certificate.public_key().raw).into())
}
