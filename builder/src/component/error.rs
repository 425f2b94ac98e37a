//! What can go wrong with a component.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use crate::arch::Arch;
use crate::digest::Sha256;
use crate::failure::{Diagnose, FailureKind};
use crate::fetch::FetchError;
use crate::store::StoreError;

/// Why a component's files could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// It has to be built, which takes the network.
    #[error("component `{component}` {version} is not in the cache, and --offline forbids building it")]
    NotBuilt {
        /// Its name.
        component: String,
        /// Its version.
        version: String,
    },
    /// It has to be built, and there is no Go.
    #[error("component `{component}` has to be built, and there is no `go` command")]
    NoGo {
        /// Its name.
        component: String,
        /// The cause.
        source: io::Error,
    },
    /// The host's Go cannot fetch other toolchains.
    #[error("component `{component}` has to be built, and the host's Go is too old ({found})")]
    OldGo {
        /// Its name.
        component: String,
        /// As Go tells it.
        found: String,
    },
    /// Nothing would tell a forged module from the real one.
    #[error("component `{component}` cannot be pinned while Go's checksum database is off (`GOSUMDB=off`)")]
    NoChecksumDatabase {
        /// Its name.
        component: String,
    },
    /// Go could not be started or talked to.
    #[error("cannot run `go {step}` for component `{component}`")]
    RunGo {
        /// Its name.
        component: String,
        /// Go's subcommand.
        step: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// Go failed.
    #[error("`go {step}` failed for component `{component}` ({status})")]
    GoFailed {
        /// Its name.
        component: String,
        /// Go's subcommand.
        step: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its standard error.
        stderr_tail: String,
    },
    /// Go's answer is not of the documented form.
    #[error("cannot understand what `go {step}` says about component `{component}`")]
    GoAnswer {
        /// Its name.
        component: String,
        /// Go's subcommand.
        step: &'static str,
        /// The cause.
        source: serde_json::Error,
    },
    /// The module's `go.mod` has something that cannot be carried over.
    #[error("component `{component}` has an unusable go.mod: {problem}")]
    ModuleFile {
        /// Its name.
        component: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The module takes a dependency from a folder that a published module does not contain.
    #[error("component `{component}` takes module `{module}` from a local folder")]
    NoStaging {
        /// Its name.
        component: String,
        /// The dependency.
        module: String,
    },
    /// Go chose dependencies that the module does not list, so the next build might get others.
    #[error("component `{component}` needs modules that its go.mod does not pin: {modules}")]
    LooseModules {
        /// Its name.
        component: String,
        /// The first few.
        modules: String,
    },
    /// A file of the build could not be read or written.
    #[error("cannot access `{path}` for component `{component}`")]
    Workspace {
        /// Its name.
        component: String,
        /// Which file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The definition has no digest for this architecture.
    #[error("component `{component}` has no `sha256` for {arch}")]
    NoDigest {
        /// Its name.
        component: String,
        /// The architecture.
        arch: Arch,
    },
    /// The download or copy failed.
    #[error("cannot get component `{component}`")]
    Fetch {
        /// Its name.
        component: String,
        /// The cause.
        source: Box<FetchError>,
    },
    /// The archive is damaged or not an archive.
    #[error("cannot unpack component `{component}` from {url}")]
    Unpack {
        /// Its name.
        component: String,
        /// The archive's URL, without credentials.
        url: String,
        /// The cause.
        source: io::Error,
    },
    /// The archive unpacks to more than any real one.
    #[error("component `{component}` from {url} unpacks to more than {max_bytes} bytes")]
    TooLarge {
        /// Its name.
        component: String,
        /// The archive's URL, without credentials.
        url: String,
        /// The limit.
        max_bytes: u64,
    },
    /// The archive lacks a file to install.
    #[error("component `{component}` has no file `{member}` in {url} (it has: {present})")]
    NoMember {
        /// Its name.
        component: String,
        /// The key of `install`.
        member: String,
        /// The archive's URL, without credentials.
        url: String,
        /// The first few files that are there.
        present: String,
    },
    /// The result is not what the lock says.
    #[error("{0}")]
    Mismatch(Box<Mismatch>),
    /// The lock does not know a file.
    #[error("the lock does not pin `{file}` of component `{component}`")]
    NotPinned {
        /// Its name.
        component: String,
        /// The key of `install`.
        file: String,
    },
    /// Somebody emptied the cache meanwhile.
    #[error("component `{component}` disappeared from the cache while it was being used")]
    Disappeared {
        /// Its name.
        component: String,
    },
    /// The store failed.
    #[error("cannot keep a component in the cache")]
    Store {
        /// The cause.
        source: StoreError,
    },
}

/// How a component's file differs from the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The component's name.
    pub component: String,
    /// The key of `install`.
    pub file: String,
    /// As locked.
    pub expected: Sha256,
    /// As made.
    pub actual: Sha256,
    /// The Go release that made it, if Go did.
    pub toolchain: Option<String>,
}

impl Mismatch {
    fn hint(&self) -> String {
        match &self.toolchain {
            Some(toolchain) => format!(
                "a Go that its distributor has patched, but calls {toolchain} too, builds other bytes: use the one from \
                 https://go.dev/dl/; if the new result is right, run `skerry lock --update`"
            ),
            None => "if the new result is right, run `skerry lock --update`".to_owned(),
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            component,
            file,
            expected,
            actual,
            toolchain,
        } = self;
        write!(f, "component `{component}` came out other than locked: `{file}`")?;
        if let Some(toolchain) = toolchain {
            write!(f, " built by {toolchain}")?;
        }
        write!(f, " has sha256 {actual}, expected {expected}")
    }
}

impl ComponentError {
    fn is_go_failure_with(&self, signs: &[&str]) -> bool {
        matches!(self, Self::GoFailed { stderr_tail, .. } if signs.iter().any(|sign| stderr_tail.contains(sign)))
    }
}

/// What Go prints when it cannot reach a proxy (texts of Go's net and net/http packages).
const NETWORK_SIGNS: [&str; 6] = [
    "dial tcp",
    "i/o timeout",
    "no such host",
    "connection refused",
    "TLS handshake timeout",
    "502 Bad Gateway",
];
/// What Go prints when a module is not the one that the checksum database knows.
const FORGERY_SIGNS: [&str; 2] = ["checksum mismatch", "SECURITY ERROR"];

impl Diagnose for ComponentError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Mismatch(_) => FailureKind::Verification,
            Self::Fetch { source, .. } => source.kind(),
            Self::Store { source } => source.kind(),
            error if error.is_go_failure_with(&FORGERY_SIGNS) => FailureKind::Verification,
            error if error.is_go_failure_with(&NETWORK_SIGNS) => FailureKind::Network,
            _ => FailureKind::Request,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::NotBuilt { .. } => "run the command once without `--offline`".to_owned(),
            Self::NoGo { component, .. } | Self::OldGo { component, .. } => format!(
                "install Go 1.21 or later from https://go.dev/dl/ or the distribution, or give \
                 `components.{component}` the origin `release` or `file`"
            ),
            Self::NoChecksumDatabase { .. } => "unset `GOSUMDB`, and run `go env -u GOSUMDB`".to_owned(),
            Self::GoFailed { .. } if self.is_go_failure_with(&NETWORK_SIGNS) => {
                "`go env GOPROXY` tells which module proxy Go asks; set it with `go env -w GOPROXY=URL`".to_owned()
            }
            Self::NoStaging { component, .. } => format!(
                "set `components.{component}.staging` to the version of these modules, for Kubernetes \
                 `v0.{{minor}}.{{patch}}`"
            ),
            Self::NoDigest { component, arch } => format!("add `{arch} = \"…\"` to `components.{component}.sha256`"),
            Self::Fetch { component, source } => match source.as_ref() {
                FetchError::WrongContent(_) => {
                    format!("if the new content is right, correct `components.{component}.sha256`")
                }
                FetchError::Vanished { .. } => {
                    format!("correct `version`, `url` or `path` of `components.{component}`")
                }
                source => return source.hints(),
            },
            Self::NoMember { component, .. } => format!("correct `components.{component}.install`"),
            Self::Mismatch(mismatch) => mismatch.hint(),
            Self::NotPinned { .. } => "run `skerry lock --update`".to_owned(),
            Self::Disappeared { .. } => "run the command again".to_owned(),
            Self::Store { source } => return source.hints(),
            _ => return Vec::new(),
        };
        vec![hint]
    }

    fn excerpt(&self) -> Option<String> {
        match self {
            Self::GoFailed { stderr_tail, .. } if !stderr_tail.is_empty() => Some(stderr_tail.clone()),
            _ => None,
        }
    }
}
