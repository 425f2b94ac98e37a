mod settings;

use super::*;

/// Text, whole message with causes.
fn assert_refused(cases: &[(String, &str)]) {
    for (text, expected) in cases {
        let error = error(text);
        assert_eq!(chain(&error), *expected, "{text}");
        assert!(!error.advice().is_empty());
    }
}

#[test]
fn a_file_of_no_form_says_so() {
    assert_refused(&[
        (String::new(), "the join file is empty"),
        (" \r\n# note\n\0\0".into(), "the join file is empty"),
        ("hello\n".into(), "the file is in none of the forms of a join file"),
        (
            "export TOKEN=x\n".into(),
            "the file is in none of the forms of a join file",
        ),
        (TOKEN.into(), "the join file holds a token and nothing else"),
        (
            format!("K10{}::server:c0ffee", "a1".repeat(32)),
            "tokens of k3s and RKE2 cannot be used: only their own agent can join with them, over a server of their own",
        ),
        ("# kubeadm join a:1\n".into(), "the join file is empty"),
    ]);
    for (bytes, expected) in [
        (b"\xff\xfev\0".to_vec(), "the join file is UTF-16 text"),
        (b"version = \"\xff\"".to_vec(), "the join file is not UTF-8 text"),
        (vec![b'#'; MAX_BYTES + 1], "the join file has more than 262144 bytes"),
    ] {
        assert_eq!(parse(&bytes).unwrap_err().to_string(), expected);
    }
}

#[test]
fn the_basic_keys_are_checked_with_their_place() {
    let replaced = |from: &str, to: &str| file("").replace(from, to);
    assert_refused(&[
        (replaced("version = 1", "# none"), "`version` is missing"),
        (
            replaced("version = 1", "version = 0"),
            "line 1, column 11: `version`: there is no such version",
        ),
        (
            replaced("version = 1", "version = \"1\""),
            "line 1, column 11: `version` must be a whole number",
        ),
        (replaced("endpoints", "#"), "nothing says where the control plane is"),
        (
            replaced("\"192.0.2.1:6443\"", ""),
            "line 2, column 13: `endpoints`: the list is empty",
        ),
        (
            replaced("192.0.2.1", "http://192.0.2.1"),
            "line 2, column 14: `endpoints`: plain `http` is refused: anybody on the way could read and change it",
        ),
        (
            replaced("192.0.2.1", "ftp://192.0.2.1"),
            "line 2, column 14: `endpoints`: only `https` is spoken",
        ),
        (
            replaced("192.0.2.1", "https://me:pw@192.0.2.1"),
            "line 2, column 14: `endpoints`: it must not hold a user name or password",
        ),
        (
            replaced("[\"192.0.2.1:6443\"]", "7"),
            "line 2, column 13: `endpoints` must be a list in brackets",
        ),
    ]);
}

#[test]
fn token_and_trust_are_checked_with_their_place() {
    let replaced = |from: &str, to: &str| file("").replace(from, to);
    assert_refused(&[
        (
            replaced("token", "#"),
            "there is no token: the file holds no credential",
        ),
        (
            replaced("abcdef.", "ABCDEF."),
            "line 3, column 9: `token`: a bootstrap token is 6 and 16 lower-case letters and digits with a dot between them",
        ),
        (
            replaced("ca-pins", "#"),
            "nothing says by what the control plane is recognised: the file holds no pin and no certificate",
        ),
        (
            replaced("sha256:34", "sha256:"),
            "line 4, column 12: `ca-pins`: a pin is `sha256:` and 64 hex digits",
        ),
        (
            replaced("ca-pins = [", "ca-pins = []#"),
            "line 4, column 11: `ca-pins`: the list is empty",
        ),
        (
            file("ca = \"x\""),
            "line 5, column 1: `ca` and `ca-pins` cannot both be there",
        ),
        (
            file("unsafe-skip-ca-verification = true"),
            "line 5, column 1: `unsafe-skip-ca-verification` and `ca-pins` cannot both be there",
        ),
        (
            file("after-join = \"kep\""),
            "line 5, column 14: `after-join`: it must be one of `erase`, `keep`; did you mean `keep`?",
        ),
        (
            file("discovery = \"given\""),
            "`discovery = \"given\"` needs the authorities' certificates, not pins",
        ),
        (
            file(&format!("[node]\nname = \"{TOKEN}\"")),
            "the token stands in an endpoint or a setting as well, where it would stay readable on the machine",
        ),
        (
            replaced("token = \"", "token = \"x"),
            "line 3, column 9: `token`: a bootstrap token is 6 and 16 lower-case letters and digits with a dot between them",
        ),
    ]);
}

#[test]
fn text_that_is_no_toml_points_at_the_place_and_shows_no_value() {
    let error = error(&file("[node\nname = \"x\"\n"));
    assert_eq!((error.line(), error.column()), (Some(5), Some(6)));
    let cut_off = super::error(&file("").replace(&format!("{TOKEN}\""), TOKEN));
    assert_eq!(cut_off.line(), Some(3));
    let excerpt = cut_off.excerpt().unwrap();
    assert!(excerpt.contains("3 | token = \"••••••.••••••••••••••••"), "{excerpt}");
}

#[test]
fn a_kubeadm_line_for_another_machine_or_cut_off_is_refused() {
    let line = |flags: &str| format!("kubeadm join 192.0.2.1:6443 {flags}");
    let whole = format!("--token {TOKEN} --discovery-token-ca-cert-hash {PIN}");
    let whole = whole.as_str();
    assert_refused(&[
        (
            line(&format!("{whole} --control-plane")),
            "line 1, column 164: `--control-plane`: this machine can be a worker only, and the flag is for control planes",
        ),
        (
            line("--discovery-file /tmp/x"),
            "line 1, column 29: `--discovery-file`: the file that it names is not on this machine",
        ),
        (
            line(&format!("{whole} --discovery-token zzzzzz.0123456789abcdef")),
            "line 1, column 164: `--discovery-token`: it is another token than the one before; one token must do for discovery \
             and joining",
        ),
        (
            line(&format!("{whole} 192.0.2.2:6443")),
            "line 1, column 164: `kubeadm join`: only one endpoint is understood, and this is a second one",
        ),
        (
            line(&format!("{whole} --node-name")),
            "line 1, column 164: `--node-name`: its value is missing; the line may have been cut off",
        ),
        (
            line(&format!("--token {TOKEN} --discovery-token-ca-cert-hash sha256:12")),
            "line 1, column 61: `--discovery-token-ca-cert-hash`: a pin is `sha256:` and 64 hex digits",
        ),
        (
            line(&format!("--token {TOKEN}")),
            "nothing says by what the control plane is recognised: the kubeadm line holds no pin and no certificate",
        ),
        (
            line(&format!("--discovery-token-ca-cert-hash {PIN}")),
            "there is no token: the kubeadm line holds no credential",
        ),
        (
            format!("kubeadm join {whole}"),
            "nothing says where the control plane is",
        ),
        (
            format!("{}\n{}", line(whole), line(whole)),
            "line 2, column 14: `kubeadm join`: there is more than one line of this kind",
        ),
    ]);
}

#[test]
fn a_kubeadm_line_without_its_pin_is_told_where_the_pin_is() {
    let line = format!("kubeadm join 192.0.2.1:6443 --token {TOKEN}");
    for text in [line.clone(), format!("version = 1\njoin = \"{line}\"\n")] {
        assert!(error(&text).advice().contains("--print-join-command"), "{text}");
    }
    assert!(
        error(&file("").replace("ca-pins", "#"))
            .advice()
            .contains("`ca-pins = ")
    );
}

#[test]
fn keys_that_say_the_same_twice_are_refused() {
    let join =
        format!("version = 1\njoin = \"kubeadm join a:1 --token {TOKEN} --discovery-token-ca-cert-hash {PIN}\"\n");
    let kkp = "[kkp]\nserver = \"https://a\"\ntoken = \"abc\"\nsecret = \"x\"\n";
    assert_refused(&[
        (
            format!("{join}endpoints = [\"b\"]"),
            "line 3, column 1: `endpoints` and `join` cannot both be there",
        ),
        (
            format!("{join}token = \"{TOKEN}\""),
            "line 3, column 1: `token` and `join` cannot both be there",
        ),
        (
            format!("{join}ca-pins = [\"{PIN}\"]"),
            "line 3, column 1: `ca-pins` and `join` cannot both be there",
        ),
        (
            file(kkp),
            "line 2, column 1: `endpoints` and `kkp` cannot both be there",
        ),
        (
            format!("version = 1\ndiscovery = \"given\"\nca-pins = [\"{PIN}\"]\n{kkp}"),
            "line 2, column 1: `discovery` and `kkp` cannot both be there",
        ),
        (
            format!("version = 1\n{kkp}"),
            "nothing says by what the control plane is recognised: the table `[kkp]` holds no pin and no certificate",
        ),
        (
            format!("version = 1\nunsafe-skip-ca-verification = true\n{kkp}"),
            "`unsafe-skip-ca-verification` is not enough for KKP's values: their token would be shown to whoever answers",
        ),
        (
            "version = 1\n\njoin = \"nonsense\"".into(),
            "the text of `join`, which begins in line 3, cannot be used: the file is in none of the forms of a join file",
        ),
    ]);
}

#[test]
fn k0s_tokens_for_controllers_and_damaged_ones_are_refused() {
    let kubeconfig = |user: &str| {
        let ca = authorities::tests::some_authority("one");
        let cluster = crate::control_plane::Cluster {
            server: "https://192.0.2.1:9443".parse().unwrap(),
            others: Vec::new(),
            authorities: ca,
            tls_server_name: None,
            credential: None,
        };
        let credential = Credential::BootstrapToken(TOKEN.parse().unwrap());
        let yaml = crate::kubeconfig::with_credential(&cluster, &credential);
        yaml.expose()
            .replace("user: default", &format!("user: {user}"))
            .replace("users:\n- name: default", &format!("users:\n- name: {user}"))
    };
    let token = |user: &str| k0s::tests::pack(kubeconfig(user).as_bytes());
    assert!(parse(token("kubelet-bootstrap").as_bytes()).is_ok());
    let cut_off = token("kubelet-bootstrap")[..400].to_owned();
    assert_refused(&[
        (
            token("controller-bootstrap"),
            "the k0s token cannot be used: it is a token for another k0s controller, not for a worker",
        ),
        (cut_off, "the k0s token cannot be used: it is cut off or damaged"),
        (
            k0s::tests::pack(b"hello"),
            "the kubeconfig cannot be used: line 1, column 1: this is not how a kubeconfig is written",
        ),
    ]);
}
