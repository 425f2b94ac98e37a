//! Waits until a device or a network link comes or goes, without asking again and again.

use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::net::unix::pipe::Receiver;

/// How much is read at a time: room for several events, each with the longest name (inotify(7)).
const EVENTS_BYTES: usize = 4096;

/// A watch on folders in which devices, links and leases appear.
#[derive(Debug)]
pub struct Devices {
    inotify: Inotify,
    /// The same, as tokio waits for it: like a pipe, it only ever becomes readable.
    events: Receiver,
    later: Vec<PathBuf>,
}

/// Why [`Devices::wait`] came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Something came or went.
    Change,
    /// Nothing did, for as long as was asked.
    Timeout,
}

impl Devices {
    /// Watches `folders` for entries that come or go; one that is not there yet is watched as soon as it is. Needs a
    /// tokio runtime.
    pub fn watch(folders: &[PathBuf]) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let mut devices = Self {
            events: Receiver::from_owned_fd_unchecked(inotify.as_fd().try_clone_to_owned()?)?,
            inotify,
            later: folders.to_vec(),
        };
        devices.add_what_is_there();
        Ok(devices)
    }

    fn add_what_is_there(&mut self) {
        let flags = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_TO;
        let add = |folder: &Path| self.inotify.add_watch(folder, flags).is_err();
        self.later.retain(|folder| add(folder));
    }

    /// Sleeps until something changes, at most `patience`.
    pub async fn wait(&mut self, patience: Duration) -> Woken {
        self.add_what_is_there();
        let readable = tokio::time::timeout(patience, self.events.readable()).await;
        if !matches!(readable, Ok(Ok(()))) {
            return Woken::Timeout;
        }
        let mut events = [0; EVENTS_BYTES];
        while self.events.try_read(&mut events).is_ok_and(|len| len > 0) {}
        Woken::Change
    }

    /// The same, and once something has changed, until nothing has for `settle`, five times that at most: udev needs a
    /// moment to give a device its names, and a plug with a loose contact never comes to rest.
    pub async fn wait_settled(&mut self, patience: Duration, settle: Duration) -> Woken {
        let woken = self.wait(patience).await;
        if woken == Woken::Change {
            let until_quiet = async { while self.wait(settle).await == Woken::Change {} };
            let _restless = tokio::time::timeout(settle * 5, until_quiet).await;
        }
        woken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_new_entry_ends_the_wait_and_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut devices = Devices::watch(&[folder.path().to_owned()]).unwrap();
        std::fs::write(folder.path().join("sdb1"), "").unwrap();
        assert_eq!(devices.wait(LONG).await, Woken::Change);
        assert_eq!(devices.wait(Duration::ZERO).await, Woken::Timeout);
    }

    #[tokio::test]
    async fn a_folder_that_never_comes_to_rest_does_not_hold_up_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let mut devices = Devices::watch(&[folder.path().to_owned()]).unwrap();
        let restless = async {
            for number in 0.. {
                std::fs::write(folder.path().join(format!("sd{number}")), "").unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            woken = devices.wait_settled(LONG, Duration::from_millis(20)) => assert_eq!(woken, Woken::Change),
            () = restless => {}
        }
    }

    #[tokio::test]
    async fn a_folder_that_appears_later_is_watched_from_then_on() {
        let folder = tempfile::tempdir().unwrap();
        let links = folder.path().join("links");
        let mut devices = Devices::watch(std::slice::from_ref(&links)).unwrap();
        std::fs::create_dir(&links).unwrap();
        assert_eq!(devices.wait(Duration::ZERO).await, Woken::Timeout);
        std::fs::write(links.join("2"), "").unwrap();
        assert_eq!(devices.wait(LONG).await, Woken::Change);
    }
}
