//! The `[Install]` section (systemd.unit(5), "[Install] Section Options") and the links it asks for.

use super::{LOCAL, UnitName, UnitsError, link};
use crate::tree::{Tree, TreePath};

/// What all `[Install]` sections of one unit say together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct InstallSection {
    aliases: Vec<String>,
    wanted_by: Vec<String>,
    required_by: Vec<String>,
    upheld_by: Vec<String>,
    pub(super) also: Vec<String>,
    default_instance: Option<String>,
}

impl InstallSection {
    pub(super) fn is_empty(&self) -> bool {
        let lists = [
            &self.aliases,
            &self.wanted_by,
            &self.required_by,
            &self.upheld_by,
            &self.also,
        ];
        lists.iter().all(|list| list.is_empty())
    }

    /// Adds the section of one file; `unit` fills in the specifiers.
    pub(super) fn read(&mut self, file: &TreePath, text: &str, unit: &UnitName) -> Result<(), UnitsError> {
        let mut inside = false;
        for (line_number, line) in logical_lines(text) {
            let bad = |what| UnitsError::BadInstall {
                file: file.clone(),
                line: line_number,
                what,
            };
            if line.starts_with('[') {
                inside = line == "[Install]";
                continue;
            }
            if !inside {
                continue;
            }
            let (key, value) = line
                .split_once('=')
                .ok_or_else(|| bad(format!("`{line}` is no setting")))?;
            let value = expand(value.trim(), unit).map_err(bad)?;
            self.set(key.trim(), &value).map_err(bad)?;
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let list = match key {
            "Alias" => &mut self.aliases,
            "WantedBy" => &mut self.wanted_by,
            "RequiredBy" => &mut self.required_by,
            "UpheldBy" => &mut self.upheld_by,
            "Also" => &mut self.also,
            "DefaultInstance" => {
                self.default_instance = (!value.is_empty()).then(|| value.to_owned());
                return Ok(());
            }
            _ if key.starts_with("X-") => return Ok(()),
            _ => return Err(format!("`{key}=` is no setting of [Install]")),
        };
        match value {
            "" => list.clear(),
            _ => list.extend(value.split_whitespace().map(str::to_owned)),
        }
        Ok(())
    }

    /// Makes the links for `unit`, whose file is `file`.
    pub(super) fn make_links(&self, tree: &mut Tree, unit: &UnitName, file: &TreePath) -> Result<(), UnitsError> {
        let owners = [&self.aliases, &self.wanted_by, &self.required_by, &self.upheld_by];
        if owners.iter().all(|list| list.is_empty()) {
            return Ok(());
        }
        let unit = self.installed_name(unit)?;
        let target = file.to_string();
        for alias in &self.aliases {
            let alias = UnitName::parse(alias)?;
            let alias = alias.with_instance(unit.instance().unwrap_or_default());
            if alias.kind() != unit.kind() {
                return Err(UnitsError::BadName {
                    name: format!("{alias} (Alias= of {unit})"),
                });
            }
            if alias != unit {
                link(tree, &format!("{LOCAL}/{alias}"), &target)?;
            }
        }
        let kinds = [
            (&self.wanted_by, "wants"),
            (&self.required_by, "requires"),
            (&self.upheld_by, "upholds"),
        ];
        for (owners, kind) in kinds {
            for owner in owners {
                let owner = UnitName::parse(owner)?;
                link(tree, &format!("{LOCAL}/{owner}.{kind}/{unit}"), &target)?;
            }
        }
        Ok(())
    }

    fn installed_name(&self, unit: &UnitName) -> Result<UnitName, UnitsError> {
        if !unit.is_template() {
            return Ok(unit.clone());
        }
        let instance = self.default_instance.as_ref();
        let instance = instance.ok_or_else(|| UnitsError::NoInstance { name: unit.to_string() })?;
        UnitName::parse(unit.with_instance(instance).as_str())
    }
}

/// Lines without comments, with continued ones (`\` at the end) joined; each with the number of its first line.
pub(crate) fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut continued = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with(['#', ';']) || (line.is_empty() && !continued) {
            continue;
        }
        let (part, continues) = match line.strip_suffix('\\') {
            Some(part) => (part, true),
            None => (line, false),
        };
        match lines.last_mut().filter(|_| continued) {
            Some((_, last)) => {
                last.push(' ');
                last.push_str(part);
            }
            None => lines.push((index + 1, part.to_owned())),
        }
        continued = continues;
    }
    lines
}

/// The specifiers that depend on the unit's name only.
fn expand(value: &str, unit: &UnitName) -> Result<String, String> {
    let mut expanded = String::new();
    let mut chars = value.chars();
    let last_part = |text: &str| text.rsplit('-').next().unwrap_or_default().to_owned();
    while let Some(next) = chars.next() {
        if next != '%' {
            expanded.push(next);
            continue;
        }
        match chars.next() {
            Some('%') => expanded.push('%'),
            Some('n') => expanded.push_str(unit.as_str()),
            Some('N') => expanded.push_str(unit.as_str().trim_end_matches(&format!(".{}", unit.kind()))),
            Some('p') => expanded.push_str(unit.prefix()),
            Some('i') => expanded.push_str(unit.instance().unwrap_or_default()),
            Some('j') => expanded.push_str(&last_part(unit.prefix())),
            Some(other) => return Err(format!("the specifier `%{other}` is not supported in [Install]")),
            None => return Err("a single `%` ends the value".to_owned()),
        }
    }
    Ok(expanded)
}
