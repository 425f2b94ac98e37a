//! `skerry-node relay`: stands on loopback between kubelet and the control plane, and answers kubelet from what it has seen
//! while the control plane cannot be reached.
//!
//! ```text
//! kubelet ──TLS, its certificate──→ listener ──asked──→ link says: through ──→ upstream ──→ control plane
//!                                                                │                 └─observed→ keeping ─┐
//!                                                                └ kept ────→ alone ←── asks ── keeping ─┤
//!                                                    in a thread of its own:  unpack → learn → keeper → store
//! ```

pub mod alone;
pub mod asked;
pub mod authorities;
pub mod body;
pub mod chores;
pub mod config;
pub mod keeper;
pub mod keeping;
mod learn;
pub mod link;
pub mod listener;
mod local;
mod needed;
mod opening;
pub mod passing;
pub mod peer;
pub mod server_certificate;
pub mod service;
pub mod status;
pub mod store;
pub mod store_key;
#[cfg(test)]
mod test_ends;
pub mod unpack;
pub mod upstream;
pub mod wire;

/// Where kubelet finds the relay, and nobody else does: only clients that are this node are let in.
pub const ADDRESS: std::net::SocketAddr = std::net::SocketAddr::new(server_certificate::ADDRESS, 6444);
/// The kubeconfig that leads there.
pub const KUBECONFIG: &str = "/run/skerry/relay/kubelet.conf";
