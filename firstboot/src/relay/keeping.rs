//! What is kept is read, sealed and written in a thread of its own, so that nobody waits for it whose bytes only pass.
//!
//! ```text
//! tell, ask ────────────────────→ ┌───────┐
//! bodies ──shown to──→ lessons ──→ │ queue │ ──→ the thread: unpacking → learners → keeper → disk
//!                └── wait for room └───────┘
//! ```
//!
//! - Everything is done in the order in which it came: a list before the events of the watch that follows it, and a
//!   question after what came before it.
//! - What waits to be read is bounded: a body is not read on while [`WAITING_BYTES`] wait. On a machine with a processor to
//!   spare reading is as fast as passing, and bodies that are shorter never wait.
//! - A disk that hangs holds nobody up for longer than [`PATIENCE`]: then a body passes unseen, and its collection is to be
//!   listed anew.

mod lesson;
mod room;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::asked::{Asked, Collection};
use super::body::{End, Observer};
use super::keeper::{Current, Keeper, Secrets, Shared};
use super::learn;
use super::unpack::{Encoding, Unpacking};
use crate::disk::Disk;
use crate::node::announce::log;
use lesson::Lesson;
use room::Room;

/// Bytes that wait to be read, as they have passed, before bodies wait: some hundred frames. It is memory only while
/// reading is slower than the line.
const WAITING_BYTES: usize = 1 << 20;
/// How long something waits for the thread that must not wait for ever.
const PATIENCE: Duration = Duration::from_secs(5);

/// The way to what is kept, from another thread.
pub struct Keeping<D> {
    queue: Sender<Job<D>>,
    room: Arc<Room>,
    secrets: Secrets,
    current: Current,
    lessons: Rc<Cell<LessonId>>,
}

type LessonId = u64;
type Order<D> = Box<dyn FnOnce(&mut Keeper<D>) + Send>;

/// What is to be done.
enum Job<D> {
    Do(Order<D>),
    Begin(LessonId, Subject),
    Data(LessonId, Bytes),
    End(LessonId, End),
}

/// What is learned about: a good answer.
#[derive(Debug, Clone)]
pub struct Subject {
    /// To what.
    pub asked: Asked,
    /// The body of the request where that decides what the answer is: that for a token.
    pub request: Bytes,
    /// How the answer is packed.
    pub encoding: Encoding,
}

impl<D: Disk + Send + 'static> Keeping<D> {
    /// Starts the thread, for `keeper`. What changes is written `gather` later: what happens together is written together.
    pub fn start(keeper: Keeper<D>, gather: Duration) -> io::Result<Self> {
        let (queue, jobs) = channel();
        let room = Arc::new(Room::new(WAITING_BYTES));
        let (secrets, current, freed) = (keeper.secrets(), keeper.current(), Arc::clone(&room));
        let work = move || {
            let desk = Desk {
                keeper: Rc::new(RefCell::new(keeper)),
                lessons: BTreeMap::new(),
                room: freed,
                gather,
            };
            desk.work(&jobs);
        };
        thread::Builder::new().name("keeping".to_owned()).spawn(work)?;
        Ok(Self {
            queue,
            room,
            secrets,
            current,
            lessons: Rc::default(),
        })
    }

    /// Has something done, some time.
    pub fn tell(&self, order: impl FnOnce(&mut Keeper<D>) + Send + 'static) {
        self.send(Job::Do(Box::new(order)));
    }

    /// The answer to a question about what is kept after everything that it was told before.
    pub fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Keeper<D>) -> T + Send + 'static,
    ) -> impl Future<Output = T> {
        let (answer, answered) = oneshot::channel();
        self.tell(move |keeper| {
            // Who asked may have gone.
            let _ = answer.send(question(keeper));
        });
        async move { answered.await.expect("the thread ends after the last who can ask it") }
    }

    /// Whether the events of a watch have something to be put on top of. A keeper that does not answer is not waited for.
    pub async fn is_current(&self, collection: &Collection) -> bool {
        if self.current.has(collection) {
            return true;
        }
        // All of it may have passed and not been read yet.
        let (current, collection) = (self.current.clone(), collection.clone());
        let asked = self.ask(move |_| current.has(&collection));
        timeout(PATIENCE, asked).await.unwrap_or(true)
    }

    /// Whether Secrets and tokens are kept.
    pub fn secrets(&self) -> Secrets {
        self.secrets
    }

    /// Who is to be shown an answer while it passes, so that something is learned from it; nobody if it teaches nothing.
    pub fn lesson(&self, subject: Subject) -> Option<Box<dyn Observer>> {
        if !learn::teaches(&subject.asked, self.secrets) {
            return None;
        }
        let id = self.lessons.get();
        self.lessons.set(id + 1);
        self.send(Job::Begin(id, subject));
        let (queue, room) = (self.queue.clone(), Arc::clone(&self.room));
        Some(Box::new(Lesson::new(id, queue, room)))
    }

    fn send(&self, job: Job<D>) {
        let sent = self.queue.send(job);
        sent.expect("the thread ends after the last who can tell it something");
    }
}

impl<D> Clone for Keeping<D> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
            room: Arc::clone(&self.room),
            secrets: self.secrets,
            current: self.current.clone(),
            lessons: Rc::clone(&self.lessons),
        }
    }
}

impl<D> std::fmt::Debug for Keeping<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeping")
            .field("room", &self.room)
            .finish_non_exhaustive()
    }
}

/// What the thread has.
struct Desk<D> {
    keeper: Shared<D>,
    lessons: BTreeMap<LessonId, Unpacking>,
    room: Arc<Room>,
    gather: Duration,
}

impl<D: Disk + 'static> Desk<D> {
    /// Does what comes until nothing can come any more.
    fn work(mut self, jobs: &Receiver<Job<D>>) {
        let mut due: Option<Instant> = None;
        loop {
            let job = match due {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => jobs.recv_timeout(due.saturating_duration_since(Instant::now())),
            };
            match job {
                Ok(job) => self.take(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.keeper.borrow_mut().take_changed() && due.is_none() {
                due = Some(Instant::now() + self.gather);
            }
            if due.is_some_and(|due| due <= Instant::now()) {
                due = None;
                self.flush();
            }
        }
    }

    fn take(&mut self, job: Job<D>) {
        match job {
            Job::Do(order) => order(&mut self.keeper.borrow_mut()),
            Job::Begin(id, subject) => {
                let learner = learn::learner(&self.keeper, &subject.asked, &subject.request);
                if let Some(learner) = learner {
                    self.lessons.insert(id, Unpacking::new(subject.encoding, learner));
                }
            }
            Job::Data(id, bytes) => {
                if let Some(lesson) = self.lessons.get_mut(&id) {
                    lesson.data(&bytes);
                }
                self.room.free(bytes.len());
            }
            Job::End(id, how) => {
                if let Some(mut lesson) = self.lessons.remove(&id) {
                    lesson.end(how);
                }
            }
        }
    }

    fn flush(&self) {
        if let Err(error) = self.keeper.borrow_mut().flush() {
            log(&format!(
                "what is kept for times alone cannot be written: {error}; trying again with the next change"
            ));
        }
    }
}
