//! Waits until a device comes or goes, without asking again and again.

use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// A watch on a folder of device nodes.
#[derive(Debug)]
pub struct Devices {
    inotify: Inotify,
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
    /// Watches `folder`, which must exist, for entries that come or go.
    pub fn watch(folder: &Path) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        inotify.add_watch(
            folder,
            AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_TO,
        )?;
        Ok(Self { inotify })
    }

    /// Sleeps until something changes, at most `patience`.
    pub fn wait(&self, patience: Duration) -> io::Result<Woken> {
        let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        let mut descriptors = [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)];
        match poll(&mut descriptors, timeout) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => Ok(Woken::Timeout),
            Ok(_) => {
                while self.inotify.read_events().is_ok() {}
                Ok(Woken::Change)
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_entry_ends_the_wait_and_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let devices = Devices::watch(folder.path()).unwrap();
        std::fs::write(folder.path().join("sdb1"), "").unwrap();
        assert_eq!(devices.wait(Duration::from_secs(60)).unwrap(), Woken::Change);
        assert_eq!(devices.wait(Duration::ZERO).unwrap(), Woken::Timeout);
    }
}
