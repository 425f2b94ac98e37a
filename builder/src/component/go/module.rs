//! The `go.mod` that a program is built with (Go modules reference, "go.mod files"), in the JSON form of
//! `go mod edit -json`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Deserialize;

use super::Job;
use crate::component::ComponentError;

/// The empty module's path; `.invalid` never exists (RFC 2606).
const CONSUMER: &str = "component.invalid/skerry";

/// What matters of a `go.mod`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ModuleFile {
    module: Named,
    #[serde(default)]
    go: Option<String>,
    #[serde(default)]
    godebug: Option<Vec<Setting>>,
    #[serde(default)]
    require: Option<Vec<Versioned>>,
    #[serde(default)]
    replace: Option<Vec<Replacement>>,
    #[serde(default)]
    exclude: Option<Vec<Versioned>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    path: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Setting {
    key: String,
    value: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Versioned {
    path: String,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    indirect: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Replacement {
    old: Versioned,
    new: Versioned,
}

impl Versioned {
    /// As it stands in a directive.
    fn words(&self) -> String {
        match &self.version {
            Some(version) => format!("{} {version}", self.path),
            None => self.path.clone(),
        }
    }

    /// A replacement without a version is a folder (modules reference, "replace directive").
    fn is_folder(&self) -> bool {
        self.version.is_none()
    }
}

impl ModuleFile {
    /// The `go.mod` of an empty module whose dependency is built as if it were the main module.
    pub(super) fn consumer(self, job: &Job<'_>) -> Result<Self, ComponentError> {
        let bad = |problem| ComponentError::ModuleFile {
            component: job.spec.name.clone(),
            problem,
        };
        if self.module.path != job.origin.module {
            return Err(bad(format!("it is that of module `{}`", self.module.path)));
        }
        if let Some(word) = self.all_words().find(|word| !is_plain(word)) {
            return Err(bad(format!("`{word}` would need quotes")));
        }
        let require = self.require.unwrap_or_default();
        // A folder for a module that is not required is there to trip over (etcd's `./FORBIDDEN_DEPENDENCY`), and has no
        // published version; should the module be needed after all, `check_modules` finds it.
        let required = |path: &str| require.iter().any(|module| module.path == path);
        let mut replace = self.replace.unwrap_or_default();
        replace.retain(|replacement| !replacement.new.is_folder() || required(&replacement.old.path));
        for replacement in replace.iter_mut().filter(|replacement| replacement.new.is_folder()) {
            let Some(staging) = &job.origin.staging else {
                return Err(ComponentError::NoStaging {
                    component: job.spec.name.clone(),
                    module: replacement.old.path.clone(),
                });
            };
            replacement.new = Versioned {
                path: replacement.old.path.clone(),
                version: Some(staging.clone()),
                indirect: false,
            };
        }
        let tool = Versioned {
            path: self.module.path,
            version: Some(job.spec.version.clone()),
            indirect: false,
        };
        let require = std::iter::once(tool).chain(require).collect();
        Ok(Self {
            module: Named {
                path: CONSUMER.to_owned(),
            },
            require: Some(require),
            replace: Some(replace),
            ..self
        })
    }

    /// The text before anything is known of the dependency.
    pub(super) fn default_text() -> String {
        format!("module {CONSUMER}\n")
    }

    /// All words that are written as they are.
    fn all_words(&self) -> impl Iterator<Item = &str> {
        let settings = self.godebug.iter().flatten();
        let replacements = self.replace.iter().flatten();
        let versioned = (self.require.iter().flatten())
            .chain(self.exclude.iter().flatten())
            .chain(replacements.clone().map(|replacement| &replacement.old))
            .chain(
                replacements
                    .map(|replacement| &replacement.new)
                    .filter(|new| !new.is_folder()),
            );
        versioned
            .flat_map(|module| [Some(module.path.as_str()), module.version.as_deref()])
            .flatten()
            .chain(settings.flat_map(|setting| [setting.key.as_str(), setting.value.as_str()]))
            .chain(self.go.as_deref())
    }

    /// The text, one directive a line.
    pub(super) fn to_text(&self) -> String {
        let mut text = format!("module {}\n", self.module.path);
        let mut line = |directive: &str, words: &str| {
            writeln!(text, "{directive} {words}").expect("a string takes any text");
        };
        if let Some(go) = &self.go {
            line("go", go);
        }
        for setting in self.godebug.iter().flatten() {
            line("godebug", &format!("{}={}", setting.key, setting.value));
        }
        for module in self.require.iter().flatten() {
            let comment = if module.indirect { " // indirect" } else { "" };
            line("require", &format!("{}{comment}", module.words()));
        }
        for replacement in self.replace.iter().flatten() {
            line(
                "replace",
                &format!("{} => {}", replacement.old.words(), replacement.new.words()),
            );
        }
        for module in self.exclude.iter().flatten() {
            line("exclude", &module.words());
        }
        text
    }

    /// The required modules with their versions.
    pub(super) fn requirements(&self) -> BTreeSet<String> {
        self.require.iter().flatten().map(Versioned::words).collect()
    }
}

/// Whether a word can stand in a `go.mod` without quotes (modules reference, "Lexical elements").
fn is_plain(word: &str) -> bool {
    !word.is_empty()
        && !word.starts_with("//")
        && word
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"\"'`(),;".contains(&byte))
}
