//! Whether Secrets and tokens are kept, and so what is.

use crate::relay::asked::{Collection, ObjectPath};
use crate::relay::needed;

/// Whether Secrets and tokens are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// They are, encrypted as everything is.
    Kept,
    /// They pass through only.
    NotKept,
}

impl Secrets {
    /// Whether a collection is kept.
    pub fn allow(self, collection: &Collection) -> bool {
        needed::kind_at(collection.as_str()).is_some() && (!collection.is_secret() || self.allow_tokens())
    }

    /// Whether a single object is kept.
    pub fn allow_object(self, path: &ObjectPath) -> bool {
        needed::kind_at(path.as_str()).is_some() && (!path.is_secret() || self.allow_tokens())
    }

    /// Whether tokens are kept.
    pub fn allow_tokens(self) -> bool {
        self == Self::Kept
    }
}
