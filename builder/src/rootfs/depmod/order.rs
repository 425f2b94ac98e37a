//! Which modules must be loaded before a module, and in which order.

use super::{BTreeMap, BTreeSet, DepmodError, Module};
use crate::rootfs::modules::alias_key;

/// One line of `modules.dep` per module: its path, then those of all modules that it needs, directly or not. Whoever
/// loads it goes through that list from its end (`modules.dep(5)`), so users stand before what they use.
pub(super) fn dependency_lines(modules: &[Module], builtin: &BTreeSet<String>) -> Result<Vec<String>, DepmodError> {
    let direct = direct(modules, builtin)?;
    let place = places(modules, &direct)?;
    Ok(modules
        .iter()
        .enumerate()
        .map(|(at, module)| {
            let mut needed = reachable(at, &direct);
            needed.sort_by_key(|needed| place[*needed]);
            let mut line = format!("{}:", module.relative_path);
            for needed in needed {
                line.push(' ');
                line.push_str(&modules[needed].relative_path);
            }
            line
        })
        .collect())
}

/// By module, the positions of those it names in `depends`; built-in ones are left out.
fn direct(modules: &[Module], builtin: &BTreeSet<String>) -> Result<Vec<BTreeSet<usize>>, DepmodError> {
    let by_name: BTreeMap<&str, usize> = modules
        .iter()
        .enumerate()
        .map(|(at, m)| (m.name.as_str(), at))
        .collect();
    modules
        .iter()
        .map(|module| {
            let depends = module.info.depends.iter().map(|name| alias_key(name));
            depends
                .filter(|name| !builtin.contains(name))
                .map(|name| {
                    by_name
                        .get(name.as_str())
                        .copied()
                        .ok_or_else(|| DepmodError::MissingDependency {
                            module: module.name.clone(),
                            dependency: name,
                        })
                })
                .collect()
        })
        .collect()
}

/// Each module's place in an order in which all users come before what they use (Kahn's algorithm).
fn places(modules: &[Module], direct: &[BTreeSet<usize>]) -> Result<Vec<usize>, DepmodError> {
    let mut users = vec![0_usize; modules.len()];
    for needed in direct.iter().flatten() {
        users[*needed] += 1;
    }
    let mut free: Vec<usize> = (0..modules.len()).filter(|at| users[*at] == 0).collect();
    let mut place = vec![usize::MAX; modules.len()];
    let mut next = 0;
    while let Some(at) = free.pop() {
        place[at] = next;
        next += 1;
        for needed in &direct[at] {
            users[*needed] -= 1;
            if users[*needed] == 0 {
                free.push(*needed);
            }
        }
    }
    let unplaced = modules.iter().zip(&place).filter(|(_, place)| **place == usize::MAX);
    let circle: Vec<String> = unplaced.map(|(module, _)| module.name.clone()).collect();
    if circle.is_empty() {
        Ok(place)
    } else {
        Err(DepmodError::Circle(circle))
    }
}

fn reachable(start: usize, direct: &[BTreeSet<usize>]) -> Vec<usize> {
    let mut seen: BTreeSet<usize> = BTreeSet::new();
    let mut open: Vec<usize> = direct[start].iter().copied().collect();
    while let Some(at) = open.pop() {
        if seen.insert(at) {
            open.extend(&direct[at]);
        }
    }
    seen.into_iter().collect()
}
