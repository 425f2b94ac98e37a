//! Why there is no selection.

use super::Chain;
use crate::apt::index::IndexEntry;
use crate::apt::relation::RelationError;
use crate::apt::version::DebVersion;
use crate::failure::Diagnose;

/// A request that cannot be fulfilled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// A request that is neither `name` nor `name=version`.
    #[error("`{text}` is no package: write `name` or `name=version`")]
    BadRequest {
        /// The request.
        text: String,
    },
    /// One package is requested in two versions.
    #[error("`{name}` is requested in two versions: {first} and {second}")]
    TwoVersions {
        /// The package.
        name: String,
        /// One version.
        first: DebVersion,
        /// The other.
        second: DebVersion,
    },
    /// A requested package that no archive has.
    #[error("there is no package `{name}`")]
    UnknownPackage {
        /// The name.
        name: String,
        /// A name that may be meant.
        similar: Option<String>,
    },
    /// A request for a name that only exists as something to provide.
    #[error("`{name}` is a virtual package")]
    Virtual {
        /// The name.
        name: String,
        /// The packages that provide it.
        providers: Vec<String>,
    },
    /// A requested version that no archive has.
    #[error("there is no version {wanted} of `{name}`")]
    UnknownVersion {
        /// The package.
        name: String,
        /// The version that was asked for.
        wanted: DebVersion,
        /// Those that there are, newest first.
        available: Vec<DebVersion>,
    },
    /// A package is requested and excluded.
    #[error("`{name}` is both requested and excluded")]
    RequestedAndExcluded {
        /// The package.
        name: String,
    },
    /// An excluded name that no package has or provides.
    #[error("there is no package `{name}` to exclude")]
    UnknownExclusion {
        /// The name.
        name: String,
        /// A name that may be meant.
        similar: Option<String>,
    },
    /// Nothing satisfies a dependency.
    #[error("`{}`, which {package} has, cannot be satisfied", relation)]
    Unsatisfiable {
        /// The package that has it, with its version.
        package: String,
        /// The dependency, such as `Depends: libc6 (>= 3)`.
        relation: String,
        /// How that package came in.
        chain: Chain,
        /// For each alternative, why it does not do.
        reasons: Vec<String>,
    },
    /// Two packages that are both needed exclude each other.
    #[error("{left} and {right} exclude each other: {left} has `{relation}`")]
    Conflict {
        /// The package that has the relation, with its version.
        left: String,
        /// The other, with its version.
        right: String,
        /// The relation, such as `Breaks: libc6 (<< 2)`.
        relation: String,
        /// How both came in, the one with the relation first.
        chains: Box<[Chain; 2]>,
    },
    /// A relation field cannot be read.
    #[error("the field {field} of {package} is malformed")]
    Malformed {
        /// The package with its version.
        package: String,
        /// The field.
        field: &'static str,
        /// Why.
        #[source]
        source: RelationError,
    },
    /// No selection was found within a reasonable number of tries.
    #[error("gave up after {tries} combinations of alternatives")]
    TooHard {
        /// How many were tried.
        tries: usize,
        /// What was in the way of the preferred combination.
        #[source]
        first: Box<ResolveError>,
    },
}

impl ResolveError {
    pub(super) fn malformed(entry: &IndexEntry, field: &'static str, source: RelationError) -> Self {
        Self::Malformed {
            package: format!("{} {}", entry.name, entry.version),
            field,
            source,
        }
    }
}

impl Diagnose for ResolveError {
    fn hints(&self) -> Vec<String> {
        let did_you_mean = |similar: &Option<String>| match similar {
            Some(name) => vec![format!("did you mean `{name}`?")],
            None => vec!["names are those of the suites and components that `archives` lists".to_owned()],
        };
        match self {
            Self::UnknownPackage { similar, .. } | Self::UnknownExclusion { similar, .. } => did_you_mean(similar),
            Self::Virtual { providers, .. } => vec![format!("request one of {}", quoted(providers))],
            Self::UnknownVersion { name, available, .. } => {
                let available: Vec<_> = available.iter().map(|version| format!("{name}={version}")).collect();
                vec![format!("there is {}", quoted(&available))]
            }
            Self::RequestedAndExcluded { name } => vec![format!("remove `{name}` from `packages` or from `without`")],
            Self::Conflict { .. } => vec!["request only one of them, or exclude one by `without`".to_owned()],
            Self::TooHard { .. } => vec!["request the alternatives that are wanted by name".to_owned()],
            _ => Vec::new(),
        }
    }

    fn excerpt(&self) -> Option<String> {
        match self {
            Self::Unsatisfiable {
                chain,
                relation,
                reasons,
                ..
            } => {
                let indent = " ".repeat((chain.0.len() - 1) * 3);
                Some(format!("{chain}\n{indent}└─ {relation}: {}", reasons.join("; ")))
            }
            Self::Conflict { chains, .. } => {
                let [left, right] = chains.as_ref();
                Some(format!("{left}\n\n{right}"))
            }
            Self::TooHard { first, .. } => first.excerpt(),
            _ => None,
        }
    }
}

fn quoted(names: &[String]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
