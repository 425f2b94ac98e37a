//! What changes from one lock to the next, for people: a summary and a line for each change.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Lock, LockedComponent};
use crate::apt::version::DebVersion;
use crate::digest::Sha256;

/// Name → version and digest of the contents.
type Items<'a> = BTreeMap<&'a str, (&'a str, Sha256)>;

/// One package or component that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was not there before.
    Added {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
    },
    /// It is not there any more.
    Removed {
        /// Its name.
        name: String,
        /// The version it had.
        version: String,
    },
    /// It has a higher version.
    Upgraded {
        /// Its name.
        name: String,
        /// The version it had.
        old: String,
        /// The version it has.
        new: String,
    },
    /// It has a lower version.
    Downgraded {
        /// Its name.
        name: String,
        /// The version it had.
        old: String,
        /// The version it has.
        new: String,
    },
    /// It has the same version and other contents.
    Rebuilt {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
    },
}

/// The changes from one lock to another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockDiff {
    /// Packages, then components, each sorted by name.
    pub changes: Vec<Change>,
}

impl Change {
    /// What happened, as summaries count it, in the order in which they list it.
    fn verb(&self) -> (usize, &'static str) {
        match self {
            Self::Upgraded { .. } => (0, "upgraded"),
            Self::Downgraded { .. } => (1, "downgraded"),
            Self::Rebuilt { .. } => (2, "rebuilt"),
            Self::Added { .. } => (3, "added"),
            Self::Removed { .. } => (4, "removed"),
        }
    }
}

impl LockDiff {
    /// The changes that lead from `old` to `new`.
    pub fn between(old: &Lock, new: &Lock) -> Self {
        let mut changes = compare(&packages(old), &packages(new));
        changes.extend(compare(&components(old), &components(new)));
        Self { changes }
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// `3 upgraded, 1 added, 2 removed`, or `no changes`.
    pub fn summary(&self) -> String {
        let mut counts: BTreeMap<(usize, &str), usize> = BTreeMap::new();
        for change in &self.changes {
            *counts.entry(change.verb()).or_default() += 1;
        }
        if counts.is_empty() {
            return "no changes".to_owned();
        }
        counts
            .into_iter()
            .map(|((_, verb), count)| format!("{count} {verb}"))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

fn packages(lock: &Lock) -> Items<'_> {
    lock.packages
        .iter()
        .map(|package| (package.name.as_str(), (package.version.as_str(), package.sha256)))
        .collect()
}

fn components(lock: &Lock) -> Items<'_> {
    let item = |component: &LockedComponent| {
        let fields = component
            .files
            .iter()
            .flat_map(|file| [file.name.as_bytes(), file.sha256.as_bytes()]);
        Sha256::of_fields(fields)
    };
    lock.components
        .iter()
        .map(|component| (component.name.as_str(), (component.version.as_str(), item(component))))
        .collect()
}

fn compare(old: &Items<'_>, new: &Items<'_>) -> Vec<Change> {
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    names
        .into_iter()
        .filter_map(|name| change(name, old.get(name), new.get(name)))
        .collect()
}

fn change(name: &str, old: Option<&(&str, Sha256)>, new: Option<&(&str, Sha256)>) -> Option<Change> {
    let name = name.to_owned();
    match (old, new) {
        (None, None) => None,
        (None, Some((version, _))) => Some(Change::Added {
            name,
            version: (*version).to_owned(),
        }),
        (Some((version, _)), None) => Some(Change::Removed {
            name,
            version: (*version).to_owned(),
        }),
        (Some(old), Some(new)) if old == new => None,
        (Some((old, _)), Some((new, _))) => {
            let (old, new) = ((*old).to_owned(), (*new).to_owned());
            Some(match order(&old, &new) {
                Ordering::Less => Change::Upgraded { name, old, new },
                Ordering::Greater => Change::Downgraded { name, old, new },
                Ordering::Equal => Change::Rebuilt { name, version: new },
            })
        }
    }
}

/// Debian's order does for the versions of components (`v2.3.7`) as well; whatever it does not know sorts as text.
fn order(old: &str, new: &str) -> Ordering {
    match (old.parse::<DebVersion>(), new.parse::<DebVersion>()) {
        (Ok(old), Ok(new)) => old.cmp(&new),
        _ => old.cmp(new),
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, verb) = self.verb();
        match self {
            Self::Added { name, version } | Self::Removed { name, version } | Self::Rebuilt { name, version } => {
                write!(f, "{verb} {name} {version}")
            }
            Self::Upgraded { name, old, new } | Self::Downgraded { name, old, new } => {
                write!(f, "{verb} {name} {old} → {new}")
            }
        }
    }
}

/// The summary, then a line for each change; no newline at the end.
impl fmt::Display for LockDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())?;
        self.changes.iter().try_for_each(|change| write!(f, "\n{change}"))
    }
}
