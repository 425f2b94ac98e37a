//! Learns from the control plane's answers while they pass: [`Observer`]s that put what they see into the keeper.

use std::collections::BTreeSet;

use zeroize::Zeroizing;

use super::asked::{Asked, Begins, Collection, ObjectPath, Page};
use super::body::{End, Observer};
use super::keeper::{Keeper, Shared};
use super::wire::{
    ListPart, ListReader, MAX_OBJECT_BYTES, ObjectView, TokenRequest, WatchEvent, WatchReader, WireError, open,
};
use crate::disk::Disk;
use crate::node::announce::log;

/// Who learns from a good answer to `asked`; nobody if there is nothing to be kept in it. `request` is the body of the
/// request where that decides what the answer is: that for a token.
pub fn observer<D: Disk + 'static>(keeper: &Shared<D>, asked: &Asked, request: &[u8]) -> Option<Box<dyn Observer>> {
    let wants = keeper.borrow();
    match asked {
        Asked::List { collection, page } if wants.wants(collection) => {
            drop(wants);
            if *page == Page::First {
                keeper.borrow_mut().begin_list(collection);
            }
            Some(Box::new(ListObserver::new(keeper, collection)))
        }
        Asked::Watch { collection, begins } if wants.wants(collection) => {
            drop(wants);
            Some(Box::new(WatchObserver::new(keeper, collection, *begins)))
        }
        Asked::Get(path) if wants.wants_object(path) => Some(single(keeper, Single::Object(path.clone()))),
        Asked::Token(path) if wants.wants_tokens() => {
            TokenRequest::parse(request).ok()?;
            Some(single(keeper, Single::Token(path.clone(), request.to_vec())))
        }
        _ => None,
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

struct ListObserver<D: Disk> {
    held: Held<D>,
    reader: ListReader,
    names: BTreeSet<String>,
    flaw: Option<WireError>,
}

impl<D: Disk> ListObserver<D> {
    fn new(keeper: &Shared<D>, collection: &Collection) -> Self {
        Self {
            held: Held::new(keeper, collection),
            reader: ListReader::new(),
            names: BTreeSet::new(),
            flaw: None,
        }
    }
}

impl<D: Disk> Observer for ListObserver<D> {
    fn data(&mut self, bytes: &[u8]) {
        if self.flaw.is_some() {
            return;
        }
        let mut keeper = self.held.keeper.borrow_mut();
        let read = self.reader.push(bytes, &mut |part| {
            if let ListPart::Item(object) = part {
                self.names.insert(keeper.put(&self.held.collection, &object));
            }
        });
        self.flaw = read.err();
    }

    fn end(self: Box<Self>, how: End) {
        if how != End::Complete {
            return;
        }
        let end = match self.flaw {
            Some(flaw) => Err(flaw),
            None => self.reader.finish(),
        };
        let collection = &self.held.collection;
        let mut keeper = self.held.keeper.borrow_mut();
        match end {
            Ok(end) if end.continues => keeper.end_page(collection, self.names),
            Ok(end) => keeper.end_list(collection, self.names, &end.resource_version),
            Err(flaw) => log(&format!("{collection} is not kept: {flaw}")),
        }
    }
}

struct WatchObserver<D: Disk> {
    held: Held<D>,
    reader: WatchReader,
    /// Names of the objects with which the watch begins, until all of them have been seen.
    beginning: Option<BTreeSet<String>>,
    flawed: bool,
}

impl<D: Disk> WatchObserver<D> {
    fn new(keeper: &Shared<D>, collection: &Collection, begins: Begins) -> Self {
        Self {
            held: Held::new(keeper, collection),
            reader: WatchReader::new(),
            beginning: (begins == Begins::WithObjects).then(BTreeSet::new),
            flawed: false,
        }
    }
}

impl<D: Disk> Observer for WatchObserver<D> {
    fn data(&mut self, bytes: &[u8]) {
        if self.flawed {
            return;
        }
        let collection = &self.held.collection;
        let mut keeper = self.held.keeper.borrow_mut();
        let read = self.reader.push(bytes, &mut |event| {
            see(&mut keeper, collection, &mut self.beginning, event);
        });
        if let Err(flaw) = read {
            log(&format!("a watch of {collection} is not kept: {flaw}"));
            self.flawed = true;
        }
    }

    fn end(self: Box<Self>, _how: End) {}
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

struct SingleObserver<D> {
    keeper: Shared<D>,
    what: Single,
    body: Zeroizing<Vec<u8>>,
    too_long: bool,
}

fn single<D: Disk + 'static>(keeper: &Shared<D>, what: Single) -> Box<dyn Observer> {
    Box::new(SingleObserver {
        keeper: keeper.clone(),
        what,
        body: Zeroizing::default(),
        too_long: false,
    })
}

impl<D: Disk> Observer for SingleObserver<D> {
    fn data(&mut self, bytes: &[u8]) {
        self.too_long |= self.body.len() + bytes.len() > MAX_OBJECT_BYTES;
        if !self.too_long {
            self.body.extend_from_slice(bytes);
        }
    }

    fn end(self: Box<Self>, how: End) {
        if how != End::Complete || self.too_long {
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
