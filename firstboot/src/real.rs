//! The real programs that images are built with, so that tests can ask them instead of a copy of their rules.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Smaller files in the store are other programs.
const AT_LEAST_BYTES: u64 = 25 << 20;

/// containerd; none, with the reason said, if no image was built on this machine yet.
pub fn containerd() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    find(&FOUND, "--version", "containerd ")
}

/// kubelet; none, with the reason said, if no image was built on this machine yet.
pub fn kubelet() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    find(&FOUND, "--help", "The kubelet is")
}

/// The file in the tool's cache that answers `question` with a text that begins with `answer`.
fn find(found: &'static OnceLock<Option<PathBuf>>, question: &str, answer: &str) -> Option<&'static Path> {
    let found = found.get_or_init(|| files().into_iter().find(|file| says(file, question, answer)));
    if found.is_none() {
        println!("skipped: no program in the tool's cache says `{answer}`; `skerry build` puts them there");
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

fn says(file: &Path, question: &str, answer: &str) -> bool {
    let mut magic = [0; 4];
    let read = File::open(file).and_then(|mut file| file.read_exact(&mut magic));
    if read.is_err() || magic != *b"\x7fELF" {
        return false;
    }
    let said = Command::new(file).arg(question).stderr(Stdio::null()).output();
    said.is_ok_and(|said| said.stdout.starts_with(answer.as_bytes()))
}
