//! What people already have: each form of a join file leads to the cluster and to a node (D13).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use skerry_firstboot::join_config::{Parsed, parse};

use super::*;

const GETTER: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJl";
const KKP_SECRET: &str = "kube-system-shop-7-kubelet-bootstrap-config";

fn read(text: &str) -> JoinConfig {
    let Parsed { config, warnings } = parse(text.as_bytes()).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    config
}

/// Joins by `text` up to a call as the node, and tells how often `cluster-info` was read.
async fn joins_by(mock: &MockApi, text: &str) -> usize {
    let joiner = Joiner::new();
    let joined = joiner.join(&read(text), "shop-7").await;
    assert_eq!(joined.cluster.server, mock.endpoint());
    assert!(same_certificates(&joined.cluster.authorities, &mock.ca_pem()));
    assert_eq!(joined.read_itself(&joiner).await.unwrap(), None);
    mock.assert_no_leak();
    let requests = mock.requests();
    requests.iter().filter(|request| request.path == CLUSTER_INFO).count()
}

#[tokio::test]
async fn a_join_file_of_our_own_joins() {
    let mock = mock();
    assert_eq!(joins_by(&mock, &mock.join_toml()).await, 2);
    assert_eq!(read(&mock.join_toml()), mock.join_config());
}

#[tokio::test]
async fn a_pin_in_upper_case_is_the_same_pin() {
    let mock = mock();
    let pin = mock.pin().to_string();
    let text = mock.join_toml().replace(&pin, &pin.to_uppercase());
    assert_eq!(joins_by(&mock, &text).await, 2);
}

#[tokio::test]
async fn the_line_that_kubeadm_prints_joins() {
    let mock = mock();
    assert_eq!(joins_by(&mock, &mock.kubeadm_line()).await, 2);
}

#[tokio::test]
async fn a_bootstrap_kubeconfig_joins_and_asks_nobody_for_a_description() {
    let mock = mock();
    assert_eq!(joins_by(&mock, &mock.bootstrap_kubeconfig()).await, 0);
}

#[tokio::test]
async fn a_k0s_token_joins_and_asks_nobody_for_a_description() {
    let mock = mock();
    assert_eq!(joins_by(&mock, &mock.k0s_token()).await, 0);
}

fn kkp(mock: &MockApi, trust: &str) -> String {
    mock.put_kkp_secret(KKP_SECRET, "kubeconfig", &mock.bootstrap_kubeconfig(), GETTER);
    let script = mock.kkp_script(GETTER);
    format!("version = 1\n{trust}\njoin = '''\n{script}'''\n")
}

#[tokio::test]
async fn the_values_of_kkps_edge_script_join_and_the_token_in_the_secret_is_used() {
    let mock = MockApi::start(Setup {
        token: Token::of_kkp("abcdef", "0123456789abcdef"),
        ..Setup::default()
    });
    joins_by(&mock, &kkp(&mock, &format!("ca-pins = [\"{}\"]", mock.pin()))).await;
    let requests = mock.requests();
    let posted = requests.iter().find(|request| request.method == "POST").unwrap();
    assert_eq!(
        posted.presented,
        Presented::Bearer("abcdef.0123456789abcdef".to_owned())
    );
}

#[tokio::test]
async fn kkps_script_with_the_authority_beside_it_joins() {
    let mock = mock();
    let trust = format!("ca = \"\"\"\n{}\"\"\"", mock.ca_pem());
    assert_eq!(joins_by(&mock, &kkp(&mock, &trust)).await, 0);
}

#[tokio::test]
async fn kkps_token_is_shown_to_no_server_that_is_not_the_pinned_one() {
    for certificate in [
        ServerCertificate::OtherAuthority,
        ServerCertificate::SelfSigned,
        ServerCertificate::OtherName,
    ] {
        let mock = mock();
        let config = read(&kkp(&mock, &format!("ca-pins = [\"{}\"]", mock.pin())));
        mock.fault(Fault::Certificate(certificate));
        let kind = Joiner::new().refusal(&config).await;
        assert_eq!(kind, ApiErrorKind::Untrusted, "{certificate:?}");
        mock.assert_no_leak();
        assert!(
            mock.requests()
                .iter()
                .all(|request| request.presented == Presented::Nothing)
        );
    }
}

#[tokio::test]
async fn a_secret_that_leads_to_another_cluster_is_refused() {
    let mock = mock();
    let pin = format!("ca-pins = [\"{}\"]", mock.pin());
    let config = read(&kkp(&mock, &pin));
    let kubeconfig = mock.bootstrap_kubeconfig();
    let other = STANDARD.encode(mock.described(&Kubeconfig::OtherAuthority));
    let foreign = STANDARD.encode("not a certificate");
    let authority = STANDARD.encode(mock.ca_pem());
    for wrong in [
        kubeconfig.replace(&authority, &foreign),
        kubeconfig.replace(&authority, &other),
        mock.described(&Kubeconfig::OtherAuthority),
        mock.described(&Kubeconfig::Unnamed),
        String::new(),
    ] {
        mock.put_kkp_secret(KKP_SECRET, "kubeconfig", &wrong, GETTER);
        let kind = Joiner::new().refusal(&config).await;
        assert!(
            matches!(kind, ApiErrorKind::BadAnswer | ApiErrorKind::Forged),
            "{kind:?}"
        );
    }
    mock.put_kkp_secret(KKP_SECRET, "kubeconfig", &kubeconfig, "another-token");
    assert_eq!(Joiner::new().refusal(&config).await, ApiErrorKind::Unauthorized);
}

#[tokio::test]
async fn a_server_name_in_the_join_file_is_what_the_certificate_is_checked_for() {
    let mock = MockApi::start(Setup {
        host: "cp.example".to_owned(),
        ..Setup::default()
    });
    let by_address = mock.join_toml().replace("cp.example", "127.0.0.1");
    mock.fault(Fault::Description(Description::Kubeconfig(Kubeconfig::OtherServer(
        mock.endpoint_at("127.0.0.1").to_string(),
    ))));
    assert_eq!(Joiner::new().refusal(&read(&by_address)).await, ApiErrorKind::Untrusted);
    let named = by_address.replace("version = 1\n", "version = 1\ntls-server-name = \"cp.example\"\n");
    let joiner = Joiner::new();
    let joined = joiner.join(&read(&named), "shop-7").await;
    assert_eq!(joined.cluster.tls_server_name.as_deref(), Some("cp.example"));
    assert_eq!(joined.read_itself(&joiner).await.unwrap(), None);
    assert!(mock.server_names().contains(&Some("cp.example".to_owned())));
}
