//! An answer that is shown to the thread while it passes.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::time::{Sleep, sleep};

use super::{Job, LessonId, PATIENCE, Room};
use crate::node::announce::log;
use crate::relay::body::{End, Observer};

/// An answer from its first byte to its last.
pub(super) struct Lesson<D> {
    id: LessonId,
    queue: Sender<Job<D>>,
    room: Arc<Room>,
    state: State,
}

enum State {
    Shown,
    /// There is no room; until then there may be.
    Waits(Pin<Box<Sleep>>),
    /// There was none for too long. The thread knows it.
    Unseen,
}

impl<D> Lesson<D> {
    pub fn new(id: LessonId, queue: Sender<Job<D>>, room: Arc<Room>) -> Self {
        Self {
            id,
            queue,
            room,
            state: State::Shown,
        }
    }

    fn send(&self, job: Job<D>) {
        // Without the thread nobody learns anything.
        let _ = self.queue.send(job);
    }
}

impl<D> Observer for Lesson<D> {
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if matches!(self.state, State::Unseen) {
            return Poll::Ready(());
        }
        if self.room.poll(context).is_ready() {
            self.state = State::Shown;
            return Poll::Ready(());
        }
        if matches!(self.state, State::Shown) {
            self.state = State::Waits(Box::pin(sleep(PATIENCE)));
        }
        if let State::Waits(until) = &mut self.state {
            ready!(until.as_mut().poll(context));
        }
        log("what passes is not kept for times alone: the disk is too slow");
        self.send(Job::End(self.id, End::Unseen));
        self.state = State::Unseen;
        Poll::Ready(())
    }

    fn data(&mut self, bytes: &Bytes) {
        if !matches!(self.state, State::Unseen) {
            self.room.take(bytes.len());
            self.send(Job::Data(self.id, bytes.clone()));
        }
    }

    fn end(self: Box<Self>, how: End) {
        // The second end of a lesson is that of nothing.
        self.send(Job::End(self.id, how));
    }
}
