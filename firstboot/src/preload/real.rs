//! Finds the containerd that images are built with, so that tests can ask the real one.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::node::containerd::answers;

/// Smaller files in the store are other programs.
const AT_LEAST_BYTES: u64 = 25 << 20;

/// The program; none, with the reason said, if no image was built on this machine yet.
pub fn containerd() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| files().into_iter().find(|file| is_containerd(file)));
    if found.is_none() {
        println!("skipped: no containerd in the tool's cache to judge; `skerry build` puts one there");
    }
    found.as_deref()
}

fn files() -> Vec<PathBuf> {
    let cache = std::env::var_os("SKERRY_CACHE_DIR").map(PathBuf::from).or_else(|| {
        let home = PathBuf::from(std::env::var_os("HOME")?);
        let caches = std::env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from);
        Some(caches.join("skerry"))
    });
    let folders = cache.and_then(|cache| std::fs::read_dir(cache.join("components")).ok());
    let files = folders
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|folder| std::fs::read_dir(folder.path()).ok());
    let mut files: Vec<PathBuf> = files.flatten().flatten().map(|entry| entry.path()).collect();
    files.retain(|file| std::fs::metadata(file).is_ok_and(|about| about.len() >= AT_LEAST_BYTES));
    files
}

fn is_containerd(file: &Path) -> bool {
    let mut magic = [0; 4];
    let read = File::open(file).and_then(|mut file| file.read_exact(&mut magic));
    if read.is_err() || magic != *b"\x7fELF" {
        return false;
    }
    let said = Command::new(file).arg("--version").stderr(Stdio::null()).output();
    said.is_ok_and(|said| said.stdout.starts_with(b"containerd "))
}

/// A running containerd with folders and sockets of its own, configured as in the image; it ends with the value.
pub struct Server {
    child: Child,
    folder: TempDir,
}

impl Server {
    /// Starts it; none, with the reason said, where that cannot be.
    pub fn start() -> Option<Self> {
        let program = containerd()?;
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: containerd runs as root only");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().display();
        let shipped = include_str!("../../../overlays/node/etc/containerd/config.toml");
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
