//! The judge of certificates, without a network.

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose};
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::{ServerName, UnixTime};

use super::test_authority::{AROUND_NOW, DAY, NOW, TestAuthority, TestServer, set_name, set_validity};
use super::*;
use crate::clock::ManualClock;
use crate::discovery::pin;

const NAME: &str = "cp.example.com";

/// How a client whose clock is at `now` judges `server` when it looks for `name`.
fn judge(check: Check, server: &TestServer, name: &str, now: u64) -> (bool, Verdict) {
    let seen = Arc::new(Mutex::new(None));
    let verifier = Verifier {
        check,
        algorithms: ring::default_provider().signature_verification_algorithms,
        clock: Arc::new(ManualClock::at(now)),
        seen: Arc::clone(&seen),
    };
    let name = ServerName::try_from(name).unwrap();
    let (leaf, intermediates) = server.chain.split_first().unwrap();
    let accepted = verifier.verify_server_cert(leaf, intermediates, &name, &[], UnixTime::now());
    let shown = seen.lock().unwrap().take().unwrap();
    assert_eq!(shown.chain, server.chain);
    (accepted.is_ok(), shown.verdict)
}

fn by(authority: &TestAuthority) -> Check {
    Check::Authorities(Arc::new(Authorities::from_pem(&authority.pem()).unwrap()))
}

fn at_any_time(authority: &TestAuthority) -> Check {
    Check::AnyTime(Arc::new(Authorities::from_pem(&authority.pem()).unwrap()))
}

fn authority() -> TestAuthority {
    TestAuthority::new("kubernetes", AROUND_NOW)
}

#[test]
fn a_chain_of_the_authorities_for_the_name_is_trusted() {
    let authority = authority();
    let server = authority.server(&[NAME, "192.0.2.1", "2001:db8::1"], AROUND_NOW);
    for name in [NAME, "192.0.2.1", "2001:db8::1"] {
        assert_eq!(
            judge(by(&authority), &server, name, NOW),
            (true, Verdict::Trusted),
            "{name}"
        );
    }
}

#[test]
fn a_chain_with_an_intermediate_is_trusted_only_with_the_intermediate() {
    let root = authority();
    let middle = root.intermediate("issuing");
    let mut server = middle.server(&[NAME], AROUND_NOW);
    assert!(!judge(by(&root), &server, NAME, NOW).0);
    server.chain.push(middle.certificate.clone());
    assert_eq!(judge(by(&root), &server, NAME, NOW), (true, Verdict::Trusted));
}

#[test]
fn any_of_several_authorities_will_do() {
    let (old, new) = (authority(), authority());
    let both = Authorities::from_pem(&(old.pem() + &new.pem())).unwrap();
    let server = new.server(&[NAME], AROUND_NOW);
    assert!(judge(Check::Authorities(Arc::new(both)), &server, NAME, NOW).0);
}

#[test]
fn another_authoritys_server_is_refused_although_the_name_is_right() {
    for (name, how) in [
        ("portal", "signed by another authority"),
        ("kubernetes", "signed by another authority of the same name"),
    ] {
        let server = TestAuthority::new(name, AROUND_NOW).server(&[NAME], AROUND_NOW);
        let refused = Verdict::Refused(how.to_owned());
        assert_eq!(judge(by(&authority()), &server, NAME, NOW), (false, refused.clone()));
        assert_eq!(judge(at_any_time(&authority()), &server, NAME, NOW), (false, refused));
    }
}

#[test]
fn another_name_is_refused_and_told_with_the_names_that_are_there() {
    let authority = authority();
    let server = authority.server(&["kubernetes.default", "10.96.0.1"], AROUND_NOW);
    for check in [by(&authority), at_any_time(&authority)] {
        let (accepted, Verdict::OtherName(names)) = judge(check, &server, NAME, NOW) else {
            panic!("the name is not there");
        };
        assert!(!accepted);
        assert!(
            names.iter().any(|name| name.contains("kubernetes.default")),
            "{names:?}"
        );
    }
}

#[test]
fn a_client_certificate_does_not_make_a_server() {
    let authority = authority();
    let mut params = CertificateParams::new([NAME.to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    set_name(&mut params, "node");
    set_validity(&mut params, AROUND_NOW);
    let (accepted, verdict) = judge(by(&authority), &authority.issue(&params), NAME, NOW);
    assert!(!accepted && matches!(verdict, Verdict::Refused(_)), "{verdict:?}");
}

#[test]
fn a_wrong_clock_is_told_from_a_wrong_server() {
    let authority = authority();
    let server = authority.server(&[NAME], AROUND_NOW);
    for now in [0, AROUND_NOW.not_before - 1, AROUND_NOW.not_after + 1, NOW + 3650 * DAY] {
        let verdict = Verdict::OutOfTime(AROUND_NOW);
        assert_eq!(
            judge(by(&authority), &server, NAME, now),
            (false, verdict.clone()),
            "{now}"
        );
        assert_eq!(
            judge(at_any_time(&authority), &server, NAME, now),
            (true, verdict),
            "{now}"
        );
        let stranger = judge(
            by(&authority),
            &self::authority().server(&[NAME], AROUND_NOW),
            NAME,
            now,
        );
        assert!(matches!(stranger, (false, Verdict::Refused(_))), "{stranger:?}");
        let renamed = judge(at_any_time(&authority), &server, "other.example.com", now);
        assert!(matches!(renamed, (false, Verdict::OtherName(_))), "{renamed:?}");
    }
}

#[test]
fn a_clock_before_the_authoritys_beginning_is_out_of_time_too() {
    let begins = Validity {
        not_before: NOW + DAY,
        not_after: AROUND_NOW.not_after,
    };
    let authority = TestAuthority::new("kubernetes", begins);
    let server = authority.server(&[NAME], AROUND_NOW);
    assert_eq!(
        judge(by(&authority), &server, NAME, NOW),
        (false, Verdict::OutOfTime(begins))
    );
}

#[test]
fn a_chain_that_was_never_valid_as_a_whole_is_no_matter_of_the_clock() {
    let past = Validity {
        not_before: NOW - 300 * DAY,
        not_after: NOW - 200 * DAY,
    };
    let authority = TestAuthority::new("kubernetes", past);
    let server = authority.server(&[NAME], AROUND_NOW);
    assert!(matches!(
        judge(at_any_time(&authority), &server, NAME, NOW),
        (false, Verdict::Refused(_))
    ));
}

#[test]
fn a_pinned_server_is_trusted_whatever_its_name_and_the_time() {
    let server = authority().server(&["other.example.com"], AROUND_NOW);
    let pins = vec![pin::of(&server.chain[0]).unwrap()];
    for now in [0, NOW] {
        assert_eq!(
            judge(Check::Pins(pins.clone()), &server, NAME, now),
            (true, Verdict::Trusted)
        );
    }
    let other = authority().server(&[NAME], AROUND_NOW);
    assert!(!judge(Check::Pins(pins), &other, NAME, NOW).0);
}

#[test]
fn a_pinned_authority_is_trusted_if_it_is_sent_along_for_the_name_and_the_time() {
    let authority = authority();
    let mut server = authority.server(&[NAME], AROUND_NOW);
    let pins = Check::Pins(vec![pin::of(&authority.certificate).unwrap()]);
    assert!(!judge(pins.clone(), &server, NAME, NOW).0, "it is not sent along");
    server.chain.push(authority.certificate.clone());
    assert_eq!(judge(pins.clone(), &server, NAME, NOW), (true, Verdict::Trusted));
    assert!(!judge(pins.clone(), &server, "other.example.com", NOW).0);
    assert_eq!(judge(pins, &server, NAME, 0), (false, Verdict::OutOfTime(AROUND_NOW)));
}

#[test]
fn sending_the_pinned_authority_along_does_not_make_a_strangers_chain_trusted() {
    let (pinned, stranger) = (authority(), authority());
    let mut server = stranger.server(&[NAME], AROUND_NOW);
    server.chain.push(pinned.certificate.clone());
    let pins = Check::Pins(vec![pin::of(&pinned.certificate).unwrap()]);
    assert!(matches!(judge(pins, &server, NAME, NOW), (false, Verdict::Refused(_))));
}

#[test]
fn without_a_check_everything_is_accepted_and_recorded() {
    let server = authority().server(&["portal.hotel.example"], AROUND_NOW);
    assert_eq!(judge(Check::Nothing, &server, NAME, 0), (true, Verdict::Unchecked));
}

#[test]
fn unusable_authorities_and_identities_are_refused() {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(NOW));
    assert!(matches!(Authorities::from_pem(""), Err(TlsError::Authorities { .. })));
    let authority = authority().pem();
    let identity = |certificate, key: &Secret| Tls::new(Check::Nothing, Some(Identity { certificate, key }), &clock);
    let key = crate::csr::new_key().unwrap();
    assert!(matches!(identity("", &key), Err(TlsError::Certificate { .. })));
    assert!(matches!(identity(&authority, &Secret::new("")), Err(TlsError::Key)));
    assert!(
        matches!(identity(&authority, &key), Err(TlsError::Identity { .. })),
        "the key is another's"
    );
}
