//! What is kept for times alone: objects as kubelet has seen them, each in the collection that it asked for.
//!
//! A collection counts as known from the moment on when all of it has been seen, in one list or at the beginning of one
//! watch. What a watch tells later is put on top. A header says at which version of the cluster the collection stands: who
//! watches on from there misses nothing and sees nothing twice. The version runs ahead in memory with every event, and is
//! written only beside a change that is worth a write.

mod current;
mod secrets;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;

pub use current::Current;
pub use secrets::Secrets;

use super::asked::{Collection, ObjectPath};
use super::needed;
use super::store::{HEADER, Kept, Store};
use super::wire::{Kind, ObjectView, TokenRequest};
use crate::digest::Digest;
use crate::disk::Disk;
use crate::node::announce::log;

/// What comes before the path in the name of a single object's own place in the store, which no collection begins with.
const SINGLE: &str = "object:";
/// The same before the id of the object that a token ends with.
const TOKENS: &str = "tokens:";

/// The objects that are kept. One for all requests.
#[expect(missing_debug_implementations, reason = "what it holds may be secret")]
pub struct Keeper<D> {
    store: Store<D>,
    secrets: Secrets,
    heads: BTreeMap<Collection, Head>,
    /// Names on the pages of lists that have not come to their end.
    pages: BTreeMap<Collection, BTreeSet<String>>,
    /// Those of which something could not be kept since their list has begun: they are not answered alone.
    partial: BTreeSet<Collection>,
    current: Current,
    /// Whether there is something to write.
    changed: bool,
}

/// The keeper as those share it who learn: all of them in one thread.
pub type Shared<D> = Rc<RefCell<Keeper<D>>>;

/// Where a collection stands that has been seen as a whole since the relay was started.
#[derive(Debug, Clone)]
struct Head {
    resource_version: String,
    /// Whether the store has an older one, and something else to write.
    behind: bool,
}

/// What the store has of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The kind of its objects.
    pub kind: Kind,
    /// Where it stands.
    pub resource_version: String,
    /// Names of its objects and their lengths in bytes.
    pub objects: Vec<(String, usize)>,
}

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Pods.
    pub pods: usize,
    /// Everything, pods included.
    pub objects: usize,
    /// Bytes on the disk.
    pub bytes: u64,
}

impl<D: Disk> Keeper<D> {
    /// A keeper of what is in `store`.
    pub fn new(store: Store<D>, secrets: Secrets) -> Self {
        Self {
            store,
            secrets,
            heads: BTreeMap::new(),
            pages: BTreeMap::new(),
            partial: BTreeSet::new(),
            current: Current::default(),
            changed: false,
        }
    }

    /// Whether Secrets and tokens are kept.
    pub fn secrets(&self) -> Secrets {
        self.secrets
    }

    /// The collections of which all was seen, now and later.
    pub fn current(&self) -> Current {
        self.current.clone()
    }

    /// Whether there is something to [`flush`](Self::flush) that was not there when this was asked last.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Keeps an object of a collection; returns its name among the others.
    pub fn put(&mut self, collection: &Collection, object: &ObjectView<'_>) -> String {
        let name = name_of(object);
        let kind = needed::kind_at(collection.as_str()).map_or(String::new(), |kind| kind.kind);
        let put = self
            .store
            .put(collection.as_str(), &name, object.substance(&kind), object.bytes);
        self.note(collection, put);
        self.advance(collection, object.resource_version);
        name
    }

    /// An object is no longer in a collection; `object` is its last state.
    pub fn remove(&mut self, collection: &Collection, object: &ObjectView<'_>) {
        self.store.remove(collection.as_str(), &name_of(object));
        if collection.is_pods() {
            self.store.forget(&tokens_of(object.uid));
        }
        self.note(collection, Ok(Kept::Staged));
        self.advance(collection, object.resource_version);
    }

    /// A page of a list is complete, and there are more.
    pub fn end_page(&mut self, collection: &Collection, names: BTreeSet<String>) {
        self.pages.entry(collection.clone()).or_default().extend(names);
    }

    /// All of a collection has been seen: `names` on the last page, at `resource_version`.
    pub fn end_list(&mut self, collection: &Collection, names: BTreeSet<String>, resource_version: &str) {
        let mut all = self.pages.remove(collection).unwrap_or_default();
        all.extend(names);
        let gone: Vec<String> = self
            .store
            .entries(collection.as_str())
            .filter(|(name, _)| !all.contains(*name))
            .map(|(name, _)| name.to_owned())
            .collect();
        gone.iter().for_each(|name| self.forget_tokens(collection, name));
        self.store.retain(collection.as_str(), |name| all.contains(name));
        let known = self.header(collection).is_some();
        let head = Head {
            resource_version: resource_version.to_owned(),
            behind: !known || !gone.is_empty() || self.heads.get(collection).is_some_and(|head| head.behind),
        };
        if head.behind {
            self.changed = true;
        }
        self.heads.insert(collection.clone(), head);
        self.current.add(collection);
    }

    /// A list has begun anew.
    pub fn begin_list(&mut self, collection: &Collection) {
        self.pages.remove(collection);
        if self.partial.remove(collection) {
            // Until the list has come to its end.
            self.heads.remove(collection);
        }
    }

    /// Forgets the tokens of a pod that is gone; of others there are none.
    fn forget_tokens(&mut self, collection: &Collection, name: &str) {
        if collection.is_pods()
            && let Ok(Some(bytes)) = self.store.get(collection.as_str(), name)
            && let Ok(object) = ObjectView::parse(&bytes)
        {
            self.store.forget(&tokens_of(object.uid));
        }
    }

    /// A watch has come as far as this version.
    pub fn advance(&mut self, collection: &Collection, resource_version: &str) {
        if let Some(head) = self.heads.get_mut(collection)
            && !resource_version.is_empty()
        {
            resource_version.clone_into(&mut head.resource_version);
        }
    }

    /// Keeps the answer to a request for a single object.
    pub fn put_single(&mut self, path: &ObjectPath, kind: &str, object: &ObjectView<'_>, body: &[u8]) {
        let put = self
            .store
            .put(&format!("{SINGLE}{path}"), HEADER, object.substance(kind), body);
        self.note_single(put);
    }

    /// An object is not there any more.
    pub fn remove_single(&mut self, path: &ObjectPath) {
        self.store.forget(&format!("{SINGLE}{path}"));
        self.changed = true;
    }

    /// Keeps the answer to a request for a token.
    pub fn put_token(&mut self, path: &ObjectPath, request: &TokenRequest<'_>, body: &[u8]) {
        let (place, name) = token_place(path, request);
        let put = self.store.put(&place, &name, Digest::of(body), body);
        self.note_single(put);
    }

    /// Says that a watch of a collection begins or goes on; see [`Store::hold`].
    pub fn hold(&mut self, collection: &Collection) {
        self.store.hold(collection.as_str());
    }

    /// Says that it has ended.
    pub fn release(&mut self, collection: &Collection) {
        self.store.release(collection.as_str());
    }

    fn note(&mut self, collection: &Collection, put: io::Result<Kept>) {
        match put {
            Ok(Kept::Same) => {}
            Ok(Kept::Staged) => {
                if let Some(head) = self.heads.get_mut(collection) {
                    head.behind = true;
                }
                self.changed = true;
            }
            // A collection that is not whole must not be taken for one.
            Ok(Kept::Refused(_)) => self.give_up(collection),
            Err(error) => {
                log(&format!("cannot keep an object of {collection}: {error}"));
                self.give_up(collection);
            }
        }
    }

    fn note_single(&mut self, put: io::Result<Kept>) {
        match put {
            Ok(Kept::Staged) => self.changed = true,
            Ok(Kept::Same | Kept::Refused(_)) => {}
            Err(error) => log(&format!("cannot keep an object: {error}")),
        }
    }

    /// Something has happened in a collection that was not seen: nothing can be put on top of it any more. What is kept
    /// stays as it is.
    pub fn lose(&mut self, collection: &Collection) {
        self.heads.remove(collection);
        self.current.remove(collection);
    }

    fn give_up(&mut self, collection: &Collection) {
        self.lose(collection);
        self.partial.insert(collection.clone());
        self.store.remove(collection.as_str(), HEADER);
        self.changed = true;
    }

    /// Writes what has changed to the disk. Returns the number of bytes.
    pub fn flush(&mut self) -> io::Result<u64> {
        let partial = &self.partial;
        let whole = self.heads.iter_mut().filter(|(of, _)| !partial.contains(of));
        for (collection, head) in whole.filter(|(_, head)| head.behind) {
            let header = head.resource_version.as_bytes();
            self.store
                .put(collection.as_str(), HEADER, Digest::of(header), header)?;
            head.behind = false;
        }
        let written = self.store.flush();
        for finding in self.store.take_findings() {
            log(&finding.to_string());
        }
        written
    }

    /// Does not keep any more what was not asked for since the relay was started.
    pub fn forget_unused(&mut self) {
        if self.store.forget_unused() > 0 {
            self.changed = true;
        }
    }

    fn header(&self, collection: &Collection) -> Option<String> {
        let header = self.store.get(collection.as_str(), HEADER).ok()??;
        String::from_utf8(header).ok()
    }

    /// What the store has of a collection; none if it was never seen as a whole.
    pub fn known(&mut self, collection: &Collection) -> Option<Known> {
        self.store.touch(collection.as_str());
        let stored = self.header(collection)?;
        let current = self.heads.get(collection);
        Some(Known {
            kind: needed::kind_at(collection.as_str())?,
            resource_version: current.map_or(stored, |head| head.resource_version.clone()),
            objects: self
                .store
                .entries(collection.as_str())
                .map(|(name, len)| (name.to_owned(), len))
                .collect(),
        })
    }

    /// An object of a collection, bare.
    pub fn object(&self, collection: &Collection, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.store.get(collection.as_str(), name)
    }

    /// The last answer to a request for a single object, in its envelope.
    pub fn single(&mut self, path: &ObjectPath) -> io::Result<Option<Vec<u8>>> {
        let place = format!("{SINGLE}{path}");
        self.store.touch(&place);
        self.store.get(&place, HEADER)
    }

    /// An object by its path, wherever it was seen: bare, with its kind.
    pub fn anywhere(&self, path: &ObjectPath) -> Option<(Kind, Vec<u8>)> {
        let kind = needed::kind_at(path.as_str())?;
        let collections = self.store.collections().filter_map(Collection::named);
        for collection in collections.filter(|collection| needed::kind_at(collection.as_str()).as_ref() == Some(&kind))
        {
            let found = self.store.entries(collection.as_str()).find(|(name, _)| {
                let (namespace, name) = name.split_once('/').unwrap_or_default();
                collection.object(namespace, name).as_ref() == Some(path)
            });
            if let Some((name, _)) = found {
                return Some((kind, self.store.get(collection.as_str(), name).ok()??));
            }
        }
        None
    }

    /// The last token that was issued for these terms.
    pub fn token(&mut self, path: &ObjectPath, request: &TokenRequest<'_>) -> io::Result<Option<Vec<u8>>> {
        let (place, name) = token_place(path, request);
        self.store.touch(&place);
        self.store.get(&place, &name)
    }

    /// How much is kept.
    pub fn count(&self) -> Count {
        let mut count = Count {
            bytes: self.store.live_bytes(),
            ..Count::default()
        };
        for name in self.store.collections() {
            let objects = self.store.entries(name).count();
            match Collection::named(name) {
                Some(collection) => {
                    count.objects += objects;
                    if collection.is_pods() {
                        count.pods += objects;
                    }
                }
                None => count.objects += objects.max(1),
            }
        }
        count
    }
}

/// What tells an object from the others of its collection.
fn name_of(object: &ObjectView<'_>) -> String {
    format!("{}/{}", object.namespace, object.name)
}

fn tokens_of(owner_uid: &str) -> String {
    format!("{TOKENS}{owner_uid}")
}

fn token_place(path: &ObjectPath, request: &TokenRequest<'_>) -> (String, String) {
    let place = tokens_of(request.owner_uid.unwrap_or_default());
    (place, format!("{path} {}", request.terms))
}

#[cfg(test)]
mod tests;
