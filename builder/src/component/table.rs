//! The `[components.NAME]` table of a definition: as written, and what makes it valid.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::release::is_unknown_archive;
use super::template::{Placeholders, fill_version};
use super::{ComponentSpec, GoOrigin, Origin, go};
use crate::arch::Arch;
use crate::digest::Sha256;
use crate::failure::Diagnose;

/// A component as it is written in a definition.
///
/// ```toml
/// [components.kubelet]
/// origin = "go"
/// module = "k8s.io/kubernetes"
/// version = "v1.36.3"
/// toolchain = "go1.26.8"
/// staging = "v0.{minor}.{patch}"
/// stamps = { "k8s.io/component-base/version.gitVersion" = "{version}" }
/// install = { "cmd/kubelet" = "/usr/bin/kubelet" }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ComponentTable {
    /// Where it comes from: `go`, `release` or `file`.
    pub origin: OriginKind,
    /// Version of the program, as upstream writes it; for `go` the module's, such as `v1.36.3`.
    pub version: String,
    /// What is built or packed, and where it goes in the image: for `go` packages below the module, for `release`
    /// members of the archive, otherwise one name of your choice.
    pub install: BTreeMap<String, String>,
    /// `go`: the module's path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// `go`: the Go release that compiles it, such as `go1.26.8`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toolchain: Option<String>,
    /// `go`: version of the modules that the module's own go.mod takes from a folder beside it (Kubernetes' staging
    /// modules: `v0.{minor}.{patch}`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staging: Option<String>,
    /// `go`: build tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// `go`: variables that the linker sets, by import path and name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stamps: Option<BTreeMap<String, String>>,
    /// `release`: where it is; `{version}`, `{arch}` (`amd64`) and `{machine}` (`x86_64`) are filled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// `file`: where it is, relative to the definition's folder; with the same placeholders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// `release` and `file`: SHA-256 of the file for each architecture.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<BTreeMap<Arch, String>>")]
    pub sha256: Option<BTreeMap<Arch, Sha256>>,
}

/// The kinds of origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OriginKind {
    /// Built from a Go module.
    Go,
    /// Downloaded as its makers published it.
    Release,
    /// A local file.
    File,
}

impl OriginKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Release => "release",
            Self::File => "file",
        }
    }
}

/// What is wrong with a component's table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`components.{component}.{key}`: {problem}")]
pub struct SpecError {
    /// The table's name.
    pub component: String,
    /// The key in it, to find the place in the text.
    pub key: &'static str,
    /// What is wrong with its value, or that it is missing.
    pub problem: String,
}

impl Diagnose for SpecError {}

type Problem = (&'static str, String);

impl ComponentTable {
    /// Checks it and fills in what the version decides.
    pub fn validate(&self, name: &str) -> Result<ComponentSpec, SpecError> {
        self.spec(name).map_err(|(key, problem)| SpecError {
            component: name.to_owned(),
            key,
            problem,
        })
    }

    fn spec(&self, name: &str) -> Result<ComponentSpec, Problem> {
        self.check_version()?;
        self.check_keys()?;
        self.check_install()?;
        let origin = match self.origin {
            OriginKind::Go => Origin::Go(self.go_origin()?),
            OriginKind::Release => {
                let url = self.filled("url", self.url.as_deref(), Placeholders::VersionAndArch)?;
                if !["http://", "https://", "file:///"]
                    .iter()
                    .any(|scheme| url.starts_with(scheme))
                {
                    return Err(("url", format!("`{url}` is not an http, https or file URL")));
                }
                if is_unknown_archive(&url) {
                    return Err(("url", "archives must be `.tar.gz` or `.tgz`".to_owned()));
                }
                if !super::release::is_archive(&url) {
                    self.check_single()?;
                }
                let sha256 = self.digests()?;
                Origin::Release { url, sha256 }
            }
            OriginKind::File => {
                self.check_single()?;
                Origin::File {
                    path: self.filled("path", self.path.as_deref(), Placeholders::VersionAndArch)?,
                    sha256: self.digests()?,
                }
            }
        };
        Ok(ComponentSpec {
            name: name.to_owned(),
            version: self.version.clone(),
            origin,
            install: self.install.clone(),
        })
    }

    fn check_version(&self) -> Result<(), Problem> {
        let is_word = |text: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".+-~_".contains(&byte))
        };
        if self.version.is_empty() || !is_word(&self.version) {
            return Err(("version", format!("`{}` is not a version", self.version)));
        }
        let digits_follow_v = self
            .version
            .strip_prefix('v')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if self.origin == OriginKind::Go && !digits_follow_v {
            let problem = format!("`{}` is not a module's version, such as `v1.36.3`", self.version);
            return Err(("version", problem));
        }
        Ok(())
    }

    /// Keys that mean nothing for this origin would be a misunderstanding.
    fn check_keys(&self) -> Result<(), Problem> {
        use OriginKind::{File, Go, Release};
        let present: [(&'static str, bool, &[OriginKind]); 8] = [
            ("module", self.module.is_some(), &[Go]),
            ("toolchain", self.toolchain.is_some(), &[Go]),
            ("staging", self.staging.is_some(), &[Go]),
            ("tags", self.tags.is_some(), &[Go]),
            ("stamps", self.stamps.is_some(), &[Go]),
            ("url", self.url.is_some(), &[Release]),
            ("path", self.path.is_some(), &[File]),
            ("sha256", self.sha256.is_some(), &[Release, File]),
        ];
        for (key, is_present, origins) in present {
            if is_present && !origins.contains(&self.origin) {
                let problem = format!("has no meaning for the origin `{}`", self.origin.name());
                return Err((key, problem));
            }
        }
        Ok(())
    }

    fn check_install(&self) -> Result<(), Problem> {
        if self.install.is_empty() {
            return Err(("install", "names no file to install".to_owned()));
        }
        let mut taken = BTreeSet::new();
        for path in self.install.values() {
            let parts = path.strip_prefix('/').map(|rest| rest.split('/'));
            let is_plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(char::is_control);
            if !parts.is_some_and(|mut parts| parts.all(is_plain)) {
                return Err(("install", format!("`{path}` is not a plain absolute path")));
            }
            if !taken.insert(path) {
                return Err(("install", format!("`{path}` is there twice")));
            }
        }
        Ok(())
    }

    fn check_single(&self) -> Result<(), Problem> {
        match self.install.len() {
            1 => Ok(()),
            many => Err(("install", format!("names {many} files, but the source is a single one"))),
        }
    }

    fn go_origin(&self) -> Result<GoOrigin, Problem> {
        let module = required("module", self.module.as_deref())?;
        go::check_import_path(module).map_err(|problem| ("module", problem))?;
        let toolchain = required("toolchain", self.toolchain.as_deref())?;
        if !toolchain.strip_prefix("go1.").is_some_and(is_release_number) {
            let problem = format!("`{toolchain}` is not a Go release, such as `go1.26.8`");
            return Err(("toolchain", problem));
        }
        go::check_packages(module, self.install.keys()).map_err(|problem| ("install", problem))?;
        let staging = match &self.staging {
            Some(text) => Some(self.filled("staging", Some(text), Placeholders::Version)?),
            None => None,
        };
        if let Some(version) = staging.as_deref().filter(|version| !is_token(version)) {
            return Err(("staging", format!("`{version}` is not a version")));
        }
        let mut tags = self.tags.clone().unwrap_or_default();
        tags.sort();
        tags.dedup();
        let is_tag_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"_.".contains(&byte);
        if let Some(tag) = tags.iter().find(|tag| tag.is_empty() || !tag.bytes().all(is_tag_byte)) {
            return Err(("tags", format!("`{tag}` is not a build tag")));
        }
        Ok(GoOrigin {
            module: module.to_owned(),
            toolchain: toolchain.to_owned(),
            staging,
            tags,
            stamps: self.filled_stamps()?,
        })
    }

    /// Stamps become words of the linker's flags, which are split at spaces and quotes.
    fn filled_stamps(&self) -> Result<BTreeMap<String, String>, Problem> {
        let mut filled = BTreeMap::new();
        for (variable, value) in self.stamps.iter().flatten() {
            let value = self.filled("stamps", Some(value), Placeholders::Version)?;
            let is_variable = variable.rsplit_once('.').is_some_and(|(path, name)| {
                go::check_import_path(path).is_ok() && !name.is_empty() && !name.contains(['/', '='])
            });
            if !is_variable || !is_token(variable) {
                return Err((
                    "stamps",
                    format!("`{variable}` is not an import path, a dot and a variable"),
                ));
            }
            if !is_token(&value) {
                return Err((
                    "stamps",
                    format!("`{value}` has a space, a quote or another odd character"),
                ));
            }
            filled.insert(variable.clone(), value);
        }
        Ok(filled)
    }

    fn digests(&self) -> Result<BTreeMap<Arch, Sha256>, Problem> {
        match &self.sha256 {
            Some(digests) if !digests.is_empty() => Ok(digests.clone()),
            _ => Err(("sha256", format!("is needed for the origin `{}`", self.origin.name()))),
        }
    }

    fn filled(&self, key: &'static str, text: Option<&str>, allowed: Placeholders) -> Result<String, Problem> {
        let text = required(key, text)?;
        fill_version(text, &self.version, allowed).map_err(|problem| (key, problem))
    }
}

fn required<'a>(key: &'static str, value: Option<&'a str>) -> Result<&'a str, Problem> {
    match value {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err((key, "is needed for this origin".to_owned())),
    }
}

fn is_release_number(text: &str) -> bool {
    text.split('.')
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Printable ASCII that no shell-like splitting takes apart.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"'\"\\".contains(&byte))
}
