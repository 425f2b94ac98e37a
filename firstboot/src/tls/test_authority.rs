//! Certificate authorities for tests.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use time::OffsetDateTime;

use crate::certificates::Validity;

/// 2026-06-01, when the tests take place.
pub(crate) const NOW: u64 = 1_780_272_000;
pub(crate) const DAY: u64 = 86_400;

/// A year around [`NOW`].
pub(crate) const AROUND_NOW: Validity = Validity {
    not_before: NOW - 30 * DAY,
    not_after: NOW + 335 * DAY,
};

pub(crate) struct TestAuthority {
    pub certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A server's chain and key.
pub(crate) struct TestServer {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

impl TestAuthority {
    pub fn new(name: &str, validity: Validity) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = authority_params(name, validity);
        Self {
            certificate: params.self_signed(&key).unwrap().into(),
            issuer: Issuer::new(params, key),
        }
    }

    /// An authority below this one.
    pub fn intermediate(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = authority_params(name, AROUND_NOW);
        Self {
            certificate: params.signed_by(&key, &self.issuer).unwrap().into(),
            issuer: Issuer::new(params, key),
        }
    }

    pub fn pem(&self) -> String {
        crate::certificates::to_pem([&self.certificate])
    }

    /// A server that has these names and addresses.
    pub fn server(&self, names: &[&str], validity: Validity) -> TestServer {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        set_name(&mut params, "kube-apiserver");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        set_validity(&mut params, validity);
        self.issue(&params)
    }

    /// A certificate by which the owner of `key` is the node edge-1.
    pub fn client(&self, key: &KeyPair) -> CertificateDer<'static> {
        node_params("edge-1").signed_by(key, &self.issuer).unwrap().into()
    }

    pub fn issue(&self, params: &CertificateParams) -> TestServer {
        let key = KeyPair::generate().unwrap();
        TestServer {
            chain: vec![params.signed_by(&key, &self.issuer).unwrap().into()],
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }
}

fn authority_params(name: &str, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    set_name(&mut params, name);
    set_validity(&mut params, validity);
    params
}

/// What a node's certificate says.
pub(crate) fn node_params(node_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    set_name(&mut params, &format!("system:node:{node_name}"));
    params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

pub(crate) fn set_name(params: &mut CertificateParams, name: &str) {
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
}

pub(crate) fn set_validity(params: &mut CertificateParams, validity: Validity) {
    let at = |seconds: u64| OffsetDateTime::from_unix_timestamp(seconds.try_into().unwrap()).unwrap();
    params.not_before = at(validity.not_before);
    params.not_after = at(validity.not_after);
}
