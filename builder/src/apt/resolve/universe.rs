//! All packages that there are for one architecture, by name and by what they provide.

use std::collections::BTreeMap;

use super::ResolveError;
use crate::apt::index::{IndexEntry, MultiArch};
use crate::apt::relation::{self, Qualifier, Relation};
use crate::apt::version::DebVersion;
use crate::arch::Arch;

/// An archive's place among those of a universe, as the caller numbers them. Of equal versions the one from the lowest is
/// taken.
pub type ArchiveOrder = usize;

/// Refers to a package of one universe. The order is that of the input, and means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EntryId(usize);

/// A package that provides a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Provider {
    pub entry: EntryId,
    /// The version under which it provides the name, if it says one.
    pub version: Option<DebVersion>,
}

/// All packages of an architecture.
#[derive(Debug)]
pub struct Universe {
    architecture: &'static str,
    entries: Vec<(ArchiveOrder, IndexEntry)>,
    /// All versions of a name, the candidate first.
    versions: BTreeMap<String, Vec<EntryId>>,
    providers: BTreeMap<String, Vec<Provider>>,
}

impl Universe {
    /// The packages of `archives` that machines of this architecture can install.
    pub fn new(arch: Arch, archives: Vec<(ArchiveOrder, Vec<IndexEntry>)>) -> Result<Self, ResolveError> {
        let architecture = arch.names().debian;
        let fits = |entry: &IndexEntry| entry.architecture == architecture || entry.architecture == "all";
        let entries: Vec<_> = archives
            .into_iter()
            .flat_map(|(order, entries)| entries.into_iter().filter(fits).map(move |entry| (order, entry)))
            .collect();
        let mut versions: BTreeMap<String, Vec<EntryId>> = BTreeMap::new();
        let mut providers: BTreeMap<String, Vec<Provider>> = BTreeMap::new();
        for (index, (_, entry)) in entries.iter().enumerate() {
            versions.entry(entry.name.clone()).or_default().push(EntryId(index));
            let provides = relation::parse_provides(&entry.provides)
                .map_err(|source| ResolveError::malformed(entry, "Provides", source))?;
            for (name, version) in provides {
                providers.entry(name).or_default().push(Provider {
                    entry: EntryId(index),
                    version,
                });
            }
        }
        let key = |id: &EntryId| &entries[id.0];
        for ids in versions.values_mut() {
            ids.sort_by(|left, right| {
                let ((left_order, left), (right_order, right)) = (key(left), key(right));
                right.version.cmp(&left.version).then(left_order.cmp(right_order))
            });
        }
        Ok(Self {
            architecture,
            entries,
            versions,
            providers,
        })
    }

    /// All versions of the package of this name, the candidate first.
    pub fn versions(&self, name: &str) -> impl Iterator<Item = &IndexEntry> {
        self.version_ids(name).iter().map(|&id| self.entry(id))
    }

    /// The names of the packages that provide `name`, sorted.
    pub fn provider_names(&self, name: &str) -> Vec<String> {
        let mut names: Vec<_> = self
            .providers(name)
            .iter()
            .map(|provider| self.entry(provider.entry).name.clone())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// The name of a package that a typing error would turn into `name`.
    pub fn similar_name(&self, name: &str) -> Option<String> {
        let most = name.chars().count().div_ceil(3);
        let scored = self
            .versions
            .keys()
            .filter(|known| known.len().abs_diff(name.len()) <= most);
        let scored = scored.map(|known| (strsim::damerau_levenshtein(name, known), known));
        scored
            .min()
            .filter(|(distance, _)| *distance <= most)
            .map(|(_, known)| known.clone())
    }

    pub(super) fn entry(&self, id: EntryId) -> &IndexEntry {
        &self.entries[id.0].1
    }

    pub(super) fn archive(&self, id: EntryId) -> ArchiveOrder {
        self.entries[id.0].0
    }

    pub(super) fn version_ids(&self, name: &str) -> &[EntryId] {
        self.versions.get(name).map_or(&[], Vec::as_slice)
    }

    pub(super) fn providers(&self, name: &str) -> &[Provider] {
        self.providers.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether the package is of the architecture that a dependency asks for. `:any` asks for `Multi-Arch: allowed`
    /// (multiarch specification).
    pub(super) fn fits_qualifier(&self, relation: &Relation, id: EntryId) -> bool {
        match &relation.qualifier {
            None | Some(Qualifier::Native) => true,
            Some(Qualifier::Any) => self.entry(id).multi_arch == MultiArch::Allowed,
            Some(Qualifier::Architecture(architecture)) => architecture == self.architecture,
        }
    }

    /// Whether the package bears the relation's name, itself or by providing it, in a version that the relation allows.
    /// Policy §7.5: what is provided without a version fulfils no demand on versions.
    pub(super) fn is_meant(&self, relation: &Relation, id: EntryId) -> bool {
        let entry = self.entry(id);
        let allows = |version: &DebVersion| {
            relation
                .constraint
                .as_ref()
                .is_none_or(|constraint| constraint.allows(version))
        };
        let by_name = entry.name == relation.name && allows(&entry.version);
        let provided = |provider: &Provider| {
            provider.entry == id
                && match &provider.version {
                    Some(version) => allows(version),
                    None => relation.constraint.is_none(),
                }
        };
        by_name || self.providers(&relation.name).iter().any(provided)
    }

    /// Whether a relation of Conflicts or Breaks hits the package. What such a relation says of `:any` holds for this
    /// architecture too.
    pub(super) fn excludes(&self, relation: &Relation, id: EntryId) -> bool {
        let elsewhere = match &relation.qualifier {
            Some(Qualifier::Architecture(architecture)) => architecture != self.architecture,
            _ => false,
        };
        !elsewhere && self.is_meant(relation, id)
    }
}
