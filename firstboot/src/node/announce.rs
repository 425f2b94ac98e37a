//! Says where the node is: on the consoles, in the journal, in the status file and to the service manager.

use std::path::{Path, PathBuf};

use super::state::NodeState;
use super::status::{STATUS_FILE, Status};
use super::{console, notify};
use crate::visible::one_line;

/// The journal's field that finds these messages whatever their words: `journalctl MESSAGE_ID=…`
/// (systemd.journal-fields(7)).
pub const MESSAGE_ID: &str = "5ce1b4f07c1b4f6f9a0c5d0e3f6b7a21";

/// Where the journal takes messages with fields (systemd.io, "Native Journal Protocol").
const JOURNAL_SOCKET: &str = "run/systemd/journal/socket";

/// Says each state of a machine once.
#[derive(Debug)]
pub struct Announcer {
    root: PathBuf,
    last: Option<Status>,
}

impl Announcer {
    /// For the machine whose files are below `root`: `/`, but for tests.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            last: None,
        }
    }

    /// Says that the node is in `state`, why it is not further, and what happens next. The status file always has the
    /// newest; a line that says the same as the one before, but for what comes next, does not go to the consoles again.
    pub fn say(&mut self, state: NodeState, reason: &str, next: &str) {
        let same_state = self.last.as_ref().filter(|last| last.state == state);
        let status = Status {
            version: 1,
            state,
            reason: one_line(reason),
            next: one_line(next),
            since_boot_secs: same_state.map_or_else(|| since_boot(&self.root), |last| last.since_boot_secs),
        };
        if self.last.as_ref() == Some(&status) {
            return;
        }
        let line = status.line();
        if let Err(error) = status.save(&self.root.join(STATUS_FILE.trim_start_matches('/'))) {
            log(&format!("cannot write {STATUS_FILE}: {error}"));
        }
        let is_news = same_state.is_none_or(|last| last.reason != status.reason);
        self.last = Some(status.clone());
        if !is_news {
            return;
        }
        console::say(&self.root, &line);
        if !self.tell_journal(&status, &line) {
            log(&line);
        }
        if let Err(error) = notify::ready(&line) {
            log(&format!("cannot tell the service manager: {error}"));
        }
    }

    fn tell_journal(&self, status: &Status, line: &str) -> bool {
        let message = journal_message(status, line);
        let socket = std::os::unix::net::UnixDatagram::unbound();
        socket.is_ok_and(|socket| socket.send_to(&message, self.root.join(JOURNAL_SOCKET)).is_ok())
    }
}

/// A message with fields. Values have no line breaks, so that each field is one line `NAME=value`.
fn journal_message(status: &Status, line: &str) -> Vec<u8> {
    let fields = [
        ("MESSAGE", line.to_owned()),
        ("MESSAGE_ID", MESSAGE_ID.to_owned()),
        (
            "PRIORITY",
            if status.state == NodeState::Failed { "3" } else { "6" }.to_owned(),
        ),
        ("SYSLOG_IDENTIFIER", "skerry-node".to_owned()),
        ("SKERRY_STATE", status.state.to_string()),
        ("SKERRY_REASON", status.reason.clone()),
        ("SKERRY_NEXT", status.next.clone()),
    ];
    let lines = fields.iter().map(|(name, value)| format!("{name}={value}\n"));
    lines.collect::<String>().into_bytes()
}

/// Standard error is the journal.
#[allow(clippy::print_stderr, reason = "standard error is the journal")]
pub fn log(line: &str) {
    eprintln!("{line}");
}

fn since_boot(root: &Path) -> u64 {
    let text = std::fs::read_to_string(root.join("proc/uptime")).unwrap_or_default();
    text.split('.')
        .next()
        .and_then(|seconds| seconds.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for folder in ["sys/class/tty/console", "dev", "run/skerry", "run/systemd/journal"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        std::fs::write(root.path().join("sys/class/tty/console/active"), "ttyS0\n").unwrap();
        std::fs::write(root.path().join("dev/ttyS0"), "").unwrap();
        root
    }

    #[test]
    fn the_console_hears_a_reason_once_and_the_status_file_has_what_comes_next() {
        let root = machine();
        let mut announcer = Announcer::new(root.path());
        let console = || std::fs::read_to_string(root.path().join("dev/ttyS0")).unwrap();
        announcer.say(NodeState::Joining, "no connection", "trying again in 3 s");
        let first = console();
        assert_eq!(first, "skerry-node: joining: no connection; trying again in 3 s\r\n");
        std::fs::write(root.path().join("dev/ttyS0"), "").unwrap();
        announcer.say(NodeState::Joining, "no connection", "trying again in 7 s");
        assert_eq!(console(), "");
        let status = Status::load(&root.path().join("run/skerry/status.json")).unwrap();
        assert_eq!(status.next, "trying again in 7 s");
    }

    #[test]
    fn the_status_file_tells_when_the_state_began_and_is_written_for_news_only() {
        let root = machine();
        std::fs::create_dir_all(root.path().join("proc")).unwrap();
        let uptime = |secs: u32| std::fs::write(root.path().join("proc/uptime"), format!("{secs}.25 1.00\n")).unwrap();
        let file = root.path().join("run/skerry/status.json");
        let mut announcer = Announcer::new(root.path());
        uptime(7);
        announcer.say(NodeState::Joining, "no connection", "trying again in 3 s");
        uptime(9);
        announcer.say(NodeState::Joining, "not signed", "trying again in 5 s");
        assert_eq!(Status::load(&file).unwrap().since_boot_secs, 7);
        std::fs::remove_file(&file).unwrap();
        announcer.say(NodeState::Joining, "not signed", "trying again in 5 s");
        assert!(!file.exists());
        announcer.say(NodeState::Joined, "not signed", "trying again in 5 s");
        assert_eq!(Status::load(&file).unwrap().since_boot_secs, 9);
    }

    #[test]
    fn the_journal_gets_the_state_as_fields_of_one_line_each() {
        let root = machine();
        let socket = std::os::unix::net::UnixDatagram::bind(root.path().join(JOURNAL_SOCKET)).unwrap();
        Announcer::new(root.path()).say(NodeState::Failed, "first\nsecond", "nothing");
        let mut message = [0; 4096];
        let len = socket.recv(&mut message).unwrap();
        let text = String::from_utf8_lossy(&message[..len]);
        assert!(text.contains("SKERRY_STATE=failed\n"), "{text}");
        assert!(text.contains("SKERRY_REASON=first second\n"), "{text}");
        assert!(text.contains("PRIORITY=3\n"), "{text}");
        assert!(text.lines().all(|line| line.contains('=')), "{text}");
    }
}
