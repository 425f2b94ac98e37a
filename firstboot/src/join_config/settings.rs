//! What a node is to be like: the part of a join file that is kept on the machine. It holds no secret but the passphrase of
//! a wireless network, which each boot needs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::WifiSettings;

/// Labels by key.
pub type Labels = BTreeMap<String, String>;

/// What a node is to be like. Written to var as TOML, so that later boots need no join file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct NodeSettings {
    /// The node's name, or a template with `{serial}`, `{mac}` or `{machine-id}`; empty: chosen from the hardware.
    pub name: String,
    /// Labels that kubelet gives the node.
    pub labels: Labels,
    /// Taints that kubelet registers the node with, `key=value:Effect`.
    pub taints: Vec<String>,
    /// Sizing and habits of kubelet.
    pub kubelet: KubeletSettings,
    /// The machine's network.
    pub network: NetworkSettings,
    /// The wireless network that the machine is to be in, on images with Wi-Fi.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wifi: Option<WifiSettings>,
    /// The relay between kubelet and the control plane.
    pub relay: RelaySettings,
    /// Registries and their mirrors.
    pub registries: Vec<RegistryMirror>,
}

/// The relay between kubelet and the control plane, which stands in for it when it cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct RelaySettings {
    /// Whether there is one; without it kubelet talks to the control plane itself.
    pub enabled: bool,
    /// Whether Secrets and the tokens of service accounts are kept, encrypted, on var. Without them pods that need any
    /// do not start while the control plane is away.
    pub cache_secrets: bool,
}

impl Default for RelaySettings {
    fn default() -> Self {
        Self {
            enabled: true,
            cache_secrets: true,
        }
    }
}

/// Sizing and habits of kubelet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct KubeletSettings {
    /// How many pods at most; by default scaled with the memory.
    pub max_pods: Option<u32>,
    /// Addresses of the cluster's DNS service.
    pub cluster_dns: Vec<std::net::IpAddr>,
    /// The cluster's DNS domain; by default `cluster.local`.
    pub cluster_domain: Option<String>,
    /// Memory kept from pods, in bytes; by default scaled with the memory.
    pub reserved_memory: Option<u64>,
    /// Memory below which pods are evicted, in bytes; by default scaled with the memory.
    pub eviction_memory: Option<u64>,
    /// Whose certificate kubelet's own server shows.
    pub serving_certificate: ServingCertificate,
    /// What becomes of memory that does not fit.
    pub swap: Swap,
}

/// Whose certificate kubelet's server shows to the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServingCertificate {
    /// One it signs itself: nobody has to approve anything (KKP, kubeadm without an approver).
    #[default]
    SelfSigned,
    /// One from the cluster; somebody has to approve the requests.
    Cluster,
}

/// What becomes of memory that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Swap {
    /// zram on machines with 512 MiB or less, none on others.
    #[default]
    Auto,
    /// Compressed in memory, for the system's own programs; pods do not swap.
    Zram,
    /// None.
    None,
}

/// The machine's network. Without an address it is DHCP and IPv6 autoconfiguration on every wired interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct NetworkSettings {
    /// The interface that the rest is about: a name, a glob pattern or a hardware address; by default every wired one.
    pub interface: Option<String>,
    /// Static addresses.
    pub addresses: Vec<Address>,
    /// The default gateway.
    pub gateways: Vec<std::net::IpAddr>,
    /// Name servers.
    pub dns: Vec<std::net::IpAddr>,
    /// Search domains.
    pub domains: Vec<String>,
    /// Time servers.
    pub ntp: Vec<String>,
    /// Proxy for everything but the control plane: `http://host:port`.
    pub proxy: Option<String>,
    /// Hosts, domains and networks that are reached directly.
    pub no_proxy: Vec<String>,
    /// Whether the control plane, too, is reached through the proxy.
    pub proxy_control_plane: bool,
    /// Who makes the pods' network.
    pub pod_network: PodNetwork,
    /// The pods' addresses, where the cluster gives the node none.
    pub pod_cidr: Option<Address>,
}

/// Who makes the pods' network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PodNetwork {
    /// A bridge on this machine with the node's pod addresses.
    #[default]
    Bridge,
    /// The cluster's own DaemonSet, such as canal or cilium.
    Cluster,
}

/// An address with the length of its network's prefix, `192.0.2.10/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    /// The address.
    pub address: std::net::IpAddr,
    /// Length of the prefix in bits.
    pub prefix: u8,
}

/// A registry and where its images are taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RegistryMirror {
    /// The registry as it is named in image references, such as `docker.io`.
    pub host: String,
    /// URLs that are tried in this order before the registry itself.
    pub mirrors: Vec<String>,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parsed = text
            .split_once('/')
            .and_then(|(address, prefix)| Some((address.parse::<std::net::IpAddr>().ok()?, prefix.parse().ok()?)));
        match parsed {
            Some((address, prefix)) if prefix <= if address.is_ipv4() { 32 } else { 128 } => {
                Ok(Self { address, prefix })
            }
            _ => Err(format!(
                "`{text}` is no address with a prefix length, such as 192.0.2.10/24"
            )),
        }
    }
}
