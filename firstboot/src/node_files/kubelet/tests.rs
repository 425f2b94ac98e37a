//! What kubelet is told, against the fields that its three supported versions know.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::join_config::{Address, KubeletSettings, Labels, NetworkSettings};

const KNOWN: &str = include_str!("known-fields.txt");

fn small() -> MachineFacts {
    MachineFacts {
        memory_bytes: 219 * MIB,
        cpus: 1,
    }
}

fn config(settings: &NodeSettings) -> Value {
    let files = plan(&small(), settings, "node-1").unwrap();
    serde_json::from_str(&files[0].content).unwrap()
}

fn known() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut all: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let mut block = "";
    for line in KNOWN.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_suffix(':') {
            Some(name) => block = name,
            None => {
                all.entry(block).or_default().insert(line.trim());
            }
        }
    }
    all
}

fn check(value: &Value, fields: &BTreeSet<&str>, place: &str) {
    for key in value.as_object().unwrap().keys() {
        assert!(fields.contains(key.as_str()), "kubelet does not know {place}{key}");
    }
}

/// K1: strict decoding would refuse any other key.
#[test]
fn every_key_is_known_to_kubelet_1_34_1_35_and_1_36() {
    let settings = NodeSettings {
        taints: vec!["a=b:NoSchedule".into()],
        ..NodeSettings::default()
    };
    let mut config = config(&settings);
    let known = known();
    let object = config.as_object_mut().unwrap();
    assert_eq!(object.remove("apiVersion").unwrap(), "kubelet.config.k8s.io/v1beta1");
    assert_eq!(object.remove("kind").unwrap(), "KubeletConfiguration");
    check(&config, &known["KubeletConfiguration"], "");
    let nested = [
        ("/authentication", "KubeletAuthentication"),
        ("/authentication/anonymous", "KubeletAnonymousAuthentication"),
        ("/authentication/webhook", "KubeletWebhookAuthentication"),
        ("/authentication/x509", "KubeletX509Authentication"),
        ("/authorization", "KubeletAuthorization"),
        ("/memorySwap", "MemorySwapConfiguration"),
    ];
    for (pointer, name) in nested {
        check(config.pointer(pointer).unwrap(), &known[name], pointer);
    }
    check(
        &config["registerWithTaints"][0],
        &["key", "value", "effect"].into(),
        "taint.",
    );
}

/// K1, asked of the program itself. One wrong value stops it before it touches the machine; it must be the only thing
/// that it finds wrong.
#[test]
fn kubelet_itself_finds_nothing_else_wrong_than_what_the_test_put_in() {
    let Some(program) = crate::real::kubelet() else {
        return;
    };
    let settings = NodeSettings {
        labels: Labels::from([
            ("site".into(), "shop".into()),
            ("node.kubernetes.io/pool".into(), String::new()),
        ]),
        taints: vec!["a=b:NoSchedule".into()],
        ..NodeSettings::default()
    };
    let mut config = config(&settings);
    config["maxPods"] = json!(-1);
    // The host of the test may still have version 1 of control groups.
    config["failCgroupV1"] = json!(false);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubelet.yaml");
    std::fs::write(&file, config.to_string()).unwrap();
    let output = std::process::Command::new(program)
        .arg(format!("--config={}", file.display()))
        .arg(format!("--root-dir={}", folder.path().display()))
        .arg(format!("--node-labels={}", labels::flag(&settings.labels).unwrap()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("invalid configuration: maxPods"), "{said}");
    assert_eq!(said.matches("invalid configuration").count(), 1, "{said}");
    assert!(!said.contains("strict decoding"), "{said}");
}

#[test]
fn a_small_machine_is_told_what_fits_it() {
    let config = config(&NodeSettings::default());
    assert_eq!(config["evictionHard"]["memory.available"], "6Mi");
    assert_eq!(config["kubeReserved"], json!({ "cpu": "50m", "memory": "54Mi" }));
    assert_eq!(config["maxPods"], 13);
}

/// K9: where nobody approves, no request is made.
#[test]
fn a_serving_certificate_is_asked_for_only_if_the_join_file_says_so() {
    assert_eq!(config(&NodeSettings::default())["serverTLSBootstrap"], false);
    let settings = NodeSettings {
        kubelet: KubeletSettings {
            serving_certificate: ServingCertificate::Cluster,
            ..KubeletSettings::default()
        },
        ..NodeSettings::default()
    };
    assert_eq!(config(&settings)["serverTLSBootstrap"], true);
}

#[test]
fn nobody_gets_in_without_a_name() {
    let config = config(&NodeSettings::default());
    assert_eq!(config["authentication"]["anonymous"]["enabled"], false);
    assert_eq!(config["authorization"]["mode"], "Webhook");
    assert_eq!(config.get("readOnlyPort"), None);
}

#[test]
fn flags_stand_in_one_variable_that_systemd_splits_at_blanks() {
    let settings = NodeSettings {
        labels: Labels::from([("site".into(), "shop".into()), ("example.com/rack".into(), "7".into())]),
        network: NetworkSettings {
            addresses: ["192.0.2.10/24", "192.0.2.11/24", "2001:db8::1/64"]
                .map(|text| Address::try_from(text.to_owned()).unwrap())
                .to_vec(),
            proxy: Some("http://proxy:3128".into()),
            ..NetworkSettings::default()
        },
        ..NodeSettings::default()
    };
    let text = &plan(&small(), &settings, "node-1").unwrap()[1].content;
    assert_eq!(
        text,
        "KUBELET_FLAGS=\"--config=/run/skerry/kubelet.yaml --kubeconfig=/run/skerry/relay/kubelet.conf \
         --cert-dir=/var/lib/kubelet/pki --hostname-override=node-1 --node-labels=example.com/rack=7,site=shop \
         --node-ip=192.0.2.10,2001:db8::1 --housekeeping-interval=30s\"\nGOMEMLIMIT=54MiB\nGOGC=50\n"
    );
}

#[test]
fn the_control_plane_is_reached_through_the_proxy_only_if_the_join_file_says_so() {
    let mut settings = NodeSettings::default();
    settings.network.proxy = Some("http://proxy:3128".into());
    let environment = |settings: &NodeSettings| plan(&small(), settings, "n").unwrap()[1].content.clone();
    assert!(!environment(&settings).contains("PROXY"));
    settings.network.proxy_control_plane = true;
    // The relay's way, not kubelet's.
    assert!(!environment(&settings).contains("PROXY"));
    settings.relay.enabled = false;
    assert!(environment(&settings).contains("HTTPS_PROXY=\"http://proxy:3128\"\n"));
}

#[test]
fn without_the_relay_kubelet_talks_to_the_control_plane_itself() {
    let mut settings = NodeSettings::default();
    settings.relay.enabled = false;
    let text = &plan(&small(), &settings, "node-1").unwrap()[1].content;
    assert!(text.contains(" --kubeconfig=/etc/kubernetes/kubelet.conf "), "{text}");
}

#[test]
fn settings_with_which_kubelet_would_not_start_are_refused() {
    let with = |change: fn(&mut NodeSettings)| {
        let mut settings = NodeSettings::default();
        change(&mut settings);
        plan(&small(), &settings, "node-1").unwrap_err().key
    };
    assert_eq!(with(|s| s.kubelet.max_pods = Some(0)), "kubelet.max-pods");
    assert_eq!(
        with(|s| s.kubelet.reserved_memory = Some(1 << 30)),
        "kubelet.reserved-memory"
    );
    assert_eq!(
        with(|s| s.kubelet.cluster_domain = Some("a b".into())),
        "kubelet.cluster-domain"
    );
    assert_eq!(with(|s| s.taints = vec!["x".into()]), "taints");
    assert_eq!(
        with(|s| s.labels = Labels::from([("kubernetes.io/x".into(), String::new())])),
        "labels"
    );
    assert_eq!(
        plan(&small(), &NodeSettings::default(), "Node 1").unwrap_err().key,
        "name"
    );
}
