//! Which units start, as the links of the tree say it: `X.wants/Y`, `X.requires/Y` and `X.upholds/Y` in systemd's folders.
//!
//! Deliberately unsupported: units that generators make at boot, and dependencies inside of unit files.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::root_view::RootView;
use crate::rootfs::units::logical_lines;
use crate::squashfs::ReadAt;
use crate::squashfs::read::{Entry, EntryContent};

/// Where the image's own choices are (systemd.unit(5), "Unit File Load Path").
const LOCAL: &str = "etc/systemd/system";
/// Where packages put units and links.
const VENDOR: &str = "usr/lib/systemd/system";
/// The strongest first.
const FOLDERS: [&str; 2] = [LOCAL, VENDOR];
const LINK_FOLDERS: [&str; 3] = [".wants", ".requires", ".upholds"];

/// The units of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Units {
    /// What a boot leads to (`default.target`).
    pub default_target: Option<String>,
    /// Units that others start, by name.
    pub enabled: Vec<EnabledUnit>,
    /// Units that cannot start by any way.
    pub masked: Vec<String>,
}

/// A unit that others start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnabledUnit {
    /// Its name.
    pub name: String,
    /// The units that start it.
    pub by: Vec<String>,
    /// Who wants it so.
    pub choice: Choice,
}

/// Who wants a unit to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// The image: a link in `/etc/systemd/system`.
    Image,
    /// Its package: a link in `/usr/lib/systemd/system`.
    Package,
}

impl Units {
    /// Whether some link starts `name`, or one of the instances of the template `name`.
    pub(super) fn starts(&self, name: &str) -> bool {
        self.enabled
            .iter()
            .any(|unit| template_of(&unit.name) == name || unit.name == name)
    }
}

/// `getty@.service` of `getty@tty1.service`; any other name as it is.
pub(super) fn template_of(unit: &str) -> String {
    match (unit.split_once('@'), unit.rsplit_once('.')) {
        (Some((prefix, _)), Some((_, kind))) => format!("{prefix}@.{kind}"),
        _ => unit.to_owned(),
    }
}

/// Reads the links.
pub(super) fn read<R: ReadAt + ?Sized>(root: &RootView<'_, R>) -> Units {
    let masked: BTreeSet<String> = root
        .children(LOCAL)
        .filter(|(_, entry)| link_target(entry).as_deref() == Some("/dev/null"))
        .map(|(name, _)| name.to_owned())
        .collect();
    let mut enabled: BTreeMap<String, (BTreeSet<String>, Choice)> = BTreeMap::new();
    for (folder, choice) in [(LOCAL, Choice::Image), (VENDOR, Choice::Package)] {
        for (rest, entry) in root.below(folder) {
            let Some((starter, unit)) = rest.split_once('/').filter(|(_, unit)| !unit.contains('/')) else {
                continue;
            };
            let starter = LINK_FOLDERS.iter().find_map(|ending| starter.strip_suffix(ending));
            let is_link = matches!(entry.content, EntryContent::Symlink(_));
            if let Some(starter) = starter.filter(|_| is_link && !masked.contains(unit)) {
                let (by, _) = enabled.entry(unit.to_owned()).or_insert((BTreeSet::new(), choice));
                by.insert(starter.to_owned());
            }
        }
    }
    let default = FOLDERS
        .iter()
        .find_map(|folder| root.find(format!("{folder}/default.target").as_bytes()));
    let default = default.and_then(link_target);
    Units {
        default_target: default.map(|target| target.rsplit('/').next().unwrap_or_default().to_owned()),
        enabled: enabled
            .into_iter()
            .map(|(name, (by, choice))| EnabledUnit {
                name,
                by: by.into_iter().collect(),
                choice,
            })
            .collect(),
        masked: masked.into_iter().collect(),
    }
}

fn link_target(entry: &Entry) -> Option<String> {
    match &entry.content {
        EntryContent::Symlink(target) => String::from_utf8(target.clone()).ok(),
        _ => None,
    }
}

/// The settings of `section` of a unit, in their order, its drop-ins behind it.
pub(super) fn settings<R: ReadAt + ?Sized>(root: &RootView<'_, R>, unit: &str, section: &str) -> Vec<(String, String)> {
    let names = [unit.to_owned(), template_of(unit)];
    let file = names
        .iter()
        .flat_map(|name| FOLDERS.map(|folder| format!("{folder}/{name}")))
        .find_map(|path| root.text(&path));
    let mut texts: Vec<String> = file.into_iter().collect();
    texts.extend(drop_ins(root, &FOLDERS.map(|folder| format!("{folder}/{unit}.d"))));
    texts.iter().flat_map(|text| section_settings(text, section)).collect()
}

/// The drop-ins of `folders`, the strongest of which is the first: by name, and of one name only the strongest.
pub(super) fn drop_ins<R: ReadAt + ?Sized>(root: &RootView<'_, R>, folders: &[String]) -> Vec<String> {
    let mut paths: BTreeMap<String, String> = BTreeMap::new();
    for folder in folders {
        for (name, _) in root.children(folder).filter(|(name, _)| name.ends_with(".conf")) {
            paths
                .entry(name.to_owned())
                .or_insert_with(|| format!("{folder}/{name}"));
        }
    }
    paths.values().filter_map(|path| root.text(path)).collect()
}

/// `KEY=VALUE` lines of one section.
pub(super) fn section_settings(text: &str, section: &str) -> Vec<(String, String)> {
    let mut inside = false;
    let mut settings = Vec::new();
    for (_, line) in logical_lines(text) {
        if let Some(name) = line.strip_prefix('[') {
            inside = name.strip_suffix(']') == Some(section);
        } else if let Some((key, value)) = line.split_once('=').filter(|_| inside) {
            settings.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    settings
}
