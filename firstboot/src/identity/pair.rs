//! A certificate with its key, in the form of kubelet's `kubelet-client-….pem`: the chain, then the key.

use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use time::OffsetDateTime;

use super::paths::{PEM_PREFIX, PEM_SUFFIX};
use crate::certificates::facts;
use crate::csr::USER_PREFIX;
use crate::digest::Digest;
use crate::secret::Secret;
use crate::visible::one_line;

/// A certificate chain and the key that fits its first certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The chain, PEM, the node's own certificate first.
    pub chain: String,
    /// The key, PEM.
    pub key: Secret,
    /// What the certificate says.
    pub leaf: Leaf,
}

/// What a node's certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The node's name, from `CN=system:node:NAME`.
    pub node_name: String,
    /// From when it is valid, seconds since 1970.
    pub not_before: u64,
    /// Until when, seconds since 1970.
    pub not_after: u64,
    /// SHA-256 of the certificate in DER.
    pub fingerprint: Digest,
    /// SubjectPublicKeyInfo, DER.
    public_key: Vec<u8>,
}

/// Why something is no certificate with its key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    /// Nothing, as kubelet's own writes can leave behind.
    #[error("it is empty")]
    Empty,
    /// Not PEM.
    #[error("it is not PEM text")]
    NotText,
    /// A part is missing.
    #[error("it holds no {0}")]
    Missing(&'static str),
    /// The certificate cannot be read.
    #[error("its certificate cannot be read")]
    BadCertificate,
    /// The certificate is somebody else's.
    #[error("its certificate is for `{0}`, which is no node")]
    NotANode(String),
    /// The key cannot be read.
    #[error("its key cannot be read")]
    BadKey,
    /// They do not belong together.
    #[error("its key is not that of its certificate")]
    Misfit,
}

impl Pair {
    /// Puts a chain and a key together, both PEM.
    pub fn new(chain: &str, key: &Secret) -> Result<Self, PairError> {
        let leaf = Leaf::parse(chain)?;
        if leaf.public_key != public_key(key)? {
            return Err(PairError::Misfit);
        }
        Ok(Self {
            chain: with_newline(chain),
            key: Secret::new(with_newline(key.expose())),
            leaf,
        })
    }

    /// Reads a file with both.
    pub fn parse(content: &[u8]) -> Result<Self, PairError> {
        if content.is_empty() {
            return Err(PairError::Empty);
        }
        let text = std::str::from_utf8(content).map_err(|_| PairError::NotText)?;
        let (mut chain, mut key) = (String::new(), String::new());
        let mut in_key = false;
        for line in text.lines() {
            if let Some(label) = line.strip_prefix("-----BEGIN ") {
                in_key = !label.starts_with("CERTIFICATE");
            }
            let part = if in_key { &mut key } else { &mut chain };
            part.push_str(line);
            part.push('\n');
        }
        Self::new(&chain, &Secret::new(key))
    }

    /// What [`Pair::parse`] reads.
    pub fn to_pem(&self) -> Secret {
        Secret::new(format!("{}{}", self.chain, self.key.expose()))
    }

    /// The name of the file, dated as kubelet does, but by the certificate: the machine's clock may be wrong, and who
    /// stores the same certificate again finds the same name.
    pub fn file_name(&self) -> String {
        let seconds = i64::try_from(self.leaf.not_before).unwrap_or(0);
        let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
        let (hour, minute, second) = at.to_hms();
        format!("{PEM_PREFIX}{year:04}-{month:02}-{day:02}-{hour:02}-{minute:02}-{second:02}{PEM_SUFFIX}")
    }
}

impl Leaf {
    /// Reads the first certificate of a chain.
    pub fn parse(chain: &str) -> Result<Self, PairError> {
        let der = CertificateDer::from_pem_slice(chain.as_bytes()).map_err(|_| PairError::Missing("certificate"))?;
        let facts = facts(&der).ok_or(PairError::BadCertificate)?;
        let node_name = match facts.common_name.strip_prefix(USER_PREFIX) {
            Some(node) if !node.is_empty() => node.to_owned(),
            _ => return Err(PairError::NotANode(one_line(&facts.common_name))),
        };
        Ok(Self {
            node_name,
            not_before: facts.validity.not_before,
            not_after: facts.validity.not_after,
            fingerprint: Digest::of(&der),
            public_key: facts.public_key,
        })
    }
}

/// The public part of a private key, SubjectPublicKeyInfo in DER. Reads PKCS #8, and SEC 1 as kubelet writes it.
pub(super) fn public_key(key: &Secret) -> Result<Vec<u8>, PairError> {
    if key.expose().trim().is_empty() {
        return Err(PairError::Missing("key"));
    }
    let der = PrivateKeyDer::from_pem_slice(key.expose().as_bytes()).map_err(|_| PairError::BadKey)?;
    let signing = any_supported_type(&der).map_err(|_| PairError::BadKey)?;
    let public = signing.public_key().ok_or(PairError::BadKey)?;
    Ok(public.as_ref().to_vec())
}

fn with_newline(text: &str) -> String {
    format!("{}\n", text.trim_end())
}
