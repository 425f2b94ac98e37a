//! The relay between kubelet and the control plane: transparent while the control plane answers, in its place while it
//! does not.

pub mod body;
pub mod link;
pub mod listener;
mod local;
pub mod peer;
pub mod server_certificate;
pub mod upstream;

#[cfg(test)]
mod test_ends;
