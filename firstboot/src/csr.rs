//! The node's key, its certificate signing request, and the check of the certificate that comes back.
//!
//! The order is the protocol: the key is made and kept first, then everything else derives from it. The request's name is
//! the one that kubelet itself would choose (`pkg/kubelet/certificate/bootstrap/bootstrap.go`, `digestedName`), so a
//! machine that lost power between any two steps finds its earlier request instead of making a second one.

mod check;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _};
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha512_256};
use x509_parser::prelude::{FromDer as _, X509CertificationRequest};

use crate::certificates::pem;
use crate::control_plane::SigningRequest;
use crate::secret::Secret;

pub use check::{CertificateError, check_certificate};

/// The organisation that makes a client a node (`pkg/apis/certificates/helpers.go`).
pub(crate) const ORGANISATION: &str = "system:nodes";
/// What a node's name is prefixed with to be a user's name.
pub(crate) const USER_PREFIX: &str = "system:node:";
/// Key usages of a request for an elliptic key, in kubelet's order, which counts for the name.
const USAGES: [&str; 2] = ["digital signature", "client auth"];

/// Why there is no key or no request.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// No key could be made.
    #[error("cannot make a key for the node")]
    Generate {
        /// The cause.
        source: rcgen::Error,
    },
    /// The kept key is damaged or of another kind.
    #[error("the node's key is not an ECDSA P-256 key in PEM")]
    BadKey {
        /// The cause.
        source: rcgen::Error,
    },
    /// The request could not be signed.
    #[error("cannot sign the request for the node {node_name}")]
    Sign {
        /// The node's name.
        node_name: String,
        /// The cause.
        source: rcgen::Error,
    },
}

/// A new ECDSA P-256 key, PKCS #8 in PEM: kubelet's own kind.
pub fn new_key() -> Result<Secret, RequestError> {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|source| RequestError::Generate { source })?;
    Ok(Secret::new(pair.serialize_pem()))
}

/// The request by which the owner of `key` asks to be the node `node_name`.
pub fn signing_request(key: &Secret, node_name: &str) -> Result<SigningRequest, RequestError> {
    let pair = key_pair(key)?;
    let user = format!("{USER_PREFIX}{node_name}");
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, ORGANISATION);
    params.distinguished_name.push(DnType::CommonName, user.as_str());
    let signed = params.serialize_request(&pair);
    let signed = signed.map_err(|source| RequestError::Sign {
        node_name: node_name.to_owned(),
        source,
    })?;
    Ok(SigningRequest {
        name: name(&pair.subject_public_key_info(), &user),
        pem: pem("CERTIFICATE REQUEST", signed.der()),
        usages: USAGES.to_vec(),
    })
}

/// The same request by another name: for when its own is taken by a request for another key, which nobody but somebody
/// else's mistake can bring about. `attempt` counts from 1.
pub fn renamed(request: &SigningRequest, attempt: u32) -> SigningRequest {
    SigningRequest {
        name: format!("{}-{attempt}", request.name),
        ..request.clone()
    }
}

/// Whether two requests, both PEM, are for the same key; no answer if one of them is no request.
pub fn same_key(one: &str, other: &str) -> Option<bool> {
    Some(public_key(one)? == public_key(other)?)
}

fn public_key(request: &str) -> Option<Vec<u8>> {
    let der = CertificateSigningRequestDer::from_pem_slice(request.as_bytes()).ok()?;
    let (_, request) = X509CertificationRequest::from_der(&der).ok()?;
    Some(request.certification_request_info.subject_pki.raw.to_vec())
}

fn key_pair(key: &Secret) -> Result<KeyPair, RequestError> {
    let pair = KeyPair::from_pkcs8_pem_and_sign_algo(key.expose(), &PKCS_ECDSA_P256_SHA256);
    pair.map_err(|source| RequestError::BadKey { source })
}

/// `node-csr-` and SHA-512/256 over the key, the user, its organisation and the usages. Each goes in as base64 with a
/// delimiter that is not in base64's alphabet, so that no two inputs are one stream.
fn name(public_key: &[u8], user: &str) -> String {
    let mut hash = Sha512_256::new();
    let parts = [public_key, user.as_bytes(), ORGANISATION.as_bytes()];
    for part in parts.into_iter().chain(USAGES.map(str::as_bytes)) {
        hash.update(URL_SAFE_NO_PAD.encode(part));
        hash.update(b"|");
    }
    format!("node-csr-{}", URL_SAFE_NO_PAD.encode(hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A throw-away key, made for this test.
    const KEY: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgaaAL3vKFc/hmZCu9
Kvotf7hvckj4uSsGRVK1QLdWgp2hRANCAATp2ldOysMIgLCfdgqkGFpgbLa4YUt4
QChS6lGDFCO/fZIXsvPivMEwSNeh40/akte2LE5wM0eHXEpmXEIKPOZ6
-----END PRIVATE KEY-----
";

    #[test]
    fn the_name_is_the_one_that_kubelet_chooses() {
        // Computed with Go's crypto/x509 and crypto/sha512 by the formula of Kubernetes 1.36.
        for (node, expected) in [
            ("edge-1", "node-csr-YxEnnof05FSId5RPwxp3h7IvlLu3krmh_lDd7bF1-tI"),
            (
                "shop-0042.north",
                "node-csr-L0nsZZ2sBdgEUkrtNv1qIMOAKL6hqQBIS-Oa-UZVxqU",
            ),
        ] {
            assert_eq!(signing_request(&Secret::new(KEY), node).unwrap().name, expected);
        }
    }

    #[test]
    fn a_retry_has_the_same_name_and_another_key_another() {
        let (first, second) = (new_key().unwrap(), new_key().unwrap());
        let name = |key| signing_request(key, "edge-1").unwrap().name;
        assert_eq!(name(&first), name(&first));
        assert_ne!(name(&first), name(&second));
    }

    #[test]
    fn the_request_names_the_node_and_asks_for_nothing_else() {
        let request = signing_request(&Secret::new(KEY), "edge-1").unwrap();
        assert_eq!(request.usages, ["digital signature", "client auth"]);
        let (_, block) = x509_parser::pem::parse_x509_pem(request.pem.as_bytes()).unwrap();
        assert_eq!(block.label, "CERTIFICATE REQUEST");
        let (rest, parsed) = X509CertificationRequest::from_der(&block.contents).unwrap();
        assert!(rest.is_empty());
        let info = &parsed.certification_request_info;
        assert_eq!(info.subject.to_string(), "O=system:nodes, CN=system:node:edge-1");
        assert!(info.attributes().is_empty(), "no extensions, so no names");
        let key = key_pair(&Secret::new(KEY)).unwrap();
        assert_eq!(info.subject_pki.raw, key.subject_public_key_info());
    }

    #[test]
    fn another_name_keeps_the_request() {
        let request = signing_request(&Secret::new(KEY), "edge-1").unwrap();
        let other = renamed(&request, 2);
        assert_eq!(other.name, format!("{}-2", request.name));
        assert_eq!((&other.pem, &other.usages), (&request.pem, &request.usages));
    }

    #[test]
    fn requests_are_compared_by_their_keys() {
        let request = |key: &Secret, node| signing_request(key, node).unwrap().pem;
        let (first, second) = (new_key().unwrap(), new_key().unwrap());
        assert_eq!(same_key(&request(&first, "a"), &request(&first, "b")), Some(true));
        assert_eq!(same_key(&request(&first, "a"), &request(&second, "a")), Some(false));
        assert_eq!(same_key(&request(&first, "a"), "something else"), None);
    }

    #[test]
    fn what_is_left_of_a_key_after_a_power_cut_is_refused() {
        for text in ["", "-----BEGIN PRIVATE KEY-----\nMIGH\n", &KEY[..120]] {
            assert!(matches!(
                signing_request(&Secret::new(text), "a"),
                Err(RequestError::BadKey { .. })
            ));
        }
    }
}
