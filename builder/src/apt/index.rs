//! Packages indexes: what resolver, lock and bill of materials need of each binary package.
//!
//! In: the decompressed text of a `Packages` file whose digest has been checked. Out: [`IndexEntry`] values in its order.
//! Relations stay text until a package is a candidate, as of 70,000 packages a few hundred are ever looked at.

use crate::digest::Sha256;
use crate::failure::{Diagnose, FailureKind};

use super::deb822::{self, Deb822Error, Stanza};
use super::relation::is_package_name;
use super::version::{BadVersion, DebVersion};

/// How a package behaves among those of other architectures (the multiarch specification).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MultiArch {
    /// The field is not there or says so.
    No,
    /// `same`
    Same,
    /// `foreign`
    Foreign,
    /// `allowed`
    Allowed,
}

/// How important Debian finds a package (policy §2.5), most important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// `required`
    Required,
    /// `important`
    Important,
    /// `standard`
    Standard,
    /// `optional`
    Optional,
    /// `extra`, or anything else
    Extra,
}

/// Whether a package may be missing from a system (policy §3.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Essential {
    /// `Essential: yes`
    Yes,
    /// Anything else.
    No,
}

/// The source package that a binary package was built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: DebVersion,
}

/// One binary package of an index. Relation fields are the text of the field, empty if it is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry {
    /// Package name.
    pub name: String,
    /// Version.
    pub version: DebVersion,
    /// Debian architecture, or `all`.
    pub architecture: String,
    /// Multi-Arch.
    pub multi_arch: MultiArch,
    /// Source package.
    pub source: Source,
    /// Essential.
    pub essential: Essential,
    /// Priority.
    pub priority: Priority,
    /// Pre-Depends.
    pub pre_depends: String,
    /// Depends.
    pub depends: String,
    /// Conflicts.
    pub conflicts: String,
    /// Breaks.
    pub breaks: String,
    /// Replaces.
    pub replaces: String,
    /// Provides.
    pub provides: String,
    /// Path of the .deb below the archive's folder; relative, without `..`.
    pub filename: String,
    /// Size of the .deb in bytes.
    pub len_bytes: u64,
    /// Digest of the .deb.
    pub sha256: Sha256,
    /// Space that the files take, in KiB, as the package says; 0 if it does not.
    pub installed_kib: u64,
}

impl IndexEntry {
    /// The source package as `Source` fields write it: its name, with the version in parentheses if that differs.
    pub fn source_text(&self) -> String {
        if self.source.version.as_str() == self.version.as_str() {
            return self.source.name.clone();
        }
        format!("{} ({})", self.source.name, self.source.version)
    }
}

/// A Packages file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// It is no sequence of stanzas, or one lacks a field.
    #[error("the package index is malformed")]
    Stanza(#[from] Deb822Error),
    /// A field's value is none of the allowed.
    #[error("the package index is malformed: line {line}: `{value}` is no valid {field}")]
    Value {
        /// The field's line.
        line: usize,
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
    },
    /// A version cannot be read.
    #[error("the package index is malformed: line {line}: {field}")]
    Version {
        /// The field's line.
        line: usize,
        /// The field.
        field: &'static str,
        /// Why.
        #[source]
        source: BadVersion,
    },
}

impl Diagnose for IndexError {
    fn kind(&self) -> FailureKind {
        FailureKind::Verification
    }

    fn hints(&self) -> Vec<String> {
        vec!["the archive has signed this index as it is; tell its maintainers".to_owned()]
    }
}

/// Reads a Packages file.
pub fn parse(text: &str) -> Result<Vec<IndexEntry>, IndexError> {
    deb822::stanzas(text).map(|stanza| entry(&stanza?)).collect()
}

fn entry(stanza: &Stanza<'_>) -> Result<IndexEntry, IndexError> {
    let name = checked(stanza, "Package", is_package_name)?;
    let version = version(stanza, "Version", stanza.require("Version")?)?;
    let source = source(stanza, &name, &version)?;
    let text = |field| stanza.get(field).unwrap_or_default().to_owned();
    let is_number = |value: &str| value.parse::<u64>().is_ok();
    let installed_kib = stanza
        .get("Installed-Size")
        .and_then(|value| value.parse().ok())
        .unwrap_or(0);
    Ok(IndexEntry {
        version,
        source,
        architecture: checked(stanza, "Architecture", |value| {
            !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })?,
        multi_arch: multi_arch(stanza)?,
        essential: if stanza.get("Essential") == Some("yes") {
            Essential::Yes
        } else {
            Essential::No
        },
        priority: priority(stanza.get("Priority")),
        pre_depends: text("Pre-Depends"),
        depends: text("Depends"),
        conflicts: text("Conflicts"),
        breaks: text("Breaks"),
        replaces: text("Replaces"),
        provides: text("Provides"),
        filename: checked(stanza, "Filename", is_archive_path)?,
        len_bytes: checked(stanza, "Size", is_number)?
            .parse()
            .expect("it was checked to be a number"),
        sha256: checked(stanza, "SHA256", |value| value.parse::<Sha256>().is_ok())?
            .parse()
            .expect("it was checked to be a digest"),
        installed_kib,
        name,
    })
}

/// A field that has to be there and to be `valid`.
fn checked(stanza: &Stanza<'_>, field: &'static str, valid: impl FnOnce(&str) -> bool) -> Result<String, IndexError> {
    let value = stanza.require(field)?;
    if valid(value) {
        Ok(value.to_owned())
    } else {
        Err(bad_value(stanza, field, value))
    }
}

fn bad_value(stanza: &Stanza<'_>, field: &'static str, value: &str) -> IndexError {
    IndexError::Value {
        line: line(stanza, field),
        field,
        value: value.chars().take(80).collect(),
    }
}

fn line(stanza: &Stanza<'_>, field: &str) -> usize {
    stanza
        .field(field)
        .map_or(stanza.place().line, |field| field.place.line)
}

fn version(stanza: &Stanza<'_>, field: &'static str, text: &str) -> Result<DebVersion, IndexError> {
    text.parse().map_err(|source| IndexError::Version {
        line: line(stanza, field),
        field,
        source,
    })
}

/// `Source: name` or `Source: name (version)`; without it source and binary package have one name and version.
fn source(stanza: &Stanza<'_>, name: &str, binary: &DebVersion) -> Result<Source, IndexError> {
    let value = stanza.get("Source").unwrap_or(name);
    let (source_name, source_version) = match value.split_once(' ') {
        None => (value, None),
        Some((source_name, rest)) => (source_name, Some(rest)),
    };
    let source_version = match source_version {
        None => binary.clone(),
        Some(text) => match text
            .trim_ascii()
            .strip_prefix('(')
            .and_then(|text| text.strip_suffix(')'))
        {
            Some(text) => version(stanza, "Source", text)?,
            None => return Err(bad_value(stanza, "Source", value)),
        },
    };
    if !is_package_name(source_name) {
        return Err(bad_value(stanza, "Source", value));
    }
    Ok(Source {
        name: source_name.to_owned(),
        version: source_version,
    })
}

fn multi_arch(stanza: &Stanza<'_>) -> Result<MultiArch, IndexError> {
    match stanza.get("Multi-Arch") {
        None | Some("no") => Ok(MultiArch::No),
        Some("same") => Ok(MultiArch::Same),
        Some("foreign") => Ok(MultiArch::Foreign),
        Some("allowed") => Ok(MultiArch::Allowed),
        Some(other) => Err(bad_value(stanza, "Multi-Arch", other)),
    }
}

fn priority(value: Option<&str>) -> Priority {
    match value {
        Some("required") => Priority::Required,
        Some("important") => Priority::Important,
        Some("standard") => Priority::Standard,
        Some("optional") => Priority::Optional,
        _ => Priority::Extra,
    }
}

/// Whether `path` stays below the folder it is joined to. Of the characters it may have, `%` has to be escaped in a URL:
/// some archives write a version's epoch as `%3a` into file names.
pub fn is_archive_path(path: &str) -> bool {
    path.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"/._+~:%=@-".contains(&byte))
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests;
