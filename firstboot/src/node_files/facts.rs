//! What the machine is: the facts that sizes depend on.

use std::path::Path;

/// What the machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MachineFacts {
    /// Memory that the kernel manages (`MemTotal`), in bytes: less than what is built in.
    pub memory_bytes: u64,
    /// Processors that are in use.
    pub cpus: u32,
}

/// What is assumed where the kernel does not tell: a small machine, so that nothing is promised that is not there.
const UNKNOWN: MachineFacts = MachineFacts {
    memory_bytes: 256 << 20,
    cpus: 1,
};

impl MachineFacts {
    /// Asks the kernel whose `/proc` and `/sys` are below `root`.
    pub fn read(root: &Path) -> Self {
        let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
        Self {
            memory_bytes: total_memory(&read("proc/meminfo")).unwrap_or(UNKNOWN.memory_bytes),
            cpus: count(&read("sys/devices/system/cpu/online")).unwrap_or(UNKNOWN.cpus),
        }
    }
}

/// The line `MemTotal:  224152 kB` of proc_meminfo(5).
fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// How many numbers a list such as `0-3,6` holds (the kernel's cputopology.rst).
fn count(list: &str) -> Option<u32> {
    let mut sum: u32 = 0;
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        sum = sum.checked_add(last.checked_sub(first)?.checked_add(1)?)?;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn memory_and_processors_are_read_from_the_kernel() {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            (
                "proc/meminfo",
                "MemTotal:         224152 kB\nMemFree:           10 kB\n",
            ),
            ("sys/devices/system/cpu/online", "0-3,6\n"),
        ] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let facts = MachineFacts::read(root.path());
        assert_eq!((facts.memory_bytes, facts.cpus), (229_531_648, 5));
    }

    #[test]
    fn a_kernel_that_tells_nothing_is_taken_for_a_small_machine() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(MachineFacts::read(root.path()), UNKNOWN);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_readers_panic(text in ".{0,60}", list in "[0-9,-]{0,30}") {
            total_memory(&text);
            total_memory(&format!("MemTotal:{text} kB"));
            count(&list);
        }
    }
}
