//! The checks on the finished tree, with what the definition allows.

use std::collections::BTreeMap;

use crate::definition::ImageSpec;
use crate::failure::{Failure, FailureKind};
use crate::lint::{self, LintAllow, Report, Severity};
use crate::rootfs::overlay;
use crate::rootfs::skeleton;
use crate::tree::Tree;

/// How many findings an error shows.
const MOST_SHOWN: usize = 20;

/// Stops the build at findings that are errors; returns the others, one sentence each.
pub fn check(tree: &Tree, spec: &ImageSpec) -> Result<Vec<String>, Failure> {
    let report = lint::run(tree, spec.architecture, &allowances(spec)?);
    judge("the tree", report, spec)
}

/// What can be said of the overlays before anything is fetched; those that are not there are left out.
pub fn check_overlays(spec: &ImageSpec) -> Result<Vec<String>, Failure> {
    let mut tree = Tree::new();
    skeleton::before(&mut tree)?;
    let folders = spec
        .overlays
        .iter()
        .map(|name| spec.project().join("overlays").join(name));
    for folder in folders.filter(|folder| folder.is_dir()) {
        // Which accounts there will be is not known yet, and no lint of a part asks.
        overlay::load(&folder)?.apply(&mut tree, &|_, _| Some((0, 0)))?;
    }
    let report = lint::run_on_part(&tree, spec.architecture, &allowances(spec)?);
    judge("the part of the tree that overlays bring", report, spec)
}

fn allowances(spec: &ImageSpec) -> Result<LintAllow, Failure> {
    let mut allowed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in &spec.allow {
        let (name, path) = entry.split_once(':').ok_or_else(|| not_an_allowance(spec, entry))?;
        allowed.entry(name.to_owned()).or_default().push(path.to_owned());
    }
    Ok(LintAllow::new(&allowed)?)
}

fn judge(what: &str, report: Report, spec: &ImageSpec) -> Result<Vec<String>, Failure> {
    let (errors, warnings): (Vec<_>, Vec<_>) = report
        .findings
        .into_iter()
        .partition(|finding| finding.severity == Severity::Error);
    let Some(first) = errors.first() else {
        return Ok(warnings.iter().map(ToString::to_string).collect());
    };
    let mut failure = Failure::new(FailureKind::Request, format!("{what} has {} faults", errors.len()));
    failure
        .chain
        .extend(errors.iter().take(MOST_SHOWN).map(ToString::to_string));
    if errors.len() > MOST_SHOWN {
        failure.chain.push(format!("… and {} more", errors.len() - MOST_SHOWN));
    }
    let example = format!("{}:{}", first.lint, first.path);
    Err(failure.hint(format!(
        "what is wanted can be allowed in {}: allow = [\"{example}\"]",
        spec.file.display()
    )))
}

fn not_an_allowance(spec: &ImageSpec, entry: &str) -> Failure {
    let message = format!(
        "{}: `allow` has {entry:?}, which is not of the form LINT:PATH",
        spec.file.display()
    );
    let names: Vec<&str> = lint::LINTS.iter().map(|lint| lint.name).collect();
    Failure::new(FailureKind::Request, message).hint(format!("lints are {}", names.join(", ")))
}
