//! Learns from the control plane's answers: [`Learner`]s that put what they see into the keeper.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use zeroize::Zeroizing;

use super::asked::{Asked, Begins, Collection, ObjectPath, Page};
use super::body::End;
use super::keeper::{Keeper, Secrets, Shared};
use super::unpack::Learner;
use super::wire::{ListPart, ListReader, MAX_OBJECT_BYTES, ObjectView, TokenRequest, WatchEvent, WatchReader, open};
use crate::disk::Disk;
use crate::node::announce::log;

/// Whether there is something to be kept in a good answer to `asked`.
pub fn teaches(asked: &Asked, secrets: Secrets) -> bool {
    match asked {
        Asked::List { collection, .. } | Asked::Watch { collection, .. } => secrets.allow(collection),
        Asked::Get(path) => secrets.allow_object(path),
        Asked::Token(_) => secrets.allow_tokens(),
        Asked::Write | Asked::Other => false,
    }
}

/// Who learns from a good answer to `asked`, which [teaches](teaches) something. `request` is the body of the request
/// where that decides what the answer is: that for a token.
pub fn learner<D: Disk + 'static>(keeper: &Shared<D>, asked: &Asked, request: &[u8]) -> Option<Box<dyn Learner>> {
    match asked {
        Asked::List { collection, page } => {
            if *page == Page::First {
                keeper.borrow_mut().begin_list(collection);
            }
            Some(Box::new(ListLearner::new(keeper, collection)))
        }
        Asked::Watch { collection, begins } => {
            if *begins == Begins::WithObjects {
                keeper.borrow_mut().begin_list(collection);
            }
            Some(Box::new(WatchLearner::new(keeper, collection, *begins)))
        }
        Asked::Get(path) => Some(single(keeper, Single::Object(path.clone()))),
        Asked::Token(path) => {
            TokenRequest::parse(request).ok()?;
            Some(single(keeper, Single::Token(path.clone(), request.to_vec())))
        }
        Asked::Write | Asked::Other => None,
    }
}

/// A collection that is being read: what is in it is not given up for another meanwhile.
struct Held<D: Disk> {
    keeper: Shared<D>,
    collection: Collection,
}

impl<D: Disk> Held<D> {
    fn new(keeper: &Shared<D>, collection: &Collection) -> Self {
        keeper.borrow_mut().hold(collection);
        Self {
            keeper: keeper.clone(),
            collection: collection.clone(),
        }
    }
}

impl<D: Disk> Drop for Held<D> {
    fn drop(&mut self) {
        self.keeper.borrow_mut().release(&self.collection);
    }
}

struct ListLearner<D: Disk> {
    held: Held<D>,
    reader: ListReader,
    names: BTreeSet<String>,
}

impl<D: Disk> ListLearner<D> {
    fn new(keeper: &Shared<D>, collection: &Collection) -> Self {
        Self {
            held: Held::new(keeper, collection),
            reader: ListReader::new(),
            names: BTreeSet::new(),
        }
    }
}

impl<D: Disk> Learner for ListLearner<D> {
    fn data(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        let mut keeper = self.held.keeper.borrow_mut();
        let read = self.reader.push(bytes, &mut |part| {
            if let ListPart::Item(object) = part {
                self.names.insert(keeper.put(&self.held.collection, &object));
            }
        });
        match read {
            Ok(()) => ControlFlow::Continue(()),
            Err(flaw) => {
                log(&format!("{} is not kept: {flaw}", self.held.collection));
                ControlFlow::Break(())
            }
        }
    }

    fn end(self: Box<Self>, how: End) {
        if how != End::Complete {
            return;
        }
        let collection = &self.held.collection;
        let mut keeper = self.held.keeper.borrow_mut();
        match self.reader.finish() {
            Ok(end) if end.continues => keeper.end_page(collection, self.names),
            Ok(end) => keeper.end_list(collection, self.names, &end.resource_version),
            Err(flaw) => log(&format!("{collection} is not kept: {flaw}")),
        }
    }
}

struct WatchLearner<D: Disk> {
    held: Held<D>,
    reader: WatchReader,
    /// Names of the objects with which the watch begins, until all of them have been seen.
    beginning: Option<BTreeSet<String>>,
}

impl<D: Disk> WatchLearner<D> {
    fn new(keeper: &Shared<D>, collection: &Collection, begins: Begins) -> Self {
        Self {
            held: Held::new(keeper, collection),
            reader: WatchReader::new(),
            beginning: (begins == Begins::WithObjects).then(BTreeSet::new),
        }
    }
}

impl<D: Disk> Learner for WatchLearner<D> {
    fn data(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        let collection = &self.held.collection;
        let mut keeper = self.held.keeper.borrow_mut();
        let read = self.reader.push(bytes, &mut |event| {
            see(&mut keeper, collection, &mut self.beginning, event);
        });
        match read {
            Ok(()) => ControlFlow::Continue(()),
            Err(flaw) => {
                log(&format!("a watch of {collection} is not kept: {flaw}"));
                keeper.lose(collection);
                ControlFlow::Break(())
            }
        }
    }

    fn end(self: Box<Self>, how: End) {
        if how == End::Unseen {
            self.held.keeper.borrow_mut().lose(&self.held.collection);
        }
    }
}

fn see<D: Disk>(
    keeper: &mut Keeper<D>,
    collection: &Collection,
    beginning: &mut Option<BTreeSet<String>>,
    event: WatchEvent<'_>,
) {
    match event {
        WatchEvent::Added(object, _) | WatchEvent::Modified(object, _) => {
            let name = keeper.put(collection, &object);
            if let Some(names) = beginning {
                names.insert(name);
            }
        }
        WatchEvent::Deleted(object, _) => {
            keeper.remove(collection, &object);
            if let Some(names) = beginning {
                names.remove(&format!("{}/{}", object.namespace, object.name));
            }
        }
        WatchEvent::Bookmark {
            resource_version,
            initial_events_end,
        } => match beginning.take_if(|_| initial_events_end) {
            Some(names) => keeper.end_list(collection, names, resource_version),
            None => keeper.advance(collection, resource_version),
        },
        WatchEvent::Error(_) => {}
    }
}

/// An answer that is looked at as a whole.
enum Single {
    Object(ObjectPath),
    /// With the body of the request.
    Token(ObjectPath, Vec<u8>),
}

struct SingleLearner<D> {
    keeper: Shared<D>,
    what: Single,
    body: Zeroizing<Vec<u8>>,
}

fn single<D: Disk + 'static>(keeper: &Shared<D>, what: Single) -> Box<dyn Learner> {
    Box::new(SingleLearner {
        keeper: keeper.clone(),
        what,
        body: Zeroizing::default(),
    })
}

impl<D: Disk> Learner for SingleLearner<D> {
    fn data(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        if self.body.len() + bytes.len() > MAX_OBJECT_BYTES {
            return ControlFlow::Break(());
        }
        self.body.extend_from_slice(bytes);
        ControlFlow::Continue(())
    }

    fn end(self: Box<Self>, how: End) {
        if how != End::Complete {
            return;
        }
        let mut keeper = self.keeper.borrow_mut();
        match &self.what {
            Single::Token(path, request) => {
                if let (Ok(request), Ok(_)) = (TokenRequest::parse(request), open(&self.body)) {
                    keeper.put_token(path, &request, &self.body);
                }
            }
            Single::Object(path) => {
                let Ok((kind, bare)) = open(&self.body) else { return };
                if let Some(object) = ObjectView::parse(bare).ok().filter(|_| kind.is_whole()) {
                    keeper.put_single(path, &kind.kind, &object, &self.body);
                }
            }
        }
    }
}
