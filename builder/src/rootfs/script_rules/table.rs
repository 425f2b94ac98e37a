//! The rows: which script is known, and which rules stand for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde::Deserialize;

use super::release::{PLACEHOLDER, generalise};
use crate::digest::Sha256;
use crate::failure::Diagnose;

const STANDARD: &str = include_str!("../data/script-rules.toml");

/// The file as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    #[serde(default)]
    rules: BTreeMap<String, String>,
    #[serde(default)]
    triggers: BTreeMap<String, String>,
    #[serde(default)]
    script: Vec<RawRow>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawRow {
    package: String,
    kind: String,
    #[serde(default)]
    sha256: BTreeSet<Sha256>,
    #[serde(default)]
    sha256_release: BTreeSet<Sha256>,
    rules: Vec<String>,
    /// For people only.
    #[serde(default, rename = "note")]
    _note: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Row {
    sha256: BTreeSet<Sha256>,
    sha256_release: BTreeSet<Sha256>,
    rules: Vec<String>,
}

/// All known scripts and triggers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScriptTable {
    rules: BTreeMap<String, String>,
    triggers: BTreeMap<String, String>,
    /// By package, then kind.
    rows: BTreeMap<(String, String), Row>,
}

/// Why a table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Not TOML, or of another shape.
    #[error("the table of script rules cannot be read")]
    Syntax(#[source] toml::de::Error),
    /// A row or trigger names a rule that `[rules]` does not explain.
    #[error("`{user}` names the rule `{rule}`, which [rules] does not explain")]
    UnknownRule {
        /// Package and kind, or the trigger.
        user: String,
        /// The rule.
        rule: String,
    },
    /// A row without a digest or without a rule.
    #[error("the row for {user} has no digest or no rule")]
    EmptyRow {
        /// Package and kind.
        user: String,
    },
    /// Two rows for one script.
    #[error("there are two rows for {user}")]
    Twice {
        /// Package and kind.
        user: String,
    },
}

impl Diagnose for TableError {}

impl ScriptTable {
    /// The table in the repository.
    pub fn standard() -> &'static Self {
        static TABLE: OnceLock<ScriptTable> = OnceLock::new();
        TABLE.get_or_init(|| Self::parse(STANDARD).expect("a test reads the table of the repository"))
    }

    /// Reads a table.
    pub fn parse(text: &str) -> Result<Self, TableError> {
        let raw: RawTable = toml::from_str(text).map_err(TableError::Syntax)?;
        let mut table = Self {
            rules: raw.rules,
            triggers: raw.triggers,
            rows: BTreeMap::new(),
        };
        for row in raw.script {
            let user = format!("the {} of {}", row.kind, row.package);
            if row.rules.is_empty() || (row.sha256.is_empty() && row.sha256_release.is_empty()) {
                return Err(TableError::EmptyRow { user });
            }
            row.rules.iter().try_for_each(|rule| table.explained(&user, rule))?;
            let content = Row {
                sha256: row.sha256,
                sha256_release: row.sha256_release,
                rules: row.rules,
            };
            if table.rows.insert((row.package, row.kind), content).is_some() {
                return Err(TableError::Twice { user });
            }
        }
        for (trigger, rule) in &table.triggers {
            table.explained(trigger, rule)?;
        }
        Ok(table)
    }

    fn explained(&self, user: &str, rule: &str) -> Result<(), TableError> {
        match self.rules.contains_key(rule) {
            true => Ok(()),
            false => Err(TableError::UnknownRule {
                user: user.to_owned(),
                rule: rule.to_owned(),
            }),
        }
    }

    /// What a rule stands for.
    pub fn explain(&self, rule: &str) -> Option<&str> {
        self.rules.get(rule).map(String::as_str)
    }

    /// All rules, by name.
    #[cfg(test)]
    pub(super) fn rules(&self) -> impl Iterator<Item = &str> {
        self.rules.keys().map(String::as_str)
    }

    /// How many rows and triggers name a rule.
    #[cfg(test)]
    pub(super) fn users_of(&self, rule: &str) -> usize {
        let rows = self.rows.values().flat_map(|row| &row.rules);
        rows.chain(self.triggers.values()).filter(|user| *user == rule).count()
    }

    /// Whether a row names this script of a package, given by name and version.
    pub(super) fn knows(&self, (package, version): (&str, &str), kind: &str, script: (Sha256, &str)) -> bool {
        let Some(row) = self.row((package, version), kind) else {
            return false;
        };
        let general = || Sha256::of(generalise(script.1, version).as_bytes());
        row.sha256.contains(&script.0) || (!row.sha256_release.is_empty() && row.sha256_release.contains(&general()))
    }

    /// The rules of the row for any version of this script.
    pub(super) fn rules_of(&self, package: (&str, &str), kind: &str) -> Vec<String> {
        self.row(package, kind).map(|row| row.rules.clone()).unwrap_or_default()
    }

    pub(super) fn has_trigger(&self, trigger: &str) -> bool {
        self.triggers.contains_key(trigger)
    }

    fn row(&self, (package, version): (&str, &str), kind: &str) -> Option<&Row> {
        let find = |package: String| self.rows.get(&(package, kind.to_owned()));
        find(package.to_owned()).or_else(|| {
            let general = generalise(package, version);
            general.contains(PLACEHOLDER).then(|| find(general)).flatten()
        })
    }
}
