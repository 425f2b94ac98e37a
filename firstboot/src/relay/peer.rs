//! Who may use the relay: this node's kubelet and nobody else, because the relay acts as the node. A pod in the host's
//! network reaches 127.0.0.1 as kubelet does.
//!
//! kubelet shows its client certificate. It must lead to the cluster's authorities, be meant for clients, and be the
//! node's own: `CN=system:node:NAME` and `O=system:nodes`, as the API server's node authorizer wants it. A machine whose
//! clock is behind is not locked out: a certificate that is not valid yet counts as one that has just begun, because only
//! this node has its key.
//!
//! kubelet does not show a certificate that has expired; but a machine that was alone for too long has no other one, and
//! its pods are to start all the same. Then, and only then, somebody who shows nothing is let in if the kernel says that
//! it is kubelet ([`SocketOwner`]).

mod owner;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use crate::certificates::facts;
use crate::clock::Clock;
use crate::csr::{ORGANISATION, USER_PREFIX};
use crate::identity::Leaf;
use crate::tls::Authorities;
use crate::visible::one_line;

pub use owner::SocketOwner;

/// Why somebody may not use the relay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// What was shown is no certificate.
    #[error("its certificate cannot be read")]
    Unreadable,
    /// Not from the cluster, not for clients, or expired.
    #[error("its certificate is not the cluster's: {0}")]
    Chain(String),
    /// Somebody else of the cluster.
    #[error("its certificate is of {0}, not of this node")]
    OtherSubject(String),
    /// Nothing was shown, and it is not kubelet.
    #[error("it shows no certificate, and the connection is not kubelet's")]
    NotKubelet,
    /// Nothing was shown, and the kernel does not tell who it is.
    #[error("it shows no certificate, and whose connection it is cannot be found out: {0}")]
    Unknown(String),
}

/// The judge of client certificates.
pub struct PeerCheck {
    authorities: Arc<Authorities>,
    node_name: String,
    clock: Arc<dyn Clock>,
    /// Who may come without a certificate once the node's own, which lies there, has expired.
    without: Option<(PathBuf, SocketOwner)>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PeerCheck {
    /// Accepts the node `node_name` of the cluster that has these authorities, by what `clock` says.
    pub fn new(authorities: Arc<Authorities>, node_name: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self {
            authorities,
            node_name: node_name.into(),
            clock,
            without: None,
            algorithms: ring::default_provider().signature_verification_algorithms,
        }
    }

    /// The same, but lets in `owner` without a certificate once the node's own, in the file `certificate`, has expired.
    pub fn or_without(self, certificate: PathBuf, owner: SocketOwner) -> Self {
        Self {
            without: Some((certificate, owner)),
            ..self
        }
    }

    /// Whether who shows nothing, and connected from `from` to `to`, is this node's kubelet. What the handshake allowed
    /// is looked at once more: the certificate may have been replaced since.
    pub fn check_without(&self, from: SocketAddr, to: SocketAddr) -> Result<(), PeerError> {
        let (SocketAddr::V4(from), SocketAddr::V4(to)) = (from, to) else {
            return Err(PeerError::NotKubelet);
        };
        match self.allowed_without().map(|owner| owner.has(from, to)) {
            Some(Ok(true)) => Ok(()),
            Some(Err(error)) => Err(PeerError::Unknown(error.to_string())),
            Some(Ok(false)) | None => Err(PeerError::NotKubelet),
        }
    }

    /// Who may come without a certificate, now.
    fn allowed_without(&self) -> Option<&SocketOwner> {
        let (certificate, owner) = self.without.as_ref()?;
        // The key is in it, too.
        let content = Zeroizing::new(std::fs::read_to_string(certificate).ok()?);
        let leaf = Leaf::parse(&content).ok()?;
        (self.clock.now() > leaf.not_after).then_some(owner)
    }

    /// Whether who shows `leaf` (and has its key, which the handshake proves) is this node.
    pub fn check(&self, leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Result<(), PeerError> {
        let begun = std::iter::once(leaf)
            .chain(intermediates)
            .filter_map(|der| facts(der))
            .map(|facts| facts.validity.not_before)
            .max()
            .ok_or(PeerError::Unreadable)?;
        let time = self.clock.now().max(begun);
        let chain = self.authorities.check_client(leaf, intermediates, time);
        chain.map_err(|error| PeerError::Chain(error.to_string()))?;
        self.check_subject(leaf)
    }

    fn check_subject(&self, leaf: &CertificateDer<'_>) -> Result<(), PeerError> {
        let (_, certificate) = X509Certificate::from_der(leaf).map_err(|_| PeerError::Unreadable)?;
        let subject = certificate.subject();
        let user = format!("{USER_PREFIX}{}", self.node_name);
        let names: Vec<_> = subject.iter_common_name().map(|name| name.as_str().ok()).collect();
        let mut groups = subject.iter_organization().filter_map(|group| group.as_str().ok());
        match names == [Some(user.as_str())] && groups.any(|group| group == ORGANISATION) {
            true => Ok(()),
            false => Err(PeerError::OtherSubject(one_line(&subject.to_string()))),
        }
    }
}

impl fmt::Debug for PeerCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerCheck")
            .field("authorities", &self.authorities)
            .field("node_name", &self.node_name)
            .finish_non_exhaustive()
    }
}

impl ClientCertVerifier for PeerCheck {
    /// None: Go's client holds its certificate back if no hint fits, and there is nobody to choose between.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        self.allowed_without().is_none()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let refused = |error| Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))));
        let checked = self.check(leaf, intermediates).map_err(refused);
        checked.map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
