use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

use super::*;
use crate::mock_api::users::{BOOTSTRAPPERS, NODES, User};

fn joining() -> User {
    User::authenticated("system:bootstrap:abcdef", [BOOTSTRAPPERS].into_iter())
}

fn spec(subject: &[(DnType, &str)], hosts: &[&str], user: &User) -> Spec {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.distinguished_name = DistinguishedName::new();
    for (kind, text) in subject {
        params.distinguished_name.push(kind.clone(), *text);
    }
    let key = KeyPair::generate().unwrap();
    Spec::of_kubelet(&params.serialize_request(&key).unwrap().pem().unwrap(), user).unwrap()
}

fn of_node(name: &str) -> Spec {
    let name = format!("system:node:{name}");
    spec(
        &[(DnType::OrganizationName, NODES), (DnType::CommonName, &name)],
        &[],
        &joining(),
    )
}

/// Seconds at which the last of `count` requests posted at once is issued.
fn drained_after(count: usize, limits: Limits) -> f64 {
    let mut requests = SigningRequests::new(Approval::Automatic, &limits);
    let spec = of_node("a");
    for number in 0..count {
        assert!(requests.create(&number.to_string(), spec.clone(), Duration::ZERO, 0));
    }
    let late = Duration::from_secs(1_000_000);
    let mut last = Duration::ZERO;
    for number in 0..count {
        let name = number.to_string();
        requests.settle(&name, late, |_| Decision::Withheld);
        match requests.get(&name).unwrap().phase {
            Phase::Approved(at) => last = last.max(at),
            ref other => panic!("{other:?}"),
        }
    }
    last.as_secs_f64()
}

// pkg/apis/certificates/helpers.go, TestRecognizers in pkg/controller/certificates/approver/sarapprove_test.go
#[test]
fn only_kubelets_requests_for_client_certificates_are_approved() {
    let (organization, name) = ((DnType::OrganizationName, NODES), (DnType::CommonName, "system:node:a"));
    let user = joining();
    let approved = |spec: &Spec| spec.is_approved_by_controller();
    let good = spec(&[organization.clone(), name.clone()], &[], &user);
    assert!(approved(&good));
    for usages in [
        vec!["client auth", "digital signature", "key encipherment"],
        vec!["digital signature", "client auth"],
    ] {
        let usages = usages.into_iter().map(str::to_owned).collect();
        assert!(approved(&Spec { usages, ..good.clone() }));
    }
    for usages in [
        vec!["client auth"],
        vec!["client auth", "digital signature", "server auth"],
    ] {
        let usages = usages.into_iter().map(str::to_owned).collect();
        assert!(!approved(&Spec { usages, ..good.clone() }));
    }
    let more = (DnType::CustomDnType(vec![2, 5, 4, 10]), "system:masters");
    for wrong in [
        spec(std::slice::from_ref(&name), &[], &user),
        spec(
            &[(DnType::OrganizationName, "system:masters"), name.clone()],
            &[],
            &user,
        ),
        spec(&[organization.clone(), more, name.clone()], &[], &user),
        spec(&[organization.clone(), (DnType::CommonName, "a")], &[], &user),
        spec(&[organization.clone(), name.clone()], &["a.example"], &user),
        spec(&[organization.clone(), name.clone()], &[], &User::anonymous()),
    ] {
        assert!(!approved(&wrong), "{wrong:?}");
    }
}

#[test]
fn a_node_renews_its_own_certificate_and_no_other_nodes() {
    let subject = [(DnType::OrganizationName, NODES), (DnType::CommonName, "system:node:a")];
    let node = |name: &str| User::authenticated(&format!("system:node:{name}"), [NODES].into_iter());
    assert!(spec(&subject, &[], &node("a")).is_approved_by_controller());
    assert!(!spec(&subject, &[], &node("b")).is_approved_by_controller());
}

#[test]
fn at_upstreams_rates_the_approver_is_the_bottleneck_with_ten_requests_a_second() {
    // 2000 requests, two calls each; 30 calls are free.
    let expected = f64::from(2 * 2000 - 30) / 20.0;
    let drained = drained_after(2000, Limits::upstream());
    assert!((drained - expected).abs() < 1.0, "{drained} s, not {expected} s");
    assert!(drained_after(2000, Limits::default()).abs() < f64::EPSILON);
}

#[test]
fn an_idle_controller_answers_a_burst_at_once() {
    let mut bucket = Bucket::new(Some(Rate {
        per_second: 20,
        burst: 30,
    }));
    let later = Duration::from_secs(100);
    bucket.next(Duration::ZERO, 30);
    assert_eq!(bucket.next(later, 30), later);
    assert_eq!(bucket.next(later, 1), later + Duration::from_millis(50));
}

#[test]
fn what_is_refused_takes_nothing_from_the_bucket() {
    let mut bucket = Bucket::new(Some(Rate {
        per_second: 1,
        burst: 1,
    }));
    assert!(bucket.take(Duration::ZERO));
    for _ in 0..5 {
        assert!(!bucket.take(Duration::from_millis(500)));
    }
    assert!(bucket.take(Duration::from_secs(1)));
}
