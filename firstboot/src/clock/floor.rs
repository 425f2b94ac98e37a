//! The earliest time that it can be.

use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::{Clock, Step};
use crate::persist::persist;

/// Files whose time of modification has passed for sure: systemd's own floor, the image's build (every file of the image
/// bears the time of its lock), and the last time that systemd-timesyncd knew.
const PASSED: [&str; 3] = [
    "usr/lib/clock-epoch",
    "usr/lib/os-release",
    "var/lib/systemd/timesync/clock",
];
/// Holds the last time that was proven, in seconds since 1970.
const SAVED: &str = "var/lib/skerry/clock";

/// What the clock was like when the machine started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At or after the floor: a battery kept it, or the firmware set it.
    Plausible,
    /// Before the floor; it was put there.
    Raised {
        /// What it was, in seconds since 1970.
        from: u64,
        /// What it is now.
        to: u64,
    },
    /// There is no floor, or the clock could not be put there.
    Unset,
}

/// The earliest time that it can be on the machine whose top folder is `root`, in seconds since 1970.
pub fn floor(root: &Path) -> Option<u64> {
    let passed = PASSED.iter().filter_map(|file| {
        let modified = std::fs::metadata(root.join(file))
            .and_then(|data| data.modified())
            .ok()?;
        modified.duration_since(UNIX_EPOCH).ok().map(|time| time.as_secs())
    });
    passed.chain(last_remembered(root)).max()
}

/// The last time that was saved, in seconds since 1970.
pub fn last_remembered(root: &Path) -> Option<u64> {
    std::fs::read_to_string(root.join(SAVED)).ok()?.trim().parse().ok()
}

/// Puts a clock that is before the floor there.
pub fn raise_to_floor(clock: &dyn Clock, root: &Path) -> io::Result<Start> {
    let Some(floor) = floor(root) else {
        return Ok(Start::Unset);
    };
    let from = clock.now();
    Ok(match clock.set_forward(floor)? {
        Step::Forward { .. } => Start::Raised { from, to: floor },
        Step::Kept => Start::Plausible,
    })
}

/// Saves `now` as the floor of later boots. Only for a time that somebody vouches for (a time service, a verified control
/// plane): a wrong one can never be taken back.
pub fn remember(root: &Path, now: u64) -> io::Result<()> {
    let path = root.join(SAVED);
    match last_remembered(root) {
        Some(saved) if saved >= now => Ok(()),
        _ => persist(&path, format!("{now}\n").as_bytes(), 0o644),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::ManualClock;

    /// The image was built at 2026-08-01.
    const BUILT: u64 = 1_785_542_400;

    fn machine() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        touch(root.path(), "usr/lib/os-release", BUILT);
        std::fs::create_dir_all(root.path().join("var/lib/skerry")).unwrap();
        root
    }

    fn touch(root: &Path, file: &str, time: u64) {
        let path = root.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = std::fs::File::create(path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(time)).unwrap();
    }

    #[test]
    fn a_machine_of_1970_starts_at_its_images_build() {
        let (root, clock) = (machine(), ManualClock::at(17));
        let start = raise_to_floor(&clock, root.path()).unwrap();
        assert_eq!(start, Start::Raised { from: 17, to: BUILT });
        assert_eq!(clock.now(), BUILT);
    }

    #[test]
    fn a_clock_after_the_floor_is_left_alone() {
        let (root, clock) = (machine(), ManualClock::at(BUILT + 5));
        assert_eq!(raise_to_floor(&clock, root.path()).unwrap(), Start::Plausible);
        assert_eq!(clock.now(), BUILT + 5);
    }

    #[test]
    fn the_latest_witness_counts() {
        let root = machine();
        touch(root.path(), "usr/lib/clock-epoch", BUILT + 10);
        assert_eq!(floor(root.path()), Some(BUILT + 10));
        touch(root.path(), "var/lib/systemd/timesync/clock", BUILT + 20);
        assert_eq!(floor(root.path()), Some(BUILT + 20));
        touch(root.path(), "usr/lib/clock-epoch", BUILT - 10);
        assert_eq!(floor(root.path()), Some(BUILT + 20));
    }

    #[test]
    fn a_saved_time_is_restored_after_a_power_cut_and_never_goes_back() {
        let root = machine();
        remember(root.path(), BUILT + 1000).unwrap();
        remember(root.path(), BUILT + 500).unwrap();
        let clock = ManualClock::at(0);
        raise_to_floor(&clock, root.path()).unwrap();
        assert_eq!(clock.now(), BUILT + 1000);
    }

    #[test]
    fn a_damaged_saved_time_is_ignored_and_replaced() {
        let root = machine();
        for text in ["", "yesterday", "-5", "99999999999999999999999"] {
            std::fs::write(root.path().join(SAVED), text).unwrap();
            assert_eq!(floor(root.path()), Some(BUILT), "{text}");
        }
        remember(root.path(), BUILT + 1).unwrap();
        assert_eq!(floor(root.path()), Some(BUILT + 1));
    }

    #[test]
    fn without_any_witness_the_clock_stays() {
        let (root, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(17));
        assert_eq!(raise_to_floor(&clock, root.path()).unwrap(), Start::Unset);
        assert_eq!(clock.now(), 17);
    }
}
