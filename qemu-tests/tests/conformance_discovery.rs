//! How the cluster is found and believed: the real client against the mock control plane. D1 to D8 of the conformance
//! cases are here, D9 to D12 in `transport`, D13 in `forms`. D2, upstream's vectors, are unit tests on both sides: of
//! `firstboot::discovery::jws` and of the mock.
#![allow(clippy::unwrap_used, reason = "test code")]

#[path = "conformance_discovery/forms.rs"]
mod forms;
#[path = "conformance_discovery/transport.rs"]
mod transport;

use skerry_firstboot::control_plane::ApiErrorKind;
use skerry_firstboot::join_config::{CaPin, Credential, JoinConfig, Trust};
use skerry_qemu_tests::mock_api::joiner::{Joiner, same_certificates};
use skerry_qemu_tests::mock_api::{
    BrokenAnswer, Call, Description, Fault, Forgery, KeyKind, Kubeconfig, MockApi, Presented, ServerCertificate, Setup,
    Token, pin_of,
};

const CLUSTER_INFO: &str = "/api/v1/namespaces/kube-public/configmaps/cluster-info";

fn mock() -> MockApi {
    MockApi::start(Setup::default())
}

fn pinned(mock: &MockApi, pins: Vec<CaPin>) -> JoinConfig {
    JoinConfig {
        trust: Trust::Pins(pins),
        ..mock.join_config()
    }
}

/// Discovery must fail with `kind`, leak nothing, and succeed once the mock is in order again.
async fn assert_refused(mock: &MockApi, config: &JoinConfig, kind: ApiErrorKind) {
    let joiner = Joiner::new();
    let error = joiner.discover(config).await.expect_err("this must not be believed");
    assert_eq!(error.kind, kind, "{error}");
    assert!(!format!("{error:?}").contains("0123456789abcdef"), "{error:?}");
    mock.assert_no_leak();
}

fn kubeconfig(kind: Kubeconfig) -> Fault {
    Fault::Description(Description::Kubeconfig(kind))
}

mod believed {
    use super::*;

    #[tokio::test]
    async fn a_signed_and_pinned_description_is_believed_after_a_second_verified_reading() {
        for authority in [KeyKind::Ecdsa, KeyKind::Rsa] {
            let mock = MockApi::start(Setup {
                authority,
                ..Setup::default()
            });
            let cluster = Joiner::new().discover(&mock.join_config()).await.unwrap();
            assert_eq!(cluster.server, mock.endpoint());
            assert!(same_certificates(&cluster.authorities, &mock.ca_pem()));
            assert_eq!((cluster.tls_server_name, cluster.credential), (None, None));
            let requests = mock.requests();
            let asked: Vec<_> = requests
                .iter()
                .map(|request| (request.path.as_str(), &request.presented))
                .collect();
            assert_eq!(asked, [(CLUSTER_INFO, &Presented::Nothing); 2]);
            assert_ne!(
                requests[0].connection, requests[1].connection,
                "the first one was not verified"
            );
        }
    }

    #[tokio::test]
    async fn any_of_several_pins_is_enough() {
        let mock = mock();
        let pins = vec![CaPin([7; 32]), mock.pin()];
        assert!(Joiner::new().discover(&pinned(&mock, pins)).await.is_ok());
    }

    #[tokio::test]
    async fn of_two_described_authorities_only_the_pinned_one_is_trusted() {
        let mock = mock();
        mock.fault(kubeconfig(Kubeconfig::TwoAuthorities));
        let cluster = Joiner::new().discover(&mock.join_config()).await.unwrap();
        assert!(same_certificates(&cluster.authorities, &mock.ca_pem()));
        // The same description, verified by a server of the other authority.
        mock.fault(Fault::Certificate(ServerCertificate::SecondAuthority));
        assert_refused(&mock, &mock.join_config(), ApiErrorKind::Untrusted).await;
        // With both pinned, both are trusted.
        let both = pinned(&mock, vec![mock.second_pin(), mock.pin()]);
        assert!(Joiner::new().discover(&both).await.is_ok());
    }

    #[tokio::test]
    async fn a_signature_that_comes_late_is_waited_for() {
        let mock = mock();
        mock.fault(Fault::Description(Description::NoSignature).times(3));
        let joiner = Joiner::new();
        for _ in 0..3 {
            assert_eq!(joiner.refusal(&mock.join_config()).await, ApiErrorKind::NotSigned);
        }
        assert!(joiner.discover(&mock.join_config()).await.is_ok());
        mock.assert_no_leak();
    }

    #[tokio::test]
    async fn a_description_with_contexts_is_read_by_its_current_context() {
        let mock = mock();
        mock.fault(kubeconfig(Kubeconfig::WithContext));
        assert_eq!(
            Joiner::new().discover(&mock.join_config()).await.unwrap().server,
            mock.endpoint()
        );
    }

    #[tokio::test]
    async fn the_described_server_counts_from_then_on() {
        let mock = mock();
        mock.fault(kubeconfig(Kubeconfig::OtherServer(
            "https://cp.example:6443/k8s".to_owned(),
        )));
        let cluster = Joiner::new().discover(&mock.join_config()).await.unwrap();
        assert_eq!(cluster.server.to_string(), "https://cp.example:6443/k8s");
        assert_eq!(
            mock.requests().len(),
            2,
            "both readings are from the endpoint that the person gave"
        );
    }

    #[tokio::test]
    async fn the_described_server_name_is_kept_for_the_certificate() {
        let mock = mock();
        mock.fault(kubeconfig(Kubeconfig::TlsServerName("localhost".to_owned())));
        let cluster = Joiner::new().discover(&mock.join_config()).await.unwrap();
        assert_eq!(cluster.tls_server_name.as_deref(), Some("localhost"));
    }

    #[tokio::test]
    async fn the_authorities_themselves_need_no_signature() {
        let mock = MockApi::start(Setup {
            token: Token::new("abcdef", "0123456789abcdef").without_signing(),
            ..Setup::default()
        });
        let config = JoinConfig {
            trust: Trust::Authorities(mock.ca_pem()),
            ..mock.join_config()
        };
        let cluster = Joiner::new().discover(&config).await.unwrap();
        assert_eq!(cluster.server, mock.endpoint());
        let first = &mock.requests()[0];
        assert_eq!(
            mock.log().connections[first.connection - 1].shown,
            ServerCertificate::Genuine
        );
    }

    #[tokio::test]
    async fn where_nobody_may_read_the_description_the_authorities_are_enough() {
        for code in [401, 403, 404] {
            let mock = mock();
            mock.fault(Fault::Answer(BrokenAnswer::status(code)));
            let config = JoinConfig {
                trust: Trust::Authorities(mock.ca_pem()),
                ..mock.join_config()
            };
            let cluster = Joiner::new().discover(&config).await.unwrap();
            assert_eq!(cluster.server, mock.endpoint(), "{code}");
            assert!(same_certificates(&cluster.authorities, &mock.ca_pem()));
        }
    }

    #[tokio::test]
    async fn without_any_pin_the_signature_alone_counts_if_the_join_file_says_so() {
        let mock = mock();
        let config = JoinConfig {
            trust: Trust::UnsafeTokenOnly,
            ..mock.join_config()
        };
        assert!(Joiner::new().discover(&config).await.is_ok());
        mock.fault(Fault::Description(Description::Signature(Forgery::OtherSecret)));
        assert_refused(&mock, &config, ApiErrorKind::Forged).await;
    }
}

mod refused {
    use super::*;

    #[tokio::test]
    async fn a_pin_of_another_authority_is_not_enough() {
        let mock = mock();
        assert_refused(&mock, &pinned(&mock, vec![CaPin([7; 32])]), ApiErrorKind::Forged).await;
        assert_eq!(
            mock.requests().len(),
            1,
            "there is nothing to verify a second reading by"
        );
    }

    #[tokio::test]
    async fn a_pin_of_the_servers_own_certificate_is_not_enough() {
        let mock = mock();
        let leaf = mock.server_certificate();
        assert_refused(&mock, &pinned(&mock, vec![pin_of(&leaf)]), ApiErrorKind::Forged).await;
    }

    #[tokio::test]
    async fn an_authority_that_is_not_pinned_is_refused_however_well_it_is_signed() {
        let mock = mock();
        mock.fault(kubeconfig(Kubeconfig::OtherAuthority));
        assert_refused(&mock, &mock.join_config(), ApiErrorKind::Forged).await;
    }

    #[tokio::test]
    async fn every_forged_signature_is_refused() {
        for forgery in Forgery::ALL {
            let mock = mock();
            mock.fault(Fault::Description(Description::Signature(forgery)));
            let kind = match forgery {
                Forgery::Empty => ApiErrorKind::NotSigned,
                _ => ApiErrorKind::Forged,
            };
            assert_refused(&mock, &mock.join_config(), kind).await;
        }
    }

    #[tokio::test]
    async fn a_description_that_was_changed_after_it_was_signed_is_refused() {
        let mock = mock();
        mock.fault(Fault::Description(Description::Tampered));
        assert_refused(&mock, &mock.join_config(), ApiErrorKind::Forged).await;
    }

    #[tokio::test]
    async fn a_second_reading_that_differs_is_refused() {
        let mock = mock();
        let other = Kubeconfig::OtherServer("https://192.0.2.1:6443".to_owned());
        mock.fault(Fault::Description(Description::Kubeconfig(other)).after(1));
        assert_refused(&mock, &mock.join_config(), ApiErrorKind::Forged).await;
    }

    #[tokio::test]
    async fn an_expired_or_deleted_tokens_signature_is_missing() {
        let mock = mock();
        mock.expire_token("abcdef");
        assert_refused(&mock, &mock.join_config(), ApiErrorKind::NotSigned).await;
        mock.delete_token("abcdef");
        assert_refused(&mock, &mock.join_config(), ApiErrorKind::NotSigned).await;
    }

    #[tokio::test]
    async fn a_missing_or_unusable_config_map_is_told_apart() {
        for (fault, kind) in [
            (Fault::Description(Description::Missing), ApiErrorKind::NotFound),
            (Fault::Answer(BrokenAnswer::status(403)), ApiErrorKind::Forbidden),
            (Fault::Answer(BrokenAnswer::status(401)), ApiErrorKind::Unauthorized),
            (Fault::Description(Description::NoKubeconfig), ApiErrorKind::BadAnswer),
            (
                Fault::Description(Description::Padding(1 << 20)),
                ApiErrorKind::BadAnswer,
            ),
            (Fault::Answer(BrokenAnswer::Endless), ApiErrorKind::BadAnswer),
            (Fault::Answer(BrokenAnswer::Body(Vec::new())), ApiErrorKind::BadAnswer),
            (
                Fault::Answer(BrokenAnswer::Body(b"{\"kind\":\"Pod\"}".to_vec())),
                ApiErrorKind::BadAnswer,
            ),
            (Fault::Answer(BrokenAnswer::Body(not_utf8())), ApiErrorKind::BadAnswer),
            (
                Fault::Answer(BrokenAnswer::Body(b"[".repeat(100_000))),
                ApiErrorKind::BadAnswer,
            ),
        ] {
            let mock = mock();
            mock.fault(fault.clone());
            let error = Joiner::new().discover(&mock.join_config()).await.expect_err("unusable");
            assert_eq!(error.kind, kind, "{fault:.80?}: {error}");
            mock.assert_no_leak();
        }
    }

    fn not_utf8() -> Vec<u8> {
        b"{\"kind\":\"ConfigMap\",\"data\":{\"kubeconfig\":\"\xff\xfe\"}}".to_vec()
    }

    // What the holder of any token, or of the control plane's signer, can put there.
    #[tokio::test]
    async fn a_kubeconfig_that_a_node_must_not_obey_is_refused_though_it_is_signed() {
        for kind in [
            Kubeconfig::Insecure,
            Kubeconfig::PlainServer,
            Kubeconfig::ExecPlugin,
            Kubeconfig::Proxy,
            Kubeconfig::AuthorityFile,
            Kubeconfig::NoAuthority,
            Kubeconfig::AuthorityNotPem,
            Kubeconfig::WrongContext,
            Kubeconfig::NoContext,
            Kubeconfig::NoClusters,
            Kubeconfig::NotYaml,
            Kubeconfig::OtherServer("https://".to_owned()),
            Kubeconfig::OtherServer("https://user:password@cp.example:6443".to_owned()),
            Kubeconfig::OtherServer("https://cp.example:0".to_owned()),
        ] {
            let mock = mock();
            mock.fault(kubeconfig(kind.clone()));
            let error = Joiner::new()
                .discover(&mock.join_config())
                .await
                .expect_err("it must not be obeyed");
            assert_eq!(error.kind, ApiErrorKind::BadAnswer, "{kind:?}: {error}");
        }
    }

    #[tokio::test]
    async fn a_kubeconfig_that_grows_while_it_is_read_is_refused_at_once() {
        for kind in [Kubeconfig::Bomb, Kubeconfig::Deep, Kubeconfig::Huge] {
            let mock = mock();
            mock.fault(kubeconfig(kind.clone()));
            // The whole request is bounded; what is read afterwards must be, too.
            let joiner = Joiner::new();
            let config = mock.join_config();
            let refusal = tokio::time::timeout(std::time::Duration::from_secs(20), joiner.refusal(&config));
            assert_eq!(refusal.await.unwrap(), ApiErrorKind::BadAnswer, "{kind:?}");
        }
    }

    #[tokio::test]
    async fn a_control_plane_in_trouble_says_when_to_come_again() {
        let mock = mock();
        mock.fault(Fault::Answer(BrokenAnswer::too_many("7")).times(1));
        mock.fault(Fault::Answer(BrokenAnswer::status(503)).after(1).on(Call::ClusterInfo));
        let joiner = Joiner::new();
        let retry_after = Some(std::time::Duration::from_secs(7));
        assert_eq!(
            joiner.refusal(&mock.join_config()).await,
            ApiErrorKind::Throttled { retry_after }
        );
        let down = ApiErrorKind::Server {
            status: 503,
            retry_after: None,
        };
        assert_eq!(joiner.refusal(&mock.join_config()).await, down);
    }

    #[tokio::test]
    async fn a_token_that_is_none_of_the_clusters_is_never_sent_during_discovery() {
        let mock = mock();
        let mut config = mock.join_config();
        config.credential = Credential::Bearer(skerry_firstboot::secret::Secret::new("a-service-accounts-token"));
        assert!(Joiner::new().discover(&config).await.is_ok());
        assert!(
            mock.requests()
                .iter()
                .all(|request| request.presented == Presented::Nothing)
        );
    }
}
