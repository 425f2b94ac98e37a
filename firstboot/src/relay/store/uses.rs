//! Which collections are asked for: by this it is decided what is given up when there is no room. In memory only; who
//! asks, asks again after each start.

use std::collections::BTreeMap;

/// The uses of collections since the start.
#[derive(Debug, Default)]
pub(super) struct Uses {
    /// Counts requests: a clock that cannot be wrong.
    now: u64,
    of: BTreeMap<String, Use>,
}

#[derive(Debug, Default)]
struct Use {
    asked: u64,
    holders: u32,
}

impl Uses {
    pub(super) fn touch(&mut self, collection: &str) {
        self.now += 1;
        let now = self.now;
        self.of(collection).asked = now;
    }

    pub(super) fn hold(&mut self, collection: &str) {
        self.touch(collection);
        self.of(collection).holders += 1;
    }

    pub(super) fn release(&mut self, collection: &str) {
        if let Some(used) = self.of.get_mut(collection) {
            used.holders = used.holders.saturating_sub(1);
        }
    }

    pub(super) fn is_used(&self, collection: &str) -> bool {
        self.of.contains_key(collection)
    }

    /// The collection to give up: the one that nobody holds and that was not asked for since the longest time.
    pub(super) fn least<'a>(&self, collections: impl Iterator<Item = &'a str>) -> Option<&'a str> {
        let free = collections.filter_map(|collection| match self.of.get(collection) {
            None => Some((0, collection)),
            Some(used) if used.holders == 0 => Some((used.asked, collection)),
            Some(_) => None,
        });
        free.min().map(|(_, collection)| collection)
    }

    fn of(&mut self, collection: &str) -> &mut Use {
        self.of.entry(collection.to_owned()).or_default()
    }
}
