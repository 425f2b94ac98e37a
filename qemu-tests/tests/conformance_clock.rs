//! Machines whose clock is wrong: the real client against the mock control plane (T1 to T6 of the conformance cases; the
//! floor at boot and the wait for a time service are unit tests of `firstboot::clock`).
#![allow(clippy::unwrap_used, reason = "test code")]

use skerry_firstboot::clock::{Clock as _, Start, Step, TimeService, raise_to_floor, remember, wait_for_time_service};
use skerry_firstboot::control_plane::{ApiErrorKind, SigningState};
use skerry_firstboot::join_config::{JoinConfig, Trust};
use skerry_qemu_tests::mock_api::joiner::{Applicant, Joiner};
use skerry_qemu_tests::mock_api::{BrokenAnswer, DateHeader, Fault, MockApi, Presented, ServerCertificate, Setup};

const DAY: u64 = 86_400;
const YEAR: u64 = 365 * DAY;

fn mock() -> MockApi {
    MockApi::start(Setup::default())
}

/// The join by pin and the join by authority: both verify the server before they believe anything.
fn configs(mock: &MockApi) -> [JoinConfig; 2] {
    let by_authority = JoinConfig {
        trust: Trust::Authorities(mock.ca_pem()),
        ..mock.join_config()
    };
    [mock.join_config(), by_authority]
}

async fn told_time(joiner: &Joiner, config: &JoinConfig) -> Option<u64> {
    match joiner.refusal(config).await {
        ApiErrorKind::Clock { server_time } => server_time,
        other => panic!("a wrong clock is told as {other:?}"),
    }
}

/// The clock is wrong; the control plane's word for the time is enough to go on.
async fn assert_helps_itself(joiner: &Joiner, mock: &MockApi, config: &JoinConfig) {
    let told = told_time(joiner, config)
        .await
        .expect("the server says what time it is");
    assert!(told.abs_diff(mock.unix()) <= 2, "{told}");
    assert!(matches!(joiner.clock.set_forward(told).unwrap(), Step::Forward { .. }));
    assert!(joiner.discover(config).await.is_ok());
    mock.assert_no_leak();
}

#[tokio::test]
async fn a_machine_in_1970_takes_the_time_from_the_verified_control_plane() {
    let mock = mock();
    for config in configs(&mock) {
        assert_helps_itself(&Joiner::at(0), &mock, &config).await;
    }
}

#[tokio::test]
async fn a_machine_whose_image_is_older_than_the_cluster_takes_the_time_from_it() {
    let mock = mock();
    for config in configs(&mock) {
        // Before the authority was made.
        assert_helps_itself(&Joiner::at(mock.unix() - 4 * YEAR), &mock, &config).await;
        // After the authority, and before the server's certificate.
        assert_helps_itself(&Joiner::at(mock.unix() - YEAR), &mock, &config).await;
    }
}

#[tokio::test]
async fn a_machine_ten_years_ahead_knows_it_and_does_not_go_back() {
    let mock = mock();
    for config in configs(&mock) {
        let joiner = Joiner::at(mock.unix() + 10 * YEAR);
        let told = told_time(&joiner, &config).await.unwrap();
        assert!(told.abs_diff(mock.unix()) <= 2);
        assert_eq!(joiner.clock.set_forward(told).unwrap(), Step::Kept);
        assert!(
            matches!(joiner.refusal(&config).await, ApiErrorKind::Clock { .. }),
            "it stays outside"
        );
        // Until a time service answers.
        joiner.clock.synchronise(mock.unix());
        assert!(joiner.discover(&config).await.is_ok());
    }
}

#[tokio::test]
async fn while_the_clock_is_wrong_no_credential_is_shown_to_anybody() {
    let mock = mock();
    let config = mock.join_config();
    let joiner = Joiner::new();
    let cluster = joiner.discover(&config).await.unwrap();
    let joiner = Joiner::at(0);
    let applicant = Applicant::new("shop-7");
    let error = joiner
        .post(&cluster, &config.credential, &applicant.request)
        .await
        .unwrap_err();
    assert!(
        matches!(error.kind, ApiErrorKind::Clock { server_time: Some(_) }),
        "{error}"
    );
    assert!(
        mock.requests()
            .iter()
            .all(|request| request.presented == Presented::Nothing)
    );
    assert_eq!(mock.signing_requests_created(), 0);
}

#[tokio::test]
async fn an_answer_without_a_usable_date_gives_no_time() {
    let mock = mock();
    let config = mock.join_config();
    for date in [
        DateHeader::Absent,
        DateHeader::Text("yesterday".to_owned()),
        DateHeader::At(0),
        DateHeader::At(mock.unix() + 100 * YEAR),
        // Outside of the certificate's own validity.
        DateHeader::At(mock.unix() + 2 * YEAR),
        DateHeader::At(mock.unix() - 2 * YEAR),
    ] {
        mock.heal();
        mock.fault(Fault::Answer(BrokenAnswer::Date(date.clone())));
        assert_eq!(told_time(&Joiner::at(0), &config).await, None, "{date:?}");
    }
}

#[tokio::test]
async fn an_attackers_date_is_not_believed() {
    let mock = mock();
    for certificate in [
        ServerCertificate::OtherAuthority,
        ServerCertificate::SelfSigned,
        ServerCertificate::OtherName,
        ServerCertificate::ClientOnly,
    ] {
        for config in configs(&mock) {
            mock.heal();
            mock.fault(Fault::Certificate(certificate));
            let kind = Joiner::at(0).refusal(&config).await;
            assert_eq!(kind, ApiErrorKind::Untrusted, "{certificate:?}");
        }
    }
}

#[tokio::test]
async fn the_date_is_not_believed_if_the_certificate_changes_between_the_two_readings() {
    let mock = mock();
    let [_, config] = configs(&mock);
    mock.fault(Fault::Certificate(ServerCertificate::OtherAuthority).after(1));
    assert_eq!(told_time(&Joiner::at(0), &config).await, None);
    assert_eq!(mock.log().connections.len(), 2);
    assert!(mock.requests().is_empty(), "nor is that server asked for it");
}

// An old certificate that somebody got hold of: it is the cluster's own, and moves a clock within its own year only.
#[tokio::test]
async fn a_stolen_old_certificate_moves_no_clock_beyond_its_end() {
    let mock = mock();
    let [_, config] = configs(&mock);
    mock.fault(Fault::Certificate(ServerCertificate::Expired));
    let last_year = mock.unix() - YEAR - YEAR / 2;
    mock.fault(Fault::Answer(BrokenAnswer::Date(DateHeader::At(last_year))));
    assert_eq!(told_time(&Joiner::at(0), &config).await, Some(last_year));
    assert_eq!(told_time(&Joiner::new(), &config).await, Some(last_year));
    let joiner = Joiner::new();
    assert_eq!(joiner.clock.set_forward(last_year).unwrap(), Step::Kept);
}

#[tokio::test]
async fn a_clock_that_jumps_while_the_certificate_is_awaited_does_no_harm() {
    let mock = mock();
    let config = mock.join_config();
    let joiner = Joiner::at(mock.unix() - DAY / 2);
    let cluster = joiner.discover(&config).await.unwrap();
    let applicant = Applicant::new("shop-7");
    joiner
        .post(&cluster, &config.credential, &applicant.request)
        .await
        .unwrap();
    joiner.clock.synchronise(mock.unix());
    let state = joiner
        .state(&cluster, &config.credential, &applicant.request.name)
        .await
        .unwrap();
    let SigningState::Issued(certificate) = state else {
        panic!("{state:?}");
    };
    // By the clock before the jump it would not be valid yet; that is no reason to throw it away.
    assert!(applicant.judge(&cluster, &certificate, mock.unix() - DAY / 2).is_ok());
    assert!(applicant.judge(&cluster, &certificate, joiner.clock.now()).is_ok());
    assert!(applicant.judge(&cluster, &certificate, mock.unix() + 2 * YEAR).is_err());
}

#[tokio::test]
async fn a_time_service_that_never_answers_does_not_keep_a_machine_from_joining() {
    let mock = mock();
    let folder = tempfile::tempdir().unwrap();
    let joiner = Joiner::at(0);
    let start = raise_to_floor(&*joiner.clock, folder.path()).unwrap();
    assert_eq!(start, Start::Unset);
    let mut waited = std::time::Duration::ZERO;
    while let TimeService::Awaited(left) = wait_for_time_service(start, &*joiner.clock, waited) {
        waited += left;
    }
    assert!(waited < std::time::Duration::from_secs(120), "{waited:?}");
    assert_helps_itself(&joiner, &mock, &mock.join_config()).await;
}

#[tokio::test]
async fn a_proven_time_is_the_floor_of_the_next_boot() {
    let mock = mock();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("var/lib/skerry")).unwrap();
    let joiner = Joiner::at(0);
    assert_helps_itself(&joiner, &mock, &mock.join_config()).await;
    remember(folder.path(), joiner.clock.now()).unwrap();
    // The next boot, again from 1970: no wrong clock is met any more.
    let next = Joiner::at(0);
    assert!(matches!(
        raise_to_floor(&*next.clock, folder.path()).unwrap(),
        Start::Raised { from: 0, .. }
    ));
    assert!(next.discover(&mock.join_config()).await.is_ok());
}
