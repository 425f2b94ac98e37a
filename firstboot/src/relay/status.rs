//! What the relay says of itself: as a file for programs and `skerry-node status`, as a line for people.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::status_file;

/// Where the status is kept; gone after a reboot.
pub const STATUS_FILE: &str = "/run/skerry/relay.json";

const DAY: u64 = 24 * 3600;
/// How old the last answer of a control plane that answers may be in the file, in seconds.
const ANSWERS_EVERY: u64 = 600;

/// What the relay says of itself. Times are seconds since 1970 by the machine's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// Version of this format; fields are only added within a version.
    pub version: u32,
    /// Where kubelet's requests go.
    pub state: RelayState,
    /// Since when.
    pub since: u64,
    /// Why the control plane is not reached, if it is not.
    pub trouble: Option<String>,
    /// When the control plane answered last, if it did since the relay was started, or before that.
    pub last_answer: Option<u64>,
    /// Pods that are kept for times alone.
    pub pods: usize,
    /// All objects that are kept, pods included.
    pub objects: usize,
    /// Bytes that they take on var.
    pub bytes: u64,
    /// When the node's certificate expires.
    pub certificate_expires: u64,
    /// What keeps the key to what is kept: `TPM 2.0`, or `file` where whoever has the disk has the key as well.
    pub key: String,
}

/// Where kubelet's requests go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RelayState {
    /// Nowhere yet: whether the control plane answers is not known.
    Starting,
    /// To the control plane.
    Connected,
    /// To what is kept.
    Alone,
}

impl Status {
    /// The line for people, at the time `now`.
    pub fn line(&self, now: u64) -> String {
        let pods = match self.pods {
            1 => "1 pod is".to_owned(),
            pods => format!("{pods} pods are"),
        };
        let certificate = certificate(self.certificate_expires, now);
        match self.state {
            RelayState::Starting => "skerry-relay: starting: looking for the control plane".to_owned(),
            RelayState::Connected => {
                format!(
                    "skerry-relay: connected: the control plane answers; {pods} kept for times alone; {certificate}"
                )
            }
            RelayState::Alone => {
                let trouble = self.trouble.as_deref().unwrap_or("no answer");
                let age = match self.last_answer {
                    Some(last) => format!("as last seen {} ago", span(now.saturating_sub(last))),
                    None => "as last seen".to_owned(),
                };
                let since = span(now.saturating_sub(self.since));
                format!("skerry-relay: alone: for {since}, {trouble}; {pods} served {age}; {certificate}")
            }
        }
    }

    /// Whether who reads this knows enough of `now`: all that is said to people, and the rest nearly. While the control
    /// plane answers, the time of its last answer and what is kept change all day, and say nothing new.
    pub fn still_tells(&self, now: &Self) -> bool {
        if now.state != RelayState::Connected {
            return self == now;
        }
        let since = |status: &Self| status.last_answer.unwrap_or_default();
        let alike = Self {
            last_answer: self.last_answer,
            objects: self.objects,
            bytes: self.bytes,
            ..now.clone()
        };
        *self == alike && since(now).saturating_sub(since(self)) < ANSWERS_EVERY
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

fn certificate(expires: u64, now: u64) -> String {
    match expires.checked_sub(now) {
        None => format!("the certificate expired {} ago: bring a join file", span(now - expires)),
        Some(left) => format!("the certificate is good for {}", span(left)),
    }
}

/// A span of time in its largest unit.
fn span(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..DAY => (seconds / 3600, "hour"),
        _ => (seconds / DAY, "day"),
    };
    match count {
        1 => format!("1 {unit}"),
        _ => format!("{count} {unit}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alone() -> Status {
        Status {
            version: 1,
            state: RelayState::Alone,
            since: 1_000_000,
            trouble: Some("no connection to cp.example:6443".into()),
            last_answer: Some(996_400),
            pods: 2,
            objects: 31,
            bytes: 40_960,
            certificate_expires: 1_000_000 + 200 * DAY,
            key: "file".into(),
        }
    }

    #[test]
    fn a_machine_alone_says_since_when_why_with_what_and_for_how_long() {
        assert_eq!(
            alone().line(1_000_120),
            "skerry-relay: alone: for 2 minutes, no connection to cp.example:6443; 2 pods are served as last seen 1 hour \
             ago; the certificate is good for 199 days"
        );
    }

    #[test]
    fn an_expired_certificate_says_what_to_do() {
        let line = alone().line(1_000_000 + 201 * DAY);
        assert!(
            line.ends_with("the certificate expired 1 day ago: bring a join file"),
            "{line}"
        );
    }

    #[test]
    fn while_the_control_plane_answers_the_file_is_written_for_news_only() {
        let connected = Status {
            state: RelayState::Connected,
            trouble: None,
            ..alone()
        };
        let at = |seconds: u64| Status {
            last_answer: Some(996_400 + seconds),
            bytes: 40_960 + seconds,
            ..connected.clone()
        };
        assert!(connected.still_tells(&at(599)));
        assert!(!connected.still_tells(&at(600)));
        assert!(!connected.still_tells(&Status { pods: 3, ..at(1) }));
        assert!(!connected.still_tells(&alone()));
    }

    #[test]
    fn alone_the_file_tells_all_that_has_changed() {
        let later = Status {
            last_answer: Some(996_401),
            ..alone()
        };
        assert!(alone().still_tells(&alone()));
        assert!(!alone().still_tells(&later));
    }

    #[test]
    fn a_saved_status_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.json");
        alone().save(&path).unwrap();
        assert_eq!(Status::load(&path).unwrap(), alone());
    }
}
