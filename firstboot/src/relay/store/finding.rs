//! What the store has to say of itself: to be told to whoever looks after the machine.

use std::fmt;

use super::{LOG, SET_ASIDE};

/// Something that happened to what the store keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The power was cut during a write: the last change was not written whole, and what was before it holds.
    Torn {
        /// Bytes that were dropped.
        bytes: u64,
    },
    /// A part of the log is not what was written; the rest is used.
    Damaged {
        /// Bytes that were lost.
        bytes: u64,
    },
    /// The log was moved aside, and a new one begun.
    SetAside {
        /// What is wrong with it.
        wrong: Wrong,
    },
    /// An object cannot be read any more.
    Lost {
        /// Its collection.
        collection: String,
        /// Its name there.
        object: String,
    },
    /// There was no room for everything that is in use: a collection was given up.
    Evicted {
        /// The one that was not asked for since the longest time.
        collection: String,
    },
    /// An object is not kept; perhaps more of its collection are not.
    Refused {
        /// Its collection.
        collection: String,
        /// Its name there.
        object: String,
        /// Why.
        why: Refusal,
    },
    /// The disk failed. It is tried again.
    Disk {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        why: String,
    },
}

/// Why a log cannot be used at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// It is no regular file.
    NoFile,
    /// It does not begin as a log does.
    NoLog,
    /// Another version of this program wrote it.
    Version(u32),
    /// It was written under another key, or its beginning is damaged.
    OtherKey,
    /// Its beginning cannot be read.
    Unreadable,
}

/// Why an object is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is larger than an object may be.
    TooLarge,
    /// Everything that could make room for it is in use.
    NoRoom,
}

impl Finding {
    /// Whether something is lost that had been kept for certain. A mere power cut never does that.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::SetAside { .. } | Self::Lost { .. })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Torn { bytes } => write!(
                f,
                "{LOG}: the power was cut while it was written; {bytes} bytes dropped, what was before them holds"
            ),
            Self::Damaged { bytes } => write!(f, "{LOG}: {bytes} bytes are damaged; the rest is used"),
            Self::SetAside { wrong } => write!(f, "{LOG}: {wrong}; moved to {SET_ASIDE}, a new one is begun"),
            Self::Lost { collection, object } => {
                write!(f, "{LOG}: `{object}` of `{collection}` cannot be read; dropped")
            }
            Self::Evicted { collection } => write!(f, "{LOG}: no room; `{collection}` is not kept any more"),
            Self::Refused {
                collection,
                object,
                why,
            } => write!(
                f,
                "{LOG}: `{object}` of `{collection}` is not kept, and perhaps others: {why}"
            ),
            Self::Disk { doing, why } => write!(f, "{LOG}: cannot {doing}: {why}; tried again later"),
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFile => f.write_str("it is no file"),
            Self::NoLog => f.write_str("it is no log of the relay"),
            Self::Version(version) => write!(f, "it has version {version}, which this system does not know"),
            Self::OtherKey => f.write_str("it was written under another key, or its beginning is damaged"),
            Self::Unreadable => f.write_str("its beginning cannot be read"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "it is too large",
            Self::NoRoom => "there is no room",
        })
    }
}
