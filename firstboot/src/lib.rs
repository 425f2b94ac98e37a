//! The programs inside a Skerry image: `skerry-init`, PID 1 of the initrd, and `skerry-node`, the agent in the root file
//! system. The library exists for them, for the builder (which shares the console contract and the join file) and for
//! tests.

mod causes;
pub mod certificates;
pub mod client;
pub mod clock;
pub mod control_plane;
pub mod csr;
pub mod device;
pub mod digest;
pub mod discovery;
pub mod disk;
pub mod grow_disk;
mod hex;
pub mod identity;
pub mod initrd;
pub mod join;
pub mod join_config;
pub mod kubeconfig;
pub mod node;
pub mod node_files;
pub mod pause;
pub mod persist;
pub mod preload;
#[cfg(test)]
mod real;
pub mod relay;
pub mod scrub;
pub mod seal;
pub mod secret;
pub mod source;
pub mod split_mix;
mod status_file;
pub mod tls;
pub mod tpm;
mod visible;
