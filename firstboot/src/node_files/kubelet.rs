//! kubelet's configuration (`kubelet.config.k8s.io/v1beta1`) and flags, for Kubernetes 1.34 to 1.36.
//!
//! JSON, which is YAML as well, so that no value can become something else. Where nothing is said kubelet's default
//! holds; two of them on purpose:
//! - `configMapAndSecretChangeDetectionStrategy` stays `Watch`: `Cache` would save a little memory, but asks for every
//!   object of every pod again each minute, over links that are paid by the megabyte.
//! - `shutdownGracePeriod` stays 0: it needs logind, 8 MB that do nothing else, and power cuts give no notice anyway.
//!   At an orderly shutdown systemd itself stops the containers' scopes with SIGTERM and waits.

use serde_json::{Value, json};

use super::sizing::{MIB, Sizing};
use super::{MachineFacts, PlanError, PlannedFile, Reader, labels, proxy};
use crate::join_config::node_name::is_subdomain;
use crate::join_config::{NodeSettings, ServingCertificate};

#[cfg(test)]
mod tests;

/// The configuration.
pub const CONFIG: &str = "/run/skerry/kubelet.yaml";
/// The environment of `kubelet.service`, flags included.
pub const ENVIRONMENT: &str = "/run/skerry/kubelet.env";
/// The node's kubeconfig: the control plane itself.
pub const KUBECONFIG: &str = "/etc/kubernetes/kubelet.conf";
/// kubelet's kubeconfig where the relay stands between it and the control plane.
pub const RELAYED_KUBECONFIG: &str = crate::relay::KUBECONFIG;
/// The cluster's authorities, which the API server's own requests are checked against.
pub const AUTHORITIES: &str = "/etc/kubernetes/pki/ca.crt";
/// Where kubelet keeps its certificates.
pub const CERTIFICATES: &str = crate::identity::paths::PKI;

/// Configuration and environment for a node named `node_name`.
pub fn plan(facts: &MachineFacts, settings: &NodeSettings, node_name: &str) -> Result<Vec<PlannedFile>, PlanError> {
    let sizing = checked_sizing(facts, settings)?;
    let config = configuration(&sizing, settings)?;
    let environment = environment(&sizing, settings, node_name)?;
    let file = |path: &str, mode, content| PlannedFile {
        path: path.into(),
        mode,
        content,
        reader: Reader::Kubelet,
    };
    Ok(vec![
        file(CONFIG, 0o644, format!("{config:#}\n")),
        file(ENVIRONMENT, 0o600, environment),
    ])
}

fn checked_sizing(facts: &MachineFacts, settings: &NodeSettings) -> Result<Sizing, PlanError> {
    let sizing = Sizing::of(facts, &settings.kubelet);
    let wrong = |key, value: u64, why| Err(PlanError::new(key, &value.to_string(), why));
    if sizing.max_pods == 0 {
        return wrong("kubelet.max-pods", 0, "leaves no pod on this node");
    }
    // kubelet refuses to start when nothing is left to give.
    if sizing.reserved_bytes.saturating_add(sizing.eviction_bytes) >= facts.memory_bytes {
        return wrong(
            "kubelet.reserved-memory",
            sizing.reserved_bytes,
            "bytes, with the eviction threshold, are all the memory of this machine",
        );
    }
    Ok(sizing)
}

fn configuration(sizing: &Sizing, settings: &NodeSettings) -> Result<Value, PlanError> {
    let kubelet = &settings.kubelet;
    let domain = kubelet.cluster_domain.as_deref().unwrap_or("cluster.local");
    if !is_subdomain(domain) {
        return Err(PlanError::new("kubelet.cluster-domain", domain, "is no domain"));
    }
    let mut config = fixed();
    let sized = json!({
        "clusterDNS": kubelet.cluster_dns,
        "clusterDomain": domain,
        "evictionHard": {
            "memory.available": mebibytes(sizing.eviction_bytes),
            "nodefs.available": "5%",
            "nodefs.inodesFree": "5%",
            "imagefs.available": "5%",
        },
        "kubeReserved": {
            "cpu": format!("{}m", sizing.reserved_millicpus),
            "memory": mebibytes(sizing.reserved_bytes),
        },
        "maxPods": sizing.max_pods,
        "registerWithTaints": labels::taints(&settings.taints)?,
        "serverTLSBootstrap": kubelet.serving_certificate == ServingCertificate::Cluster,
    });
    if let (Value::Object(config), Value::Object(sized)) = (&mut config, sized) {
        config.extend(sized);
    }
    Ok(config)
}

/// What is the same on every machine.
fn fixed() -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": AUTHORITIES },
        },
        "authorization": { "mode": "Webhook" },
        "cgroupDriver": "systemd",
        // Two files of 5 MiB for each container: disks are small and wear out.
        "containerLogMaxFiles": 2,
        "containerLogMaxSize": "5Mi",
        // What the relay understands; it is the default.
        "contentType": "application/vnd.kubernetes.protobuf",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "enableDebugFlagsHandler": false,
        "enableProfilingHandler": false,
        "enableSystemLogHandler": false,
        "enforceNodeAllocatable": ["pods"],
        // Thin links: what one node may ask of the control plane each second.
        "eventBurst": 10,
        "eventRecordQPS": 5,
        "kubeAPIBurst": 20,
        "kubeAPIQPS": 10,
        "failCgroupV1": true,
        // zram is for the system's own programs.
        "failSwapOn": false,
        "memorySwap": { "swapBehavior": "NoSwap" },
        "imageGCHighThresholdPercent": 80,
        "imageGCLowThresholdPercent": 70,
        "nodeStatusMaxImages": 10,
        "protectKernelDefaults": true,
        // /etc/resolv.conf is resolved's stub, which pods do not reach.
        "resolvConf": "/run/systemd/resolve/resolv.conf",
        "rotateCertificates": true,
        "shutdownGracePeriod": "0s",
        "staticPodPath": "/etc/kubernetes/manifests",
        // The default is below /usr, which cannot be written.
        "volumePluginDir": "/var/lib/kubelet/volumeplugins",
    })
}

fn environment(sizing: &Sizing, settings: &NodeSettings, node_name: &str) -> Result<String, PlanError> {
    if !is_subdomain(node_name) {
        return Err(PlanError::new("name", node_name, "is no name of a node (RFC 1123)"));
    }
    let kubeconfig = match settings.relay.enabled {
        true => RELAYED_KUBECONFIG,
        false => KUBECONFIG,
    };
    let mut flags = vec![
        format!("--config={CONFIG}"),
        format!("--kubeconfig={kubeconfig}"),
        format!("--cert-dir={CERTIFICATES}"),
        format!("--hostname-override={node_name}"),
    ];
    let labels = labels::flag(&settings.labels)?;
    if !labels.is_empty() {
        flags.push(format!("--node-labels={labels}"));
    }
    if let Some(addresses) = node_addresses(settings) {
        flags.push(format!("--node-ip={addresses}"));
    }
    if sizing.heap_limit_bytes.is_some() {
        // cAdvisor's look at every control group, each 10 s by default.
        flags.push("--housekeeping-interval=30s".to_owned());
    }
    let heap = sizing.heap_environment();
    // With the relay it is the relay who goes through the proxy.
    let proxy = match settings.network.proxy_control_plane && !settings.relay.enabled {
        true => proxy::environment(&settings.network)?,
        false => String::new(),
    };
    Ok(format!("KUBELET_FLAGS=\"{}\"\n{heap}{proxy}", flags.join(" ")))
}

/// The first static address of each family. With DHCP kubelet finds its address itself, at each start, by the default
/// route; static addresses may come without one.
fn node_addresses(settings: &NodeSettings) -> Option<String> {
    let addresses = settings.network.addresses.iter().map(|own| own.address);
    let first = [
        addresses.clone().find(|address| address.is_ipv4()),
        addresses.clone().find(|address| address.is_ipv6()),
    ];
    let found: Vec<String> = first.into_iter().flatten().map(|address| address.to_string()).collect();
    (!found.is_empty()).then(|| found.join(","))
}

fn mebibytes(bytes: u64) -> String {
    format!("{}Mi", bytes / MIB)
}
