//! The overlay's static files against what the generators and kubelet expect of them.

use std::collections::BTreeMap;
use std::path::Path;

use super::{MachineFacts, cni, containerd, kubelet, plan, registries};
use crate::initrd::facts;
use crate::join_config::{NodeSettings, RegistryMirror};
use crate::{preload, real};

const CONTAINERD: &str = include_str!("../../../overlays/node/etc/containerd/config.toml");
const SYSCTLS: &str = include_str!("../../../overlays/node/usr/lib/sysctl.d/50-skerry.conf");
const TMPFILES: &str = include_str!("../../../overlays/node/usr/lib/tmpfiles.d/skerry.conf");
const KUBELET_UNIT: &str = include_str!("../../../overlays/node/usr/lib/systemd/system/kubelet.service");
const CONTAINERD_UNIT: &str = include_str!("../../../overlays/node/usr/lib/systemd/system/containerd.service");
const CERTIFICATES_MOUNT: &str = include_str!("../../../overlays/node/usr/lib/systemd/system/etc-kubernetes.mount");
const PLUGINS_MOUNT: &str = include_str!("../../../overlays/node/usr/lib/systemd/system/opt-cni-bin.mount");
const POD_NETWORK_MOUNT: &str = include_str!("../../../overlays/node/usr/lib/systemd/system/etc-cni-net.d.mount");
const VAR_MOUNT: &str = include_str!("../../../overlays/node/usr/lib/systemd/system/var.mount");
const GROW_UNIT: &str = include_str!("../../../overlays/node/usr/lib/systemd/system/skerry-grow-disk.service");
const COMMON: &str = include_str!("../../../images/common.toml");

fn config() -> toml::Table {
    CONTAINERD.parse().unwrap()
}

fn plugin(name: &str) -> toml::Table {
    config()["plugins"][name].as_table().unwrap().clone()
}

/// K3: the values of kubelet's `setupKernelTunables` (Kubernetes 1.36, pkg/kubelet/cm/container_manager_linux.go).
#[test]
fn sysctls_are_those_that_kubelet_insists_on() {
    let set: BTreeMap<&str, &str> = SYSCTLS.lines().filter_map(|line| line.split_once(" = ")).collect();
    for (key, value) in [
        ("vm.overcommit_memory", "1"),
        ("vm.panic_on_oom", "0"),
        ("kernel.panic", "10"),
        ("kernel.panic_on_oops", "1"),
        ("kernel.keys.root_maxkeys", "1000000"),
        ("kernel.keys.root_maxbytes", "25000000"),
    ] {
        assert_eq!(set.get(key), Some(&value), "{key}");
    }
}

/// K5.
#[test]
fn containerd_and_the_import_mean_the_same_pause_image() {
    let images = plugin("io.containerd.cri.v1.images");
    assert_eq!(images["pinned_images"]["sandbox"].as_str(), Some(preload::PAUSE_IMAGE));
}

#[test]
fn containerd_reads_what_is_written_for_it() {
    let images = plugin("io.containerd.cri.v1.images");
    assert_eq!(images["registry"]["config_path"].as_str(), Some(registries::FOLDER));
    let runtime = plugin("io.containerd.cri.v1.runtime");
    let folder = runtime["cni"]["conf_dir"].as_str().unwrap();
    assert!(cni::FILE.strip_prefix(folder).is_some_and(|name| name.starts_with('/')));
    assert!(CONTAINERD_UNIT.contains(&format!("\nEnvironmentFile=-{}\n", containerd::ENVIRONMENT)));
}

#[test]
fn the_images_network_plugins_are_where_containerd_looks() {
    let runtime = plugin("io.containerd.cri.v1.runtime");
    let folders = runtime["cni"]["bin_dirs"].as_array().unwrap();
    let common: toml::Table = COMMON.parse().unwrap();
    let install = common["components"]["cni"]["install"].as_table().unwrap();
    for place in install.values() {
        let (folder, _) = place.as_str().unwrap().rsplit_once('/').unwrap();
        assert!(folders.iter().any(|known| known.as_str() == Some(folder)), "{folder}");
    }
    for name in ["bridge", "host-local", "portmap", "loopback"] {
        assert!(
            install.keys().any(|module| module.ends_with(&format!("/{name}"))),
            "{name}"
        );
    }
}

#[test]
fn kubelets_unit_waits_for_the_files_that_are_written_for_it() {
    assert!(KUBELET_UNIT.contains(&format!("\nEnvironmentFile={}\n", kubelet::ENVIRONMENT)));
    for path in [kubelet::KUBECONFIG, kubelet::CONFIG, kubelet::ENVIRONMENT] {
        assert!(
            KUBELET_UNIT.contains(&format!("\nConditionPathExists={path}\n")),
            "{path}"
        );
    }
    assert!(!KUBELET_UNIT.contains("[Install]"), "skerry-node alone starts it");
    assert!(
        kubelet::AUTHORITIES.starts_with("/etc/kubernetes/")
            && CERTIFICATES_MOUNT.contains("\nWhere=/etc/kubernetes\n")
    );
}

/// The key's value in a unit.
fn value<'u>(unit: &'u str, key: &str) -> &'u str {
    let line = unit.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.strip_prefix('=')).unwrap()
}

/// K6: folders that kubelet, containerd and the DaemonSets of clusters write to and find again after a reboot
/// (Kubernetes 1.36, containerd 2.3, canal and cilium as KKP ships them).
#[test]
fn what_has_to_last_lies_on_the_disk_that_lasts() {
    let mut lasting = vec![Path::new(value(VAR_MOUNT, "Where"))];
    for bound in [CERTIFICATES_MOUNT, PLUGINS_MOUNT, POD_NETWORK_MOUNT] {
        assert!(Path::new(value(bound, "What")).starts_with(lasting[0]), "{bound}");
        assert!(
            value(bound, "Options").split(',').all(|option| option == "bind"),
            "{bound}"
        );
        lasting.push(Path::new(value(bound, "Where")));
    }
    let options = value(VAR_MOUNT, "Options").split(',');
    assert!(
        options
            .clone()
            .all(|option| !["ro", "noexec", "nosuid", "nodev"].contains(&option)),
        "programs and devices of pods lie there"
    );
    for path in [
        kubelet::CERTIFICATES,
        kubelet::KUBECONFIG,
        kubelet::AUTHORITIES,
        cni::FILE,
        "/etc/kubernetes/manifests",
        "/opt/cni/bin",
        "/var/lib/calico",
        "/var/lib/cni",
        "/var/lib/containerd",
        "/var/lib/kubelet",
        "/var/log/calico/cni",
        "/var/log/containers",
        "/var/log/pods",
    ] {
        assert!(lasting.iter().any(|place| Path::new(path).starts_with(place)), "{path}");
    }
}

/// K6: every path that is written down for kubelet and containerd is on var, in memory, or part of the image that is
/// only read. `/etc` is in memory as well, and made anew at each boot.
#[test]
fn no_path_that_the_programs_are_given_asks_for_a_place_that_cannot_be_written() {
    let settings = NodeSettings {
        registries: vec![RegistryMirror {
            host: "docker.io".into(),
            mirrors: vec!["https://mirror.example.org".into()],
        }],
        ..NodeSettings::default()
    };
    let facts = MachineFacts {
        memory_bytes: 512 << 20,
        cpus: 1,
    };
    let files = plan(&facts, &settings, "node-1").unwrap();
    for file in &files {
        assert!(
            file.path.starts_with("/run") || file.path.starts_with("/etc"),
            "{file:?}"
        );
    }
    let written: String = files.into_iter().map(|file| file.content).collect();
    let words = |text: &str| -> Vec<String> {
        let separators = |c: char| c.is_whitespace() || "\"',=[](){}".contains(c);
        text.split(separators)
            .map(|word| word.trim_start_matches("unix://").to_owned())
            .collect()
    };
    let without_comments = |text: &str| -> String {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        lines.collect::<Vec<_>>().join("\n")
    };
    let mut paths = words(&written);
    for text in [CONTAINERD, KUBELET_UNIT, CONTAINERD_UNIT] {
        paths.extend(words(&without_comments(text)));
    }
    paths.retain(|word| word.starts_with('/'));
    assert!(
        paths.iter().any(|path| path == "/var/lib/kubelet/volumeplugins"),
        "{paths:?}"
    );
    const READ_ONLY: [&str; 4] = [
        "/usr/bin/containerd",
        "/usr/bin/crun",
        "/usr/bin/kubelet",
        "/usr/lib/cni",
    ];
    for path in paths {
        let written_to = ["/var/", "/run/", "/etc/", "/opt/cni/bin"]
            .iter()
            .any(|place| path.starts_with(place));
        assert!(written_to || READ_ONLY.contains(&path.as_str()), "{path}");
    }
}

/// Machines with a GPT, and those that have var, start no process for it.
#[test]
fn var_is_made_only_where_the_initrd_asks_for_it_and_before_it_is_mounted() {
    assert_eq!(value(GROW_UNIT, "ConditionPathExists"), facts::GROW_PATH);
    assert_eq!(value(GROW_UNIT, "RequiredBy"), "var.mount");
    assert!(value(VAR_MOUNT, "After").contains("skerry-grow-disk.service"));
    let common: toml::Table = COMMON.parse().unwrap();
    let enabled = common["units"]["enable"].as_array().unwrap();
    assert!(
        enabled
            .iter()
            .any(|unit| unit.as_str() == Some("skerry-grow-disk.service"))
    );
}

/// The checkpoint files of Kubernetes 1.36's kubelet below its root folder.
#[test]
fn checkpoints_that_make_kubelet_panic_are_gone_after_a_boot() {
    for name in [
        "cpu_manager_state",
        "memory_manager_state",
        "dra_manager_state",
        "allocated_pods_state",
        "actuated_pods_state",
        "device-plugins/kubelet_internal_checkpoint",
    ] {
        assert!(
            TMPFILES
                .lines()
                .any(|line| line == format!("r! /var/lib/kubelet/{name}")),
            "{name}"
        );
    }
}

/// K2: what the real program makes of the file; no key may be lost on the way.
#[test]
fn containerd_itself_understands_its_configuration() {
    let Some(program) = real::containerd() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, CONTAINERD).unwrap();
    let output = std::process::Command::new(program)
        .arg("-c")
        .arg(&file)
        .args(["config", "dump"])
        .output()
        .unwrap();
    let dump: toml::Table = String::from_utf8(output.stdout).unwrap().parse().unwrap();
    let mut wanted = config();
    wanted.remove("version");
    includes(&toml::Value::Table(dump), &toml::Value::Table(wanted), "");
}

fn includes(dump: &toml::Value, wanted: &toml::Value, place: &str) {
    match wanted {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let found = dump
                    .get(key)
                    .unwrap_or_else(|| panic!("containerd does not know {place}.{key}"));
                includes(found, value, &format!("{place}.{key}"));
            }
        }
        _ => assert_eq!(dump, wanted, "{place}"),
    }
}

/// kubelet makes it anew if it is not there, and never if it is there and empty, as a power cut leaves it.
#[test]
fn the_certificate_of_kubelets_own_server_goes_at_each_boot() {
    for file in ["kubelet.crt", "kubelet.key"] {
        let line = format!("r! {}/{file}", kubelet::CERTIFICATES);
        assert!(TMPFILES.lines().any(|other| other == line), "{line}");
    }
}
