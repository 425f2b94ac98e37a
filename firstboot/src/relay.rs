//! The relay between kubelet and the control plane: transparent while the control plane answers, in its place while it
//! does not.

pub mod config;
pub mod link;
pub mod status;

/// Where kubelet finds the relay, and nobody else does: only clients that are this node are let in.
pub const ADDRESS: std::net::SocketAddr =
    std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 6444);
/// The kubeconfig that leads there.
pub const KUBECONFIG: &str = "/run/skerry/relay/kubelet.conf";
