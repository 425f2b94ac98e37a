//! Units that start, or cannot, in two images.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::inspect::Inspection;

/// A unit that starts otherwise than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnitChange {
    /// Its name.
    pub name: String,
    /// What starts it in A, or `masked`; empty if nothing does.
    pub a: Vec<String>,
    /// What starts it in B, or `masked`; empty if nothing does.
    pub b: Vec<String>,
}

/// The changes, by name.
pub(super) fn compare(a: &Inspection, b: &Inspection) -> Vec<UnitChange> {
    let (a, b) = (states(a), states(b));
    let names: BTreeSet<&str> = a.keys().chain(b.keys()).copied().collect();
    let state = |states: &BTreeMap<&str, Vec<String>>, name| states.get(name).cloned().unwrap_or_default();
    names
        .into_iter()
        .map(|name| UnitChange {
            name: name.to_owned(),
            a: state(&a, name),
            b: state(&b, name),
        })
        .filter(|change| change.a != change.b)
        .collect()
}

fn states(inspection: &Inspection) -> BTreeMap<&str, Vec<String>> {
    let mut states = BTreeMap::new();
    if let Some(contents) = &inspection.contents {
        let units = &contents.units;
        states.extend(units.enabled.iter().map(|unit| (unit.name.as_str(), unit.by.clone())));
        states.extend(
            units
                .masked
                .iter()
                .map(|name| (name.as_str(), vec!["masked".to_owned()])),
        );
    }
    states
}
