//! TLS towards a control plane: rustls with ring, TLS 1.2 and 1.3, the name always told (SNI) unless it is an address.
//!
//! | [`Check`] | who is accepted | for |
//! |---|---|---|
//! | `Nothing` | anybody; what was shown is recorded | reading `cluster-info` before there is anything to trust |
//! | `Authorities` | a chain of the authorities, for the name, valid now | everything else |
//! | `AnyTime` | the same but for the dates | reading the `Date` header, and nothing else |
//! | `Pins` | a pinned key, or a chain of a pinned authority that is sent along | join files by HTTPS |
//!
//! Only the second may carry a credential. What the server showed and how it was judged is in [`Tls::seen`]: the errors of
//! rustls do not tell a wrong clock from a wrong server.

mod verifier;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, TrustAnchor, UnixTime};
use rustls::{ClientConfig, ConfigBuilder, WantsVerifier};
use webpki::{EndEntityCert, KeyUsage};

use crate::certificates::{self, BundleError, Facts, Validity};
use crate::clock::Clock;
use crate::join_config::CaPin;
use crate::secret::Secret;
use verifier::Verifier;

/// What ALPN calls HTTP/2 over TLS (RFC 9113 §3.1).
pub const HTTP2: &[u8] = b"h2";

/// Whose word a server's certificate is accepted by.
#[derive(Debug, Clone)]
pub enum Check {
    /// Nobody's: whatever is shown is accepted and recorded.
    Nothing,
    /// That of these authorities.
    Authorities(Arc<Authorities>),
    /// That of these authorities, whatever the time is.
    AnyTime(Arc<Authorities>),
    /// That of the holders of these keys: the server itself (then neither its name nor its dates count), or an authority
    /// whose certificate the server sends along.
    Pins(Vec<CaPin>),
}

/// Authorities that may sign a server's certificate.
pub struct Authorities {
    anchors: Vec<TrustAnchor<'static>>,
    /// One for each anchor.
    validities: Vec<Validity>,
}

/// What a server showed, and how it was judged.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its own certificate's content; none if that could not be read.
    pub facts: Option<Facts>,
    /// The whole chain, its own certificate first.
    pub chain: Vec<CertificateDer<'static>>,
    /// What came out.
    pub verdict: Verdict,
}

/// How a server's certificate was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Accepted without a check.
    Unchecked,
    /// Accepted.
    Trusted,
    /// Everything is right but the time.
    OutOfTime(Validity),
    /// Signed as it should be, but for other names.
    OtherName(Vec<String>),
    /// Not signed as it should be: why.
    Refused(String),
}

/// Which HTTP is offered to the server (ALPN, RFC 7301), the preferred one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocols {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, else HTTP/1.1.
    Http2OrHttp1,
}

/// A configuration for one connection, and what that connection saw.
#[derive(Clone)]
pub struct Tls {
    /// The configuration for rustls.
    pub config: Arc<ClientConfig>,
    seen: Arc<Mutex<Option<Shown>>>,
}

/// A client certificate.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// The chain, PEM.
    pub certificate: &'a str,
    /// The key, PEM.
    pub key: &'a Secret,
}

/// Why there is no configuration.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TlsError {
    /// The authorities cannot be read.
    #[error("the control plane's authorities cannot be read")]
    Authorities {
        /// The cause.
        source: BundleError,
    },
    /// One of the authorities cannot sign anything.
    #[error("authority {number} of the control plane is no authority")]
    NotAuthority {
        /// Which one, counted from 1.
        number: usize,
    },
    /// The client certificate cannot be read.
    #[error("the client certificate cannot be read")]
    Certificate {
        /// The cause.
        source: BundleError,
    },
    /// The key cannot be read.
    #[error("the client certificate's key is not a private key in PEM")]
    Key,
    /// Certificate and key do not fit, or are of a kind that TLS does not know.
    #[error("the client certificate cannot be used")]
    Identity {
        /// The cause.
        source: rustls::Error,
    },
}

impl Authorities {
    /// Reads a bundle in PEM.
    pub fn from_pem(pem: &str) -> Result<Self, TlsError> {
        let certificates = certificates::bundle(pem).map_err(|source| TlsError::Authorities { source })?;
        Self::of(&certificates)
    }

    fn of(certificates: &[CertificateDer<'_>]) -> Result<Self, TlsError> {
        let mut authorities = Self {
            anchors: Vec::new(),
            validities: Vec::new(),
        };
        for (place, certificate) in certificates.iter().enumerate() {
            let unusable = TlsError::NotAuthority { number: place + 1 };
            let read = webpki::anchor_from_trusted_cert(certificate)
                .ok()
                .zip(certificates::facts(certificate));
            let (anchor, facts) = read.ok_or(unusable)?;
            authorities.anchors.push(anchor.to_owned());
            authorities.validities.push(facts.validity);
        }
        Ok(authorities)
    }

    /// Whether the client that shows `leaf` is one of these authorities' at `time`, in seconds since 1970.
    pub(crate) fn check_client(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        time: u64,
    ) -> Result<(), webpki::Error> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        let time = UnixTime::since_unix_epoch(Duration::from_secs(time));
        let usage = KeyUsage::client_auth();
        let path = EndEntityCert::try_from(leaf)?;
        path.verify_for_usage(algorithms.all, &self.anchors, intermediates, time, usage, None, None)
            .map(drop)
    }
}

impl Protocols {
    /// As ALPN calls them.
    pub fn names(self) -> Vec<Vec<u8>> {
        let names: &[&[u8]] = match self {
            Self::Http1 => &[b"http/1.1"],
            Self::Http2OrHttp1 => &[HTTP2, b"http/1.1"],
        };
        names.iter().map(|name| name.to_vec()).collect()
    }
}

impl Tls {
    /// A configuration that accepts servers by `check` and, if it is given, shows `identity` to them.
    pub fn new(check: Check, identity: Option<Identity<'_>>, clock: &Arc<dyn Clock>) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let seen = Arc::new(Mutex::new(None));
        let verifier = Verifier {
            check,
            algorithms: provider.signature_verification_algorithms,
            clock: Arc::clone(clock),
            seen: Arc::clone(&seen),
        };
        let builder = builder(provider)
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(Identity { certificate, key }) => {
                let chain = certificates::bundle(certificate).map_err(|source| TlsError::Certificate { source })?;
                let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes()).map_err(|_| TlsError::Key)?;
                let config = builder.with_client_auth_cert(chain, key);
                config.map_err(|source| TlsError::Identity { source })?
            }
        };
        config.alpn_protocols = Protocols::Http1.names();
        // A resumed session would not show its certificate.
        config.resumption = Resumption::disabled();
        Ok(Self {
            config: Arc::new(config),
            seen,
        })
    }

    /// The same, but offering `protocols`; HTTP/1.1 is what is offered without this.
    pub fn offering(mut self, protocols: Protocols) -> Self {
        Arc::make_mut(&mut self.config).alpn_protocols = protocols.names();
        self
    }

    /// What the server showed; nothing if it came to no certificate.
    pub fn seen(&self) -> Option<Shown> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn builder(provider: Arc<CryptoProvider>) -> ConfigBuilder<ClientConfig, WantsVerifier> {
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for TLS 1.2 and 1.3")
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.anchors.len())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("seen", &self.seen).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod test_authority;
#[cfg(test)]
mod tests;
