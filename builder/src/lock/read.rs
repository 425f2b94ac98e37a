//! The strict reader of lock files: whatever this version of Skerry would not have written is refused.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use serde::Deserialize;
use toml::Spanned;

use super::{LOCK_VERSION, Lock, LockError, LockedArchive, LockedComponent, LockedFile, LockedPackage};
use crate::apt::index::is_archive_path;
use crate::apt::relation::is_package_name;

/// Bytes of a lock file; a thousand packages have 300 KB.
const MAX_BYTES: usize = 16 << 20;

/// Read first, so that a newer format is told as such, whatever else it has.
#[derive(Deserialize)]
struct Header {
    version: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawLock {
    version: Spanned<u32>,
    spec_digest: Spanned<String>,
    timestamp: u64,
    archives: Vec<RawArchive>,
    packages: Vec<RawPackage>,
    #[serde(default)]
    components: Vec<RawComponent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawArchive {
    archive: Spanned<String>,
    suite: String,
    components: Vec<String>,
    date: u64,
    inrelease_sha256: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawPackage {
    name: Spanned<String>,
    version: Spanned<String>,
    architecture: String,
    source: Option<String>,
    archive: Spanned<String>,
    path: Spanned<String>,
    len_bytes: u64,
    sha256: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawComponent {
    name: Spanned<String>,
    version: String,
    recipe: Spanned<String>,
    files: Vec<RawFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawFile {
    name: Spanned<String>,
    len_bytes: u64,
    sha256: Spanned<String>,
}

/// A file's name and text, for errors that point into it.
struct Origin<'a> {
    path: &'a str,
    text: &'a str,
}

pub(super) fn parse(path: &str, text: &str) -> Result<Lock, LockError> {
    if text.len() > MAX_BYTES {
        return Err(LockError::TooLarge {
            path: path.to_owned(),
            max_bytes: MAX_BYTES,
        });
    }
    let origin = Origin { path, text };
    if let Ok(Header { version }) = toml::from_str(text)
        && version > LOCK_VERSION
    {
        return Err(LockError::Newer {
            path: path.to_owned(),
            version,
        });
    }
    let raw: RawLock = toml::from_str(text).map_err(|error| {
        let message = error.message().trim().replace('\n', ", ");
        origin.error(
            error.span().unwrap_or(0..0),
            message.replace("unknown field", "unknown key"),
        )
    })?;
    if *raw.version.get_ref() != LOCK_VERSION {
        return Err(origin.error(raw.version.span(), "there is no such version of lock files"));
    }
    let archives = raw
        .archives
        .into_iter()
        .map(|raw| origin.archive(raw))
        .collect::<Result<_, _>>()?;
    let mut names = BTreeSet::new();
    let packages = raw
        .packages
        .into_iter()
        .map(|raw| origin.package(raw, &mut names))
        .collect::<Result<_, _>>()?;
    let mut names = BTreeSet::new();
    let components = raw
        .components
        .into_iter()
        .map(|raw| origin.component(raw, &mut names))
        .collect::<Result<_, _>>()?;
    Ok(Lock {
        version: LOCK_VERSION,
        spec_digest: origin.value(&raw.spec_digest)?,
        timestamp: raw.timestamp,
        archives,
        packages,
        components,
    })
}

impl Origin<'_> {
    fn archive(&self, raw: RawArchive) -> Result<LockedArchive, LockError> {
        Ok(LockedArchive {
            inrelease_sha256: self.value(&raw.inrelease_sha256)?,
            archive: self.file_path(raw.archive)?,
            suite: raw.suite,
            components: raw.components,
            date: raw.date,
        })
    }

    fn package(&self, raw: RawPackage, names: &mut BTreeSet<String>) -> Result<LockedPackage, LockError> {
        if !is_package_name(raw.name.get_ref()) {
            return Err(self.error(raw.name.span(), "this is no package name"));
        }
        let name = self.unique(raw.name, names)?;
        Ok(LockedPackage {
            version: self.value(&raw.version)?,
            architecture: raw.architecture,
            source: raw.source.unwrap_or_else(|| name.clone()),
            archive: self.file_path(raw.archive)?,
            path: self.file_path(raw.path)?,
            len_bytes: raw.len_bytes,
            sha256: self.value(&raw.sha256)?,
            name,
        })
    }

    fn component(&self, raw: RawComponent, names: &mut BTreeSet<String>) -> Result<LockedComponent, LockError> {
        let mut file_names = BTreeSet::new();
        let mut file = |raw: RawFile| {
            let sha256 = self.value(&raw.sha256)?;
            let span = raw.name.span();
            let name = self.file_path(raw.name)?;
            let name = self.unique(Spanned::new(span, name), &mut file_names)?;
            Ok(LockedFile {
                name,
                len_bytes: raw.len_bytes,
                sha256,
            })
        };
        let files = raw.files.into_iter().map(&mut file).collect::<Result<_, _>>()?;
        let recipe = self.value(&raw.recipe)?;
        Ok(LockedComponent {
            name: self.unique(raw.name, names)?,
            recipe,
            version: raw.version,
            files,
        })
    }

    fn value<T: FromStr<Err: Display>>(&self, raw: &Spanned<String>) -> Result<T, LockError> {
        raw.get_ref()
            .parse()
            .map_err(|error: T::Err| self.error(raw.span(), error))
    }

    /// A path that stays below the folder it is put in.
    fn file_path(&self, raw: Spanned<String>) -> Result<String, LockError> {
        if !is_archive_path(raw.get_ref()) {
            return Err(self.error(raw.span(), "this is no plain relative path"));
        }
        Ok(raw.into_inner())
    }

    fn unique(&self, raw: Spanned<String>, names: &mut BTreeSet<String>) -> Result<String, LockError> {
        if !names.insert(raw.get_ref().clone()) {
            return Err(self.error(raw.span(), format!("`{}` is there twice", raw.get_ref())));
        }
        Ok(raw.into_inner())
    }

    fn error(&self, span: Range<usize>, message: impl Display) -> LockError {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_text = self.text[start..].lines().next().unwrap_or_default();
        let (line, column) = (before.matches('\n').count() + 1, before[start..].chars().count() + 1);
        let margin = " ".repeat(line.to_string().len());
        let room = line_text.chars().count().saturating_sub(column - 1).max(1);
        let caret = format!("{}{}", " ".repeat(column - 1), "^".repeat(span.len().clamp(1, room)));
        let excerpt = format!("{margin} |\n{line} | {line_text}\n{margin} | {caret}");
        LockError::Text {
            path: self.path.to_owned(),
            line,
            column,
            message: message.to_string(),
            excerpt,
        }
    }
}
