//! `skerry-node relay`: stands on loopback between kubelet and the control plane, and answers kubelet from what it has seen
//! while the control plane cannot be reached.

pub mod asked;
pub mod wire;
