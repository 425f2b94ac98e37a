//! When the places are looked at where a join file may lie: looking mounts sticks and asks servers.

use std::rc::Rc;

use tokio::time::Instant;

use super::{Agent, LOOK_AGAIN};
use crate::identity::Loaded;
use crate::node::announce::log;
use crate::node::join_file::{BadJoinFile, FoundFile, Reach, Sight};
use crate::node::machine::Machine;
use crate::node::state::NodeState;
use crate::node::text_of;
use crate::source::SourceError;

/// What was there.
pub(super) type Seen = Rc<Result<Option<FoundFile>, BadJoinFile>>;

/// What was there when the places were looked at last.
#[derive(Debug)]
pub(super) struct Looked {
    at: Instant,
    reach: Reach,
    /// Something has come or gone since then.
    changed: Changed,
    seen: Seen,
}

/// Places that could not be looked at, in words: what is wrong with which, and what a person can do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unread {
    what: String,
    advice: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Changed {
    Yes,
    No,
}

impl Unread {
    fn of(troubles: &[SourceError]) -> Option<Self> {
        let all = |words: Vec<String>| words.join("; ");
        (!troubles.is_empty()).then(|| Self {
            what: all(troubles.iter().map(|trouble| text_of(trouble)).collect()),
            advice: all(troubles.iter().map(|trouble| trouble.advice().to_owned()).collect()),
        })
    }
}

impl Looked {
    fn is_stale(&self) -> bool {
        self.changed == Changed::Yes || self.at.elapsed() >= LOOK_AGAIN
    }
}

impl<M: Machine> Agent<M> {
    /// The join file that is there, looked for at most once a minute unless a device comes or goes.
    pub(super) async fn look_for_file(&mut self, loaded: &Loaded) -> Seen {
        let reach = self.reach(loaded);
        match &self.looked {
            Some(looked) if looked.reach == reach && !looked.is_stale() => return looked.seen.clone(),
            _ => {}
        }
        let consumed = match loaded {
            Loaded::Joined(identity) => identity.consumed.as_slice(),
            Loaded::Fresh | Loaded::Requested(_) => &[],
        };
        let Sight { file: now, troubles } = self.machine.look_for_file(reach, consumed).await;
        self.unread = Unread::of(&troubles);
        if let (Err(problem), Loaded::Joined(_)) = (&now, loaded) {
            log(&format!("{}; the machine goes on as before", text_of(problem)));
        }
        let seen = match self.looked.take() {
            Some(before) if goes_on_without(loaded, &now) && matches!(&*before.seen, Ok(Some(_))) => before.seen,
            _ => Rc::new(now),
        };
        self.looked = Some(Looked {
            at: Instant::now(),
            reach,
            changed: Changed::No,
            seen: seen.clone(),
        });
        seen
    }

    /// Says, once, which places could not be looked at; for a machine that goes on without them.
    pub(super) fn tell_unread(&mut self, loaded: &Loaded) {
        let state = match loaded {
            Loaded::Joined(_) => NodeState::Joined,
            Loaded::Fresh | Loaded::Requested(_) => NodeState::Joining,
        };
        if let Some(Unread { what, advice }) = self.unread.as_ref().filter(|_| self.unread != self.unread_told) {
            self.machine.say(state, what, advice);
        }
        self.unread_told.clone_from(&self.unread);
    }

    /// What a machine says that waits for a join file, with the places where it may lie and that cannot be looked at.
    pub(super) fn say_waiting(&mut self, state: NodeState, reason: &str, next: &str) {
        match &self.unread {
            None => self.machine.say(state, reason, next),
            Some(Unread { what, advice }) => {
                self.machine
                    .say(state, &format!("{reason}; {what}"), &format!("{advice}; {next}"));
            }
        }
        self.unread_told.clone_from(&self.unread);
    }

    /// A machine that has joined needs no network to look for a join file: it starts from what it has.
    fn reach(&self, loaded: &Loaded) -> Reach {
        match loaded {
            Loaded::Joined(identity) if !identity.is_expired(self.clock.now()) => Reach::Local,
            _ => Reach::Network,
        }
    }

    /// Something has come or gone.
    pub(super) fn look_soon(&mut self) {
        if let Some(looked) = &mut self.looked {
            looked.changed = Changed::Yes;
        }
        self.not_erased = None;
    }

    /// What was seen is not there any more.
    pub(super) fn look_anew(&mut self) {
        self.looked = None;
    }
}

/// Whether a machine that has nothing else to go by keeps to the file that it has read: a stick may be pulled out and
/// brought to the next machine, and a server may give a file once.
fn goes_on_without(loaded: &Loaded, now: &Result<Option<FoundFile>, BadJoinFile>) -> bool {
    matches!(now, Ok(None)) && !matches!(loaded, Loaded::Joined(_))
}
