//! The programs inside a Skerry image: `skerry-init`, PID 1 of the initrd, and `skerry-node`, the agent in the root file
//! system. The library exists for them, for the builder (which shares the console contract) and for tests.

pub mod initrd;
pub mod node;
pub mod persist;
