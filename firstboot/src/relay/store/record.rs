//! What one record of the log says, before it is sealed.
//!
//! ```text
//! kind 1 byte │ len of collection u16 │ len of object u16 │ collection │ object │ and then
//!     Put: substance 32 bytes │ value      Remove, Forget: nothing      Commit: synced u64
//! ```
//!
//! Numbers are little-endian. Names that are not needed are empty.

use crate::digest::Digest;

const PUT: u8 = 1;
const REMOVE: u8 = 2;
const FORGET: u8 = 3;
const COMMIT: u8 = 4;

/// Bytes before the names.
const BEGINNING: usize = 5;
const SUBSTANCE: usize = 32;
/// The longest name of a collection or object.
pub(super) const NAME_LIMIT: usize = u16::MAX as usize;

/// A change of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change<'a> {
    /// An object has this value.
    Put {
        key: Key<'a>,
        substance: Digest,
        value: &'a [u8],
    },
    /// There is no such object any more.
    Remove(Key<'a>),
    /// There is no such collection any more.
    Forget(&'a str),
    /// All changes since the last one of these hold together.
    Commit {
        /// How much of the log had been synced when this was written.
        synced: u64,
    },
}

/// Where an object is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key<'a> {
    pub(super) collection: &'a str,
    pub(super) object: &'a str,
}

impl Key<'_> {
    /// Bytes of a [`Change::Put`] with a value of this length.
    pub(super) fn put_len(&self, value_len: usize) -> usize {
        BEGINNING + self.collection.len() + self.object.len() + SUBSTANCE + value_len
    }
}

impl<'a> Change<'a> {
    /// Writes it behind what is in `out`. Names are not longer than [`NAME_LIMIT`].
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let (kind, collection, object) = match *self {
            Self::Put { key, .. } => (PUT, key.collection, key.object),
            Self::Remove(key) => (REMOVE, key.collection, key.object),
            Self::Forget(collection) => (FORGET, collection, ""),
            Self::Commit { .. } => (COMMIT, "", ""),
        };
        out.push(kind);
        for name in [collection, object] {
            out.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
        }
        out.extend_from_slice(collection.as_bytes());
        out.extend_from_slice(object.as_bytes());
        match self {
            Self::Put { substance, value, .. } => {
                out.extend_from_slice(substance.as_bytes());
                out.extend_from_slice(value);
            }
            Self::Commit { synced } => out.extend_from_slice(&synced.to_le_bytes()),
            Self::Remove(_) | Self::Forget(_) => {}
        }
    }

    /// Reads what [`Change::write`] wrote; none if it is anything else.
    pub(super) fn parse(plain: &'a [u8]) -> Option<Self> {
        let (kind, rest) = plain.split_first()?;
        let (collection_len, rest) = rest.split_first_chunk()?;
        let (object_len, rest) = rest.split_first_chunk()?;
        let (collection, rest) = rest.split_at_checked(u16::from_le_bytes(*collection_len).into())?;
        let (object, rest) = rest.split_at_checked(u16::from_le_bytes(*object_len).into())?;
        let key = Key {
            collection: std::str::from_utf8(collection).ok()?,
            object: std::str::from_utf8(object).ok()?,
        };
        Some(match (*kind, rest) {
            (PUT, rest) => {
                let (substance, value) = rest.split_first_chunk::<SUBSTANCE>()?;
                Self::Put {
                    key,
                    substance: Digest::from(*substance),
                    value,
                }
            }
            (REMOVE, []) => Self::Remove(key),
            (FORGET, []) => Self::Forget(key.collection),
            (COMMIT, synced) => Self::Commit {
                synced: u64::from_le_bytes(synced.try_into().ok()?),
            },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_record_has_the_form_that_older_programs_wrote() {
        let change = Change::Put {
            key: Key {
                collection: "/c",
                object: "o",
            },
            substance: Digest::from([7; 32]),
            value: b"value",
        };
        let mut written = Vec::new();
        change.write(&mut written);
        let expected = [&[1, 2, 0, 1, 0][..], b"/co", &[7; 32], b"value"].concat();
        assert_eq!(written, expected);
        let mut commit = Vec::new();
        Change::Commit { synced: 0x0102 }.write(&mut commit);
        assert_eq!(commit, [4, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0]);
    }

    proptest! {
        #[test]
        fn every_change_is_read_back(
            kind in 0..4,
            collection in "[a-zä/?=]{0,40}",
            object in "[a-zä/]{0,40}",
            value in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let key = Key { collection: &collection, object: &object };
            let change = match kind {
                0 => Change::Put { key, substance: Digest::of(&value), value: &value },
                1 => Change::Remove(key),
                2 => Change::Forget(&collection),
                _ => Change::Commit { synced: value.len() as u64 },
            };
            let mut written = Vec::new();
            change.write(&mut written);
            if kind == 0 {
                prop_assert_eq!(written.len(), key.put_len(value.len()));
            }
            prop_assert_eq!(Change::parse(&written), Some(change));
        }

        #[test]
        fn any_bytes_are_a_change_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(change) = Change::parse(&bytes) {
                let mut written = Vec::new();
                change.write(&mut written);
                // A collection that is forgotten, and a commit, have names that nobody reads.
                if !matches!(change, Change::Forget(_) | Change::Commit { .. }) {
                    prop_assert_eq!(written, bytes);
                }
            }
        }
    }
}
