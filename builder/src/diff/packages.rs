//! Packages and components of two images.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::apt::version::DebVersion;
use crate::inspect::Inspection;
use crate::rootfs::contents::OwnerKind;

/// A package or component that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageChange {
    /// Its name.
    pub name: String,
    /// What happened to it.
    pub change: PackageChangeKind,
    /// The version in A.
    pub a: Option<String>,
    /// The version in B.
    pub b: Option<String>,
}

/// What happened to a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackageChangeKind {
    /// It is new in B.
    Added,
    /// It is only in A.
    Removed,
    /// Its version is higher in B.
    Upgraded,
    /// Its version is lower in B.
    Downgraded,
    /// Its version is another one, and they cannot be ordered.
    Changed,
}

/// The changes, by name.
pub(super) fn compare(a: &Inspection, b: &Inspection) -> Vec<PackageChange> {
    // Where only one image says it, nothing can be told apart.
    let (Some(a), Some(b)) = (versions(a), versions(b)) else {
        return Vec::new();
    };
    let names: BTreeSet<&str> = a.keys().chain(b.keys()).copied().collect();
    let change = |name: &str| {
        let (a, b) = (a.get(name).copied(), b.get(name).copied());
        let change = match (a, b) {
            (Some(a), Some(b)) if a == b => return None,
            (Some(a), Some(b)) => order(a, b),
            (None, _) => PackageChangeKind::Added,
            (_, None) => PackageChangeKind::Removed,
        };
        Some(PackageChange {
            name: name.to_owned(),
            change,
            a: a.map(str::to_owned),
            b: b.map(str::to_owned),
        })
    };
    names.into_iter().filter_map(change).collect()
}

/// By name; from the image itself, or from its manifest. None if neither says it.
fn versions(inspection: &Inspection) -> Option<BTreeMap<&str, &str>> {
    let is_versioned = |kind| matches!(kind, OwnerKind::Package | OwnerKind::Component);
    let own: BTreeMap<&str, &str> = inspection
        .contents
        .iter()
        .flat_map(|contents| &contents.packages)
        .filter(|owner| is_versioned(owner.kind))
        .map(|owner| (owner.name.as_str(), owner.version.as_str()))
        .collect();
    if !own.is_empty() {
        return Some(own);
    }
    let build = inspection.build.as_ref()?;
    // The manifest counts what overlays and passes brought among the packages.
    let is_package = |name: &str| !name.starts_with("overlay ") && !name.starts_with("pass ");
    let packages = build.packages.iter().filter(|package| is_package(&package.name));
    Some(
        packages
            .map(|package| (package.name.as_str(), package.version.as_str()))
            .collect(),
    )
}

/// By Debian's order; components have a `v` before theirs.
fn order(a: &str, b: &str) -> PackageChangeKind {
    let version = |text: &str| text.strip_prefix('v').unwrap_or(text).parse::<DebVersion>().ok();
    match version(a).zip(version(b)).map(|(a, b)| a.cmp(&b)) {
        Some(Ordering::Less) => PackageChangeKind::Upgraded,
        Some(Ordering::Greater) => PackageChangeKind::Downgraded,
        _ => PackageChangeKind::Changed,
    }
}
