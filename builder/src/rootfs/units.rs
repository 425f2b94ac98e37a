//! Which units start: the links of `systemctl enable`, masks, the default target and a preset that says the same.
//!
//! In: the tree with packages and overlays, and the definition's choices. Out: links in `/etc/systemd/system` as
//! systemctl(1) of systemd 257 makes them from `[Install]` (`WantedBy=`, `RequiredBy=`, `UpheldBy=`, `Alias=`, `Also=`,
//! `DefaultInstance=`; systemd.unit(5)), and `00-skerry.preset`, which ends in `disable *`: should systemd ever take a
//! boot for a first boot, it must not start all that Debian's presets enable. Debian's scripts enable units on
//! installation; here nothing starts that the definition does not name. Deliberately unsupported: units of users.

mod install;
pub(crate) use install::logical_lines;
mod unit_name;

use std::fmt::Write as _;

use super::made::{By, path};
use crate::failure::Diagnose;
use crate::tree::{Content, Tree, TreeError, TreePath};

use install::InstallSection;
use unit_name::UnitName;

const BY: By = By("units");
const LOCAL: &str = "etc/systemd/system";
/// Where units lie, the strongest folder first (systemd.unit(5), "Unit File Load Path").
const FOLDERS: [&str; 3] = [LOCAL, "usr/local/lib/systemd/system", "usr/lib/systemd/system"];
const PRESET: &str = "usr/lib/systemd/system-preset/00-skerry.preset";
/// `Also=` may go round in circles; more links than this from one choice are a mistake.
const MAX_ENABLED: usize = 1000;

/// Units that no image wants, and why. They are masked where the tree has them.
pub const STANDARD_MASKS: &[(&str, &str)] = &[
    ("ldconfig.service", "ld.so.cache is part of the image"),
    ("systemd-firstboot.service", "asks questions on the console"),
    (
        "systemd-hwdb-update.service",
        "the image has no writable hardware database",
    ),
    (
        "systemd-journal-catalog-update.service",
        "the catalogue only explains messages to people",
    ),
    ("systemd-sysusers.service", "all accounts are part of the image"),
    (
        "systemd-update-done.service",
        "the stamps it writes are part of the image",
    ),
];

/// What the definition chooses.
#[derive(Debug, Clone, Default)]
pub struct UnitChoices {
    /// Units to enable, such as `ssh.service` or `getty@tty1.service`.
    pub enable: Vec<String>,
    /// Units that must not start by any way, beside [`STANDARD_MASKS`].
    pub mask: Vec<String>,
    /// The unit that the boot leads to, such as `multi-user.target`.
    pub default_target: String,
}

/// Why the choices cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum UnitsError {
    /// Text that is no unit's name.
    #[error("`{name}` is not the name of a unit")]
    BadName {
        /// As written.
        name: String,
    },
    /// The tree has no such unit.
    #[error("the image has no unit `{name}`{}", asked_by(.by))]
    Missing {
        /// The unit.
        name: String,
        /// The unit whose `[Install]` section names it, if it was not chosen itself.
        by: Option<String>,
        /// A unit of a similar name.
        similar: Option<String>,
    },
    /// A unit that cannot be enabled.
    #[error("the unit `{name}` cannot be enabled: {file} has no [Install] section that says when it starts")]
    NothingToInstall {
        /// The unit.
        name: String,
        /// Its file.
        file: TreePath,
    },
    /// Another name of a unit.
    #[error("`{name}` is another name of `{real}`")]
    IsAlias {
        /// As chosen.
        name: String,
        /// The unit's own name.
        real: String,
    },
    /// A template without an instance.
    #[error("`{name}` is a template without DefaultInstance=")]
    NoInstance {
        /// The template.
        name: String,
    },
    /// A line that means nothing.
    #[error("{file}:{line}: {what}")]
    BadInstall {
        /// The unit's file or drop-in.
        file: TreePath,
        /// Its line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A unit is to be enabled and masked.
    #[error("the unit `{name}` is to be enabled and masked at once")]
    EnabledAndMasked {
        /// The unit.
        name: String,
    },
    /// A unit file cannot be read from the store.
    #[error("cannot read {file}")]
    Read {
        /// The file.
        file: TreePath,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A link has no place.
    #[error("cannot put a unit's link into the tree")]
    Insert(#[source] TreeError),
}

fn asked_by(by: &Option<String>) -> String {
    let asked = by.as_ref().map(|by| format!(", which Also= of `{by}` enables"));
    asked.unwrap_or_default()
}

impl Diagnose for UnitsError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Missing {
                similar: Some(similar), ..
            } => vec![format!("did you mean `{similar}`?")],
            Self::Missing { .. } => vec!["add the package or overlay that brings it".to_owned()],
            Self::NothingToInstall { name, .. } => vec![format!(
                "it is started by other units or by D-Bus; leave `{name}` out of the list, or give it an [Install] section by a drop-in in an overlay"
            )],
            Self::IsAlias { real, .. } => vec![format!("write `{real}`")],
            Self::NoInstance { name } => vec![format!("write `{}`", name.replace('@', "@INSTANCE"))],
            Self::EnabledAndMasked { name } if STANDARD_MASKS.iter().any(|(mask, _)| mask == name) => {
                vec![format!("`{name}` is masked in every image; leave it out of the list")]
            }
            _ => Vec::new(),
        }
    }
}

/// Sets links, masks, the default target and the preset file.
pub fn apply(tree: &mut Tree, choices: &UnitChoices) -> Result<(), UnitsError> {
    let standard = STANDARD_MASKS.iter().map(|(name, _)| *name);
    let chosen = choices.mask.iter().map(String::as_str);
    let masks: Vec<&str> = standard.clone().chain(chosen).collect();
    if let Some(name) = choices.enable.iter().find(|name| masks.contains(&name.as_str())) {
        return Err(UnitsError::EnabledAndMasked { name: name.clone() });
    }
    for name in &choices.enable {
        enable(tree, name)?;
    }
    for name in standard {
        if find(tree, &UnitName::parse(name)?).is_some() {
            mask(tree, name)?;
        }
    }
    for name in &choices.mask {
        find(tree, &UnitName::parse(name)?).ok_or_else(|| missing(tree, name, None))?;
        mask(tree, name)?;
    }
    let target = UnitName::parse(&choices.default_target)?;
    let file = find(tree, &target).ok_or_else(|| missing(tree, &choices.default_target, None))?;
    link(tree, &format!("{LOCAL}/default.target"), &file.to_string())?;
    let preset = preset_text(&choices.enable)?;
    tree.replace(path(PRESET), BY.file(0o644, preset))
        .map_err(UnitsError::Insert)
}

fn preset_text(enable: &[String]) -> Result<String, UnitsError> {
    let mut text =
        String::from("# All units that the image's definition enables, and no others (systemd.preset(5)).\n");
    for name in enable {
        let name = UnitName::parse(name)?;
        let _ = match name.instance() {
            Some(instance) => writeln!(text, "enable {} {instance}", name.template_name()),
            None => writeln!(text, "enable {name}"),
        };
    }
    text.push_str("disable *\n");
    Ok(text)
}

/// Enables a unit and, through `Also=`, those that belong to it.
fn enable(tree: &mut Tree, name: &str) -> Result<(), UnitsError> {
    let mut queue = vec![(UnitName::parse(name)?, None)];
    let mut place = 0;
    while let Some((name, by)) = queue.get(place).cloned() {
        place += 1;
        if place > MAX_ENABLED {
            break;
        }
        let file = find(tree, &name).ok_or_else(|| missing(tree, name.as_str(), by.clone()))?;
        let section = install_section(tree, &name, &file)?;
        // A unit that is pulled in by Also= may have nothing of its own to install.
        if section.is_empty() && by.is_none() {
            let name = name.to_string();
            return Err(UnitsError::NothingToInstall { name, file });
        }
        for also in &section.also {
            let also = UnitName::parse(also)?;
            if !queue.iter().any(|(present, _)| *present == also) {
                queue.push((also, Some(name.to_string())));
            }
        }
        section.make_links(tree, &name, &file)?;
    }
    Ok(())
}

/// The file of a unit: its own, or its template's.
fn find(tree: &Tree, name: &UnitName) -> Option<TreePath> {
    let names = [name.to_string(), name.template_name()];
    let places = names
        .iter()
        .flat_map(|name| FOLDERS.iter().map(move |folder| format!("{folder}/{name}")));
    places
        .filter_map(|place| TreePath::parse(&place).ok())
        .find(|place| tree.get(place).is_some_and(|node| node.content != Content::Dir))
}

fn install_section(tree: &Tree, name: &UnitName, file: &TreePath) -> Result<InstallSection, UnitsError> {
    if let Some(Content::Symlink(target)) = tree.get(file).map(|node| &node.content) {
        let real = target.rsplit('/').next().unwrap_or(target).to_owned();
        let name = name.to_string();
        // A unit of the same name linked in from elsewhere is the unit itself.
        if real != name {
            return Err(UnitsError::IsAlias { name, real });
        }
    }
    let mut section = InstallSection::default();
    for file in std::iter::once(file.clone()).chain(drop_ins(tree, name)) {
        let data = tree
            .file(file.as_str())
            .ok_or_else(|| missing(tree, name.as_str(), None))?;
        let bytes = data.read().map_err(|source| UnitsError::Read {
            file: file.clone(),
            source,
        })?;
        section.read(&file, &String::from_utf8_lossy(&bytes), name)?;
    }
    Ok(section)
}

/// Drop-ins in the order in which they apply: by file name, of equal names that of the strongest folder.
fn drop_ins(tree: &Tree, name: &UnitName) -> Vec<TreePath> {
    let mut chosen = std::collections::BTreeMap::new();
    for folder in FOLDERS.iter().rev() {
        for owner in [name.template_name(), name.to_string()] {
            let Ok(folder) = TreePath::parse(&format!("{folder}/{owner}.d")) else {
                continue;
            };
            for (place, _) in tree.children(&folder) {
                if place.name().ends_with(".conf") {
                    chosen.insert(place.name().to_owned(), place.clone());
                }
            }
        }
    }
    chosen.into_values().collect()
}

fn missing(tree: &Tree, name: &str, by: Option<String>) -> UnitsError {
    let folders = FOLDERS.map(path);
    let units = folders.iter().flat_map(|folder| tree.children(folder));
    let candidates = units.map(|(place, _)| place.name()).filter(|name| name.contains('.'));
    let similar = candidates
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|first, second| first.0.total_cmp(&second.0).then(second.1.cmp(first.1)))
        .map(|(_, candidate)| candidate.to_owned());
    UnitsError::Missing {
        name: name.to_owned(),
        by,
        similar,
    }
}

fn mask(tree: &mut Tree, name: &str) -> Result<(), UnitsError> {
    link(tree, &format!("{LOCAL}/{name}"), "/dev/null")
}

fn link(tree: &mut Tree, place: &str, target: &str) -> Result<(), UnitsError> {
    let bad_name = || UnitsError::BadName { name: place.to_owned() };
    let place = TreePath::parse(place).map_err(|_| bad_name())?;
    tree.replace(place, BY.link(target)).map_err(UnitsError::Insert)
}

#[cfg(test)]
mod tests;
