//! The flow of a join: power cuts, failing disks, and whatever a control plane may answer.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]
#![allow(missing_debug_implementations, reason = "nobody prints a control plane")]

#[path = "join/api_server.rs"]
mod api_server;
#[path = "join/certificates.rs"]
mod certificates;
#[path = "join/decisions.rs"]
mod decisions;
#[path = "join/failing_disk.rs"]
mod failing_disk;
#[path = "identity/issuer.rs"]
#[allow(dead_code, reason = "shared with another program of tests")]
mod issuer;
#[path = "join/joiner.rs"]
mod joiner;
#[path = "identity/machine.rs"]
#[allow(dead_code, reason = "shared with another program of tests")]
mod machine;
#[path = "join/names.rs"]
mod names;
#[path = "join/power_cut.rs"]
mod power_cut;
#[path = "join/refusals.rs"]
mod refusals;
#[path = "join/signer.rs"]
mod signer;
