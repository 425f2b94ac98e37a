//! What the signer of a control plane makes of a request, right or wrong.

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData,
    SignatureAlgorithm,
};
use time::OffsetDateTime;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer as _, X509CertificationRequest};

use crate::issuer::{BEGIN, Issuer, YEAR};

/// What is in a request for a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requested {
    /// The bits of the public key.
    pub key: Vec<u8>,
    pub common_name: String,
}

impl Requested {
    pub fn read(pem: &str) -> Self {
        let pem = Pem::iter_from_buffer(pem.as_bytes()).next().unwrap().unwrap();
        let (_, request) = X509CertificationRequest::from_der(&pem.contents).unwrap();
        let info = &request.certification_request_info;
        let name = info.subject.iter_common_name().next().unwrap();
        Self {
            key: info.subject_pki.subject_public_key.data.to_vec(),
            common_name: name.as_str().unwrap().to_owned(),
        }
    }
}

impl PublicKeyData for Requested {
    fn der_bytes(&self) -> &[u8] {
        &self.key
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// The certificate that was asked for, PEM.
pub fn sign(issuer: &Issuer, requested: &Requested) -> String {
    issuer.issue(&params(&requested.common_name, BEGIN, YEAR), requested)
}

/// What a node's certificate says: valid for so many seconds from `begin` on.
pub fn params(common_name: &str, begin: u64, seconds: u64) -> CertificateParams {
    let at = |seconds: u64| OffsetDateTime::from_unix_timestamp(seconds.try_into().unwrap()).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = at(begin);
    params.not_after = at(begin + seconds);
    params
}
