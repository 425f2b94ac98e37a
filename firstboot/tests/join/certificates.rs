//! C6: a certificate that is not the one that was asked for is refused, and a good one is taken later.

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, SanType};
use skerry_firstboot::control_plane::SigningState;
use skerry_firstboot::identity::{Home, Loaded};
use skerry_firstboot::join::JoinError;

use crate::api_server::{ApiServer, Posting};
use crate::issuer::{BEGIN, Issuer, YEAR, new_key};
use crate::joiner::{HOUR, Joiner, joined};
use crate::machine::{blank_disk, kubelet_pair};
use crate::signer::params;

const USER: &str = "system:node:pole-7";

/// A signer that makes the same mistake each time.
struct Mistake {
    what: &'static str,
    chain: Chain,
}

type Chain = Box<dyn Fn(&Posting) -> String>;

/// A certificate for the right key that says something else than it should.
fn says(what: &'static str, change: fn(&mut CertificateParams)) -> Mistake {
    Mistake {
        what,
        chain: Box::new(move |posting| {
            let mut params = params(USER, BEGIN, YEAR);
            change(&mut params);
            ISSUER.with(|issuer| issuer.issue(&params, &posting.requested))
        }),
    }
}

thread_local! {
    static ISSUER: &'static Issuer = Box::leak(Box::new(Issuer::new("ca")));
    static OTHER: &'static Issuer = Box::leak(Box::new(Issuer::new("ca")));
}

fn rename(params: &mut CertificateParams, kind: DnType, name: &str) {
    params.distinguished_name.remove(kind.clone());
    params.distinguished_name.push(kind, name);
}

fn mistakes() -> Vec<Mistake> {
    let other_key = |_: &Posting| {
        let key = rcgen::KeyPair::from_pem(new_key().expose()).unwrap();
        ISSUER.with(|issuer| issuer.issue(&params(USER, BEGIN, YEAR), &key))
    };
    let other_authority =
        |posting: &Posting| OTHER.with(|other| other.issue(&params(USER, BEGIN, YEAR), &posting.requested));
    let mut mistakes = vec![
        says("another node", |params| {
            rename(params, DnType::CommonName, "system:node:pole-8");
        }),
        says("no node", |params| rename(params, DnType::CommonName, "admin")),
        says("another group", |params| {
            rename(params, DnType::OrganizationName, "system:masters");
        }),
        says("a name that nobody asked for", |params| {
            params.subject_alt_names = vec![SanType::DnsName("pole-7".try_into().unwrap())];
        }),
        says("already expired", |params| {
            params.not_after = params.not_before + time::Duration::seconds(30);
        }),
        says("for servers", |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }),
        says("for nothing in particular", |params| {
            params.extended_key_usages = Vec::new()
        }),
    ];
    let texts: [(_, Chain); 4] = [
        ("another key", Box::new(other_key)),
        ("another authority of the same name", Box::new(other_authority)),
        ("nothing", Box::new(|_| String::new())),
        (
            "no certificate",
            Box::new(|_| "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into()),
        ),
    ];
    mistakes.extend(texts.map(|(what, chain)| Mistake { what, chain }));
    mistakes
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_wrong_certificate_is_refused_and_the_next_right_one_is_taken() {
    let issuer = ISSUER.with(|issuer| *issuer);
    for Mistake { what, chain } in mistakes() {
        let server = ApiServer::new(issuer);
        server.controllers(|posting| SigningState::Issued(chain(posting)));
        let mut machine = Joiner::boot(issuer, blank_disk());
        let error = machine.run(&server, HOUR * 2).await.error();
        assert!(matches!(error, JoinError::Certificate(_)), "{what}: {error}");
        assert!(!error.advice().is_empty());
        assert!(matches!(
            Home::new(&machine.disk).load().unwrap().state,
            Loaded::Requested(_)
        ));
        assert_eq!(kubelet_pair(&machine.disk), None, "{what}");
        let made = server.created().len();
        assert!((8..30).contains(&made), "{what}: {made} requests in two hours");
        server.sign_with(issuer);
        let identity = joined(&mut machine, &server).await;
        assert_eq!((identity.node_name.as_str(), server.keys()), ("pole-7", 1), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_certificate_is_refused_after_a_power_cut_as_well() {
    let issuer = ISSUER.with(|issuer| *issuer);
    let server = ApiServer::new(issuer);
    let other = OTHER.with(|other| *other);
    server.sign_with(other);
    let mut machine = Joiner::boot(issuer, blank_disk());
    for seed in 0..6 {
        machine.run(&server, HOUR / 60).await.error();
        machine = machine.reboot(seed);
        assert!(!matches!(
            Home::new(&machine.disk).load().unwrap().state,
            Loaded::Joined(_)
        ));
    }
    server.sign_with(issuer);
    joined(&mut machine, &server).await;
    assert_eq!(server.keys(), 1);
}
