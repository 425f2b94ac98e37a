//! Answers to "why is this package in?" and "why is it not?", for people.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::relation;
use super::resolve::{self, Request, Selected, Selection, Universe};
use crate::failure::Diagnose;

/// Names listed before the rest is only counted.
const MAX_LISTED: usize = 12;

/// Why the package `name` is in the selection, or why it is not, in one or more lines without a final newline.
/// `selection` has to be that of `request`.
pub fn explain(universe: &Universe, request: &Request, selection: &Selection, name: &str) -> String {
    if let Some(selected) = selection.packages.get(name) {
        return why_in(selection, selected);
    }
    if request.excluded.contains(name) {
        return why_excluded(selection, name);
    }
    let Some(entry) = universe.versions(name).next() else {
        return why_unknown(universe, selection, name);
    };
    let mut wider = request.clone();
    wider.packages.insert(name.to_owned());
    match resolve::resolve(universe, &wider) {
        Ok(wider) => {
            let added: Vec<_> = wider
                .packages
                .values()
                .filter(|other| !selection.packages.contains_key(&other.entry.name))
                .collect();
            let bytes: u64 = added.iter().map(|other| other.entry.len_bytes).sum();
            let others = added
                .iter()
                .map(|other| other.entry.name.as_str())
                .filter(|other| *other != name);
            let mut text = format!("`{name}` is not in: neither `packages` nor a selected package asks for it\n");
            let mib = bytes.div_ceil(1 << 20);
            match list(others) {
                Some(others) => write!(
                    text,
                    "version {} could be added; it would bring {others} ({mib} MiB to download)",
                    entry.version
                ),
                None => write!(
                    text,
                    "version {} could be added and would bring nothing else ({mib} MiB to download)",
                    entry.version
                ),
            }
            .expect("writing to a string cannot fail");
            text
        }
        Err(error) => {
            let detail = error
                .excerpt()
                .map(|excerpt| format!("\n\n{excerpt}"))
                .unwrap_or_default();
            format!("`{name}` is not in, and cannot be added: {error}{detail}")
        }
    }
}

fn why_in(selection: &Selection, selected: &Selected) -> String {
    let entry = &selected.entry;
    let chain = selection.chain(&entry.name).expect("a selected package has a chain");
    let mut text = format!("`{}` {} is in:\n\n{chain}", entry.name, entry.version);
    let dependents = dependents(selection, &names_of(selected));
    if let Some(dependents) = list(dependents.iter().map(String::as_str)) {
        write!(text, "\n\nselected packages that name it: {dependents}").expect("writing to a string cannot fail");
    }
    text
}

fn why_excluded(selection: &Selection, name: &str) -> String {
    let left_open: Vec<_> = selection
        .waived
        .iter()
        .filter(|waived| names_in(&waived.relation).contains(name))
        .map(|waived| format!("\n{} has `{}`", waived.package, waived.relation))
        .collect();
    let text = format!("`{name}` is not in: `without` names it");
    if left_open.is_empty() {
        return format!("{text}; no selected package asks for it by name");
    }
    text + &left_open.concat()
}

fn why_unknown(universe: &Universe, selection: &Selection, name: &str) -> String {
    let providers = universe.provider_names(name);
    if let Some(all) = list(providers.iter().map(String::as_str)) {
        let selected: Vec<_> = providers
            .iter()
            .filter(|provider| selection.packages.contains_key(*provider))
            .collect();
        return match list(selected.iter().map(|provider| provider.as_str())) {
            Some(selected) => format!("`{name}` is a virtual package; selected packages that provide it: {selected}"),
            None => format!("`{name}` is a virtual package that nothing selected provides; it could be {all}"),
        };
    }
    let suggestion = universe
        .similar_name(name)
        .map(|similar| format!("; did you mean `{similar}`?"));
    format!("there is no package `{name}`{}", suggestion.unwrap_or_default())
}

/// The package's name and the names it provides.
fn names_of(selected: &Selected) -> BTreeSet<String> {
    let provides = relation::parse_provides(&selected.entry.provides).unwrap_or_default();
    provides
        .into_iter()
        .map(|(name, _)| name)
        .chain([selected.entry.name.clone()])
        .collect()
}

/// The selected packages with a dependency that mentions one of `names`.
fn dependents(selection: &Selection, names: &BTreeSet<String>) -> Vec<String> {
    let mentions = |value: &str| !names_in(value).is_disjoint(names);
    let entries = selection.packages.values().map(|selected| &selected.entry);
    entries
        .filter(|entry| mentions(&entry.pre_depends) || mentions(&entry.depends))
        .map(|entry| entry.name.clone())
        .collect()
}

/// The names in a dependency field's value, with or without the field's name before it.
fn names_in(value: &str) -> BTreeSet<String> {
    let value = value.split_once(": ").map_or(value, |(_, value)| value);
    let dependencies = relation::parse_dependencies(value).unwrap_or_default();
    dependencies
        .into_iter()
        .flat_map(|dependency| dependency.alternatives)
        .map(|relation| relation.name)
        .collect()
}

/// `a, b and 3 more`; `None` if there are none.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    let shown = names.iter().take(MAX_LISTED).cloned().collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => None,
        count if count > MAX_LISTED => Some(format!("{shown} and {} more", count - MAX_LISTED)),
        _ => Some(shown),
    }
}

#[cfg(test)]
mod tests;
