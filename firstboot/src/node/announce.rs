//! Says where the node is: on the consoles, in the journal, in the status file and to the service manager.

use std::path::{Path, PathBuf};

use super::state::NodeState;
use super::status::{STATUS_FILE, Status};
use super::{console, notify};

/// The journal's field that finds these messages whatever their words: `journalctl MESSAGE_ID=…`
/// (systemd.journal-fields(7)).
pub const MESSAGE_ID: &str = "5ce1b4f07c1b4f6f9a0c5d0e3f6b7a21";

/// Where the journal takes messages with fields (systemd.io, "Native Journal Protocol").
const JOURNAL_SOCKET: &str = "run/systemd/journal/socket";

/// Says each state of a machine once.
#[derive(Debug)]
pub struct Announcer {
    root: PathBuf,
    last: Option<(NodeState, String)>,
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
        let status = Status {
            version: 1,
            state,
            reason: reason.to_owned(),
            next: next.to_owned(),
            since_boot_secs: since_boot(&self.root),
        };
        let line = status.line();
        if let Err(error) = status.save(&self.root.join(STATUS_FILE.trim_start_matches('/'))) {
            log(&format!("cannot write {STATUS_FILE}: {error}"));
        }
        let said = Some((state, reason.to_owned()));
        if self.last == said {
            return;
        }
        self.last = said;
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
    let one_line = |text: &str| text.replace('\n', " ");
    let fields = [
        ("MESSAGE", one_line(line)),
        ("MESSAGE_ID", MESSAGE_ID.to_owned()),
        (
            "PRIORITY",
            if status.state == NodeState::Failed { "3" } else { "6" }.to_owned(),
        ),
        ("SYSLOG_IDENTIFIER", "skerry-node".to_owned()),
        ("SKERRY_STATE", status.state.to_string()),
        ("SKERRY_REASON", one_line(&status.reason)),
        ("SKERRY_NEXT", one_line(&status.next)),
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
