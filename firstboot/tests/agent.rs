//! The agent: what `skerry-node join` does with a machine, from the first boot to a certificate that has expired.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]
#![allow(missing_debug_implementations, reason = "nobody prints a control plane")]

#[path = "join/api_server.rs"]
#[allow(dead_code, reason = "shared with another program of tests")]
mod api_server;
#[path = "agent/fake_machine.rs"]
mod fake_machine;
#[path = "agent/files.rs"]
mod files;
#[path = "identity/issuer.rs"]
#[allow(dead_code, reason = "shared with another program of tests")]
mod issuer;
#[path = "agent/life.rs"]
mod life;
#[path = "agent/loss.rs"]
mod loss;
#[path = "identity/machine.rs"]
#[allow(dead_code, reason = "shared with another program of tests")]
mod machine;
#[path = "agent/scrub.rs"]
mod scrub;
#[path = "join/signer.rs"]
mod signer;
#[path = "agent/site.rs"]
mod site;
#[path = "agent/trouble.rs"]
mod trouble;

use skerry_firstboot::preload::{LayoutError, PreloadError};

/// What containerd says when the disk is full.
fn no_room() -> PreloadError {
    PreloadError::Layout(LayoutError::Read {
        path: "/usr/share/skerry/images/index.json".into(),
        source: site::broken(),
    })
}
