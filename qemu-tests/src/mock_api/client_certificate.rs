//! Client certificates. As the real API server does it, the handshake accepts any (`tls.RequestClientCert`), and who
//! does not belong to the cluster is told so by 401.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use x509_parser::parse_x509_certificate;

use super::users::User;

/// Asks for a client certificate and believes any whose key the client holds.
#[derive(Debug)]
pub struct AnyCertificate(Arc<CryptoProvider>);

impl AnyCertificate {
    /// A verifier with `provider`'s algorithms.
    pub fn new(provider: Arc<CryptoProvider>) -> Self {
        Self(provider)
    }
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Who `chain` says the client is; none if `authority` did not sign it for clients, or it is not valid at `unix`.
pub fn user_of(chain: &[CertificateDer<'_>], authority: &CertificateDer<'static>, unix: u64) -> Option<User> {
    let (leaf, intermediates) = chain.split_first()?;
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).ok()?;
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::new(ring::default_provider()));
    let now = UnixTime::since_unix_epoch(Duration::from_secs(unix));
    verifier
        .build()
        .ok()?
        .verify_client_cert(leaf, intermediates, now)
        .ok()?;
    let (_, certificate) = parse_x509_certificate(leaf).ok()?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    let groups = subject.iter_organization().filter_map(|group| group.as_str().ok());
    Some(User::authenticated(&name, groups))
}

/// The common name in a certificate, whoever signed it.
pub fn common_name(leaf: &CertificateDer<'_>) -> String {
    let parsed = parse_x509_certificate(leaf).ok();
    let name = parsed.and_then(|(_, certificate)| {
        let mut names = certificate.subject().iter_common_name();
        Some(names.next()?.as_str().ok()?.to_owned())
    });
    name.unwrap_or_else(|| "?".to_owned())
}
