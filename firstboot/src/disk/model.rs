//! A disk in memory that loses power, fills up and fails on demand.
//!
//! It promises what POSIX promises and not more: the content of a file lasts after [`Disk::sync`], a name after
//! [`Disk::sync_folder`]. Whatever else was done may have reached the medium or not, each thing for itself; a file may
//! come back empty, cut short, full of zeros or with holes of zeros, but for what was synced and only appended to. Moving between folders is two changes, of which one may be lost.

mod chance;
#[cfg(test)]
mod tests;
mod tree;

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;

use self::chance::Chance;
use self::tree::Tree;
use super::{Disk, Metadata};

/// A disk in memory; clones are the same disk.
#[derive(Debug, Clone)]
pub struct ModelDisk {
    state: Arc<Mutex<State>>,
}

/// How many operations a disk was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Operations {
    /// Those that change nothing.
    pub reads: usize,
    /// Those that change something or make it last.
    pub changes: usize,
}

/// Why every operation fails once the power was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the power is gone")]
pub struct PowerIsGone;

#[derive(Debug)]
struct State {
    tree: Tree,
    operations: Operations,
    power: Power,
    fault: Option<Fault>,
    /// All content that was ever given to the disk.
    written: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum Power {
    On,
    /// Until the change with this number.
    Until(usize),
    Gone,
}

#[derive(Debug, Clone, Copy)]
struct Fault {
    first: usize,
    last: usize,
    errno: Errno,
}

impl ModelDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::holding(Tree::new(), Vec::new())
    }

    /// Cuts the power at the `n`th change from now on, counted from 1: that change does not happen any more.
    pub fn cut_power_at(&self, n: usize) {
        let mut state = self.state();
        state.power = Power::Until(state.operations.changes + n);
    }

    /// Whether the power was cut.
    pub fn is_dead(&self) -> bool {
        matches!(self.state().power, Power::Gone)
    }

    /// Lets the `n`th change from now on fail, counted from 1, and only that one.
    pub fn fail_once(&self, n: usize, errno: Errno) {
        let mut state = self.state();
        let first = state.operations.changes + n;
        state.fault = Some(Fault {
            first,
            last: first,
            errno,
        });
    }

    /// Lets the `n`th change from now on fail, counted from 1, and all later ones until [`ModelDisk::mend`].
    pub fn fail_from(&self, n: usize, errno: Errno) {
        let mut state = self.state();
        let first = state.operations.changes + n;
        state.fault = Some(Fault {
            first,
            last: usize::MAX,
            errno,
        });
    }

    /// Ends the failing.
    pub fn mend(&self) {
        self.state().fault = None;
    }

    /// The disk as it is found if the power was cut by now; this one stays as it is. Seed 0 loses all that was not
    /// synced, seed 1 keeps it, any other seed chooses for each thing.
    pub fn reboot(&self, seed: u64) -> Self {
        let state = self.state();
        Self::holding(state.tree.survivor(&mut Chance::new(seed)), state.written.clone())
    }

    /// How many operations there were since the disk was made or last started.
    pub fn operations(&self) -> Operations {
        self.state().operations
    }

    /// Every byte of content that was ever written, also before restarts, and also what was removed since.
    pub fn ever_written(&self) -> Vec<u8> {
        self.state().written.clone()
    }

    fn holding(tree: Tree, written: Vec<u8>) -> Self {
        let state = State {
            tree,
            operations: Operations::default(),
            power: Power::On,
            fault: None,
            written,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reading(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.operations.reads += 1;
        match state.power {
            Power::Gone => Err(io::Error::other(PowerIsGone)),
            _ => Ok(state),
        }
    }

    /// The state for a change, and the error that it is to fail with.
    fn changing(&self) -> io::Result<(MutexGuard<'_, State>, Option<Errno>)> {
        let mut state = self.state();
        state.operations.changes += 1;
        let number = state.operations.changes;
        if matches!(state.power, Power::Until(last) if number >= last) {
            state.power = Power::Gone;
        }
        if matches!(state.power, Power::Gone) {
            return Err(io::Error::other(PowerIsGone));
        }
        let fault = state
            .fault
            .filter(|fault| (fault.first..=fault.last).contains(&number))
            .map(|fault| fault.errno);
        Ok((state, fault))
    }

    fn change(&self, what: impl FnOnce(&mut Tree) -> io::Result<()>) -> io::Result<()> {
        match self.changing()? {
            (mut state, None) => what(&mut state.tree),
            (_, Some(errno)) => Err(errno.into()),
        }
    }

    fn write(&self, content: &[u8], what: impl FnOnce(&mut Tree, &[u8]) -> io::Result<()>) -> io::Result<()> {
        let (mut state, fault) = self.changing()?;
        match fault {
            None => {
                state.written.extend_from_slice(content);
                what(&mut state.tree, content)
            }
            Some(Errno::EROFS) => Err(Errno::EROFS.into()),
            // A full or failing disk takes a part.
            Some(errno) => {
                let part = &content[..content.len() / 2];
                state.written.extend_from_slice(part);
                what(&mut state.tree, part)?;
                Err(errno.into())
            }
        }
    }
}

impl Default for ModelDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl Disk for ModelDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.reading()?.tree.read(path).map(<[u8]>::to_vec)
    }

    fn read_at(&self, path: &Path, offset: u64, part: &mut [u8]) -> io::Result<()> {
        self.reading()?.tree.read_at(path, offset, part)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.reading()?.tree.metadata(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        self.reading()?.tree.list(folder)
    }

    fn create(&self, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
        self.write(content, |tree, content| tree.create(path, content, mode))
    }

    fn append(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.write(content, |tree, content| tree.append(path, content))
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        self.change(|tree| tree.truncate(path, len))
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        match self.changing()? {
            (mut state, None) => state.tree.sync(path),
            (mut state, Some(errno)) => {
                state.tree.sync_in_vain(path)?;
                Err(errno.into())
            }
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|tree| tree.rename(from, to))
    }

    fn symlink(&self, target: &Path, path: &Path) -> io::Result<()> {
        self.change(|tree| tree.symlink(target, path))
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.change(|tree| tree.unlink(path))
    }

    fn make_folder(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.change(|tree| tree.make_folder(path, mode))
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.change(|tree| tree.sync_folder(path))
    }
}
