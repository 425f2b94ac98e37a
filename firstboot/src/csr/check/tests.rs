use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType,
};
use time::OffsetDateTime;

use super::*;
use crate::csr::new_key;

/// 2026-06-01.
const NOW: u64 = 1_780_272_000;
const HOUR: u64 = 3600;

fn at(seconds: u64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds.try_into().unwrap()).unwrap()
}

/// A certificate authority.
struct Signer {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

fn signer() -> Signer {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "kubernetes");
    let certificate = params.self_signed(&key).unwrap().pem();
    Signer {
        certificate,
        issuer: Issuer::new(params, key),
    }
}

/// What a signer of Kubernetes makes of a request by the node edge-1.
fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
    params.distinguished_name.push(DnType::CommonName, "system:node:edge-1");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = at(NOW - 300);
    params.not_after = at(NOW + HOUR);
    params
}

fn check(change: impl FnOnce(&mut CertificateParams)) -> Result<Validity, CertificateError> {
    check_at(NOW, change)
}

fn check_at(now: u64, change: impl FnOnce(&mut CertificateParams)) -> Result<Validity, CertificateError> {
    let (signer, key) = (signer(), new_key().unwrap());
    let mut params = params();
    change(&mut params);
    let pair = KeyPair::from_pem(key.expose()).unwrap();
    let chain = params.signed_by(&pair, &signer.issuer).unwrap().pem();
    check_certificate(&chain, &key, "edge-1", &signer.certificate, now)
}

#[test]
fn the_certificate_that_was_asked_for_is_accepted() {
    let expected = Validity {
        not_before: NOW - 300,
        not_after: NOW + HOUR,
    };
    assert_eq!(check(|_| {}), Ok(expected));
}

#[test]
fn a_certificate_for_another_key_is_refused() {
    let (signer, key) = (signer(), new_key().unwrap());
    let chain = params()
        .signed_by(&KeyPair::generate().unwrap(), &signer.issuer)
        .unwrap()
        .pem();
    let checked = check_certificate(&chain, &key, "edge-1", &signer.certificate, NOW);
    assert_eq!(checked, Err(CertificateError::OtherKey));
}

#[test]
fn another_name_or_group_is_refused() {
    let other = |attribute: DnType, value: &'static str| {
        let checked = check(|params| params.distinguished_name.push(attribute, value));
        assert!(
            matches!(checked, Err(CertificateError::OtherSubject { .. })),
            "{checked:?}"
        );
    };
    other(DnType::CommonName, "system:node:edge-10");
    other(DnType::OrganizationName, "system:masters");
    other(DnType::OrganizationalUnitName, "more");
}

#[test]
fn names_that_nobody_asked_for_are_refused() {
    let checked = check(|params| params.subject_alt_names = vec![SanType::DnsName("edge-1".try_into().unwrap())]);
    assert_eq!(checked, Err(CertificateError::ExtraNames));
}

#[test]
fn a_certificate_that_is_not_for_clients_is_refused() {
    for usages in [vec![], vec![ExtendedKeyUsagePurpose::ServerAuth]] {
        let checked = check(|params| params.extended_key_usages = usages);
        assert_eq!(checked, Err(CertificateError::NotForClients));
    }
}

#[test]
fn a_certificate_that_has_run_out_is_refused_and_one_of_the_future_is_not() {
    let not_after = NOW + HOUR;
    assert_eq!(
        check_at(not_after + 1, |_| {}),
        Err(CertificateError::Expired { not_after })
    );
    assert!(check_at(not_after, |_| {}).is_ok());
    // A machine that believes it is 1970.
    assert!(check_at(0, |_| {}).is_ok());
}

#[test]
fn a_certificate_that_ends_before_it_begins_is_refused() {
    let checked = check(|params| params.not_before = at(NOW + 2 * HOUR));
    assert_eq!(checked, Err(CertificateError::BadValidity));
}

#[test]
fn another_authoritys_certificate_is_refused() {
    let (key, pair) = (new_key().unwrap(), |key: &Secret| {
        KeyPair::from_pem(key.expose()).unwrap()
    });
    let chain = params().signed_by(&pair(&key), &signer().issuer).unwrap().pem();
    let checked = check_certificate(&chain, &key, "edge-1", &signer().certificate, NOW);
    assert!(
        matches!(checked, Err(CertificateError::OtherAuthority(_))),
        "{checked:?}"
    );
    let own = params().self_signed(&pair(&key)).unwrap().pem();
    let checked = check_certificate(&own, &key, "edge-1", &signer().certificate, NOW);
    assert!(
        matches!(checked, Err(CertificateError::OtherAuthority(_))),
        "{checked:?}"
    );
}

#[test]
fn damaged_input_is_refused() {
    let (signer, key) = (signer(), new_key().unwrap());
    let chain = params().self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
    let check =
        |chain: &str, key: &Secret, authorities: &str| check_certificate(chain, key, "edge-1", authorities, NOW);
    let empty = BundleError::Empty;
    assert_eq!(
        check("", &key, &signer.certificate),
        Err(CertificateError::Chain(empty))
    );
    assert_eq!(check(&chain, &key, ""), Err(CertificateError::Authorities(empty)));
    assert_eq!(
        check(&chain, &Secret::new(""), &signer.certificate),
        Err(CertificateError::Key)
    );
}
