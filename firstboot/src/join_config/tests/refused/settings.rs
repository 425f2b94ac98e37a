//! Settings of the node and its network.

use super::*;

/// A join file with this table; `|` is the end of a line.
fn table(text: &str) -> String {
    file(&text.replace('|', "\n"))
}

#[test]
fn settings_that_the_node_could_not_use_are_refused() {
    assert_refused(&[
        (
            table("[node]|name = \"Shop\""),
            "line 6, column 8: `node.name`: a node's name is lower-case letters, digits, `-` and `.`, begins and ends with a \
             letter or digit, has at most 63 characters between dots and 253 in total",
        ),
        (
            table("[node]|name = \"{uuid}\""),
            "line 6, column 8: `node.name`: a template may hold `{serial}`, `{mac}` and `{machine-id}`",
        ),
        (
            table("[node.labels]|\"node-role.kubernetes.io/worker\" = \"\""),
            "line 6, column 36: `node.labels.node-role.kubernetes.io/worker`: kubelet may not set `node-role.kubernetes.io/`: a \
             node must not be able to make itself a control plane; label it from the cluster (`kubectl label node`)",
        ),
        (
            table("[node.labels]|a = 1"),
            "line 6, column 5: `node.labels.a` must be a text in quotes",
        ),
        (
            table("[node]|taints = [\"a:NoSchedule\", \"a=b:NoSchedule\"]"),
            "line 6, column 27: `node.taints`: there is a taint with this key and effect already",
        ),
        (
            table("[kubelet]|max-pods = 0"),
            "line 6, column 12: `kubelet.max-pods`: it must be from 1 to 1024",
        ),
        (
            table("[kubelet]|reserved-memory = -1"),
            "line 6, column 19: `kubelet.reserved-memory`: it must not be negative",
        ),
        (
            table("[kubelet]|eviction-memory = \"1.5Gi\""),
            "line 6, column 19: `kubelet.eviction-memory`: an amount of memory is a whole number of bytes, or one with `Ki`, `Mi` \
             or `Gi`, such as `64Mi`",
        ),
        (
            table("[kubelet]|cluster-dns = [\"dns\"]"),
            "line 6, column 16: `kubelet.cluster-dns`: invalid IP address syntax",
        ),
    ]);
}

#[test]
fn settings_that_the_network_could_not_use_are_refused() {
    assert_refused(&[
        (
            table("[network]|addresses = [\"192.0.2.10\"]"),
            "line 6, column 14: `network.addresses`: it is no address with the length of its network's prefix",
        ),
        (
            table("[network]|proxy = \"http://me:pw@proxy:1\""),
            "line 6, column 9: `network.proxy`: it must not hold a user name or password: these settings stay readable on the \
             machine",
        ),
        (
            table("[network]|proxy = \"http://proxy:1/x\""),
            "line 6, column 9: `network.proxy`: nothing may follow the port",
        ),
        (
            table("[network]|proxy-control-plane = true"),
            "line 6, column 23: `network.proxy-control-plane`: there is no `network.proxy`",
        ),
        (
            table("[network]|proxy = \"https://proxy:3128\"|proxy-control-plane = true"),
            "line 7, column 23: `network.proxy-control-plane`: the proxy must be `http://HOST:PORT` where the control plane is \
             reached through it",
        ),
        (
            table("[network]|proxy = \"http://[2001:db8::1]\"|proxy-control-plane = true"),
            "line 7, column 23: `network.proxy-control-plane`: the proxy must be `http://HOST:PORT` where the control plane is \
             reached through it",
        ),
        (
            table("[[registries]]|host = \"a\""),
            "line 5, column 3: `registries.mirrors` is missing",
        ),
        (table("network = 1"), "line 5, column 11: `network` must be a table"),
    ]);
}

#[test]
fn names_that_a_machine_has_no_use_for_are_refused() {
    let domain = "it is no DNS name of letters, digits and `-` between dots";
    let server = "it is neither an IP address nor a DNS name of letters, digits and `-` between dots";
    let registry = "it is no registry: a DNS name of letters, digits and `-` between dots, or an IPv4 address, in lower case, and \
                    perhaps a port";
    for (key, value, reason) in [
        ("network.domains", "[\"_tcp.example\"]", domain),
        ("network.domains", "[\"2001:db8::1\"]", domain),
        ("network.domains", "[\"192.0.2.1\"]", domain),
        ("kubelet.cluster-domain", "\"192.0.2.1\"", domain),
        ("kubelet.cluster-domain", "\"my_cluster\"", domain),
        ("network.ntp", "[\"time_1.example\"]", server),
        ("registries.host", "\"my_registry\"", registry),
        ("registries.host", "\"[2001:db8::1]:5000\"", registry),
    ] {
        let (section, name) = key.split_once('.').unwrap();
        let section = match section {
            "registries" => "[[registries]]|mirrors = []".to_owned(),
            section => format!("[{section}]|# more"),
        };
        let column = format!("{name} = ").len() + 1 + usize::from(value.starts_with('['));
        let expected = format!("line 7, column {column}: `{key}`: {reason}");
        assert_refused(&[(table(&format!("{section}|{name} = {value}")), &expected)]);
    }
}

#[test]
fn values_that_do_not_go_with_others_or_are_too_small_are_refused() {
    let family = "line 6, column 13: `network.gateways`: there is no address of its family in `network.addresses`";
    let gateway = "[network]|gateways = [\"192.0.2.1\"]";
    let registry = "[[registries]]|host = \"a\"|mirrors =";
    assert_refused(&[
        (table(gateway), family),
        (table(&format!("{gateway}|addresses = [\"2001:db8::10/64\"]")), family),
        (
            table("[network]|pod-cidr = \"10.85.0.0/31\""),
            "line 6, column 12: `network.pod-cidr`: it is too small: a gateway and one pod need a prefix of at most 30, or \
             126 for IPv6",
        ),
        (
            table("[network]|proxy = \"http:// proxy:3128\""),
            "line 6, column 9: `network.proxy`: what follows `://` must be a host and a port, such as `proxy.example:3128`",
        ),
        (
            table(&format!("{registry} [\"https://_b\"]")),
            "line 7, column 12: `registries.mirrors`: what follows `://` must be a host and a port, such as \
             `proxy.example:3128`",
        ),
        (
            table(&format!("{registry} [\"https://b\", \"https://b\"]")),
            "line 7, column 25: `registries.mirrors`: it is in the list already",
        ),
        (
            table(&format!("{registry} []|{registry} []")),
            "line 9, column 8: `registries.host`: there are mirrors of this registry already",
        ),
    ]);
}

#[test]
fn wireless_networks_that_the_machine_could_not_join_are_refused_and_their_passphrase_is_not_shown() {
    let long = "x".repeat(33);
    assert_refused(&[
        (
            table("[wifi]|country = \"DE\""),
            "line 5, column 2: `wifi.ssid` is missing",
        ),
        (
            table("[wifi]|ssid = \"a\""),
            "line 5, column 2: `wifi.country` is missing",
        ),
        (
            table(&format!("[wifi]|ssid = \"{long}\"")),
            "line 6, column 8: `wifi.ssid`: a network's name has 1 to 32 bytes",
        ),
        (
            table("[wifi]|ssid = \"a\\n\""),
            "line 6, column 8: `wifi.ssid`: a network's name holds no control characters",
        ),
        (
            table("[wifi]|ssid = \"a\"|country = \"de\""),
            "line 7, column 11: `wifi.country`: a country is two upper-case letters",
        ),
        (
            table("[wifi]|ssid = \"a\"|country = \"DE\"|hidden = 1"),
            "line 8, column 10: `wifi.hidden` must be `true` or `false`",
        ),
    ]);
    for passphrase in ["hunter2", "passwörter", &"y".repeat(64), &"0".repeat(65)] {
        let error = error(&table(&format!(
            "[wifi]|ssid = \"a\"|passphrase = \"{passphrase}\"|country = \"DE\""
        )));
        assert_eq!(
            error.to_string(),
            "line 7, column 14: `wifi.passphrase`: it is neither a passphrase of 8 to 63 printable ASCII characters nor a key \
             of 64 hex digits"
        );
        assert!(!error.excerpt().unwrap().contains(passphrase), "{error:?}");
    }
    let repeated = table(&format!(
        "[wifi]|ssid = \"a\"|passphrase = \"{TOKEN}\"|country = \"DE\""
    ));
    assert!(matches!(
        error(&repeated),
        JoinConfigError::Contradiction(Contradiction::SecretInTheOpen)
    ));
}

#[test]
fn an_accepted_passphrase_is_not_shown_by_debug() {
    let text = table("[wifi]|ssid = \"a\"|passphrase = \"correct horse\"|country = \"DE\"");
    let parsed = parse_strict(text.as_bytes()).unwrap();
    assert!(!format!("{parsed:?}").contains("horse"));
}
