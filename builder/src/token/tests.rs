mod cluster;

use skerry_firstboot::join_config::{Parsed, parse_strict};

use super::*;
use crate::failure::{Diagnose as _, FailureKind};
use cluster::{Cluster, Habits};

fn request() -> Request {
    Request {
        ttl: Duration::from_secs(3_600),
        endpoints: Vec::new(),
        group: DEFAULT_GROUP.to_owned(),
        description: "for a shop".to_owned(),
        node_name: String::new(),
        rbac: Rbac::Check,
        patience: Patience {
            total: Duration::from_millis(400),
            step: Duration::from_millis(10),
        },
    }
}

fn read(created: &Created) -> JoinConfig {
    let Parsed { config, warnings } = parse_strict(created.join_file.expose().as_bytes()).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    config
}

#[test]
fn a_token_is_made_checked_and_written_with_the_pins_of_cluster_info() {
    let cluster = Cluster::start(Habits {
        signs_after: 3,
        ..Habits::good()
    });
    let created = create(&cluster.kubeconfig(), &request()).unwrap();
    let config = read(&created);
    assert_eq!(config, created.config);
    assert_eq!(config.trust, Trust::Pins(vec![cluster.pin()]));
    assert_eq!(config.endpoints, [cluster.server()]);
    assert_eq!((created.embedded, created.missing.len()), (None, 0));
    let secret = cluster.secret(&created.id).unwrap();
    let field = |key: &str| secret["stringData"][key].as_str().unwrap().to_owned();
    assert_eq!(secret["type"], "bootstrap.kubernetes.io/token");
    assert_eq!(field("token-id"), created.id);
    assert_eq!(field("auth-extra-groups"), DEFAULT_GROUP);
    assert_eq!(field("description"), "for a shop");
    assert_eq!(
        field("usage-bootstrap-signing") + &field("usage-bootstrap-authentication"),
        "truetrue"
    );
    // The server's clock counts, which is that of 2033 here.
    assert_eq!(field("expiration"), "2033-05-18T04:33:20Z");
    let Credential::BootstrapToken(token) = config.credential else {
        panic!("{config:?}");
    };
    assert_eq!(field("token-secret"), token.secret.expose());
    assert!(!format!("{created:?}").contains(token.secret.expose()));
}

#[test]
fn an_operator_with_a_token_is_as_good_as_one_with_a_certificate() {
    let cluster = Cluster::start(Habits::good());
    let mut kubeconfig = cluster.kubeconfig();
    kubeconfig.credential = Some(Credential::Bearer(Secret::new(cluster::OPERATOR_TOKEN)));
    assert!(create(&kubeconfig, &request()).is_ok());
    kubeconfig.credential = Some(Credential::Bearer(Secret::new("another")));
    let error = create(&kubeconfig, &request()).unwrap_err();
    assert!(matches!(error, TokenError::Unauthorized), "{error:?}");
    kubeconfig.credential = None;
    assert!(matches!(create(&kubeconfig, &request()), Err(TokenError::NoCredential)));
}

#[test]
fn without_a_usable_cluster_info_the_authorities_are_in_the_join_file() {
    for (habits, expected) in [
        (
            Habits {
                cluster_info: None,
                ..Habits::good()
            },
            Unusable::Absent,
        ),
        (
            Habits {
                signs_after: usize::MAX,
                ..Habits::good()
            },
            Unusable::Unsigned,
        ),
        (
            Habits {
                anonymous: 401,
                ..Habits::good()
            },
            Unusable::Private,
        ),
        (
            Habits {
                cluster_info: Some("hello".to_owned()),
                ..Habits::good()
            },
            Unusable::Malformed,
        ),
    ] {
        let cluster = Cluster::start(habits);
        let created = create(&cluster.kubeconfig(), &request()).unwrap();
        assert_eq!(created.embedded, Some(expected));
        let config = read(&created);
        assert_eq!(config.trust, Trust::Authorities(cluster.authorities()), "{expected}");
        assert_eq!(config.discovery, Discovery::Given);
        assert_eq!(config.endpoints, [cluster.server()]);
    }
}

#[test]
fn what_is_not_allowed_is_found_whatever_its_bindings_are_called() {
    let cluster = Cluster::start(Habits {
        denied: vec!["nodeclient", "selfnodeclient"],
        ..Habits::good()
    });
    let created = create(&cluster.kubeconfig(), &request()).unwrap();
    assert_eq!(created.missing, [Permission::FirstCertificate, Permission::Renewal]);
    assert!(cluster.applied().is_empty());
    let apply = Request {
        rbac: Rbac::Apply,
        ..request()
    };
    let created = create(&cluster.kubeconfig(), &apply).unwrap();
    assert_eq!(created.granted, [Permission::FirstCertificate, Permission::Renewal]);
    assert!(created.missing.is_empty());
    let applied = cluster.applied();
    assert_eq!(applied.len(), 2);
    assert!(applied[0].contains("name: skerry:approve-first-certificate:kubeadm:default-node-token\n"));
    assert!(applied[0].contains(&format!("kind: Group\n  name: {DEFAULT_GROUP}\n")));
    assert!(applied[1].contains("kind: Group\n  name: system:nodes\n"));
}

#[test]
fn permissions_that_do_not_come_into_force_are_told_and_the_token_is_taken_back() {
    let cluster = Cluster::start(Habits {
        denied: vec![""],
        grants: false,
        ..Habits::good()
    });
    let apply = Request {
        rbac: Rbac::Apply,
        ..request()
    };
    let error = create(&cluster.kubeconfig(), &apply).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the permissions were granted, and are not in force: machines with this token may not ask for a certificate"
    );
    assert_eq!(cluster.secrets(), 0);
}

#[test]
fn a_server_that_takes_no_bootstrap_tokens_is_told_and_the_token_is_taken_back() {
    let cluster = Cluster::start(Habits {
        takes_tokens: false,
        ..Habits::good()
    });
    let error = create(&cluster.kubeconfig(), &request()).unwrap_err();
    assert_eq!(error.to_string(), "the API server does not accept bootstrap tokens");
    assert!(error.hints()[0].contains("--enable-bootstrap-token-auth=true"));
    assert_eq!(cluster.secrets(), 0);
}

#[test]
fn a_busy_server_is_asked_again() {
    let cluster = Cluster::start(Habits {
        busy: 2,
        ..Habits::good()
    });
    assert!(create(&cluster.kubeconfig(), &request()).is_ok());
}

#[test]
fn a_server_with_another_authority_is_a_failed_verification_and_none_is_a_network_failure() {
    let (cluster, other) = (Cluster::start(Habits::good()), Cluster::start(Habits::good()));
    let mut kubeconfig = cluster.kubeconfig();
    kubeconfig.authorities = other.authorities();
    let error = create(&kubeconfig, &request()).unwrap_err();
    assert_eq!(error.kind(), FailureKind::Verification, "{error:?}");
    let mut kubeconfig = cluster.kubeconfig();
    drop(cluster);
    // Nobody listens on port 9 (discard) of this machine.
    kubeconfig.server.port = 9;
    let error = create(&kubeconfig, &request()).unwrap_err();
    assert_eq!(error.kind(), FailureKind::Network, "{error:?}");
}

#[test]
fn the_name_that_the_certificate_is_checked_for_can_differ_from_the_address() {
    let cluster = Cluster::start(Habits {
        certificate_name: "kubernetes.internal",
        ..Habits::good()
    });
    let mut kubeconfig = cluster.kubeconfig();
    let error = create(&kubeconfig, &request()).unwrap_err();
    assert_eq!(error.kind(), FailureKind::Verification, "{error:?}");
    kubeconfig.tls_server_name = Some("kubernetes.internal".to_owned());
    let created = create(&kubeconfig, &request()).unwrap();
    assert_eq!(created.config.tls_server_name.as_deref(), Some("kubernetes.internal"));
}

#[test]
fn endpoints_and_node_name_are_as_asked_for_and_checked_before_they_are_written() {
    let cluster = Cluster::start(Habits::good());
    let asked = Request {
        endpoints: vec!["cp.example:6443".parse().unwrap(), "https://192.0.2.1".parse().unwrap()],
        node_name: "shop-{serial}".to_owned(),
        ..request()
    };
    let config = read(&create(&cluster.kubeconfig(), &asked).unwrap());
    assert_eq!(config.endpoints, asked.endpoints);
    assert_eq!(config.settings.name, "shop-{serial}");
    let bad = Request {
        node_name: "Shop!".to_owned(),
        ..request()
    };
    let error = create(&cluster.kubeconfig(), &bad).unwrap_err();
    assert!(matches!(error, TokenError::JoinFile(_)), "{error:?}");
    assert_eq!(cluster.secrets(), 1);
}

#[test]
fn groups_and_times_that_kubernetes_would_refuse_are_refused_first() {
    let cluster = Cluster::start(Habits::good());
    for group in [
        "system:masters",
        "system:bootstrappers:",
        "system:bootstrappers:A",
        "system:bootstrappers:a-",
    ] {
        let asked = Request {
            group: group.to_owned(),
            ..request()
        };
        assert!(
            matches!(create(&cluster.kubeconfig(), &asked), Err(TokenError::Group { .. })),
            "{group}"
        );
    }
    let asked = Request {
        ttl: Duration::ZERO,
        ..request()
    };
    assert_eq!(
        create(&cluster.kubeconfig(), &asked).unwrap_err().kind(),
        FailureKind::Usage
    );
    assert_eq!(cluster.secrets(), 0);
}

#[test]
fn the_yaml_for_everything_is_four_grants_in_five_documents() {
    let yaml = rbac::yaml(&Permission::ALL, DEFAULT_GROUP);
    let documents: Vec<&str> = yaml.split("---\n").collect();
    assert_eq!(documents.len(), 5);
    for document in documents {
        assert!(
            document.starts_with("apiVersion: rbac.authorization.k8s.io/v1\nkind: "),
            "{document}"
        );
    }
    let expected = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: skerry:node-bootstrapper:kubeadm:default-node-token
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: system:node-bootstrapper
subjects:
- apiGroup: rbac.authorization.k8s.io
  kind: Group
  name: system:bootstrappers:kubeadm:default-node-token
";
    assert_eq!(rbac::yaml(&[Permission::Request], DEFAULT_GROUP), expected);
}
