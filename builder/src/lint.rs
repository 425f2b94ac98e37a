//! Checks on the finished tree: a [`Tree`] flows in, a [`Report`] of findings flows out, nothing is changed.
//!
//! A lint turns a failure on the device (a library that is not there, a program for another machine) or a leak (a
//! private key in every copy of the image) into a failure of the build. Each is a name, a severity and a pure function;
//! findings that the definition allows by lint and path are left out. Files are read in parallel and only as far as
//! needed.

mod elf_arch;
mod elf_file;
mod libraries;
mod links;
mod secrets;
mod setuid;
mod writable_paths;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use rayon::prelude::*;

use crate::arch::Arch;
use crate::failure::Diagnose;
use crate::tree::{Content, FileData, Tree, TreePath};

/// What a finding does to the build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The build stops.
    Error,
    /// The build goes on.
    Warning,
}

/// How much of a tree a lint has to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One file at a time: what it finds in a part of a tree, it finds in the whole.
    File,
    /// All of it.
    Tree,
}

/// A check that can be run on any tree.
#[derive(Debug, Clone, Copy)]
pub struct Lint {
    /// Its name, as definitions write it.
    pub name: &'static str,
    /// What its findings do.
    pub severity: Severity,
    /// What it finds, in one sentence.
    pub description: &'static str,
    /// How much it has to see.
    pub scope: Scope,
    check: fn(&Tree, Arch) -> Vec<(TreePath, String)>,
}

/// All lints, by name.
pub const LINTS: [Lint; 6] = [
    Lint {
        name: "dangling-links",
        severity: Severity::Error,
        description: "a symbolic link leads to nothing, other than what exists only on the running machine",
        scope: Scope::Tree,
        check: links::check,
    },
    Lint {
        name: "elf-arch",
        severity: Severity::Error,
        description: "a program, library, kernel module or EFI program is for another machine",
        scope: Scope::File,
        check: elf_arch::check,
    },
    Lint {
        name: "needed-libraries",
        severity: Severity::Error,
        description: "a program or library needs a library or a program interpreter that is not there",
        scope: Scope::Tree,
        check: libraries::check,
    },
    Lint {
        name: "secrets",
        severity: Severity::Error,
        description: "a private key, password or identity would be the same on every machine",
        scope: Scope::File,
        check: secrets::check,
    },
    Lint {
        name: "setuid",
        severity: Severity::Error,
        description: "a program gains rights by its mode or its capabilities",
        scope: Scope::File,
        check: setuid::check,
    },
    Lint {
        name: "world-writable",
        severity: Severity::Error,
        description: "anybody may write to a file, or to a folder that is not sticky",
        scope: Scope::File,
        check: writable_paths::check,
    },
];

/// Findings that a definition allows: globs of paths by name of the lint.
#[derive(Debug, Clone, Default)]
pub struct LintAllow {
    by_lint: BTreeMap<&'static str, GlobSet>,
}

/// Why a list of allowed findings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllowError {
    /// There is no such lint.
    #[error("`{0}` is not the name of a lint")]
    UnknownLint(String),
    /// A pattern is no glob.
    #[error("the pattern `{pattern}` of the lint `{lint}` is no glob")]
    BadPattern {
        /// Which lint.
        lint: &'static str,
        /// The pattern.
        pattern: String,
        /// Why.
        #[source]
        source: globset::Error,
    },
}

impl Diagnose for AllowError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::UnknownLint(_) => vec![format!("the lints are `{}`", LINTS.map(|lint| lint.name).join("`, `"))],
            Self::BadPattern { .. } => Vec::new(),
        }
    }
}

impl LintAllow {
    /// Reads globs of paths by name of the lint; `*` stays within one folder, `**` does not.
    pub fn new(patterns: &BTreeMap<String, Vec<String>>) -> Result<Self, AllowError> {
        let mut by_lint = BTreeMap::new();
        for (name, patterns) in patterns {
            let lint = LINTS.iter().find(|lint| lint.name == name);
            let lint = lint.ok_or_else(|| AllowError::UnknownLint(name.clone()))?.name;
            let mut set = GlobSetBuilder::new();
            for pattern in patterns {
                let bad = |source| AllowError::BadPattern {
                    lint,
                    pattern: pattern.clone(),
                    source,
                };
                let glob = GlobBuilder::new(pattern.trim_start_matches('/'))
                    .literal_separator(true)
                    .build();
                set.add(glob.map_err(bad)?);
            }
            let bad = |source| AllowError::BadPattern {
                lint,
                pattern: patterns.join(" "),
                source,
            };
            by_lint.insert(lint, set.build().map_err(bad)?);
        }
        Ok(Self { by_lint })
    }

    fn permits(&self, lint: &str, path: &TreePath) -> bool {
        self.by_lint.get(lint).is_some_and(|set| set.is_match(path.as_str()))
    }
}

/// One thing that a lint has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The lint's name.
    pub lint: &'static str,
    /// What it does to the build.
    pub severity: Severity,
    /// Where.
    pub path: TreePath,
    /// What is wrong, continuing the path.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.path, self.message, self.lint)
    }
}

/// All findings, by path and lint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether the build has to stop.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// Runs all lints.
pub fn run(tree: &Tree, arch: Arch, allow: &LintAllow) -> Report {
    run_those(LINTS.iter().collect(), tree, arch, allow)
}

/// Runs the lints that a part of a tree, such as its overlays, can be judged by.
pub fn run_on_part(part: &Tree, arch: Arch, allow: &LintAllow) -> Report {
    let lints = LINTS.iter().filter(|lint| lint.scope == Scope::File);
    run_those(lints.collect(), part, arch, allow)
}

fn run_those(lints: Vec<&'static Lint>, tree: &Tree, arch: Arch, allow: &LintAllow) -> Report {
    let findings = lints.par_iter().flat_map_iter(|lint| {
        let found = (lint.check)(tree, arch).into_iter();
        found
            .filter(|(path, _)| !allow.permits(lint.name, path))
            .map(|(path, message)| Finding {
                lint: lint.name,
                severity: lint.severity,
                path,
                message,
            })
    });
    let mut findings: Vec<Finding> = findings.collect();
    findings.sort_by(|a, b| (&a.path, a.lint, &a.message).cmp(&(&b.path, b.lint, &b.message)));
    Report { findings }
}

/// Calls `check` for every regular file, in parallel; a file that cannot be read is a finding too.
fn check_files<F>(tree: &Tree, check: F) -> Vec<(TreePath, String)>
where
    F: Fn(&TreePath, &FileData) -> io::Result<Vec<String>> + Sync,
{
    let files: Vec<(&TreePath, &FileData)> = tree
        .iter()
        .filter_map(|(path, node)| match &node.content {
            Content::File(data) => Some((path, data)),
            _ => None,
        })
        .collect();
    let found = files.par_iter().flat_map_iter(|(path, data)| {
        let messages = check(path, data).unwrap_or_else(|error| vec![format!("cannot be read: {error}")]);
        messages.into_iter().map(|message| ((*path).clone(), message))
    });
    found.collect()
}

/// Up to `N` bytes from the beginning; the number tells how many there are.
fn head<const N: usize>(data: &FileData) -> io::Result<([u8; N], usize)> {
    let mut bytes = [0; N];
    let count = usize::try_from(data.len_bytes).unwrap_or(N).min(N);
    data.read_at(&mut bytes[..count], 0)?;
    Ok((bytes, count))
}

/// A file's content as a stream, read in small pieces.
struct ContentReader<'a> {
    data: &'a FileData,
    offset: u64,
}

impl<'a> ContentReader<'a> {
    fn new(data: &'a FileData) -> Self {
        Self { data, offset: 0 }
    }
}

impl Read for ContentReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(self.data.len_bytes - self.offset).unwrap_or(usize::MAX);
        let count = buffer.len().min(rest);
        self.data.read_at(&mut buffer[..count], self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
