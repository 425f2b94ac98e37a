//! The real containerd, for the time of a test.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::node::containerd::answers;
use crate::real;

/// A running containerd with folders and sockets of its own, configured as in the image; it ends with the value.
pub struct Server {
    child: Child,
    folder: TempDir,
}

impl Server {
    /// Starts it; none, with the reason said, where that cannot be.
    pub fn start() -> Option<Self> {
        let program = real::containerd()?;
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: containerd runs as root only");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().display();
        let shipped = include_str!("../../../../overlays/node/etc/containerd/config.toml");
        let config = shipped.replace(
            "version = 3\n",
            &format!("version = 3\nroot = \"{place}/root\"\nstate = \"{place}/state\"\n"),
        );
        let sockets = format!("[grpc]\naddress = \"{place}/socket\"\n[ttrpc]\naddress = \"{place}/socket.ttrpc\"\n");
        let file = folder.path().join("config.toml");
        std::fs::write(&file, format!("{config}\n{sockets}")).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let child = Command::new(program)
            .arg("-c")
            .arg(file)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let server = Self { child, folder };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !answers(&server.socket(), Duration::from_secs(10)) {
            assert!(Instant::now() < deadline, "{}", server.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(server)
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
