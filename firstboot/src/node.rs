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
pub mod service_manager;
pub mod state;
pub mod status;

/// An error with its causes, outermost first.
fn text_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
