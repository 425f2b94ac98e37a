//! The search: follow what is forced, choose where there is a choice, take back what leads into a conflict.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::universe::{EntryId, Universe};
use super::{Chain, Link, Request, ResolveError, Selected, Selection, Waived, Why};
use crate::apt::relation::{self, Dependency, Relation, RelationError};
use crate::apt::version::DebVersion;

/// Combinations of alternatives that may fail. Real requests see a handful; only contradictory ones come near.
const MAX_PROBLEMS: usize = 2_000;

/// A dependency of a selected package.
#[derive(Debug, Clone)]
struct Demand {
    by: EntryId,
    field: &'static str,
    dependency: Rc<Dependency>,
}

/// The relations of one package, parsed.
#[derive(Debug)]
struct Relations {
    demands: Vec<Demand>,
    against: Vec<(&'static str, Relation)>,
}

/// A partial selection.
#[derive(Debug, Clone, Default)]
struct State {
    /// With the demand that led there; `None` for what was requested.
    selected: BTreeMap<EntryId, Option<Demand>>,
    /// Selected, with dependencies not looked at.
    agenda: VecDeque<EntryId>,
    /// Dependencies that are not satisfied and have more than one solution.
    open: Vec<Demand>,
}

/// A demand with several solutions, the preferred first.
struct Choice {
    demand: Demand,
    options: Vec<EntryId>,
}

/// A choice that was made and may be taken back.
struct Branch {
    before: State,
    choice: Choice,
    next_option: usize,
}

/// Two packages that exclude each other.
struct Clash {
    left: EntryId,
    right: EntryId,
    relation: String,
}

pub(super) struct Solver<'u> {
    universe: &'u Universe,
    request: &'u Request,
    /// The requested packages.
    wanted: Vec<EntryId>,
    /// The candidates of names that were requested in a version.
    pins: BTreeMap<&'u str, EntryId>,
    relations: BTreeMap<EntryId, Rc<Relations>>,
}

impl<'u> Solver<'u> {
    /// Checks the request.
    pub fn new(universe: &'u Universe, request: &'u Request) -> Result<Self, ResolveError> {
        let mut solver = Self {
            universe,
            request,
            wanted: Vec::new(),
            pins: BTreeMap::new(),
            relations: BTreeMap::new(),
        };
        for text in &request.packages {
            solver.want(text)?;
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
        // A pin replaces the candidate that was noted for a request without version.
        let names: Vec<&str> = solver
            .wanted
            .iter()
            .map(|&id| universe.entry(id).name.as_str())
            .collect();
        solver.wanted = names.into_iter().filter_map(|name| solver.candidate(name)).collect();
        solver.wanted.dedup();
        Ok(solver)
    }

    fn want(&mut self, text: &'u str) -> Result<(), ResolveError> {
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
        if self.request.excluded.contains(name) {
            return Err(ResolveError::RequestedAndExcluded { name: name.to_owned() });
        }
        let universe = self.universe;
        let ids = universe.version_ids(name);
        let Some(&newest) = ids.first() else {
            let (name, providers) = (name.to_owned(), universe.provider_names(name));
            if providers.is_empty() {
                let similar = universe.similar_name(&name);
                return Err(ResolveError::UnknownPackage { name, similar });
            }
            return Err(ResolveError::Virtual { name, providers });
        };
        self.wanted.push(newest);
        let Some(wanted) = version else { return Ok(()) };
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
            _ => Ok(()),
        }
    }

    /// Finds the preferred selection.
    pub fn solve(mut self) -> Result<Selection, ResolveError> {
        let mut state = State::default();
        for id in self.wanted.clone() {
            self.select(&mut state, id, None)?;
        }
        let mut branches: Vec<Branch> = Vec::new();
        let mut problems = 0;
        let mut first_problem = None;
        loop {
            match self.propagate(&mut state) {
                Ok(None) => return self.selection(&state),
                Ok(Some(choice)) => branches.push(Branch {
                    before: state,
                    choice,
                    next_option: 0,
                }),
                Err(problem) => {
                    problems += 1;
                    first_problem.get_or_insert(problem);
                }
            }
            // The newest choice that has an option left.
            while branches
                .last()
                .is_some_and(|branch| branch.next_option == branch.choice.options.len())
            {
                branches.pop();
            }
            let Some(branch) = branches.last_mut() else {
                return Err(first_problem.expect("options run out by problems only"));
            };
            if let Some(first) = first_problem.take_if(|_| problems == MAX_PROBLEMS) {
                return Err(ResolveError::TooHard {
                    tries: MAX_PROBLEMS,
                    first: Box::new(first),
                });
            }
            let option = branch.choice.options[branch.next_option];
            branch.next_option += 1;
            state = branch.before.clone();
            let demand = branch.choice.demand.clone();
            self.select(&mut state, option, Some(demand))?;
        }
    }

    /// Follows all dependencies with one solution. Returns the first one with several, if any is left.
    fn propagate(&mut self, state: &mut State) -> Result<Option<Choice>, ResolveError> {
        loop {
            while let Some(id) = state.agenda.pop_front() {
                state.open.extend(self.relations(id)?.demands.iter().cloned());
            }
            let mut choice = None;
            for demand in std::mem::take(&mut state.open) {
                let solutions = self.solutions(&demand.dependency);
                if solutions.iter().any(|id| state.selected.contains_key(id)) || self.is_waived(&demand, &solutions) {
                    continue;
                }
                let options = self.options(state, &demand, &solutions)?;
                match options.as_slice() {
                    [only] => self.select(state, *only, Some(demand))?,
                    _ => {
                        choice.get_or_insert_with(|| Choice {
                            demand: demand.clone(),
                            options,
                        });
                        state.open.push(demand);
                    }
                }
            }
            if state.agenda.is_empty() {
                return Ok(choice);
            }
        }
    }

    /// Adds a package.
    fn select(&mut self, state: &mut State, id: EntryId, demand: Option<Demand>) -> Result<(), ResolveError> {
        let clash = self.clash(state, id)?;
        state.selected.insert(id, demand);
        state.agenda.push_back(id);
        match clash {
            Some(clash) => Err(self.conflict(state, &clash)),
            None => Ok(()),
        }
    }

    /// The solutions that do not clash with what is selected; at least one.
    fn options(&mut self, state: &State, demand: &Demand, solutions: &[EntryId]) -> Result<Vec<EntryId>, ResolveError> {
        let mut options = Vec::new();
        let mut first_clash = None;
        for &id in solutions {
            match self.clash(state, id)? {
                None => options.push(id),
                Some(clash) => {
                    first_clash.get_or_insert((id, clash));
                }
            }
        }
        match first_clash {
            _ if !options.is_empty() => Ok(options),
            Some((id, clash)) => {
                let mut state = state.clone();
                state.selected.insert(id, Some(demand.clone()));
                Err(self.conflict(&state, &clash))
            }
            None => Err(self.unsatisfiable(state, demand)),
        }
    }

    fn candidate(&self, name: &str) -> Option<EntryId> {
        self.pins
            .get(name)
            .copied()
            .or_else(|| self.universe.version_ids(name).first().copied())
    }

    /// The candidates that satisfy a dependency, the preferred first.
    fn solutions(&self, dependency: &Dependency) -> Vec<EntryId> {
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

    /// Whether an excluded name satisfies the dependency.
    fn is_waived(&self, demand: &Demand, solutions: &[EntryId]) -> bool {
        let excluded = &self.request.excluded;
        demand
            .dependency
            .alternatives
            .iter()
            .any(|relation| excluded.contains(&relation.name))
            || solutions
                .iter()
                .any(|id| excluded.contains(&self.universe.entry(*id).name))
    }

    /// What of the selected packages excludes `id`, or is excluded by it.
    fn clash(&mut self, state: &State, id: EntryId) -> Result<Option<Clash>, ResolveError> {
        for &other in state.selected.keys().filter(|&&other| other != id) {
            for (left, right) in [(id, other), (other, id)] {
                let relations = self.relations(left)?;
                let hit = relations.against.iter().find(|(_, relation)| {
                    // What a relation says of `:any` holds for this architecture too.
                    let other_architecture = matches!(relation.qualifier, Some(relation::Qualifier::Architecture(_)))
                        && !self.universe.fits_qualifier(relation, right);
                    !other_architecture && self.universe.is_meant(relation, right)
                });
                if let Some((field, relation)) = hit {
                    return Ok(Some(Clash {
                        left,
                        right,
                        relation: format!("{field}: {relation}"),
                    }));
                }
            }
        }
        Ok(None)
    }

    fn relations(&mut self, id: EntryId) -> Result<Rc<Relations>, ResolveError> {
        if let Some(relations) = self.relations.get(&id) {
            return Ok(Rc::clone(relations));
        }
        let entry = self.universe.entry(id);
        let malformed = |field| move |source: RelationError| ResolveError::malformed(entry, field, source);
        let mut relations = Relations {
            demands: Vec::new(),
            against: Vec::new(),
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
        let relations = Rc::new(relations);
        self.relations.insert(id, Rc::clone(&relations));
        Ok(relations)
    }

    fn label(&self, id: EntryId) -> String {
        let entry = self.universe.entry(id);
        format!("{} {}", entry.name, entry.version)
    }

    fn chain(&self, state: &State, id: EntryId) -> Chain {
        let mut links = Vec::new();
        let mut next = Some(id);
        while let Some(id) = next {
            let demand = state.selected.get(&id).and_then(Option::as_ref);
            links.push(Link {
                package: self.label(id),
                via: demand.map(Demand::text),
            });
            next = demand.map(|demand| demand.by);
        }
        links.reverse();
        Chain(links)
    }

    fn conflict(&self, state: &State, clash: &Clash) -> ResolveError {
        ResolveError::Conflict {
            left: self.label(clash.left),
            right: self.label(clash.right),
            relation: clash.relation.clone(),
            chains: Box::new([self.chain(state, clash.left), self.chain(state, clash.right)]),
        }
    }

    fn unsatisfiable(&self, state: &State, demand: &Demand) -> ResolveError {
        let reason = |relation: &Relation| match self.candidate(&relation.name) {
            Some(id) if self.universe.is_meant(relation, id) => {
                format!(
                    "{} is not for this architecture or not `Multi-Arch: allowed`",
                    self.label(id)
                )
            }
            Some(id) => format!("{} is the candidate", self.label(id)),
            None if self.universe.providers(&relation.name).is_empty() => format!("there is no `{}`", relation.name),
            None => format!("no package provides `{relation}`"),
        };
        ResolveError::Unsatisfiable {
            package: self.label(demand.by),
            relation: demand.text(),
            chain: self.chain(state, demand.by),
            reasons: demand.dependency.alternatives.iter().map(reason).collect(),
        }
    }

    fn selection(&mut self, state: &State) -> Result<Selection, ResolveError> {
        let universe = self.universe;
        let name = |id: EntryId| universe.entry(id).name.clone();
        let mut selection = Selection {
            packages: BTreeMap::new(),
            waived: Vec::new(),
        };
        for (&id, demand) in &state.selected {
            let why = match demand {
                None => Why::Requested,
                Some(demand) => Why::DependencyOf {
                    package: name(demand.by),
                    relation: demand.text(),
                },
            };
            let selected = Selected {
                entry: universe.entry(id).clone(),
                archive: universe.archive(id),
                why,
            };
            selection.packages.insert(name(id), selected);
            for demand in &self.relations(id)?.demands {
                let solutions = self.solutions(&demand.dependency);
                if !solutions.iter().any(|id| state.selected.contains_key(id)) {
                    selection.waived.push(Waived {
                        package: name(id),
                        relation: demand.text(),
                    });
                }
            }
        }
        selection.waived.sort();
        Ok(selection)
    }
}

impl Demand {
    /// As it stands in the package: `Depends: libc6 (>= 2.34)`.
    fn text(&self) -> String {
        format!("{}: {}", self.field, self.dependency)
    }
}
