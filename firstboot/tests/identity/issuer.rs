//! A control plane reduced to its signature.

use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PublicKeyData};
use skerry_firstboot::identity::KnownCluster;
use skerry_firstboot::join_config::Endpoint;
use skerry_firstboot::secret::Secret;
use time::OffsetDateTime;

/// 2026-03-01 12:30:45 UTC: when the certificates of these tests begin to be valid.
pub const BEGIN: u64 = 1_772_368_245;
/// How long they are valid.
pub const YEAR: u64 = 365 * 24 * 3600;

/// An authority that signs for nodes.
pub struct Issuer {
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Issuer {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { authority }
    }

    /// The authority's certificate, PEM.
    pub fn pem(&self) -> String {
        self.authority.pem()
    }

    /// SHA-256 of the authority's SubjectPublicKeyInfo.
    pub fn pin(&self) -> [u8; 32] {
        use sha2::Digest as _;
        sha2::Sha256::digest(self.authority.key().subject_public_key_info()).into()
    }

    /// The cluster whose authority this is.
    pub fn cluster(&self) -> KnownCluster {
        KnownCluster {
            tls_server_name: None,
            authorities: self.pem(),
            server: endpoint("api.example.org"),
            others: Vec::new(),
        }
    }

    /// A node's certificate, valid for a year from `begin`, PEM.
    pub fn sign(&self, key: &Secret, common_name: &str, begin: u64) -> String {
        let at = |seconds: u64| OffsetDateTime::from_unix_timestamp(seconds.try_into().unwrap()).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.not_before = at(begin);
        params.not_after = at(begin + YEAR);
        self.issue(&params, &KeyPair::from_pem(key.expose()).unwrap())
    }

    /// A certificate of any kind, PEM.
    pub fn issue(&self, params: &CertificateParams, public: &impl PublicKeyData) -> String {
        let certificate: Certificate = params.signed_by(public, &self.authority).unwrap();
        certificate.pem()
    }
}

/// A new key, PEM.
pub fn new_key() -> Secret {
    Secret::new(KeyPair::generate().unwrap().serialize_pem())
}

/// SubjectPublicKeyInfo of a key, DER.
pub fn public_key(key: &Secret) -> Vec<u8> {
    KeyPair::from_pem(key.expose()).unwrap().subject_public_key_info()
}

pub fn endpoint(host: &str) -> Endpoint {
    Endpoint {
        host: host.into(),
        port: 6443,
        path: String::new(),
    }
}
