//! The node's status as a file, for programs on the machine and `skerry-node status`.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::state::NodeState;
use crate::status_file;

/// Where the status is kept; gone after a reboot.
pub const STATUS_FILE: &str = "/run/skerry/status.json";

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of this format; fields are only added within a version.
    pub version: u32,
    /// Where the node is.
    pub state: NodeState,
    /// Why it is there and not further.
    pub reason: String,
    /// What happens next, or what somebody has to do.
    pub next: String,
    /// Seconds from the start of the kernel to this state.
    pub since_boot_secs: u64,
}

impl Status {
    /// The line that is said on the console.
    pub fn line(&self) -> String {
        self.state.line(&format!("{}; {}", self.reason, self.next))
    }

    /// Writes it to `path`, at once or not at all.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        status_file::save(self, path)
    }

    /// Reads what [`Status::save`] wrote.
    pub fn load(path: &Path) -> io::Result<Self> {
        status_file::load(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_status_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.json");
        let status = Status {
            version: 1,
            state: NodeState::Waiting,
            reason: "no join file".into(),
            next: "looking again".into(),
            since_boot_secs: 31,
        };
        status.save(&path).unwrap();
        assert_eq!(Status::load(&path).unwrap(), status);
        assert_eq!(status.line(), "skerry-node: waiting: no join file; looking again");
    }
}
