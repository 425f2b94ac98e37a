//! Issuing certificates (`pkg/controller/certificates/authority/policies.go`), and issuing wrong ones.

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
};

use super::{Decision, Spec};
use crate::mock_api::authority::Authority;
use crate::mock_api::clock::Clock;

/// Certificates begin a little in the past, for clocks that are behind.
const BACKDATE_SECS: i64 = 300;
/// `--cluster-signing-duration`: at most a year.
const LONGEST_SECS: i64 = 365 * 86_400;
/// Shorter ones are not shortened by the backdating.
const SHORT_SECS: i64 = 8 * 3600;
const DAY_SECS: i64 = 86_400;
/// `id-at-organizationName` (X.520).
const ORGANIZATION: [u64; 4] = [2, 5, 4, 10];

/// What is wrong with a decision or with the certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Issue {
    /// Approved, and never issued.
    Withheld,
    /// Denied, with the reason.
    Denied(String),
    /// The signer fails, with the reason.
    Failed(String),
    /// For a key of the server's own.
    OtherKey,
    /// For another node.
    OtherName,
    /// For administrators.
    OtherOrganization,
    /// For nodes and administrators.
    ExtraOrganization,
    /// From an authority that is not the cluster's.
    OtherAuthority,
    /// With a host name in it.
    ExtraHostName,
    /// Ended yesterday.
    Expired,
    /// Begins tomorrow.
    NotYetValid,
    /// For servers only.
    NoClientAuth,
    /// An authority itself.
    IsAuthority,
    /// Right, and followed by the authority's certificate.
    WithAuthority,
    /// Text that is no certificate.
    NotPem,
    /// PEM of something that is no certificate.
    NotDer,
}

/// Who signs.
#[derive(Debug)]
pub struct Signer<'a> {
    /// The cluster's authority.
    pub genuine: &'a Authority,
    /// Another one.
    pub other: &'a Authority,
    /// The server's clock.
    pub clock: &'a Clock,
}

/// Decides on an approved request, with what is wrong about it, if anything is.
pub fn issue(spec: &Spec, signer: &Signer<'_>, wrong: Option<&Issue>) -> Decision {
    match wrong {
        Some(Issue::Withheld) => return Decision::Withheld,
        Some(Issue::Denied(reason)) => return Decision::Denied(reason.clone()),
        Some(Issue::Failed(reason)) => return Decision::Failed(reason.clone()),
        Some(Issue::NotPem) => return Decision::Issued("not a certificate".to_owned()),
        Some(Issue::NotDer) => {
            let pem = "-----BEGIN CERTIFICATE-----\nbm90IERFUg==\n-----END CERTIFICATE-----\n";
            return Decision::Issued(pem.to_owned());
        }
        _ => {}
    }
    let mut params = params(spec, signer.clock);
    if let Some(wrong) = wrong {
        spoil(&mut params, wrong, signer.clock);
    }
    let authority = match wrong {
        Some(Issue::OtherAuthority) => signer.other,
        _ => signer.genuine,
    };
    let mut pem = match wrong {
        Some(Issue::OtherKey) => {
            let key = KeyPair::generate().expect("the system has random numbers");
            authority.sign(&params, &key).pem()
        }
        _ => authority.sign(&params, public_key(spec)).pem(),
    };
    if wrong == Some(&Issue::WithAuthority) {
        pem.push_str(authority.pem());
    }
    Decision::Issued(pem)
}

fn public_key(spec: &Spec) -> &impl PublicKeyData {
    &spec.parsed.public_key
}

fn params(spec: &Spec, clock: &Clock) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = spec.parsed.params.distinguished_name.clone();
    params.subject_alt_names = spec.parsed.params.subject_alt_names.clone();
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    for usage in &spec.usages {
        match usage.as_str() {
            "digital signature" => params.key_usages.push(KeyUsagePurpose::DigitalSignature),
            "key encipherment" => params.key_usages.push(KeyUsagePurpose::KeyEncipherment),
            "content commitment" => params.key_usages.push(KeyUsagePurpose::ContentCommitment),
            "client auth" => params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth),
            _ => params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth),
        }
    }
    let lifetime = spec.expiration_secs.unwrap_or(LONGEST_SECS).min(LONGEST_SECS);
    let shortened = if lifetime < SHORT_SECS { 0 } else { BACKDATE_SECS };
    params.not_before = clock.after(-BACKDATE_SECS);
    params.not_after = clock.after(lifetime - shortened);
    params
}

fn spoil(params: &mut CertificateParams, wrong: &Issue, clock: &Clock) {
    let subject = &mut params.distinguished_name;
    match wrong {
        Issue::OtherName => subject.push(DnType::CommonName, "system:node:somebody-else"),
        Issue::OtherOrganization => subject.push(DnType::OrganizationName, "system:masters"),
        // rcgen keeps one value of each kind; by its number it is another kind.
        Issue::ExtraOrganization => subject.push(DnType::CustomDnType(ORGANIZATION.to_vec()), "system:masters"),
        Issue::ExtraHostName => params
            .subject_alt_names
            .extend("kubernetes.default".try_into().map(SanType::DnsName)),
        Issue::Expired => {
            params.not_before = clock.after(-2 * DAY_SECS);
            params.not_after = clock.after(-DAY_SECS);
        }
        Issue::NotYetValid => params.not_before = clock.after(DAY_SECS),
        Issue::NoClientAuth => params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
        Issue::IsAuthority => params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained),
        _ => {}
    }
}
