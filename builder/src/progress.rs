//! Progress of long work, told by the stages and drawn by whoever listens.

pub mod terminal;

/// Identifies a running task of one [`Reporter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TaskId(pub usize);

/// How much work a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// So many bytes.
    Bytes(u64),
    /// So many things.
    Items(u64),
    /// Not known beforehand.
    Unknown,
}

/// Hears how far the work is. Calls come from any thread: `start` once, `advance` any number of times, `finish` once.
pub trait Reporter: Send + Sync {
    /// A task begins; `name` is a short noun phrase such as a package's name.
    fn start(&self, name: &str, work: Work) -> TaskId;

    /// `amount` more units of the task are done.
    fn advance(&self, task: TaskId, amount: u64);

    /// The task has ended, well or not.
    fn finish(&self, task: TaskId);
}

/// Hears and says nothing; for tests and quiet runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn start(&self, _name: &str, _work: Work) -> TaskId {
        TaskId(0)
    }

    fn advance(&self, _task: TaskId, _amount: u64) {}

    fn finish(&self, _task: TaskId) {}
}
