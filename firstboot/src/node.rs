//! `skerry-node`, the agent in the root file system.
//!
//! ```text
//! starting ──containerd answers──→ waiting ──join file──→ joining → joined → ready
//!     any state ──cannot go on without somebody's help──→ failed
//! ```
//!
//! Every change of state is one line on every console, the same as JSON in `/run/skerry/status.json`.

pub mod agent;
pub mod announce;
pub mod cli;
pub mod console;
pub mod containerd;
pub mod devices;
pub mod join_file;
pub mod machine;
pub mod machine_id;
pub mod notify;
pub mod observe;
pub mod radio;
pub mod service_manager;
pub mod state;
pub mod status;

use crate::causes::with_causes as text_of;
