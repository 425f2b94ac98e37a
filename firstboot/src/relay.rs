//! The relay between kubelet and the control plane: transparent while the control plane answers, in its place while it
//! does not.

pub mod link;
pub mod store;
pub mod store_key;
