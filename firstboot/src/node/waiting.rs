//! The way to a join file: containerd first, then the places where the file may lie.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::devices::{Devices, Woken};
use super::state::NodeState;
use super::status::{STATUS_FILE, Status};
use super::{console, containerd, notify};
use crate::device::Device;
use crate::source::mounts::SystemMounts;
use crate::source::{self, Source};

/// How long containerd may take to greet; it does so in milliseconds unless the machine is starved.
const GREETING: Duration = Duration::from_secs(10);
/// How long until containerd is asked again; it comes up once, so asking often is cheap.
const CONTAINERD_AGAIN: Duration = Duration::from_secs(1);
/// How long after a device appeared udev may need to give it its names.
const SETTLE: Duration = Duration::from_secs(2);
/// How long until the places are looked at again although no device came.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Where the program finds the machine.
#[derive(Debug, Clone)]
pub struct Place {
    /// The top folder: `/` on a machine.
    pub root: PathBuf,
    /// The service's credentials.
    pub credentials: Option<PathBuf>,
}

/// Says on the consoles, in the journal and in the status file where the node is.
fn announce(place: &Place, state: NodeState, reason: &str, next: &str) {
    let since_boot_secs = since_boot(&place.root);
    let status = Status {
        version: 1,
        state,
        reason: reason.to_owned(),
        next: next.to_owned(),
        since_boot_secs,
    };
    let line = status.line();
    console::say(&place.root, &line);
    log(&line);
    let file = place.root.join(STATUS_FILE.trim_start_matches('/'));
    if let Err(error) = status.save(&file) {
        log(&format!("cannot write {STATUS_FILE}: {error}"));
    }
    if let Err(error) = notify::ready(&line) {
        log(&format!("cannot tell the service manager: {error}"));
    }
}

/// Standard error is the journal.
#[allow(clippy::print_stderr, reason = "standard error is the journal")]
fn log(line: &str) {
    eprintln!("{line}");
}

fn since_boot(root: &Path) -> u64 {
    let text = std::fs::read_to_string(root.join("proc/uptime")).unwrap_or_default();
    text.split('.')
        .next()
        .and_then(|seconds| seconds.parse().ok())
        .unwrap_or(0)
}

/// How long a failure stays on the screen before the machine restarts.
const READING_TIME: Duration = Duration::from_secs(30);

/// Says that the system did not come up and comes back when the restart is due.
pub fn announce_failure(place: &Place) -> std::io::Result<()> {
    let reason = "the system did not come up; what failed is in the lines above";
    announce(place, NodeState::Failed, reason, "restarting in 30 seconds");
    std::thread::sleep(READING_TIME);
    Ok(())
}

/// Says what it waits for, and looks again whenever a device appears. Comes back only if the machine cannot be watched.
pub fn wait_for_join_file(place: &Place) -> std::io::Result<Infallible> {
    let socket = place.root.join(containerd::SOCKET.trim_start_matches('/'));
    if !containerd::answers(&socket, GREETING) {
        announce(
            place,
            NodeState::Starting,
            "containerd does not answer yet",
            "asking again every second",
        );
        while !containerd::answers(&socket, GREETING) {
            std::thread::sleep(CONTAINERD_AGAIN);
        }
    }
    let devices = Devices::watch(&place.root.join("dev"))?;
    let mut announced = None;
    loop {
        let found = look(place);
        if announced.as_ref() != Some(&found) {
            announce_search(place, found.as_ref());
            announced = Some(found);
        }
        while devices.wait(LOOK_AGAIN)? == Woken::Change && devices.wait(SETTLE)? == Woken::Change {}
    }
}

/// The first place that holds a join file; places that cannot be read are told in the journal.
fn look(place: &Place) -> Option<Source> {
    let searched = source::Place {
        root: place.root.clone(),
        credentials: place.credentials.clone(),
    };
    let search = source::find_local(&searched, &Device::read(&place.root), &SystemMounts);
    for trouble in &search.troubles {
        log(&format!("{trouble}; {}", trouble.advice()));
    }
    search.found.map(|found| found.trace.source)
}

fn announce_search(place: &Place, found: Option<&Source>) {
    match found {
        None => {
            let reason = format!("containerd is up; no join file found ({})", source::PLACES);
            announce(
                place,
                NodeState::Waiting,
                &reason,
                "looking again when a device appears, and every minute",
            );
        }
        Some(source) => {
            let reason = format!("{source} is there, but this version of skerry-node cannot join yet");
            announce(
                place,
                NodeState::Failed,
                &reason,
                "boot a newer image; the file is left as it is",
            );
        }
    }
}
