//! What may be chosen: the candidate of each name, what satisfies a dependency, what excludes what.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::universe::{EntryId, Universe};
use super::{Request, ResolveError};
use crate::apt::relation::{self, Dependency, Relation, RelationError};
use crate::apt::version::DebVersion;

/// A dependency of a selected package.
#[derive(Debug, Clone)]
pub(super) struct Demand {
    pub by: EntryId,
    pub field: &'static str,
    pub dependency: Rc<Dependency>,
}

/// The relations of one package, parsed.
#[derive(Debug)]
pub(super) struct Relations {
    pub demands: Vec<Demand>,
    against: Vec<(&'static str, Relation)>,
    /// The names it bears: its own and those that it provides.
    names: BTreeSet<String>,
}

/// Two packages that exclude each other.
pub(super) struct Clash {
    /// The one that has the relation.
    pub left: EntryId,
    pub right: EntryId,
    /// As it stands in the package: `Breaks: libc6 (<< 2)`.
    pub relation: String,
}

/// Selected packages with the demand that led to each; `None` for what was requested.
pub(super) type Selected = BTreeMap<EntryId, Option<Demand>>;

/// The packages of a universe as one request sees them.
pub(super) struct Candidates<'u> {
    universe: &'u Universe,
    /// The candidates of names that were requested in a version.
    pins: BTreeMap<&'u str, EntryId>,
    relations: BTreeMap<EntryId, Rc<Relations>>,
    /// Of the packages whose relations are read, those that exclude a name.
    opponents: BTreeMap<String, BTreeSet<EntryId>>,
}

impl<'u> Candidates<'u> {
    /// Checks the request. Also returns the requested packages.
    pub fn new(universe: &'u Universe, request: &'u Request) -> Result<(Self, BTreeSet<EntryId>), ResolveError> {
        let mut known = Self {
            universe,
            pins: BTreeMap::new(),
            relations: BTreeMap::new(),
            opponents: BTreeMap::new(),
        };
        let mut names = BTreeSet::new();
        for text in &request.packages {
            let name = known.want(text)?;
            if request.excluded.contains(name) {
                return Err(ResolveError::RequestedAndExcluded { name: name.to_owned() });
            }
            names.insert(name);
        }
        for name in &request.excluded {
            if universe.version_ids(name).is_empty() && universe.providers(name).is_empty() {
                let similar = universe.similar_name(name);
                return Err(ResolveError::UnknownExclusion {
                    name: name.clone(),
                    similar,
                });
            }
        }
        let wanted = names.into_iter().filter_map(|name| known.candidate(name)).collect();
        Ok((known, wanted))
    }

    /// Notes the version of a request. Returns its name.
    fn want(&mut self, text: &'u str) -> Result<&'u str, ResolveError> {
        let (name, version) = text
            .split_once('=')
            .map_or((text, None), |(name, version)| (name, Some(version)));
        let bad = || ResolveError::BadRequest { text: text.to_owned() };
        if !relation::is_package_name(name) {
            return Err(bad());
        }
        let version = version
            .map(|version| version.parse::<DebVersion>().map_err(|_| bad()))
            .transpose()?;
        let universe = self.universe;
        let ids = universe.version_ids(name);
        if ids.is_empty() {
            let (name, providers) = (name.to_owned(), universe.provider_names(name));
            if providers.is_empty() {
                let similar = universe.similar_name(&name);
                return Err(ResolveError::UnknownPackage { name, similar });
            }
            return Err(ResolveError::Virtual { name, providers });
        }
        let Some(wanted) = version else { return Ok(name) };
        let Some(&id) = ids.iter().find(|&&id| universe.entry(id).version == wanted) else {
            let available = ids.iter().map(|&id| universe.entry(id).version.clone()).collect();
            return Err(ResolveError::UnknownVersion {
                name: name.to_owned(),
                wanted,
                available,
            });
        };
        match self.pins.insert(name, id) {
            Some(other) if other != id => Err(ResolveError::TwoVersions {
                name: name.to_owned(),
                first: universe.entry(other).version.clone(),
                second: wanted,
            }),
            _ => Ok(name),
        }
    }

    /// The one version of a name that may be chosen.
    pub fn candidate(&self, name: &str) -> Option<EntryId> {
        self.pins
            .get(name)
            .copied()
            .or_else(|| self.universe.version_ids(name).first().copied())
    }

    /// The candidates that satisfy a dependency, the preferred first.
    pub fn solutions(&self, dependency: &Dependency) -> Vec<EntryId> {
        let mut solutions = Vec::new();
        for relation in &dependency.alternatives {
            let universe = self.universe;
            let fits = |id: &EntryId| universe.fits_qualifier(relation, *id) && universe.is_meant(relation, *id);
            let real = self.candidate(&relation.name).filter(fits);
            let mut providers: Vec<_> = universe
                .providers(&relation.name)
                .iter()
                .map(|provider| provider.entry)
                .collect();
            providers.retain(|id| self.candidate(&universe.entry(*id).name) == Some(*id) && fits(id));
            // Of several providers apt takes the more important one; the name decides among equals.
            providers.sort_by_key(|id| (universe.entry(*id).priority, &universe.entry(*id).name));
            for id in real.into_iter().chain(providers) {
                if !solutions.contains(&id) {
                    solutions.push(id);
                }
            }
        }
        solutions
    }

    /// What of the selected packages excludes `id`, or is excluded by it.
    pub fn clash(&mut self, selected: &Selected, id: EntryId) -> Result<Option<Clash>, ResolveError> {
        let relations = self.relations(id)?;
        let universe = self.universe;
        for (field, relation) in &relations.against {
            let bearers = self.candidate(&relation.name).into_iter();
            let bearers = bearers.chain(universe.providers(&relation.name).iter().map(|provider| provider.entry));
            for other in bearers.filter(|&other| other != id && selected.contains_key(&other)) {
                if universe.excludes(relation, other) {
                    return Ok(Some(Clash {
                        left: id,
                        right: other,
                        relation: format!("{field}: {relation}"),
                    }));
                }
            }
        }
        let opponents = relations
            .names
            .iter()
            .filter_map(|name| self.opponents.get(name))
            .flatten();
        for &other in opponents.filter(|&&other| other != id && selected.contains_key(&other)) {
            let against = &self
                .relations
                .get(&other)
                .expect("opponents are noted when their relations are read")
                .against;
            if let Some((field, relation)) = against.iter().find(|(_, relation)| universe.excludes(relation, id)) {
                return Ok(Some(Clash {
                    left: other,
                    right: id,
                    relation: format!("{field}: {relation}"),
                }));
            }
        }
        Ok(None)
    }

    /// The package's relations; read once.
    pub fn relations(&mut self, id: EntryId) -> Result<Rc<Relations>, ResolveError> {
        if let Some(relations) = self.relations.get(&id) {
            return Ok(Rc::clone(relations));
        }
        let entry = self.universe.entry(id);
        let malformed = |field| move |source: RelationError| ResolveError::malformed(entry, field, source);
        let provided = relation::parse_provides(&entry.provides).map_err(malformed("Provides"))?;
        let names = provided
            .into_iter()
            .map(|(name, _)| name)
            .chain([entry.name.clone()])
            .collect();
        let mut relations = Relations {
            demands: Vec::new(),
            against: Vec::new(),
            names,
        };
        for (field, value) in [("Pre-Depends", &entry.pre_depends), ("Depends", &entry.depends)] {
            let dependencies = relation::parse_dependencies(value).map_err(malformed(field))?;
            let demand = |dependency| Demand {
                by: id,
                field,
                dependency: Rc::new(dependency),
            };
            relations.demands.extend(dependencies.into_iter().map(demand));
        }
        for (field, value) in [("Conflicts", &entry.conflicts), ("Breaks", &entry.breaks)] {
            let against = relation::parse_relations(value).map_err(malformed(field))?;
            relations
                .against
                .extend(against.into_iter().map(|relation| (field, relation)));
        }
        for (_, relation) in &relations.against {
            self.opponents.entry(relation.name.clone()).or_default().insert(id);
        }
        let relations = Rc::new(relations);
        self.relations.insert(id, Rc::clone(&relations));
        Ok(relations)
    }

    /// Name and version.
    pub fn label(&self, id: EntryId) -> String {
        let entry = self.universe.entry(id);
        format!("{} {}", entry.name, entry.version)
    }
}

impl Demand {
    /// As it stands in the package: `Depends: libc6 (>= 2.34)`.
    pub fn text(&self) -> String {
        format!("{}: {}", self.field, self.dependency)
    }
}
