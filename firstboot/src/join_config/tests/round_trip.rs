//! What is written is read as the same.

use std::net::IpAddr;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;

fn host() -> impl Strategy<Value = String> {
    prop_oneof![domain(), any::<IpAddr>().prop_map(|address| address.to_string())]
}

fn domain() -> impl Strategy<Value = String> {
    "[a-z]([a-z0-9-]{0,8}[a-z0-9])?(\\.[a-z]{2,5}){0,2}"
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    (host(), 1..=u16::MAX, "(/[a-z0-9._~-]{1,3}[a-z]){0,2}").prop_map(|(host, port, path)| Endpoint {
        host,
        port,
        path,
    })
}

fn bootstrap_token() -> impl Strategy<Value = Credential> {
    ("[a-z0-9]{6}", "[a-z0-9]{16}").prop_map(|(id, secret)| {
        Credential::BootstrapToken(BootstrapToken {
            id,
            secret: Secret::new(secret),
        })
    })
}

fn bearer() -> impl Strategy<Value = Secret> {
    "[A-Za-z0-9._~+/-]{1,40}={0,2}"
        .prop_filter("a bootstrap token is another kind", |text| {
            text.parse::<BootstrapToken>().is_err()
        })
        .prop_map(Secret::new)
}

fn pins() -> impl Strategy<Value = Trust> {
    vec(any::<[u8; 32]>().prop_map(CaPin), 1..3).prop_map(Trust::Pins)
}

fn authorities() -> Trust {
    static PEM: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    Trust::Authorities(PEM.get_or_init(|| authorities::tests::some_authority("one")).clone())
}

fn trust() -> impl Strategy<Value = Trust> {
    prop_oneof![pins(), Just(authorities()), Just(Trust::UnsafeTokenOnly)]
}

/// All ways to join that there are.
fn way() -> impl Strategy<Value = (Vec<Endpoint>, Trust, Discovery, Credential)> {
    let one = || endpoint().prop_map(|endpoint| vec![endpoint]);
    let other = prop_oneof![
        bearer().prop_map(Credential::Bearer),
        Just(Credential::ClientCertificate {
            certificate: authorities::tests::some_authority("client"),
            key: Secret::new("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        })
    ];
    prop_oneof![
        (
            vec(endpoint(), 1..4),
            trust(),
            Just(Discovery::ClusterInfo),
            bootstrap_token()
        ),
        (
            vec(endpoint(), 1..4),
            Just(authorities()),
            Just(Discovery::Given),
            bootstrap_token()
        ),
        (one(), Just(authorities()), Just(Discovery::Given), other),
        (
            one(),
            prop_oneof![pins(), Just(authorities())],
            "kube-system-[a-z]{1,9}-kubelet-bootstrap-config".prop_map(|name| Discovery::KkpSecret { name }),
            bearer().prop_map(Credential::Bearer)
        ),
    ]
}

fn address() -> impl Strategy<Value = Address> {
    (any::<IpAddr>(), 0..=32_u8).prop_map(|(address, prefix)| Address { address, prefix })
}

fn pod_range() -> impl Strategy<Value = Address> {
    (any::<IpAddr>(), 0..=30_u8).prop_map(|(address, prefix)| Address { address, prefix })
}

fn kubelet() -> impl Strategy<Value = KubeletSettings> {
    let memory = || option::of(0..=i64::MAX as u64);
    (
        option::of(1..=1024_u32),
        vec(any::<IpAddr>(), 0..3),
        option::of(domain()),
        (memory(), memory()),
        prop_oneof![Just(ServingCertificate::SelfSigned), Just(ServingCertificate::Cluster)],
        prop_oneof![Just(Swap::Auto), Just(Swap::Zram), Just(Swap::None)],
    )
        .prop_map(
            |(max_pods, cluster_dns, cluster_domain, memory, serving_certificate, swap)| KubeletSettings {
                max_pods,
                cluster_dns,
                cluster_domain,
                reserved_memory: memory.0,
                eviction_memory: memory.1,
                serving_certificate,
                swap,
            },
        )
}

fn network() -> impl Strategy<Value = NetworkSettings> {
    let addresses = (
        vec(address(), 0..3),
        vec(any::<IpAddr>(), 0..3),
        vec(any::<IpAddr>(), 0..2),
    );
    let proxy = (option::of(host_url()), vec(host(), 0..2), any::<bool>());
    (
        option::of("[a-z*]{1,9}"),
        addresses,
        (vec(domain(), 0..2), vec(host(), 0..2)),
        proxy,
        prop_oneof![Just(PodNetwork::Bridge), Just(PodNetwork::Cluster)],
        option::of(pod_range()),
    )
        .prop_map(
            |(interface, addresses, hosts, proxy, pod_network, pod_cidr)| NetworkSettings {
                interface,
                gateways: reachable(addresses.1, &addresses.0),
                addresses: addresses.0,
                dns: addresses.2,
                domains: hosts.0,
                ntp: hosts.1,
                proxy_control_plane: proxy.2 && proxy.0.as_ref().is_some_and(|url| url.starts_with("http://")),
                proxy: proxy.0,
                no_proxy: proxy.1,
                pod_network,
                pod_cidr,
            },
        )
}

/// Those of `gateways` that have an address of their family.
fn reachable(gateways: Vec<IpAddr>, addresses: &[Address]) -> Vec<IpAddr> {
    let same_family = |gateway: &IpAddr| addresses.iter().any(|own| own.address.is_ipv4() == gateway.is_ipv4());
    gateways.into_iter().filter(same_family).collect()
}

fn relay() -> impl Strategy<Value = RelaySettings> {
    (any::<bool>(), any::<bool>()).prop_map(|(enabled, cache_secrets)| RelaySettings { enabled, cache_secrets })
}

fn wifi() -> impl Strategy<Value = WifiSettings> {
    let passphrase = prop_oneof!["[ -~]{8,63}", "[0-9a-fA-F]{64}"].prop_map(Secret::new);
    (
        "[a-z \"'\\\\=#é]{1,16}",
        option::of(passphrase),
        "[A-Z]{2}",
        any::<bool>(),
    )
        .prop_map(|(ssid, passphrase, country, hidden)| WifiSettings {
            ssid,
            passphrase,
            country,
            hidden,
        })
}

fn host_url() -> impl Strategy<Value = String> {
    "https?://[a-z]{1,9}:[1-9][0-9]{0,3}"
}

fn settings() -> impl Strategy<Value = NodeSettings> {
    let registries = btree_map("[a-z]{1,9}(:[1-9]{1,4})?", btree_set(host_url(), 0..3), 0..3);
    (
        prop_oneof![
            Just(String::new()),
            "[a-z]{1,9}-\\{(serial|mac|machine-id)\\}",
            "[a-z0-9]{1,20}"
        ],
        btree_map(
            "(example\\.com/)?[A-Za-z]{1,9}",
            "([A-Za-z0-9][A-Za-z0-9_.-]{0,9}[a-z])?",
            0..3,
        ),
        option::of("[a-z]{1,9}(=[a-z]{0,5})?:(NoSchedule|NoExecute)"),
        kubelet(),
        network(),
        (option::of(wifi()), relay()),
        registries,
    )
        .prop_map(
            |(name, labels, taint, kubelet, network, (wifi, relay), registries)| NodeSettings {
                name,
                labels,
                taints: taint.into_iter().collect(),
                kubelet,
                network,
                wifi,
                relay,
                registries: registries
                    .into_iter()
                    .map(|(host, mirrors)| RegistryMirror {
                        host,
                        mirrors: mirrors.into_iter().collect(),
                    })
                    .collect(),
            },
        )
}

fn config() -> impl Strategy<Value = JoinConfig> {
    (way(), settings(), option::of(host()), any::<bool>()).prop_map(|(way, settings, tls_server_name, keep)| {
        JoinConfig {
            endpoints: way.0,
            trust: way.1,
            discovery: way.2,
            credential: way.3,
            tls_server_name,
            after_join: if keep { AfterJoin::Keep } else { AfterJoin::Erase },
            settings,
        }
    })
}

proptest! {
    #[test]
    fn every_configuration_is_read_back_from_what_is_written(config in config()) {
        let text = config.to_toml().unwrap();
        let parsed = parse_strict(text.expose().as_bytes());
        let parsed = parsed.map_err(|error| TestCaseError::fail(format!("{}\n{}", chain(&error), text.expose())))?;
        prop_assert_eq!(&parsed.config, &config);
        prop_assert_eq!(parsed.warnings, Vec::<String>::new());
        prop_assert_eq!(parsed.config.to_toml().unwrap(), text);
    }

    #[test]
    fn settings_are_read_back_by_later_boots_as_well(settings in settings()) {
        let text = toml::to_string(&settings).unwrap();
        prop_assert_eq!(toml::from_str::<NodeSettings>(&text).unwrap(), settings);
    }
}

#[test]
fn combinations_that_no_file_says_are_not_written() {
    let bearer = Credential::Bearer(Secret::new("x"));
    let base = parse(file("").as_bytes()).unwrap().config;
    let wrong = JoinConfig {
        credential: bearer.clone(),
        ..base.clone()
    };
    assert_eq!(wrong.to_toml(), Err(Inexpressible::Combination));
    let two = JoinConfig {
        endpoints: vec![base.endpoints[0].clone(), base.endpoints[0].clone()],
        trust: authorities(),
        discovery: Discovery::Given,
        credential: bearer,
        ..base
    };
    assert_eq!(two.to_toml(), Err(Inexpressible::Endpoints));
}
