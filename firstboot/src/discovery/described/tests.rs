use proptest::prelude::*;

use super::*;

const UPSTREAM: &str = include_str!("../data/upstream-certificates.pem");

fn authorities() -> String {
    STANDARD.encode(UPSTREAM)
}

/// A kubeconfig of one cluster with these lines and whatever follows.
fn config(name: &str, lines: &[&str], rest: &str) -> String {
    let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: \"{name}\"\n  cluster:\n    certificate-authority-data: {}\n{lines}{rest}",
        authorities()
    )
}

const CONTEXT: &str =
    "contexts:\n- name: here\n  context:\n    cluster: edge\n    user: joiner\ncurrent-context: here\n";

#[test]
fn the_cluster_without_a_name_is_taken_first() {
    let second = "- name: edge\n  cluster:\n    server: https://other:1\n";
    let text = config(
        "",
        &["server: https://cp.example.com:6443"],
        &format!("{second}{CONTEXT}users: null\n"),
    );
    let described = cluster_of(&text).unwrap();
    assert_eq!(described.server.to_string(), "https://cp.example.com:6443");
    assert_eq!(described.authorities, UPSTREAM);
    assert_eq!(described.tls_server_name, None);
}

#[test]
fn otherwise_it_is_the_current_contexts() {
    let lines = [
        "server: https://[2001:db8::1]/k8s/clusters/c-1/",
        "tls-server-name: cp.example.com",
    ];
    let described = cluster_of(&config("edge", &lines, CONTEXT)).unwrap();
    assert_eq!(
        described.server.to_string(),
        "https://[2001:db8::1]:443/k8s/clusters/c-1"
    );
    assert_eq!(described.tls_server_name.as_deref(), Some("cp.example.com"));
}

#[test]
fn a_wrong_or_missing_context_names_no_cluster() {
    let wrong = CONTEXT.replace("cluster: edge", "cluster: shop");
    assert_eq!(cluster_of(""), Err(DescribedError::NoCluster));
    for rest in [wrong.as_str(), "", "current-context: there\n"] {
        let text = config("edge", &["server: https://a:1"], rest);
        assert_eq!(cluster_of(&text), Err(DescribedError::NoCluster), "{rest}");
    }
}

#[test]
fn what_a_node_must_not_obey_is_refused() {
    let server = "server: https://a:1";
    for (line, key) in [
        ("insecure-skip-tls-verify: true", "insecure-skip-tls-verify"),
        ("certificate-authority: /etc/passwd", "certificate-authority"),
        ("proxy-url: http://proxy:3128", "proxy-url"),
    ] {
        assert_eq!(
            cluster_of(&config("", &[server, line], "")),
            Err(DescribedError::Refused(key))
        );
    }
    for (line, key) in [
        ("exec: {command: sh}", "exec"),
        ("auth-provider: {name: oidc}", "auth-provider"),
        ("tokenFile: /etc/shadow", "tokenFile"),
        ("client-certificate: /a", "client-certificate"),
        ("client-key: /b", "client-key"),
    ] {
        let text = config("", &[server], &format!("users:\n- name: u\n  user:\n    {line}\n"));
        assert_eq!(cluster_of(&text), Err(DescribedError::Refused(key)));
    }
    assert!(cluster_of(&config("", &[server, "insecure-skip-tls-verify: false"], "")).is_ok());
}

#[test]
fn a_server_that_is_not_https_is_refused() {
    for server in [
        "http://a:1",
        "a:6443",
        "https://",
        "https://:1",
        "https://a:0",
        "https://a:65536",
        "https://a:x",
        "https://user@a",
        "https://a/?q",
        "https://a/#f",
        "https://a b",
        "https://[::1",
        "https://[a]:1",
        "https://[::1]1",
    ] {
        let text = config("", &[&format!("server: \"{server}\"")], "");
        assert_eq!(cluster_of(&text), Err(DescribedError::NotHttps), "{server}");
    }
}

#[test]
fn missing_and_damaged_authorities_are_refused() {
    let text = config("", &["server: https://a:1"], "");
    let without = |data: &str| text.replace(&authorities(), data);
    assert_eq!(cluster_of(&without("\"\"")), Err(DescribedError::NoAuthorities));
    assert_eq!(cluster_of(&without("'%%%'")), Err(DescribedError::NoAuthorities));
    let other = without(&STANDARD.encode("no certificate"));
    assert_eq!(
        cluster_of(&other),
        Err(DescribedError::BadAuthorities(BundleError::Empty))
    );
}

#[test]
fn anchors_aliases_merge_keys_and_second_documents_are_refused() {
    let text = config("", &["server: https://a:1"], "");
    for hostile in [
        text.replace("server: https", "server: &a https"),
        format!("{text}a: &a [x]\n"),
        format!("{text}a: &a [x]\nb: [*a, *a]\n"),
        format!("{text}a:\n  <<: {{b: c}}\n"),
        format!("{text}---\n{text}"),
        format!("{text}deep: {}1{}\n", "[".repeat(60), "]".repeat(60)),
        "a: [b".to_owned(),
    ] {
        assert!(
            matches!(cluster_of(&hostile), Err(DescribedError::NotYaml(_))),
            "{hostile}"
        );
    }
}

#[test]
fn what_is_told_of_unreadable_yaml_holds_none_of_it() {
    let Err(error) = cluster_of("users:\n- name: u\n  user: {token: [hunter2]}\n") else {
        panic!("a list is no token");
    };
    assert!(!error.to_string().contains("hunter2"), "{error}");
    assert!(error.to_string().contains("line 3"), "{error}");
}

#[test]
fn the_users_credential_is_a_token_or_a_certificate() {
    let with = |lines: &str| credential_of(&format!("{CONTEXT}users:\n- name: joiner\n  user:\n{lines}"));
    let Ok(Credential::BootstrapToken(token)) = with("    token: abcdef.0123456789abcdef\n") else {
        panic!("a bootstrap token");
    };
    assert_eq!(
        (token.id.as_str(), token.secret.expose()),
        ("abcdef", "0123456789abcdef")
    );
    let Ok(Credential::Bearer(token)) = with("    token: eyJhbGciOi.J9.x\n") else {
        panic!("another token");
    };
    assert_eq!(token.expose(), "eyJhbGciOi.J9.x");
    let data = STANDARD.encode("PEM");
    let pair = with(&format!(
        "    client-certificate-data: {data}\n    client-key-data: {data}\n"
    ))
    .unwrap();
    let expected = Credential::ClientCertificate {
        certificate: "PEM".to_owned(),
        key: Secret::new("PEM"),
    };
    assert_eq!(pair, expected);
    assert_eq!(with("    token: \"\"\n"), Err(DescribedError::NoCredential));
    assert_eq!(with("    exec: {command: sh}\n"), Err(DescribedError::Refused("exec")));
    assert_eq!(credential_of(CONTEXT), Err(DescribedError::NoCredential));
}

proptest! {
    #[test]
    fn hostile_text_never_panics(text in "(?s).{0,300}") {
        let _ = cluster_of(&text);
        let _ = credential_of(&text);
    }
}
