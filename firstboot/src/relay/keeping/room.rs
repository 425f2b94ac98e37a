//! Room for bytes that wait.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// How much waits, and who waits until it is less.
#[derive(Debug)]
pub(super) struct Room {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    waiting: Vec<Waker>,
}

impl Room {
    /// Room for `limit` bytes, and for what whoever finds some has at hand.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            state: Mutex::default(),
        }
    }

    /// Ready when there is room.
    pub fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.taken < self.limit {
            return Poll::Ready(());
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            state.waiting.push(context.waker().clone());
        }
        Poll::Pending
    }

    /// Takes room, whether there is any or not.
    pub fn take(&self, bytes: usize) {
        self.state().taken += bytes;
    }

    /// Gives it back. Who waits is called when half of it is free: waking somebody for each frame costs more than the
    /// frame.
    pub fn free(&self, bytes: usize) {
        let mut state = self.state();
        state.taken = state.taken.saturating_sub(bytes);
        if state.taken > self.limit / 2 || state.waiting.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Calls(AtomicUsize);

    impl Wake for Calls {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_waits_for_room_is_called_once_when_half_of_it_is_free() {
        let (room, calls) = (Room::new(100), Arc::<Calls>::default());
        let waker = Waker::from(Arc::clone(&calls));
        let mut context = Context::from_waker(&waker);
        room.take(99);
        assert_eq!(room.poll(&mut context), Poll::Ready(()));
        room.take(50);
        for _ in 0..2 {
            assert_eq!(room.poll(&mut context), Poll::Pending);
        }
        room.free(60);
        assert_eq!(calls.0.load(Ordering::Relaxed), 0);
        room.free(50);
        room.free(39);
        assert_eq!(calls.0.load(Ordering::Relaxed), 1);
        assert_eq!(room.poll(&mut context), Poll::Ready(()));
    }
}
