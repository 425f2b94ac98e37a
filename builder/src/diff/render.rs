//! A difference as text for people: what changed in a few lines, then the largest changes.

use super::{Aspect, Difference, FileChange, FileState, PackageChangeKind, Side};
use crate::inspect::text::{count, cut, named, printable, section, size};

/// Files that are shown unless all are wanted.
const LARGEST: usize = 20;
/// Before each value.
const NAME_WIDTH: usize = 14;
/// Lines are not cut below this width.
const MIN_WIDTH: usize = 40;

/// How many files are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Those with the most bytes.
    Largest,
    /// All of them.
    All,
}

/// The difference as text; empty if there is none. No line is longer than `width` columns, and nothing from the images
/// reaches the terminal as a control character.
pub fn render(difference: &Difference, shown: Shown, width: usize) -> String {
    if difference.same {
        return String::new();
    }
    let width = width.max(MIN_WIDTH);
    let side = |side: &Side| match &side.image {
        Some(image) => format!("{}, {image}", side.file),
        None => side.file.clone(),
    };
    let mut lines = named("a", &side(&difference.a), NAME_WIDTH, width);
    lines.extend(named("b", &side(&difference.b), NAME_WIDTH, width));
    lines.extend(values(difference, width));
    lines.extend(sizes(difference));
    lines.extend(partitions(difference));
    lines.extend(boot_files(difference));
    lines.extend(packages(difference));
    lines.extend(units(difference));
    lines.extend(files(difference, shown));
    lines.iter().map(|line| cut(line, width) + "\n").collect()
}

fn values(difference: &Difference, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for value in &difference.values {
        let text = |mark: char, text: &Option<String>| format!("{mark} {}", text.as_deref().unwrap_or("none"));
        lines.extend(named(value.what, &text('-', &value.a), NAME_WIDTH, width));
        lines.extend(named("", &text('+', &value.b), NAME_WIDTH, width));
    }
    lines
}

/// A section, unless it is empty.
fn titled<const N: usize>(title: &str, rows: &[[String; N]]) -> Vec<String> {
    match rows.is_empty() {
        true => Vec::new(),
        false => section(title, rows),
    }
}

fn change_of(a: u64, b: u64) -> String {
    match b >= a {
        true => format!("+{}", size(b - a)),
        false => format!("-{}", size(a - b)),
    }
}

fn sizes(difference: &Difference) -> Vec<String> {
    let rows: Vec<[String; 3]> = difference
        .sizes
        .iter()
        .map(|change| {
            [
                change.what.to_owned(),
                format!("{} → {}", size(change.a), size(change.b)),
                change_of(change.a, change.b),
            ]
        })
        .collect();
    titled("Sizes", &rows)
}

fn partitions(difference: &Difference) -> Vec<String> {
    let mut rows = Vec::new();
    for change in &difference.partitions {
        for (mark, partition) in [("-", &change.a), ("+", &change.b)] {
            if let Some(partition) = partition {
                rows.push([
                    mark.to_owned(),
                    change.number.to_string(),
                    printable(&partition.label),
                    size(partition.len_bytes),
                    partition
                        .type_name
                        .map_or_else(|| partition.type_id.to_string(), str::to_owned),
                    partition.id.to_string(),
                ]);
            }
        }
    }
    titled("Partitions", &rows)
}

fn boot_files(difference: &Difference) -> Vec<String> {
    let rows: Vec<[String; 3]> = difference
        .boot_files
        .iter()
        .map(|change| {
            let (what, detail) = match (change.a, change.b) {
                (None, Some(b)) => ("added", size(b)),
                (Some(a), None) => ("removed", size(a)),
                (Some(a), Some(b)) if a != b => ("changed", change_of(a, b)),
                _ => ("changed", "same length".to_owned()),
            };
            [what.to_owned(), printable(&change.path), detail]
        })
        .collect();
    titled("EFI system partition", &rows)
}

fn packages(difference: &Difference) -> Vec<String> {
    let kinds = [
        (PackageChangeKind::Upgraded, "upgraded"),
        (PackageChangeKind::Downgraded, "downgraded"),
        (PackageChangeKind::Changed, "changed"),
        (PackageChangeKind::Added, "added"),
        (PackageChangeKind::Removed, "removed"),
    ];
    let mut rows = Vec::new();
    let mut counts = Vec::new();
    for (kind, name) in kinds {
        let of_kind = difference.packages.iter().filter(|package| package.change == kind);
        let before = rows.len();
        rows.extend(of_kind.map(|package| {
            let version = |version: &Option<String>| version.as_deref().map(printable).unwrap_or_default();
            let versions = match (&package.a, &package.b) {
                (Some(_), Some(_)) => format!("{} → {}", version(&package.a), version(&package.b)),
                _ => version(&package.a) + &version(&package.b),
            };
            [name.to_owned(), printable(&package.name), versions]
        }));
        if rows.len() > before {
            counts.push(format!("{} {name}", rows.len() - before));
        }
    }
    titled(&format!("Packages: {}", counts.join(", ")), &rows)
}

fn units(difference: &Difference) -> Vec<String> {
    let state = |by: &[String]| match by {
        [] => "not started".to_owned(),
        [one] if one == "masked" => one.clone(),
        many => format!("by {}", printable(&many.join(", "))),
    };
    let rows: Vec<[String; 2]> = difference
        .units
        .iter()
        .map(|unit| {
            [
                printable(&unit.name),
                format!("{} → {}", state(&unit.a), state(&unit.b)),
            ]
        })
        .collect();
    titled("Units", &rows)
}

fn files(difference: &Difference, shown: Shown) -> Vec<String> {
    let files = &difference.files;
    let number = |has: fn(&FileChange) -> bool| files.iter().filter(|file| has(file)).count();
    let counts = [
        (number(|file| file.a.is_none()), "added"),
        (number(|file| file.b.is_none()), "removed"),
        (number(|file| file.a.is_some() && file.b.is_some()), "changed"),
    ];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let mut chosen: Vec<&FileChange> = files.iter().collect();
    if shown == Shown::Largest {
        // Stable: of files with the same size, the first by path come first.
        chosen.sort_by_key(|file| std::cmp::Reverse(file.weight()));
        chosen.truncate(LARGEST);
        chosen.sort_by(|a, b| a.path.cmp(&b.path));
    }
    let rows: Vec<[String; 4]> = chosen
        .iter()
        .map(|file| {
            let (what, detail) = describe(file);
            let owner = file.owner.as_deref().map(printable).unwrap_or_default();
            [what.to_owned(), printable(&file.path), detail, owner]
        })
        .collect();
    let mut lines = titled(&format!("Files: {}", counts.join(", ")), &rows);
    if files.len() > chosen.len() {
        let rest = (files.len() - chosen.len()) as u64;
        lines.push(format!(
            "  … and {}; `--all` shows them",
            count(rest, "smaller one", "smaller ones")
        ));
    }
    lines
}

fn describe(file: &FileChange) -> (&'static str, String) {
    match (&file.a, &file.b) {
        (None, Some(state)) => ("added", state_text(state)),
        (Some(state), None) => ("removed", state_text(state)),
        (Some(a), Some(b)) => {
            let parts: Vec<String> = file.changed.iter().map(|aspect| aspect_text(*aspect, a, b)).collect();
            ("changed", parts.join(", "))
        }
        (None, None) => ("changed", String::new()),
    }
}

fn state_text(state: &FileState) -> String {
    let detail = match (state.len_bytes, &state.target, state.device) {
        (Some(len_bytes), ..) => size(len_bytes),
        (_, Some(target), _) => format!("→ {}", printable(target)),
        (.., Some((major, minor))) => format!("{} {major}:{minor}", state.kind),
        _ => state.kind.to_owned(),
    };
    format!("{detail}, {} {}:{}", state.mode, state.uid, state.gid)
}

fn aspect_text(aspect: Aspect, a: &FileState, b: &FileState) -> String {
    let or_none = |text: &Option<String>| text.as_deref().map_or_else(|| "none".to_owned(), printable);
    match aspect {
        Aspect::Kind => format!("{} → {}", a.kind, b.kind),
        Aspect::Content => match (a.len_bytes, b.len_bytes) {
            (Some(a), Some(b)) if a != b => format!("content {}", change_of(a, b)),
            _ => "content".to_owned(),
        },
        Aspect::Target => format!("target {} → {}", or_none(&a.target), or_none(&b.target)),
        Aspect::HardLink => format!(
            "hard link of {} → {}",
            or_none(&a.hard_link_of),
            or_none(&b.hard_link_of)
        ),
        Aspect::Device => "device number".to_owned(),
        Aspect::Mode => format!("mode {} → {}", a.mode, b.mode),
        Aspect::Owner => format!("owner {}:{} → {}:{}", a.uid, a.gid, b.uid, b.gid),
        Aspect::Xattrs => {
            let names = a.xattrs.keys().chain(b.xattrs.keys());
            let changed = names.filter(|name| a.xattrs.get(*name) != b.xattrs.get(*name));
            let names: std::collections::BTreeSet<String> = changed.map(|name| printable(name)).collect();
            names.into_iter().collect::<Vec<_>>().join(" ")
        }
    }
}
