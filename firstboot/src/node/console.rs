//! Lines on every console of the machine: the screen and the serial line, where there are both.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Writes `line` to each active console below `root` (`/` on a machine). A console that cannot be written is passed
/// over: the journal has the line as well.
pub fn say(root: &Path, line: &str) {
    let active = std::fs::read_to_string(root.join("sys/class/tty/console/active")).unwrap_or_default();
    for name in active.split_whitespace().filter(|name| !name.contains('/')) {
        let options = OpenOptions::new()
            .write(true)
            .custom_flags(nix::libc::O_NOCTTY)
            .open(root.join("dev").join(name));
        if let Ok(mut terminal) = options {
            let _ = terminal.write_all(format!("{line}\r\n").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_active_console_gets_the_line() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("sys/class/tty/console")).unwrap();
        std::fs::create_dir(root.path().join("dev")).unwrap();
        std::fs::write(root.path().join("sys/class/tty/console/active"), "tty0 ttyS0 ttyGone\n").unwrap();
        for name in ["tty0", "ttyS0"] {
            std::fs::write(root.path().join("dev").join(name), "").unwrap();
        }
        say(root.path(), "hello");
        for name in ["tty0", "ttyS0"] {
            assert_eq!(
                std::fs::read_to_string(root.path().join("dev").join(name)).unwrap(),
                "hello\r\n"
            );
        }
    }
}
