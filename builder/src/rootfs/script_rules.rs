//! The guard over maintainer scripts: each one is known by its digest, with the rules that say what stands for it.
//!
//! The builder never runs a script. In: name, version and scripts of every package. Out: nothing, or an error with the
//! text of every unknown script and the row that would make it known. The rows are in `data/script-rules.toml`, which
//! also explains each rule. Looked at are the parts of a package that run on a first installation (Debian policy §6.5):
//! `preinst`, `postinst`, debconf's `config`, and the triggers that it activates (deb-triggers(5)). `prerm` and `postrm`
//! never run. Only digests count; a script is not judged by what it looks like.

mod release;
mod table;

use std::collections::BTreeMap;

use crate::digest::Sha256;
use crate::failure::{Diagnose, FailureKind};

pub use table::{ScriptTable, TableError};

/// Scripts of one package by kind (`preinst`, `postinst`, `config`, `triggers`, …): digest and text.
pub type Scripts = BTreeMap<String, (Sha256, String)>;

/// The file in the repository that holds the rows.
const TABLE_FILE: &str = "builder/src/rootfs/data/script-rules.toml";
/// The parts of a package that run on a first installation.
const KINDS: [&str; 3] = ["config", "postinst", "preinst"];
/// How many lines of one script an error shows.
const MAX_SHOWN_LINES: usize = 500;

/// A maintainer script that no row names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownScript {
    /// The package's name.
    pub package: String,
    /// The package's version.
    pub version: String,
    /// `preinst`, `postinst` or `config`.
    pub kind: String,
    /// Digest of the text.
    pub sha256: Sha256,
    /// The script.
    pub text: String,
    /// The rules of the row for another version of this script, if there is one.
    pub known_before: Vec<String>,
}

/// Why the packages' scripts are not all accounted for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// Scripts that nobody has read yet.
    #[error("nobody has decided what stands for {}", list(.0))]
    Unknown(Vec<UnknownScript>),
    /// A trigger that no rule is for.
    #[error("{package} {version} activates the trigger `{trigger}`, for which there is no rule")]
    UnknownTrigger {
        /// The package's name.
        package: String,
        /// The package's version.
        version: String,
        /// The trigger.
        trigger: String,
    },
}

fn list(scripts: &[UnknownScript]) -> String {
    let names = scripts
        .iter()
        .map(|script| format!("the {} of {} {}", script.kind, script.package, script.version));
    names.collect::<Vec<_>>().join(", ")
}

impl Diagnose for ScriptError {
    fn kind(&self) -> FailureKind {
        FailureKind::Verification
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Unknown(scripts) => scripts.iter().flat_map(UnknownScript::hints).collect(),
            Self::UnknownTrigger { trigger, .. } => vec![format!(
                "see what the package with `interest {trigger}` does, and add `{trigger} = \"RULE\"` to [triggers] in {TABLE_FILE}"
            )],
        }
    }

    fn excerpt(&self) -> Option<String> {
        match self {
            Self::Unknown(scripts) => Some(scripts.iter().map(UnknownScript::excerpt).collect()),
            Self::UnknownTrigger { .. } => None,
        }
    }
}

impl UnknownScript {
    fn hints(&self) -> Vec<String> {
        let Self {
            package, kind, sha256, ..
        } = self;
        let mut hints = vec![format!(
            "read the {kind} of {package}; if a pass does all that it does on a first installation, add to {TABLE_FILE}:\n\
             [[script]]\npackage = \"{package}\"\nkind = \"{kind}\"\nsha256 = [\"{sha256}\"]\nrules = [{}]",
            quoted(&self.known_before)
        )];
        if !self.known_before.is_empty() {
            hints.push(format!(
                "another version of this script is known ({}): compare the two, and add the digest to its row",
                self.known_before.join(", ")
            ));
        }
        hints
    }

    fn excerpt(&self) -> String {
        let Self {
            package,
            version,
            kind,
            sha256,
            text,
            ..
        } = self;
        let mut excerpt = format!("── {kind} of {package} {version}, sha256 {sha256}\n");
        for (index, line) in text.lines().take(MAX_SHOWN_LINES).enumerate() {
            // Control characters would reach the terminal.
            let line: String = line
                .chars()
                .filter(|next| *next == '\t' || !next.is_control())
                .collect();
            excerpt.push_str(&format!("{:4} │ {line}\n", index + 1));
        }
        if text.lines().count() > MAX_SHOWN_LINES {
            excerpt.push_str("     │ …\n");
        }
        excerpt
    }
}

fn quoted(rules: &[String]) -> String {
    match rules {
        [] => "\"RULE\"".to_owned(),
        _ => rules
            .iter()
            .map(|rule| format!("\"{rule}\""))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// Checks name, version and scripts of all packages against the table in the repository.
pub fn check(packages: &[(&str, &str, &Scripts)]) -> Result<(), ScriptError> {
    ScriptTable::standard().check(packages)
}

impl ScriptTable {
    /// Checks name, version and scripts of all packages.
    pub fn check(&self, packages: &[(&str, &str, &Scripts)]) -> Result<(), ScriptError> {
        let mut unknown = Vec::new();
        for (package, version, scripts) in packages {
            for kind in KINDS {
                let Some((sha256, text)) = scripts.get(kind) else {
                    continue;
                };
                if !self.knows((package, version), kind, (*sha256, text)) {
                    unknown.push(UnknownScript {
                        package: (*package).to_owned(),
                        version: (*version).to_owned(),
                        kind: kind.to_owned(),
                        sha256: *sha256,
                        text: text.clone(),
                        known_before: self.rules_of((package, version), kind),
                    });
                }
            }
        }
        if !unknown.is_empty() {
            return Err(ScriptError::Unknown(unknown));
        }
        packages
            .iter()
            .try_for_each(|(package, version, scripts)| self.check_triggers(package, version, scripts))
    }

    fn check_triggers(&self, package: &str, version: &str, scripts: &Scripts) -> Result<(), ScriptError> {
        let text = scripts.get("triggers").map_or("", |(_, text)| text.as_str());
        for line in text.lines() {
            // `interest…` only declares what the package's own postinst answers to.
            let mut words = line.split_whitespace();
            let activates = words.next().is_some_and(|verb| verb.starts_with("activate"));
            let trigger = words.next().filter(|_| activates);
            if let Some(trigger) = trigger.filter(|trigger| !self.has_trigger(trigger)) {
                return Err(ScriptError::UnknownTrigger {
                    package: package.to_owned(),
                    version: version.to_owned(),
                    trigger: trigger.to_owned(),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
