//! What lasts of a join: power cuts, failing disks, damage, and what is decided at a boot.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

#[path = "identity/damage.rs"]
mod damage;
#[path = "identity/decisions.rs"]
mod decisions;
#[path = "identity/failing_disk.rs"]
mod failing_disk;
#[path = "identity/files.rs"]
mod files;
#[path = "identity/issuer.rs"]
mod issuer;
#[path = "identity/machine.rs"]
mod machine;
#[path = "identity/power_cut.rs"]
mod power_cut;
#[path = "identity/reset.rs"]
mod reset;
#[path = "identity/successor.rs"]
mod successor;
