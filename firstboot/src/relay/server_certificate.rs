//! The certificate that the relay shows to kubelet: for 127.0.0.1, signed by itself, with its key in a file of `/run`, so
//! that it is made once for each boot and outlives the relay's own end.
//!
//! It is valid from 2000 to 9999-12-31, the latest date there is (RFC 5280 §4.1.2.5): kubelet has no other way to its
//! pods than the relay, and must find it whatever the clock says. kubelet trusts this certificate and nothing else, and
//! it can sign no other one.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use webpki::EndEntityCert;
use zeroize::Zeroizing;

use crate::certificates::{CERTIFICATE, pem};
use crate::disk::Disk;
use crate::secret::Secret;

/// The address that the relay listens on.
pub const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// What the relay makes anew at each boot.
pub const FOLDER: &str = "/run/skerry/relay";
/// The certificate and its key, PEM.
pub const FILE: &str = "/run/skerry/relay/server.pem";

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
const NAME: &str = "skerry-relay";

/// A certificate for [`ADDRESS`] and its key.
#[derive(Debug)]
pub struct ServerCertificate {
    pub(super) certified: Arc<CertifiedKey>,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum ServerCertificateError {
    /// It cannot be made.
    #[error("cannot make the relay's certificate")]
    Make {
        /// The cause.
        source: rcgen::Error,
    },
    /// It cannot be kept.
    #[error("cannot write {FILE}")]
    Write {
        /// The cause.
        source: io::Error,
    },
    /// What was made cannot be used.
    #[error("the relay's certificate that was just made cannot be used")]
    Unusable,
}

impl ServerCertificate {
    /// The certificate of this boot: the one in [`FILE`] if that is whole, else a new one, which is written there.
    pub fn obtain(disk: &impl Disk) -> Result<Self, ServerCertificateError> {
        let kept = disk.read(Path::new(FILE)).ok().map(Zeroizing::new);
        if let Some(certificate) = kept.and_then(|content| Self::read(&content)) {
            return Ok(certificate);
        }
        let made = make().map_err(|source| ServerCertificateError::Make { source })?;
        let content = made.expose().as_bytes();
        let written = make_folder(disk).and_then(|()| disk.persist(Path::new(FILE), content, FILE_MODE));
        written.map_err(|source| ServerCertificateError::Write { source })?;
        Self::read(content).ok_or(ServerCertificateError::Unusable)
    }

    /// The certificate, PEM: the one authority of the kubeconfig by which kubelet finds the relay.
    pub fn to_pem(&self) -> String {
        self.certified.cert.iter().map(|der| pem(CERTIFICATE, der)).collect()
    }

    fn read(content: &[u8]) -> Option<Self> {
        let certificate = CertificateDer::from_pem_slice(content).ok()?;
        let key = PrivateKeyDer::from_pem_slice(content).ok()?;
        let address = ServerName::from(ADDRESS);
        let leaf = EndEntityCert::try_from(&certificate).ok()?;
        leaf.verify_is_valid_for_subject_name(&address).ok()?;
        let certified = CertifiedKey::from_der(vec![certificate], key, &ring::default_provider()).ok()?;
        Some(Self {
            certified: Arc::new(certified),
        })
    }
}

fn make_folder(disk: &impl Disk) -> io::Result<()> {
    match disk.make_folder(Path::new(FOLDER), FOLDER_MODE) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Certificate and key, PEM.
fn make() -> Result<Secret, rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, NAME);
    params.subject_alt_names = vec![SanType::IpAddress(ADDRESS)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(9999, 12, 31);
    let certificate = params.self_signed(&key)?;
    let key = Zeroizing::new(key.serialize_pem());
    Ok(Secret::new(certificate.pem() + &key))
}

#[cfg(test)]
mod tests;
