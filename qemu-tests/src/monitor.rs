//! QEMU's monitor: what a person would do to a machine while it runs (QEMU Machine Protocol, QMP).

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::wait;

/// The user network of every machine.
const NETWORK: &str = "net";
/// Where packages end that go nowhere.
const NOWHERE: &str = "nowhere";
/// The filter that takes them there.
const CUT: &str = "cut";

const PATIENCE: Duration = Duration::from_secs(30);

/// The cable between a machine and its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// It works.
    Up,
    /// Every packet is lost, in both directions, and nobody is told.
    Silent,
    /// The plug is out, and the machine sees that.
    Unplugged,
}

/// The monitor of a machine that may not have started yet.
#[derive(Debug)]
pub struct Monitor {
    socket: PathBuf,
    /// A socket's path must be short, so it is not in the work folder.
    _folder: TempDir,
}

impl Monitor {
    /// A place for the monitor's socket.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("the folder for temporary files can be written");
        Self {
            socket: folder.path().join("qmp"),
            _folder: folder,
        }
    }

    /// What QEMU must be started with.
    pub fn arguments(&self) -> Vec<String> {
        let socket = format!("unix:{},server=on,wait=off", self.socket.display());
        ["-qmp", &socket, "-chardev", &format!("null,id={NOWHERE}")]
            .map(str::to_owned)
            .to_vec()
    }

    /// Brings the cable from the state `from` into another one.
    pub fn change_link(&self, from: Link, to: Link) {
        match from {
            Link::Silent => self.execute("object-del", json!({ "id": CUT })),
            Link::Unplugged => self.execute("set_link", json!({ "name": NETWORK, "up": true })),
            Link::Up => {}
        }
        match to {
            Link::Silent => self.execute(
                "object-add",
                json!({ "qom-type": "filter-redirector", "id": CUT, "netdev": NETWORK, "queue": "all", "outdev": NOWHERE }),
            ),
            Link::Unplugged => self.execute("set_link", json!({ "name": NETWORK, "up": false })),
            Link::Up => {}
        }
    }

    /// Executes one command; panics with QEMU's words if it refuses.
    fn execute(&self, command: &str, arguments: Value) {
        let connection = wait::until("QEMU's monitor", PATIENCE, || {
            UnixStream::connect(&self.socket).map_err(|error| error.to_string())
        });
        let mut reader = BufReader::new(connection);
        next_message(&mut reader);
        for request in [
            json!({ "execute": "qmp_capabilities" }),
            json!({ "execute": command, "arguments": arguments }),
        ] {
            let stream = reader.get_mut();
            writeln!(stream, "{request}").expect("QEMU listens to its monitor");
            let answer = answer(&mut reader);
            assert!(answer.get("return").is_some(), "{request}: {answer}");
        }
    }
}

impl Default for Monitor {
    fn default() -> Self {
        Self::new()
    }
}

/// The next message that is no event.
fn answer(reader: &mut BufReader<UnixStream>) -> Value {
    loop {
        let message = next_message(reader);
        if message.get("event").is_none() {
            return message;
        }
    }
}

fn next_message(reader: &mut BufReader<UnixStream>) -> Value {
    let mut line = String::new();
    reader.read_line(&mut line).expect("QEMU answers on its monitor");
    serde_json::from_str(&line).expect("QMP is JSON, a message a line")
}
