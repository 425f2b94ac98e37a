use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;
use crate::control_plane::Cluster as Found;
use crate::join_config::EndpointError;
use crate::join_config::authorities::tests::some_authority;

const TOKEN: &str = "abcdef.0123456789abcdef";

/// `cluster-info` as kubeadm writes it, with `more` in its cluster.
fn cluster_info(more: &str) -> String {
    let ca = STANDARD.encode(some_authority("one"));
    format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {ca}\n    server: https://192.0.2.1:6443\n{more}  \
         name: \"\"\ncontexts: null\ncurrent-context: \"\"\nkind: Config\npreferences: {{}}\nusers: null\n"
    )
}

/// A kubeconfig with this user.
fn with_user(user: &str) -> String {
    cluster_info("")
        .replace("name: \"\"", "name: c")
        .replace(
            "contexts: null",
            "contexts: [{name: x, context: {cluster: c, user: u}}]",
        )
        .replace("current-context: \"\"", "current-context: x")
        .replace("users: null", &format!("users:\n- name: u\n  user: {user}"))
}

fn error(text: &str, purpose: Purpose) -> KubeconfigError {
    parse(text.as_bytes(), purpose).expect_err(text)
}

#[test]
fn the_cluster_without_a_name_comes_before_the_current_context() {
    let text = cluster_info("");
    let parsed = parse(text.as_bytes(), Purpose::ClusterInfo).unwrap();
    assert_eq!(parsed.server.to_string(), "https://192.0.2.1:6443");
    assert_eq!(parsed.credential, None);
    let with_context = text
        .replace("current-context: \"\"", "current-context: x")
        .replace("contexts: null", "contexts: [{name: x, context: {cluster: y}}]");
    assert_eq!(parse(with_context.as_bytes(), Purpose::ClusterInfo).unwrap(), parsed);
    let with_cluster = with_context.replace("name: \"\"", "name: y");
    assert_eq!(
        parse(with_cluster.as_bytes(), Purpose::ClusterInfo).unwrap().server,
        parsed.server
    );
}

#[test]
fn a_cluster_that_is_not_there_or_is_there_twice_is_refused() {
    let named = cluster_info("").replace("name: \"\"", "name: y");
    assert!(matches!(
        error(&named, Purpose::ClusterInfo),
        KubeconfigError::NoContext
    ));
    let dangling = named.replace("current-context: \"\"", "current-context: x");
    let text = error(&dangling, Purpose::ClusterInfo).to_string();
    assert_eq!(text, "there is no context `x`");
    let no_cluster = dangling.replace("contexts: null", "contexts: [{name: x, context: {cluster: z}}]");
    assert_eq!(
        error(&no_cluster, Purpose::ClusterInfo).to_string(),
        "there is no cluster `z`"
    );
    let twice = cluster_info("").replace(
        "contexts:",
        "- {name: \"\", cluster: {server: \"https://b\"}}\ncontexts:",
    );
    assert_eq!(
        error(&twice, Purpose::ClusterInfo).to_string(),
        "there is more than one cluster ``"
    );
}

#[test]
fn a_clusters_description_may_not_weaken_or_redirect_the_connection() {
    type Check = fn(&KubeconfigError) -> bool;
    let cases: [(&str, Check); 5] = [
        ("    insecure-skip-tls-verify: true\n", |e| {
            matches!(e, KubeconfigError::Insecure)
        }),
        ("    proxy-url: http://proxy:1\n", |e| {
            matches!(e, KubeconfigError::Proxy)
        }),
        ("    tls-server-name: a b\n", |e| {
            matches!(e, KubeconfigError::TlsServerName)
        }),
        ("    server: https://b\n", |e| {
            matches!(e, KubeconfigError::Syntax { line: 6, .. })
        }),
        ("    <<: {}\n", |e| matches!(e, KubeconfigError::Excess { line: 6 })),
    ];
    for (line, check) in cases {
        let error = error(&cluster_info(line), Purpose::ClusterInfo);
        assert!(check(&error), "{line}: {error:?}");
    }
    assert!(
        parse(
            cluster_info("    insecure-skip-tls-verify: false\n").as_bytes(),
            Purpose::ClusterInfo
        )
        .is_ok()
    );
    let replaced = |from: &str, to: &str| error(&cluster_info("").replace(from, to), Purpose::ClusterInfo);
    assert!(matches!(
        replaced("https://192", "http://192"),
        KubeconfigError::Server(EndpointError::PlainHttp)
    ));
    assert!(matches!(
        replaced("https://192.0.2.1:6443", "192.0.2.1:6443"),
        KubeconfigError::ServerIsNoUrl
    ));
    assert!(matches!(replaced("server:", "x:"), KubeconfigError::NoServer));
    assert!(matches!(
        replaced("-data:", ":"),
        KubeconfigError::FileReference("certificate-authority")
    ));
    assert!(matches!(
        replaced("certificate-authority-data", "x"),
        KubeconfigError::NoAuthorities
    ));
    assert!(matches!(
        replaced("kind: Config", "kind: Secret"),
        KubeconfigError::OtherKind
    ));
}

#[test]
fn a_clusters_description_with_programs_or_files_is_refused() {
    for (user, expected) in [
        (
            "{exec: {command: sh}}",
            "its user is an `exec` plugin, and that program is not on this machine",
        ),
        (
            "{auth-provider: {name: gcp}}",
            "its user needs an `auth-provider`, which no longer exists",
        ),
        (
            "{tokenFile: /etc/shadow}",
            "`tokenFile` names a file, which is not on this machine",
        ),
        (
            "{client-key: /etc/shadow}",
            "`client-key` names a file, which is not on this machine",
        ),
    ] {
        for purpose in [Purpose::ClusterInfo, Purpose::JoinFile] {
            assert_eq!(error(&with_user(user), purpose).to_string(), expected);
        }
    }
}

#[test]
fn a_user_has_a_token_or_a_certificate_with_its_key() {
    let parsed = |user: &str| parse(with_user(user).as_bytes(), Purpose::JoinFile).unwrap();
    let token = parsed(&format!("{{token: {TOKEN}}}"));
    assert_eq!(
        token.credential,
        Some(Credential::BootstrapToken(TOKEN.parse().unwrap()))
    );
    assert_eq!(token.user_name, "u");
    assert_eq!(
        parsed("{token: abc}").credential,
        Some(Credential::Bearer(Secret::new("abc")))
    );
    assert_eq!(parsed("{}").credential, None);
    let (certificate, key) = (
        some_authority("x"),
        "-----BEGIN EC PRIVATE KEY-----\nAA\n-----END EC PRIVATE KEY-----\n",
    );
    let data = |text: &str| STANDARD.encode(text);
    let both = format!(
        "{{client-certificate-data: {}, client-key-data: {}}}",
        data(&certificate),
        data(key)
    );
    let expected = Credential::ClientCertificate {
        certificate: certificate.clone(),
        key: Secret::new(key),
    };
    assert_eq!(parsed(&both).credential, Some(expected));
}

#[test]
fn half_a_certificate_and_other_ways_to_log_in_are_refused() {
    let data = |text: &str| STANDARD.encode(text);
    let (certificate, key) = (some_authority("x"), "-----BEGIN EC PRIVATE KEY-----");
    for (user, expected) in [
        (
            format!("{{client-certificate-data: {}}}", data(&certificate)),
            "its user has no `client-key-data`",
        ),
        (
            format!("{{client-key-data: {}}}", data(key)),
            "its user has no `client-certificate-data`",
        ),
        (
            format!(
                "{{client-certificate-data: {0}, client-key-data: {0}}}",
                data(&certificate)
            ),
            "`client-key` is not PEM",
        ),
        ("{client-key-data: \"*\"}".into(), "`client-key-data` is not base64"),
        ("{token: \"a b\"}".into(), "`token` cannot be used"),
        (
            "{username: a, password: b}".into(),
            "its user has a user name and password, which API servers no longer accept",
        ),
        (
            "{token: abc, as: admin}".into(),
            "its user acts as somebody else (`as`)",
        ),
    ] {
        assert_eq!(error(&with_user(&user), Purpose::JoinFile).to_string(), expected);
    }
}

#[test]
fn an_operators_kubeconfig_may_name_files_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let ca = some_authority("one");
    std::fs::write(folder.path().join("ca.crt"), &ca).unwrap();
    std::fs::write(folder.path().join("token"), format!("{TOKEN}\n")).unwrap();
    let text = with_user("{tokenFile: token}");
    let at = text.find("certificate-authority-data").unwrap();
    let end = at + text[at..].find('\n').unwrap();
    let text = format!("{}certificate-authority: ca.crt{}", &text[..at], &text[end..]);
    let parsed = parse_admin(text.as_bytes(), folder.path()).unwrap();
    assert_eq!(parsed.authorities, ca);
    assert_eq!(
        parsed.credential,
        Some(Credential::BootstrapToken(TOKEN.parse().unwrap()))
    );
    std::fs::remove_file(folder.path().join("token")).unwrap();
    let error = parse_admin(text.as_bytes(), folder.path()).unwrap_err();
    assert!(
        matches!(error, KubeconfigError::Read { field: "tokenFile", .. }),
        "{error:?}"
    );
}

#[test]
fn bombs_and_other_excesses_are_refused() {
    let laughs = "a: &a [x]\nb: &b [*a, *a]\nkind: Config\n";
    for text in [
        laughs.to_owned(),
        "kind: &a Config\n".to_owned(),
        "kind: *a\n".to_owned(),
        "kind: Config\n---\nkind: Config\n".to_owned(),
        format!("x: {}{}\n", "[".repeat(40), "]".repeat(40)),
        format!("x: [{}]\n", "1,".repeat(30_000)),
    ] {
        let error = error(&text, Purpose::ClusterInfo);
        let refused = matches!(error, KubeconfigError::Excess { .. } | KubeconfigError::Syntax { .. });
        assert!(refused, "{error:?}");
    }
    assert!(matches!(
        error(&" ".repeat(MAX_BYTES + 1), Purpose::ClusterInfo),
        KubeconfigError::TooLarge
    ));
    assert!(matches!(
        parse(b"kind: \xff", Purpose::ClusterInfo),
        Err(KubeconfigError::NotText)
    ));
}

#[test]
fn json_and_its_tabs_are_read_as_well() {
    let ca = STANDARD.encode(some_authority("one"));
    let text = format!(
        "{{\n\t\"clusters\": [{{\"name\": \"\", \"cluster\": {{\"server\": \"https:\\/\\/a\", \"certificate-authority-data\": \"{ca}\"}}}}]\n}}"
    );
    assert_eq!(
        parse(text.as_bytes(), Purpose::ClusterInfo).unwrap().server.to_string(),
        "https://a:443"
    );
}

fn found(name: Option<&str>) -> Found {
    Found {
        server: "https://edge.example.com:6443".parse().unwrap(),
        others: Vec::new(),
        authorities: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into(),
        tls_server_name: name.map(str::to_owned),
        credential: None,
    }
}

#[test]
fn kubelets_kubeconfig_reads_as_it_always_did() {
    let golden = "\
apiVersion: v1
kind: Config
clusters:
- name: default
  cluster:
    certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCkFBQUEKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=
    server: \"https://edge.example.com:6443\"
    tls-server-name: \"kubernetes\"
contexts:
- name: default
  context:
    cluster: default
    user: default
current-context: default
users:
- name: default
  user:
    client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem
    client-key: /var/lib/kubelet/pki/kubelet-client-current.pem
";
    assert_eq!(to_yaml(&found(Some("kubernetes"))), golden);
    assert_eq!(
        to_yaml(&found(None)),
        golden.replace("    tls-server-name: \"kubernetes\"\n", "")
    );
}

proptest! {
    #[test]
    fn no_message_about_a_damaged_kubeconfig_shows_the_token(
        at in any::<prop::sample::Index>(),
        deleted in 0..9_usize,
        inserted in "[\"'=\\[\\]{}#&*!|>\n:,a-z -]{0,6}",
    ) {
        let text = with_user(&format!("{{token: {TOKEN}}}"));
        // The certificate is long and its damage dull: only what follows it is damaged.
        let start = text.find("server:").unwrap();
        let from = start + at.index(text.len() - start);
        let to = (from + deleted).min(text.len());
        let damaged = format!("{}{inserted}{}", &text[..from], &text[to..]);
        if let Err(error) = parse(damaged.as_bytes(), Purpose::JoinFile) {
            let told = format!("{error} {error:?} {}", error.advice());
            prop_assert!(!told.contains("0123456789abcdef"), "{}", told);
        }
    }

    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "(kind: Config\n|\\{)?[ -~\n]{0,200}") {
        let _ = parse(text.as_bytes(), Purpose::ClusterInfo);
    }
}
