//! What is issued, whose name it bears, and what the node can do with it (C6 to C8).

use skerry_firstboot::certificates::Validity;
use skerry_firstboot::control_plane::Caller;
use skerry_firstboot::csr::CertificateError;
use skerry_qemu_tests::mock_api::Readiness;

use super::*;

/// What the machine thinks of what it is given.
async fn judged(wrong: Option<Issue>) -> Result<Validity, CertificateError> {
    let stage = Stage::automatic().await;
    wrong
        .into_iter()
        .for_each(|wrong| stage.mock.fault(Fault::Issue(wrong)));
    stage.post().await.unwrap();
    let Ok(SigningState::Issued(certificate)) = stage.state().await else {
        panic!("it is issued");
    };
    stage.applicant.judge(&stage.cluster, &certificate, stage.mock.unix())
}

#[tokio::test]
async fn a_certificate_for_another_key_is_refused() {
    assert_eq!(judged(Some(Issue::OtherKey)).await, Err(CertificateError::OtherKey));
}

#[tokio::test]
async fn a_certificate_for_another_user_is_refused() {
    for wrong in [Issue::OtherName, Issue::OtherOrganization, Issue::ExtraOrganization] {
        let judged = judged(Some(wrong.clone())).await;
        assert!(
            matches!(judged, Err(CertificateError::OtherSubject { .. })),
            "{wrong:?}: {judged:?}"
        );
    }
}

#[tokio::test]
async fn a_certificate_from_another_authority_of_the_same_name_is_refused() {
    let judged = judged(Some(Issue::OtherAuthority)).await;
    assert!(matches!(judged, Err(CertificateError::OtherAuthority(_))), "{judged:?}");
}

#[tokio::test]
async fn a_certificate_with_names_nobody_asked_for_is_refused() {
    assert_eq!(
        judged(Some(Issue::ExtraHostName)).await,
        Err(CertificateError::ExtraNames)
    );
}

#[tokio::test]
async fn a_certificate_that_has_run_out_is_refused() {
    let judged = judged(Some(Issue::Expired)).await;
    assert!(matches!(judged, Err(CertificateError::Expired { .. })), "{judged:?}");
}

#[tokio::test]
async fn a_certificate_that_no_server_would_take_from_a_client_is_refused() {
    assert_eq!(
        judged(Some(Issue::NoClientAuth)).await,
        Err(CertificateError::NotForClients)
    );
}

#[tokio::test]
async fn an_authoritys_certificate_is_refused() {
    assert!(judged(Some(Issue::IsAuthority)).await.is_err());
}

#[tokio::test]
async fn what_is_no_certificate_is_refused() {
    for wrong in [Issue::NotPem, Issue::NotDer] {
        let judged = judged(Some(wrong.clone())).await;
        assert!(
            matches!(judged, Err(CertificateError::Chain(_))),
            "{wrong:?}: {judged:?}"
        );
    }
}

#[tokio::test]
async fn a_certificate_with_its_authority_behind_it_is_taken() {
    assert!(judged(Some(Issue::WithAuthority)).await.is_ok());
    assert!(judged(None).await.is_ok());
}

// kubelet looks at the end only, and this machine's clock is likelier to be wrong than the signer's.
#[tokio::test]
async fn a_certificate_of_tomorrow_is_taken() {
    assert!(judged(Some(Issue::NotYetValid)).await.is_ok());
}

#[tokio::test]
async fn a_wrong_certificate_can_be_asked_for_again_when_the_signer_is_mended() {
    let stage = Stage::automatic().await;
    stage.mock.fault(Fault::Issue(Issue::OtherKey).times(1));
    stage.post().await.unwrap();
    let Ok(SigningState::Issued(wrong)) = stage.state().await else {
        panic!("it is issued");
    };
    assert!(
        stage
            .applicant
            .judge(&stage.cluster, &wrong, stage.mock.unix())
            .is_err()
    );
    let renamed = csr::renamed(&stage.applicant.request, 1);
    stage
        .joiner
        .post(&stage.cluster, &stage.credential, &renamed)
        .await
        .unwrap();
    let state = stage
        .joiner
        .state(&stage.cluster, &stage.credential, &renamed.name)
        .await
        .unwrap();
    let SigningState::Issued(right) = state else {
        panic!("{state:?}");
    };
    assert!(stage.applicant.judge(&stage.cluster, &right, stage.mock.unix()).is_ok());
}

#[tokio::test]
async fn the_issued_certificate_is_the_nodes_credential_and_no_token_goes_with_it() {
    let mock = MockApi::start(Setup::default());
    let joiner = Joiner::new();
    let joined = joiner.join(&mock.join_config(), "shop-7").await;
    assert_eq!(joined.read_itself(&joiner).await.unwrap(), None);
    mock.register_node("shop-7", Readiness::NotReady, "42");
    let view = joined.read_itself(&joiner).await.unwrap().unwrap();
    assert!(
        !view.ready && view.reason.contains("NetworkPluginNotReady"),
        "{}",
        view.reason
    );
    assert_eq!(
        (view.machine_id.as_str(), view.pod_cidrs.as_slice()),
        ("42", &["10.244.7.0/24".to_owned()][..])
    );
    mock.register_node("shop-7", Readiness::Ready, "42");
    assert!(joined.read_itself(&joiner).await.unwrap().unwrap().ready);
    let last = mock.requests().pop().unwrap();
    assert_eq!(last.presented, Presented::Certificate("system:node:shop-7".to_owned()));
    assert_eq!(last.header("authorization"), None);
    mock.assert_no_leak();
}

#[tokio::test]
async fn a_token_may_see_whether_the_name_is_taken_or_may_not() {
    let mock = MockApi::start(Setup::default());
    mock.add_token(Token::of_kkp("kkpkkp", "0123456789abcdef"));
    let (joiner, config) = (Joiner::new(), mock.join_config());
    let cluster = joiner.discover(&config).await.unwrap();
    let see = async |credential: &Credential| joiner.look_at(&cluster, Caller::Joining(credential), "shop-7").await;
    assert_eq!(see(&config.credential).await, Ok(None));
    mock.register_node("shop-7", Readiness::Ready, "43");
    assert_eq!(see(&config.credential).await.unwrap().unwrap().machine_id, "43");
    mock.register_node("shop-7", Readiness::NotReady, "43");
    assert!(!see(&config.credential).await.unwrap().unwrap().ready);
    let kkp = Credential::BootstrapToken(skerry_firstboot::join_config::BootstrapToken {
        id: "kkpkkp".to_owned(),
        secret: Secret::new("0123456789abcdef"),
    });
    assert_eq!(see(&kkp).await, Err(ApiErrorKind::Forbidden));
}

#[tokio::test]
async fn the_longest_names_are_signed_as_they_are() {
    let label = "a".repeat(63);
    let longest = [label.as_str(), &label, &label, &"b".repeat(61)].join(".");
    assert_eq!(longest.len(), 253);
    for name in ["a", "0", label.as_str(), longest.as_str(), "edge-1.shop.example"] {
        let mock = MockApi::start(Setup::default());
        let joiner = Joiner::new();
        // The X.520 limit of 64 characters for a common name is not kept by Kubernetes.
        let joined = joiner.join(&mock.join_config(), name).await;
        let judged = joined
            .applicant
            .judge(&joined.cluster, &joined.certificate, mock.unix());
        assert!(judged.is_ok(), "{name}: {judged:?}");
        assert_eq!(joined.read_itself(&joiner).await.unwrap(), None);
    }
}
