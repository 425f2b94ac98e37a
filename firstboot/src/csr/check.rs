//! Whether an issued certificate is the one that was asked for (conformance cases C6).

use rcgen::PublicKeyData as _;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME;
use x509_parser::prelude::{FromDer as _, ParsedExtension, X509Certificate};

use super::{ORGANISATION, USER_PREFIX, key_pair};
use crate::certificates::{self, BundleError, Validity};
use crate::secret::Secret;

/// Why a certificate is not the one that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The chain cannot be read.
    #[error("the issued certificate cannot be read: {0}")]
    Chain(BundleError),
    /// The authorities cannot be read.
    #[error("the cluster's authorities cannot be read: {0}")]
    Authorities(BundleError),
    /// The node's own key cannot be read.
    #[error("the node's key cannot be read")]
    Key,
    /// It is for another key.
    #[error("the issued certificate is for another key")]
    OtherKey,
    /// It is for another user.
    #[error("the issued certificate is for {found}, not for {expected}")]
    OtherSubject {
        /// The subject in it.
        found: String,
        /// The one that was asked for.
        expected: String,
    },
    /// It has names that nobody asked for.
    #[error("the issued certificate has alternative names that were not asked for")]
    ExtraNames,
    /// It cannot be shown to a server.
    #[error("the issued certificate is not meant for client authentication")]
    NotForClients,
    /// It ends before it begins.
    #[error("the issued certificate ends before it begins")]
    BadValidity,
    /// It has run out.
    #[error("the issued certificate ran out at {not_after} (seconds since 1970)")]
    Expired {
        /// Its last second.
        not_after: u64,
    },
    /// None of the cluster's authorities has signed it.
    #[error("the issued certificate is not signed by the cluster's authorities: {0}")]
    OtherAuthority(String),
}

/// Checks the chain that was issued for the owner of `key` as node `node_name` at the time `now`, in seconds since 1970.
/// Tells when it is valid.
///
/// A certificate that is not valid *yet* passes: signers date back by minutes, so this machine's clock is behind, and
/// the server decides by its own. kubelet, too, looks at the end only.
pub fn check_certificate(
    chain: &str,
    key: &Secret,
    node_name: &str,
    authorities: &str,
    now: u64,
) -> Result<Validity, CertificateError> {
    let chain = certificates::bundle(chain).map_err(CertificateError::Chain)?;
    let authorities = certificates::bundle(authorities).map_err(CertificateError::Authorities)?;
    let (leaf, intermediates) = chain.split_first().ok_or(CertificateError::Chain(BundleError::Empty))?;
    let facts = certificates::facts(leaf).ok_or(CertificateError::Chain(BundleError::Empty))?;
    let own_key = key_pair(key)
        .map_err(|_| CertificateError::Key)?
        .subject_public_key_info();
    if facts.public_key != own_key {
        return Err(CertificateError::OtherKey);
    }
    check_content(leaf, node_name)?;
    let Validity { not_before, not_after } = facts.validity;
    if not_before >= not_after {
        return Err(CertificateError::BadValidity);
    }
    if now > not_after {
        return Err(CertificateError::Expired { not_after });
    }
    check_chain(leaf, intermediates, &authorities, now.max(not_before))?;
    Ok(facts.validity)
}

/// Subject, alternative names and purposes.
fn check_content(leaf: &CertificateDer<'_>, node_name: &str) -> Result<(), CertificateError> {
    let unreadable = CertificateError::Chain(BundleError::NotX509 { number: 1 });
    let (_, certificate) = X509Certificate::from_der(leaf).map_err(|_| unreadable)?;
    let subject = certificate.subject();
    let user = format!("{USER_PREFIX}{node_name}");
    let expected = [ORGANISATION, user.as_str()];
    let found = [subject.iter_organization().next(), subject.iter_common_name().next()];
    let found = found.map(|attribute| attribute.and_then(|attribute| attribute.as_str().ok()));
    // Two attributes and no third: another organisation would be another group, with other rights.
    if subject.iter_attributes().count() != 2 || found != expected.map(Some) {
        return Err(CertificateError::OtherSubject {
            found: certificates::facts(leaf).map(|facts| facts.subject).unwrap_or_default(),
            expected: format!("O={ORGANISATION}, CN={user}"),
        });
    }
    // By its number, so that a damaged one counts, too.
    if certificate
        .extensions()
        .iter()
        .any(|extension| extension.oid == OID_X509_EXT_SUBJECT_ALT_NAME)
    {
        return Err(CertificateError::ExtraNames);
    }
    // A certificate without the extension would do anywhere; no Kubernetes signer makes one.
    let for_clients = |extension: &ParsedExtension<'_>| match extension {
        ParsedExtension::ExtendedKeyUsage(usage) => usage.client_auth,
        _ => false,
    };
    let mut extensions = certificate
        .extensions()
        .iter()
        .map(|extension| extension.parsed_extension());
    match extensions.any(for_clients) {
        true => Ok(()),
        false => Err(CertificateError::NotForClients),
    }
}

fn check_chain(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    authorities: &[CertificateDer<'_>],
    time: u64,
) -> Result<(), CertificateError> {
    let other = |error: webpki::Error| CertificateError::OtherAuthority(error.to_string());
    let anchors: Result<Vec<TrustAnchor<'_>>, _> = authorities.iter().map(webpki::anchor_from_trusted_cert).collect();
    let anchors = anchors.map_err(other)?;
    let certificate = EndEntityCert::try_from(leaf).map_err(other)?;
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(time));
    let algorithms = webpki::ALL_VERIFICATION_ALGS;
    let usage = KeyUsage::client_auth();
    let verified = certificate.verify_for_usage(algorithms, &anchors, intermediates, time, usage, None, None);
    verified.map(|_| ()).map_err(other)
}

#[cfg(test)]
mod tests;
