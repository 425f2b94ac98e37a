//! What is wrong with a list of devices, or stands in the way of its files.

use std::fmt;
use std::io;
use std::path::PathBuf;

use skerry_firstboot::join_config::Inexpressible;

use crate::failure::{Diagnose, FailureKind};
use crate::seed::SeedError;

use super::file_name::BadTemplate;

/// Hints of one failure; more would hide the list of mistakes.
const MAX_HINTS: usize = 5;
/// Files that a message names.
const MAX_NAMES: usize = 3;

/// Something that is wrong in a list of devices. Never repeats a cell that could hold a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The line, from 1.
    pub line: usize,
    /// The column's name, as the list has it.
    pub column: Option<String>,
    /// What is wrong.
    pub reason: String,
    /// What to do about it.
    pub advice: Option<String>,
}

/// A fleet that was not seeded.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The list has mistakes.
    #[error("{file} has {}", count(complaints.len(), "mistake"))]
    List {
        /// The list, as it was named.
        file: String,
        /// All of them, by line.
        complaints: Vec<Complaint>,
    },
    /// The list has columns and no device.
    #[error("{file} has no device")]
    NoDevice {
        /// The list.
        file: String,
    },
    /// The join file of all cannot be used.
    #[error(transparent)]
    Template(SeedError),
    /// The join file of all says what a join file for one device cannot.
    #[error("the join file cannot be written for one device")]
    Inexpressible(#[source] Inexpressible),
    /// The names of the files cannot be made.
    #[error("`--file-name {template}` cannot be used")]
    FileName {
        /// The template.
        template: String,
        /// Why.
        #[source]
        source: BadTemplate,
    },
    /// The image cannot be seeded.
    #[error(transparent)]
    Image(#[from] SeedError),
    /// Other files are there already.
    #[error("{} in the way: {}", exist(places.len()), names(places))]
    Exists {
        /// Which.
        places: Vec<PathBuf>,
    },
    /// The host's files.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl FleetError {
    pub(super) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}

/// `1 mistake`, `2 mistakes`.
fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

fn exist(number: usize) -> String {
    let verb = if number == 1 { "is" } else { "are" };
    format!("{} with other content {verb}", count(number, "file"))
}

fn names(places: &[PathBuf]) -> String {
    let shown: Vec<String> = places
        .iter()
        .take(MAX_NAMES)
        .map(|place| place.display().to_string())
        .collect();
    let more = if places.len() > MAX_NAMES { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// `line 3, column `gateway`: …`, as it stands behind the list's name.
impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.line)?;
        if let Some(column) = &self.column {
            write!(f, "column `{column}`: ")?;
        }
        f.write_str(&self.reason)
    }
}

impl Diagnose for FleetError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Exists { .. } => FailureKind::Safety,
            Self::FileName { .. } => FailureKind::Usage,
            Self::Template(source) | Self::Image(source) => source.kind(),
            _ => FailureKind::Request,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::List { complaints, .. } => {
                let mut hints: Vec<String> = Vec::new();
                for advice in complaints.iter().filter_map(|complaint| complaint.advice.as_ref()) {
                    if !hints.contains(advice) {
                        hints.push(advice.clone());
                    }
                }
                hints.truncate(MAX_HINTS);
                hints
            }
            Self::NoDevice { .. } => vec!["write a line for each device below the names of the columns".to_owned()],
            Self::Template(source) | Self::Image(source) => source.hints(),
            Self::Inexpressible(_) => vec!["use a join file with a bootstrap token".to_owned()],
            Self::FileName { .. } => vec!["such as `--file-name 'join-{serial}.toml'`".to_owned()],
            Self::Exists { .. } => {
                vec!["`--force` replaces them, `--out DIR` writes to another folder".to_owned()]
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => vec![
                "nothing was changed; make room, or choose another disk with `--out`".to_owned(),
                "on btrfs or XFS copies of an image share their blocks".to_owned(),
            ],
            Self::Io { .. } => Vec::new(),
        }
    }

    fn excerpt(&self) -> Option<String> {
        match self {
            Self::List { file, complaints } => {
                let lines: Vec<String> = complaints
                    .iter()
                    .map(|complaint| format!("{file}:{complaint}"))
                    .collect();
                Some(lines.join("\n"))
            }
            Self::Template(source) => source.excerpt(),
            _ => None,
        }
    }
}
