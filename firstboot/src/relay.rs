//! `skerry-node relay`: stands on loopback between kubelet and the control plane, and answers kubelet from what it has seen
//! while the control plane cannot be reached.
//!
//! ```text
//! kubelet ──TLS, its certificate──→ listener ──asked──→ link says: through ──→ upstream ──→ control plane
//!                                                                │                 └─observed→ learn → store
//!                                                                └ kept ────→ alone ←── store
//! ```

pub mod asked;
pub mod config;
pub mod link;
pub mod status;
pub mod wire;

/// Where kubelet finds the relay, and nobody else does: only clients that are this node are let in.
pub const ADDRESS: std::net::SocketAddr =
    std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 6444);
/// The kubeconfig that leads there.
pub const KUBECONFIG: &str = "/run/skerry/relay/kubelet.conf";
