//! The pod network: a bridge with the addresses that the cluster gives this node.
//!
//! The minimum that works: `bridge` with `host-local` addresses, masquerading towards the rest of the world, and
//! `portmap` for hostPorts, both through nftables (the image has `nft`; rules of iptables would be its emulation). No
//! `firewall` plugin: nothing here forbids forwarding. Leases of addresses are on tmpfs, because no pod outlives a boot:
//! on var a power cut would leave them taken for ever. The file itself lasts (`/etc/cni/net.d` is on var), so that pods
//! start before the control plane answers.

use std::io;
use std::net::IpAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::{PlanError, PlannedFile, Reader};
use crate::join_config::{Address, NetworkSettings, PodNetwork};

/// The configuration's file.
pub const FILE: &str = "/etc/cni/net.d/10-skerry.conflist";

/// What is to become of [`FILE`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodNetworkPlan {
    /// It is written.
    Write(PlannedFile),
    /// It goes: the cluster's DaemonSet makes the network.
    Remove,
    /// The cluster has given no addresses yet; what is there stays.
    NotYet,
}

/// What the settings and the Node's `spec.podCIDRs` lead to.
pub fn plan(network: &NetworkSettings, pod_cidrs: &[String]) -> Result<PodNetworkPlan, PlanError> {
    if network.pod_network == PodNetwork::Cluster {
        return Ok(PodNetworkPlan::Remove);
    }
    let mut ranges = pod_cidrs
        .iter()
        .map(|text| Address::try_from(text.clone()).map_err(|_| PlanError::new("spec.podCIDRs", text, "is no network")))
        .collect::<Result<Vec<_>, _>>()?;
    if ranges.is_empty() {
        ranges.extend(network.pod_cidr);
    }
    if ranges.is_empty() {
        return Ok(PodNetworkPlan::NotYet);
    }
    let ranges = ranges.into_iter().map(range).collect::<Result<Vec<_>, _>>()?;
    Ok(PodNetworkPlan::Write(PlannedFile {
        path: FILE.into(),
        mode: 0o644,
        content: format!("{:#}\n", conflist(&ranges)),
        reader: Reader::Always,
    }))
}

/// One range of addresses, as a set of its own: a pod gets one address of each set. `host-local` refuses networks with
/// host bits, or too small for a gateway and a pod.
fn range(address: Address) -> Result<Value, PlanError> {
    let (network, bits): (IpAddr, u8) = match address.address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(address.prefix)).unwrap_or(0);
            (IpAddr::V4((u32::from(v4) & mask).into()), 32)
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(address.prefix)).unwrap_or(0);
            (IpAddr::V6((u128::from(v6) & mask).into()), 128)
        }
    };
    if address.prefix + 2 > bits {
        return Err(PlanError::new(
            "pod-cidr",
            &address.to_string(),
            "is too small for pods",
        ));
    }
    Ok(json!([{ "subnet": format!("{network}/{}", address.prefix) }]))
}

fn conflist(ranges: &[Value]) -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "skerry",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isDefaultGateway": true,
                "hairpinMode": true,
                "ipMasq": true,
                "ipMasqBackend": "nftables",
                "ipam": { "type": "host-local", "dataDir": "/run/cni/networks", "ranges": ranges },
            },
            {
                "type": "portmap",
                "backend": "nftables",
                "snat": true,
                "capabilities": { "portMappings": true },
            },
        ],
    })
}

/// Carries out `plan` below `root`.
pub fn apply(root: &Path, plan: &PodNetworkPlan) -> Result<(), super::ApplyError> {
    match plan {
        PodNetworkPlan::Write(file) => super::write(root, std::slice::from_ref(file)).map(|_| ()),
        PodNetworkPlan::NotYet => Ok(()),
        PodNetworkPlan::Remove => match std::fs::remove_file(root.join(FILE.trim_start_matches('/'))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(super::ApplyError::Write {
                path: FILE.to_owned(),
                source: error,
            }),
            _ => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(network: &NetworkSettings, cidrs: &[&str]) -> String {
        let cidrs: Vec<String> = cidrs.iter().map(ToString::to_string).collect();
        match plan(network, &cidrs).unwrap() {
            PodNetworkPlan::Write(file) => file.content,
            other => panic!("{other:?}"),
        }
    }

    fn subnets(text: &str) -> Vec<String> {
        let value: Value = serde_json::from_str(text).unwrap();
        let ranges = value["plugins"][0]["ipam"]["ranges"].as_array().unwrap();
        ranges
            .iter()
            .map(|set| set[0]["subnet"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn pods_get_the_nodes_addresses_of_both_families() {
        let text = written(&NetworkSettings::default(), &["10.244.3.0/24", "fd00:10:244:3::/64"]);
        assert_eq!(subnets(&text), ["10.244.3.0/24", "fd00:10:244:3::/64"]);
    }

    #[test]
    fn the_join_files_network_serves_where_the_cluster_gives_none() {
        let network = NetworkSettings {
            pod_cidr: Some(Address::try_from("10.9.8.7/24".to_owned()).unwrap()),
            ..NetworkSettings::default()
        };
        assert_eq!(subnets(&written(&network, &[])), ["10.9.8.0/24"]);
        assert_eq!(subnets(&written(&network, &["10.244.3.0/24"])), ["10.244.3.0/24"]);
        assert_eq!(plan(&NetworkSettings::default(), &[]).unwrap(), PodNetworkPlan::NotYet);
    }

    #[test]
    fn networks_that_are_none_or_too_small_are_refused() {
        for text in ["10.244.3.0", "10.244.3.0/33", "10.244.3.0/31", "fd00::/127", "x"] {
            assert!(plan(&NetworkSettings::default(), &[text.to_owned()]).is_err(), "{text}");
        }
        assert_eq!(
            subnets(&written(&NetworkSettings::default(), &["0.0.0.0/0"])),
            ["0.0.0.0/0"]
        );
    }

    #[test]
    fn an_own_file_goes_when_the_cluster_makes_the_network_and_foreign_ones_stay() {
        let root = tempfile::tempdir().unwrap();
        let bridge = plan(&NetworkSettings::default(), &["10.244.3.0/24".into()]).unwrap();
        apply(root.path(), &bridge).unwrap();
        let foreign = root.path().join("etc/cni/net.d/10-canal.conflist");
        std::fs::write(&foreign, "{}").unwrap();
        apply(root.path(), &PodNetworkPlan::NotYet).unwrap();
        assert!(root.path().join(&FILE[1..]).exists());
        let network = NetworkSettings {
            pod_network: PodNetwork::Cluster,
            ..NetworkSettings::default()
        };
        for _ in 0..2 {
            apply(root.path(), &plan(&network, &["10.244.3.0/24".into()]).unwrap()).unwrap();
        }
        assert!(!root.path().join(&FILE[1..]).exists() && foreign.exists());
    }
}
