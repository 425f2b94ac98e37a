//! Which packages an image has: the ones that were asked for and all that they depend on.
//!
//! In: a [`Universe`] of packages and a [`Request`]. Out: a [`Selection`], the same for the same input, or the reason why
//! there is none. It decides as apt does: the highest version over all archives is the only candidate of a name, a real
//! package comes before those that provide its name, an earlier alternative before a later one, and whatever is selected
//! already before both. Dependencies with one solution are followed before those with a choice; a choice that leads into a
//! conflict is taken back. Deliberately not supported: Recommends and Suggests, versions other than the candidate unless
//! requested, essential packages unless requested.

mod candidates;
mod error;
mod solver;
mod universe;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::index::IndexEntry;

pub use error::ResolveError;
pub use universe::{ArchiveOrder, Universe};

/// What the definition asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Packages to install: `name` or `name=version`.
    pub packages: BTreeSet<String>,
    /// Names, real or virtual, that count as installed and are left out: what depends on them is content.
    pub excluded: BTreeSet<String>,
}

/// Why a package is selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The definition names it.
    Requested,
    /// Another selected package depends on it.
    DependencyOf {
        /// That package's name.
        package: String,
        /// The dependency, such as `Depends: libc6 (>= 2.34)`.
        relation: String,
    },
}

/// A package of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// Its entry in the index.
    pub entry: IndexEntry,
    /// The archive it comes from.
    pub archive: ArchiveOrder,
    /// Why it is there.
    pub why: Why,
}

/// A dependency that nothing but an excluded name satisfies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Waived {
    /// The package that has it.
    pub package: String,
    /// The dependency, such as `Depends: adduser`.
    pub relation: String,
}

/// The packages of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// By name.
    pub packages: BTreeMap<String, Selected>,
    /// Dependencies that the request's exclusions leave open, sorted.
    pub waived: Vec<Waived>,
}

/// One package in a [`Chain`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Name and version.
    pub package: String,
    /// The dependency of the package before it that led here; `None` for what was requested.
    pub via: Option<String>,
}

/// How a package came in: from a requested one along dependencies. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain(pub Vec<Link>);

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, link) in self.0.iter().enumerate() {
            match &link.via {
                None => write!(f, "{} (requested)", link.package)?,
                Some(via) => write!(
                    f,
                    "\n{:indent$}└─ {via} → {}",
                    "",
                    link.package,
                    indent = (depth - 1) * 3
                )?,
            }
        }
        Ok(())
    }
}

impl Selection {
    /// How the package of this name came in, if it did.
    pub fn chain(&self, name: &str) -> Option<Chain> {
        let mut links = Vec::new();
        let mut next = Some(name);
        while let Some(name) = next {
            let selected = self.packages.get(name)?;
            let (via, before) = match &selected.why {
                Why::Requested => (None, None),
                Why::DependencyOf { package, relation } => (Some(relation.clone()), Some(package.as_str())),
            };
            links.push(Link {
                package: format!("{} {}", selected.entry.name, selected.entry.version),
                via,
            });
            next = before;
        }
        links.reverse();
        Some(Chain(links))
    }
}

/// Selects the packages that fulfil `request`.
pub fn resolve(universe: &Universe, request: &Request) -> Result<Selection, ResolveError> {
    solver::Solver::new(universe, request)?.solve()
}

#[cfg(test)]
mod tests;
