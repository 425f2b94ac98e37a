//! The search: follow what is forced, choose where there is a choice, take back what leads into a conflict.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::candidates::{self, Candidates, Clash, Demand};
use super::universe::{EntryId, Universe};
use super::{Chain, Link, Request, ResolveError, Selected, Selection, Waived, Why};
use crate::apt::relation::Relation;

/// Combinations of alternatives that may fail. Real requests see a handful; only contradictory ones come near.
const MAX_PROBLEMS: usize = 2_000;

/// A partial selection.
#[derive(Debug, Clone, Default)]
struct State {
    selected: candidates::Selected,
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

pub(super) struct Solver<'u> {
    universe: &'u Universe,
    request: &'u Request,
    known: Candidates<'u>,
    /// The requested packages.
    wanted: BTreeSet<EntryId>,
}

impl<'u> Solver<'u> {
    /// Checks the request.
    pub fn new(universe: &'u Universe, request: &'u Request) -> Result<Self, ResolveError> {
        let (known, wanted) = Candidates::new(universe, request)?;
        Ok(Self {
            universe,
            request,
            known,
            wanted,
        })
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
                state.open.extend(self.known.relations(id)?.demands.iter().cloned());
            }
            let mut choice = None;
            for demand in std::mem::take(&mut state.open) {
                let solutions = self.known.solutions(&demand.dependency);
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
        let clash = self.known.clash(&state.selected, id)?;
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
            match self.known.clash(&state.selected, id)? {
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

    fn chain(&self, state: &State, id: EntryId) -> Chain {
        let mut links = Vec::new();
        let mut next = Some(id);
        while let Some(id) = next {
            let demand = state.selected.get(&id).and_then(Option::as_ref);
            links.push(Link {
                package: self.known.label(id),
                via: demand.map(Demand::text),
            });
            next = demand.map(|demand| demand.by);
        }
        links.reverse();
        Chain(links)
    }

    fn conflict(&self, state: &State, clash: &Clash) -> ResolveError {
        ResolveError::Conflict {
            left: self.known.label(clash.left),
            right: self.known.label(clash.right),
            relation: clash.relation.clone(),
            chains: Box::new([self.chain(state, clash.left), self.chain(state, clash.right)]),
        }
    }

    fn unsatisfiable(&self, state: &State, demand: &Demand) -> ResolveError {
        let reason = |relation: &Relation| match self.known.candidate(&relation.name) {
            Some(id) if self.universe.is_meant(relation, id) => {
                format!(
                    "{} is not for this architecture or not `Multi-Arch: allowed`",
                    self.known.label(id)
                )
            }
            Some(id) => format!("{} is the candidate", self.known.label(id)),
            None if self.universe.providers(&relation.name).is_empty() => format!("there is no `{}`", relation.name),
            None => format!("no package provides `{relation}`"),
        };
        ResolveError::Unsatisfiable {
            package: self.known.label(demand.by),
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
            for demand in &self.known.relations(id)?.demands {
                let solutions = self.known.solutions(&demand.dependency);
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
