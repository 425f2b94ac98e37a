//! The states of a node and how they are said on the console; `skerry run --until` reads what `skerry-node` writes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a node is on its way to running workloads. Later states compare greater, but for `Failed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// The machine's own services are not up yet.
    Starting,
    /// The machine is up and has nobody to join.
    Waiting,
    /// A join file was found and is being acted on.
    Joining,
    /// The control plane has accepted the node.
    Joined,
    /// The control plane says that the node is Ready.
    Ready,
    /// It cannot go on without somebody's help.
    Failed,
}

const NAMES: [(NodeState, &str); 6] = [
    (NodeState::Starting, "starting"),
    (NodeState::Waiting, "waiting"),
    (NodeState::Joining, "joining"),
    (NodeState::Joined, "joined"),
    (NodeState::Ready, "ready"),
    (NodeState::Failed, "failed"),
];

/// What every line of the contract begins with.
const PREFIX: &str = "skerry-node: ";

impl NodeState {
    /// All names, in the order of the states.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(_, name)| *name)
    }

    /// Whether a node in this state has come at least as far as `goal`. `Failed` is reached by `Failed` alone.
    pub fn reaches(self, goal: Self) -> bool {
        match (self, goal) {
            (Self::Failed, _) | (_, Self::Failed) => self == goal,
            _ => self as u8 >= goal as u8,
        }
    }

    /// The console line for a node in this state.
    pub fn line(self, reason: &str) -> String {
        format!("{PREFIX}{self}: {reason}")
    }

    /// The state and the reason in a console line; none if it is some other line. Text before the prefix, such as a
    /// kernel time stamp, is passed over.
    pub fn from_line(line: &str) -> Option<(Self, &str)> {
        let start = line.find(PREFIX)? + PREFIX.len();
        let (state, reason) = line[start..].split_once(": ")?;
        Some((state.parse().ok()?, reason.trim_end()))
    }
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES[*self as usize].1)
    }
}

/// Text that names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a state of a node (starting, waiting, joining, joined, ready, failed)")]
pub struct UnknownState(pub String);

impl FromStr for NodeState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        let found = NAMES.iter().find(|(_, name)| *name == text);
        found
            .map(|(state, _)| *state)
            .ok_or_else(|| UnknownState(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_line_is_read_back_with_and_without_a_kernel_time_stamp() {
        for (state, name) in NAMES {
            let line = state.line("no join file: none found");
            assert!(line.contains(name));
            let stamped = format!("[   12.345678] {line}\r\n");
            assert_eq!(NodeState::from_line(&line), Some((state, "no join file: none found")));
            assert_eq!(
                NodeState::from_line(&stamped),
                Some((state, "no join file: none found"))
            );
        }
    }

    #[test]
    fn other_lines_hold_no_state() {
        for line in [
            "",
            "skerry-node: hello",
            "skerry-node: dancing: wildly",
            "systemd[1]: waiting: x",
        ] {
            assert_eq!(NodeState::from_line(line), None, "{line}");
        }
    }

    #[test]
    fn a_later_state_reaches_an_earlier_goal_and_failure_reaches_none() {
        assert!(NodeState::Ready.reaches(NodeState::Waiting));
        assert!(!NodeState::Starting.reaches(NodeState::Waiting));
        assert!(!NodeState::Failed.reaches(NodeState::Starting));
        assert!(!NodeState::Ready.reaches(NodeState::Failed));
        assert!(NodeState::Failed.reaches(NodeState::Failed));
    }
}
