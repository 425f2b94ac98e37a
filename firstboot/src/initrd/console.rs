//! Words for the person at the console. They go through `/dev/kmsg`, so that they stand in order between the kernel's
//! own messages, reach every console the kernel writes to, and end up in the journal.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verbosity {
    /// Each step once.
    #[default]
    Normal,
    /// Each module and each device, too (`rd.debug`).
    Detailed,
}

/// Kernel log levels (`include/linux/kern_levels.h`).
#[derive(Debug, Clone, Copy)]
enum Level {
    Error = 3,
    Warning = 4,
    Notice = 5,
}

/// A line longer than this is cut: the kernel drops a record above its line limit of 1 KiB whole.
const LINE_MAX_BYTES: usize = 900;

/// Four numbers, of which the first says below which level the kernel's messages reach the console (kernel:
/// Documentation/admin-guide/sysctl/kernel.rst, "printk").
const PRINTK: &str = "/proc/sys/kernel/printk";
/// Nothing but the end of the machine.
const SILENT: &str = "1";

static DETAILED: AtomicBool = AtomicBool::new(false);

/// Sets how much [`detail`] says from now on.
pub fn set_verbosity(verbosity: Verbosity) {
    DETAILED.store(verbosity == Verbosity::Detailed, Ordering::Relaxed);
}

/// What went as it should.
pub fn note(text: &str) {
    write(Level::Notice, text);
}

/// What is odd but does not stop the boot.
pub fn warn(text: &str) {
    write(Level::Warning, text);
}

/// What the person must see even with `quiet` on the kernel command line.
pub fn alert(text: &str) {
    write(Level::Error, text);
}

/// What only helps to find out why something does not work.
pub fn detail(text: &str) {
    if DETAILED.load(Ordering::Relaxed) {
        write(Level::Notice, text);
    }
}

/// Does what the kernel warns of although it is meant: the warning goes to its log and alarms nobody at the console.
pub fn without_warnings(action: impl FnOnce()) {
    silence(Path::new(PRINTK), action);
}

fn silence(printk: &Path, action: impl FnOnce()) {
    let levels = fs::read_to_string(printk).ok();
    // A kernel that cannot be silenced is only loud.
    let silenced = levels.filter(|_| fs::write(printk, SILENT).is_ok());
    action();
    if let Some(levels) = silenced {
        let _ = fs::write(printk, levels);
    }
}

fn write(level: Level, text: &str) {
    let line = line(level as u8, text);
    // Opened anew for each line: the kernel limits the rate per open file, and a dropped line helps nobody.
    let written = OpenOptions::new()
        .write(true)
        .open("/dev/kmsg")
        .and_then(|mut kmsg| kmsg.write_all(line.as_bytes()));
    if written.is_err() {
        // Before /dev is mounted there is only the console that the kernel opened. If that fails, too, nobody listens.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

/// One record for `/dev/kmsg`. Control characters, which a disk's model name may hold, become `?`.
fn line(level: u8, text: &str) -> String {
    let mut line = format!("<{level}>skerry-init: ");
    for letter in text.chars() {
        if line.len() + letter.len_utf8() > LINE_MAX_BYTES {
            break;
        }
        line.push(if letter.is_control() { '?' } else { letter });
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_silent_while_it_has_to_be_and_as_loud_as_before_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let printk = folder.path().join("printk");
        fs::write(&printk, "4\t4\t1\t7\n").unwrap();
        silence(&printk, || assert_eq!(fs::read_to_string(&printk).unwrap(), "1"));
        assert_eq!(fs::read_to_string(&printk).unwrap(), "4\t4\t1\t7\n");
    }

    #[test]
    fn what_has_to_be_done_is_done_with_a_loud_kernel_as_well() {
        let mut done = false;
        silence(Path::new("/nowhere/printk"), || done = true);
        assert!(done);
    }

    #[test]
    fn a_line_carries_its_level_and_no_control_characters() {
        assert_eq!(line(3, "disk \x1b[2J\n"), "<3>skerry-init: disk ?[2J?\n");
    }

    #[test]
    fn a_line_that_the_kernel_would_drop_is_cut_at_a_letter() {
        let cut = line(5, &"é".repeat(1000));
        assert!(cut.len() <= LINE_MAX_BYTES + 1);
        assert!(cut.ends_with("é\n"));
    }
}
