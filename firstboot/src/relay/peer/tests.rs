use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose};

use super::*;
use crate::certificates::Validity;
use crate::clock::ManualClock;
use crate::tls::test_authority::{AROUND_NOW, DAY, NOW, TestAuthority, node_params, set_name, set_validity};

fn authority() -> TestAuthority {
    TestAuthority::new("kubernetes", AROUND_NOW)
}

/// What edge-1 whose clock is at `now` says to the owner of a certificate with `params`.
fn judge(trusted: &TestAuthority, chain: &[CertificateDer<'_>], now: u64) -> Result<(), PeerError> {
    let authorities = Arc::new(Authorities::from_pem(&trusted.pem()).unwrap());
    let check = PeerCheck::new(authorities, "edge-1", Arc::new(ManualClock::at(now)));
    let (leaf, intermediates) = chain.split_first().unwrap();
    check.check(leaf, intermediates)
}

fn judge_params(change: impl FnOnce(&mut CertificateParams)) -> Result<(), PeerError> {
    let authority = authority();
    let mut params = node_params("edge-1");
    change(&mut params);
    judge(&authority, &authority.issue(&params).chain, NOW)
}

#[test]
fn the_nodes_own_certificate_is_accepted() {
    assert_eq!(judge_params(|_| ()), Ok(()));
    let more_groups = judge_params(|params| params.distinguished_name.push(DnType::OrganizationalUnitName, "shops"));
    assert_eq!(more_groups, Ok(()));
}

#[test]
fn it_may_come_with_an_intermediate() {
    let root = authority();
    let issuing = root.intermediate("issuing");
    let mut chain = issuing.issue(&node_params("edge-1")).chain;
    assert!(matches!(judge(&root, &chain, NOW), Err(PeerError::Chain(_))));
    chain.push(issuing.certificate.clone());
    assert_eq!(judge(&root, &chain, NOW), Ok(()));
}

#[test]
fn others_of_the_cluster_are_refused() {
    let refused = [
        judge_params(|params| *params = node_params("edge-2")),
        judge_params(|params| *params = node_params("edge-1.evil")),
        judge_params(|params| {
            set_name(params, "edge-1");
            params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
        }),
        judge_params(|params| {
            set_name(params, "system:node:edge-1");
            params
                .distinguished_name
                .push(DnType::OrganizationName, "system:masters");
        }),
        judge_params(|params| set_name(params, "system:node:edge-1")),
    ];
    for result in refused {
        assert!(matches!(result, Err(PeerError::OtherSubject(_))), "{result:?}");
    }
}

#[test]
fn what_is_not_for_clients_is_refused() {
    let result = judge_params(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    assert!(matches!(result, Err(PeerError::Chain(_))), "{result:?}");
}

#[test]
fn another_clusters_node_of_the_same_name_is_refused() {
    let chain = authority().issue(&node_params("edge-1")).chain;
    assert!(matches!(judge(&authority(), &chain, NOW), Err(PeerError::Chain(_))));
    let own = rcgen::KeyPair::generate().unwrap();
    let self_signed = node_params("edge-1").self_signed(&own).unwrap();
    let chain = [self_signed.into()];
    assert!(matches!(judge(&authority(), &chain, NOW), Err(PeerError::Chain(_))));
}

#[test]
fn a_clock_that_is_behind_locks_nobody_out_and_an_expired_certificate_does() {
    let authority = authority();
    let mut params = node_params("edge-1");
    let validity = Validity {
        not_before: NOW - DAY,
        not_after: NOW + DAY,
    };
    set_validity(&mut params, validity);
    let chain = authority.issue(&params).chain;
    for now in [0, NOW - 2 * DAY, NOW, NOW + DAY - 1] {
        assert_eq!(judge(&authority, &chain, now), Ok(()), "{now}");
    }
    let expired = judge(&authority, &chain, NOW + DAY + 1);
    assert!(matches!(expired, Err(PeerError::Chain(_))), "{expired:?}");
}

#[test]
fn what_is_no_certificate_is_refused() {
    let nothing = [CertificateDer::from(b"nothing".as_slice())];
    assert_eq!(judge(&authority(), &nothing, NOW), Err(PeerError::Unreadable));
}

#[test]
fn a_strangers_name_cannot_rearrange_a_log() {
    let Err(PeerError::OtherSubject(name)) = judge_params(|params| set_name(params, "a\n\u{1b}[2Jb")) else {
        panic!("accepted");
    };
    assert!(!name.contains(char::is_control), "{name:?}");
}
