//! From the request for a certificate to the certificate: the real client against the mock control plane. C1 to C5 and C9
//! of the conformance cases are here, C6 to C8 in `certificates`. C2, names equal to kubelet's, is a unit test of
//! `firstboot::csr` with values computed by Go.
#![allow(clippy::unwrap_used, reason = "test code")]

#[path = "conformance_signing/certificates.rs"]
mod certificates;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use skerry_firstboot::control_plane::{ApiErrorKind, Cluster, Posted, SigningState};
use skerry_firstboot::csr;
use skerry_firstboot::join_config::Credential;
use skerry_firstboot::secret::Secret;
use skerry_qemu_tests::mock_api::joiner::{Applicant, Joiner};
use skerry_qemu_tests::mock_api::{
    Approval, BrokenAnswer, Call, Fault, Issue, Limits, MockApi, Presented, Setup, Token, User,
};

/// A machine that has found the cluster and made its key.
struct Stage {
    mock: MockApi,
    joiner: Joiner,
    cluster: Cluster,
    credential: Credential,
    applicant: Applicant,
}

impl Stage {
    async fn new(setup: Setup) -> Self {
        let mock = MockApi::start(setup);
        let joiner = Joiner::new();
        let config = mock.join_config();
        Self {
            cluster: joiner.discover(&config).await.unwrap(),
            credential: config.credential,
            applicant: Applicant::new("shop-7"),
            mock,
            joiner,
        }
    }

    async fn automatic() -> Self {
        Self::new(Setup::default()).await
    }

    async fn manual() -> Self {
        Self::new(Setup {
            approval: Approval::Manual,
            ..Setup::default()
        })
        .await
    }

    async fn post(&self) -> Result<Posted, ApiErrorKind> {
        let posted = self
            .joiner
            .post(&self.cluster, &self.credential, &self.applicant.request)
            .await;
        posted.map_err(|error| error.kind)
    }

    async fn state(&self) -> Result<SigningState, ApiErrorKind> {
        let name = &self.applicant.request.name;
        let state = self.joiner.state(&self.cluster, &self.credential, name).await;
        state.map_err(|error| error.kind)
    }

    /// Posts in another machine's name, under this one's name for its request.
    fn post_as_other(&self) {
        let other = Applicant::new("shop-8");
        let user = User::authenticated("system:bootstrap:abcdef", ["system:bootstrappers"].into_iter());
        assert!(
            self.mock
                .post_signing_request(&self.applicant.request.name, &other.request.pem, &user)
        );
    }
}

fn status(code: u16) -> Fault {
    Fault::Answer(BrokenAnswer::status(code))
}

#[tokio::test]
async fn the_posted_object_is_what_kubelet_posts_and_nothing_more() {
    let stage = Stage::automatic().await;
    assert_eq!(stage.post().await, Ok(Posted::Created));
    let requests = stage.mock.requests();
    let posted = requests.iter().find(|request| request.method == "POST").unwrap();
    assert_eq!(posted.path, "/apis/certificates.k8s.io/v1/certificatesigningrequests");
    assert_eq!(posted.header("content-type"), Some("application/json"));
    assert_eq!(
        posted.presented,
        Presented::Bearer("abcdef.0123456789abcdef".to_owned())
    );
    let body: Value = serde_json::from_slice(&posted.body).unwrap();
    let expected = json!({
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": { "name": stage.applicant.request.name },
        "spec": {
            "request": STANDARD.encode(&stage.applicant.request.pem),
            "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
            "usages": ["digital signature", "client auth"],
        },
    });
    assert_eq!(body, expected);
    let entry = &stage.mock.signing_requests()[0];
    assert_eq!(entry.spec.common_names, ["system:node:shop-7"]);
    assert_eq!(entry.spec.organizations, ["system:nodes"]);
    assert!(entry.spec.parsed.params.subject_alt_names.is_empty());
    assert_eq!(entry.spec.expiration_secs, None);
    stage.mock.assert_no_leak();
}

#[tokio::test]
async fn a_posted_request_is_approved_and_issued_over_the_same_verified_connection() {
    let stage = Stage::automatic().await;
    stage.post().await.unwrap();
    let Ok(SigningState::Issued(certificate)) = stage.state().await else {
        panic!("it is issued at once");
    };
    let now = stage.mock.unix();
    let issued = stage.applicant.judge(&stage.cluster, &certificate, now).unwrap();
    assert!(issued.not_before <= now - 299 && issued.not_after > now + 360 * 86_400);
    // One for the unverified reading, one for everything else.
    assert_eq!(stage.mock.log().connections.len(), 2);
}

#[tokio::test]
async fn a_retry_after_a_power_cut_finds_the_earlier_request() {
    let stage = Stage::automatic().await;
    assert_eq!(stage.post().await, Ok(Posted::Created));
    // Another process with the same key on disk.
    let again = Joiner::new();
    let request = csr::signing_request(&stage.applicant.key, "shop-7").unwrap();
    let posted = again.post(&stage.cluster, &stage.credential, &request).await.unwrap();
    assert_eq!(posted, Posted::AlreadyThere);
    assert_eq!(stage.mock.signing_requests_created(), 1);
}

#[tokio::test]
async fn a_post_whose_answer_was_lost_is_not_posted_twice() {
    for lost in [BrokenAnswer::Cut, BrokenAnswer::Stall, BrokenAnswer::Silence] {
        let mut stage = Stage::automatic().await;
        stage.joiner = Joiner::new().impatient();
        stage
            .mock
            .fault(Fault::Answer(lost.clone()).on(Call::CreateRequest).times(1));
        assert!(matches!(
            stage.post().await,
            Err(ApiErrorKind::Connect | ApiErrorKind::Timeout) | Ok(Posted::AlreadyThere)
        ));
        assert_eq!(stage.post().await, Ok(Posted::AlreadyThere), "{lost:?}");
        assert_eq!(stage.mock.signing_requests_created(), 1);
    }
}

#[tokio::test]
async fn a_name_that_another_key_has_taken_is_told_and_another_name_is_free() {
    let stage = Stage::automatic().await;
    stage.post_as_other();
    assert_eq!(stage.post().await, Ok(Posted::Taken));
    let renamed = csr::renamed(&stage.applicant.request, 1);
    let posted = stage
        .joiner
        .post(&stage.cluster, &stage.credential, &renamed)
        .await
        .unwrap();
    assert_eq!(posted, Posted::Created);
    let state = stage
        .joiner
        .state(&stage.cluster, &stage.credential, &renamed.name)
        .await
        .unwrap();
    let SigningState::Issued(certificate) = state else {
        panic!("{state:?}");
    };
    assert!(
        stage
            .applicant
            .judge(&stage.cluster, &certificate, stage.mock.unix())
            .is_ok()
    );
}

#[tokio::test]
async fn an_earlier_request_that_vanishes_between_conflict_and_reading_is_no_success() {
    let stage = Stage::automatic().await;
    stage.post().await.unwrap();
    stage.mock.fault(status(404).on(Call::ReadRequest).times(1));
    assert_eq!(stage.post().await, Err(ApiErrorKind::NotFound));
    assert_eq!(stage.post().await, Ok(Posted::AlreadyThere));
}

#[tokio::test]
async fn a_token_that_expired_or_was_deleted_after_discovery_is_unauthorized() {
    let stage = Stage::automatic().await;
    stage.mock.expire_token("abcdef");
    assert_eq!(stage.post().await, Err(ApiErrorKind::Unauthorized));
    stage.mock.delete_token("abcdef");
    assert_eq!(stage.post().await, Err(ApiErrorKind::Unauthorized));
    // Renewed by a person: the same machine goes on.
    stage.mock.add_token(Token::new("abcdef", "0123456789abcdef"));
    assert_eq!(stage.post().await, Ok(Posted::Created));
}

#[tokio::test]
async fn each_refusal_has_its_own_kind_and_says_when_to_come_again() {
    let retry_after = |secs| Some(Duration::from_secs(secs));
    for (fault, kind) in [
        (BrokenAnswer::status(401), ApiErrorKind::Unauthorized),
        (BrokenAnswer::status(403), ApiErrorKind::Forbidden),
        (
            BrokenAnswer::too_many("3"),
            ApiErrorKind::Throttled {
                retry_after: retry_after(3),
            },
        ),
        (BrokenAnswer::status(429), ApiErrorKind::Throttled { retry_after: None }),
        (
            BrokenAnswer::status(500),
            ApiErrorKind::Server {
                status: 500,
                retry_after: None,
            },
        ),
        (
            BrokenAnswer::Status {
                code: 503,
                retry_after: Some("120".to_owned()),
            },
            ApiErrorKind::Server {
                status: 503,
                retry_after: retry_after(120),
            },
        ),
        (
            BrokenAnswer::status(422),
            ApiErrorKind::Server {
                status: 422,
                retry_after: None,
            },
        ),
        (BrokenAnswer::WebPage, ApiErrorKind::NotKubernetes),
    ] {
        let stage = Stage::automatic().await;
        stage
            .mock
            .fault(Fault::Answer(fault.clone()).on(Call::CreateRequest).times(1));
        assert_eq!(stage.post().await, Err(kind), "{fault:?}");
        stage.mock.assert_no_leak();
    }
}

#[tokio::test]
async fn a_missing_right_comes_with_the_command_that_grants_it() {
    let stage = Stage::automatic().await;
    stage.mock.fault(status(403).on(Call::CreateRequest));
    let posted = stage
        .joiner
        .post(&stage.cluster, &stage.credential, &stage.applicant.request)
        .await;
    assert!(posted.unwrap_err().advice.contains("kubectl create clusterrolebinding"));
}

#[tokio::test]
async fn what_a_server_repeats_of_a_token_is_not_shown() {
    let stage = Stage::automatic().await;
    let echo = json!({"kind": "Status", "message": "no such token abcdef.0123456789abcdef", "code": 401});
    stage.mock.fault(status(401).on(Call::ReadRequest));
    stage
        .mock
        .fault(Fault::Answer(BrokenAnswer::Body(echo.to_string().into_bytes())).on(Call::ReadRequest));
    let state = stage.joiner.state(&stage.cluster, &stage.credential, "x").await;
    let error = state.unwrap_err();
    assert!(error.detail.contains("no such token"), "{error}");
    assert!(!format!("{error:?}").contains("0123456789abcdef"), "{error:?}");
}

#[tokio::test]
async fn a_request_that_waits_for_an_hour_is_still_the_same_when_it_is_approved() {
    let stage = Stage::manual().await;
    stage.post().await.unwrap();
    assert_eq!(stage.state().await, Ok(SigningState::Pending));
    stage.mock.move_clock(3600);
    assert_eq!(stage.state().await, Ok(SigningState::Pending));
    assert!(stage.mock.approve(&stage.applicant.request.name));
    assert!(matches!(stage.state().await, Ok(SigningState::Issued(_))));
    assert_eq!(stage.mock.signing_requests_created(), 1);
}

#[tokio::test]
async fn a_denial_is_told_with_its_reason() {
    let stage = Stage::manual().await;
    stage.post().await.unwrap();
    assert!(stage.mock.deny(&stage.applicant.request.name, "no such shop\u{1b}[2J"));
    let Ok(SigningState::Denied(reason)) = stage.state().await else {
        panic!("it is denied");
    };
    assert!(
        reason.contains("no such shop") && !reason.contains('\u{1b}'),
        "{reason:?}"
    );
}

#[tokio::test]
async fn a_failure_of_the_signer_is_told_with_its_reason() {
    let stage = Stage::automatic().await;
    stage
        .mock
        .fault(Fault::Issue(Issue::Failed("the authority has no key".to_owned())));
    stage.post().await.unwrap();
    let Ok(SigningState::Failed(reason)) = stage.state().await else {
        panic!("it has failed");
    };
    assert!(reason.contains("the authority has no key"), "{reason}");
}

#[tokio::test]
async fn a_request_that_was_deleted_is_gone_and_can_be_posted_again() {
    let stage = Stage::manual().await;
    stage.post().await.unwrap();
    assert!(stage.mock.delete_signing_request(&stage.applicant.request.name));
    assert_eq!(stage.state().await, Ok(SigningState::Gone));
    assert_eq!(stage.post().await, Ok(Posted::Created));
    // Nobody decides for a day: the cleaner takes it away.
    stage.mock.move_clock(24 * 3600);
    assert_eq!(stage.state().await, Ok(SigningState::Gone));
}

#[tokio::test]
async fn a_404_that_is_not_kubernetes_own_does_not_mean_that_a_request_is_gone() {
    let stage = Stage::manual().await;
    for page in [&b"<html>Not Found</html>"[..], b"404 page not found\n", b""] {
        stage.mock.fault(
            Fault::Answer(BrokenAnswer::Body(page.to_vec()))
                .on(Call::ReadRequest)
                .times(1),
        );
        let state = stage.state().await;
        assert!(
            matches!(state, Err(ApiErrorKind::NotKubernetes | ApiErrorKind::NotFound)),
            "{state:?}"
        );
        assert_eq!(stage.state().await, Ok(SigningState::Gone));
    }
}

#[tokio::test]
async fn approved_and_not_issued_is_a_state_of_its_own() {
    let stage = Stage::automatic().await;
    stage.mock.fault(Fault::Issue(Issue::Withheld).times(3));
    stage.post().await.unwrap();
    for _ in 0..3 {
        assert_eq!(stage.state().await, Ok(SigningState::Approved));
    }
    assert!(matches!(stage.state().await, Ok(SigningState::Issued(_))));
}

#[tokio::test]
async fn a_busy_control_plane_is_waited_for_and_its_limit_is_told() {
    let stage = Stage::new(Setup {
        limits: Limits::upstream().with_requests(4),
        ..Setup::default()
    })
    .await;
    let mut throttled = 0;
    for _ in 0..8 {
        match stage.post().await {
            Err(ApiErrorKind::Throttled { retry_after }) => {
                assert_eq!(retry_after, Some(Duration::from_secs(1)));
                throttled += 1;
            }
            posted => assert!(posted.is_ok(), "{posted:?}"),
        }
    }
    assert!(throttled > 0);
    assert!(stage.mock.signing_requests_created() <= 1);
}

#[tokio::test]
async fn a_token_with_a_line_break_reaches_nobody() {
    let stage = Stage::automatic().await;
    let credential = Credential::Bearer(Secret::new("good\r\nx-forged: yes"));
    let posted = stage
        .joiner
        .post(&stage.cluster, &credential, &stage.applicant.request)
        .await;
    assert_eq!(posted.unwrap_err().kind, ApiErrorKind::Unauthorized);
    assert!(stage.mock.requests().iter().all(|request| request.method != "POST"));
}
