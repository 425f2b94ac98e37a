//! Tasks of hyper, run where they were begun: the relay has one thread, and its answers need not be `Send`.

use std::future::Future;

use hyper::rt::Executor;

/// Runs tasks on the current thread. Needs a [`LocalRuntime`](tokio::runtime::LocalRuntime) or a
/// [`LocalSet`](tokio::task::LocalSet).
#[derive(Debug, Clone, Copy)]
pub(super) struct Local;

impl<F> Executor<F> for Local
where
    F: Future<Output: 'static> + 'static,
{
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
}
