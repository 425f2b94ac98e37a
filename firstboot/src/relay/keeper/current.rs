//! Which collections are current, for whoever cannot wait for the keeper.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::relay::asked::Collection;

/// The collections of which all was seen since the relay was started, so that the events of a watch have something to be
/// put on top of. Clones are the same; only the keeper changes it.
#[derive(Debug, Clone, Default)]
pub struct Current(Arc<Mutex<BTreeSet<Collection>>>);

impl Current {
    /// Whether a collection is among them.
    pub fn has(&self, collection: &Collection) -> bool {
        self.set().contains(collection)
    }

    pub(super) fn add(&self, collection: &Collection) {
        self.set().insert(collection.clone());
    }

    pub(super) fn remove(&self, collection: &Collection) {
        self.set().remove(collection);
    }

    fn set(&self) -> MutexGuard<'_, BTreeSet<Collection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
