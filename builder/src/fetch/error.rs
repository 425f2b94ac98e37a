//! What can go wrong with a download.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::digest::Sha256;
use crate::failure::{Diagnose, FailureKind};
use crate::store::StoreError;

/// How many missing files an error names.
const NAMED: usize = 5;

/// Why something could not be fetched. URLs are without credentials.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The HTTP client could not be made.
    #[error("cannot set up the HTTP client")]
    Client {
        /// The cause.
        source: reqwest::Error,
    },
    /// The host trusts no certificate authority, so no HTTPS server can be told from another.
    #[error("cannot fetch {label} from {url}: the host has no root certificates")]
    NoCertificates {
        /// What was fetched.
        label: String,
        /// From where.
        url: String,
    },
    /// The operating system gave no event loop.
    #[error("cannot set up downloads")]
    Runtime {
        /// The cause.
        source: io::Error,
    },
    /// No connection, or it broke, on every try.
    #[error("cannot fetch {label} from {url}")]
    Network {
        /// What was fetched.
        label: String,
        /// From where.
        url: String,
        /// The cause.
        source: reqwest::Error,
    },
    /// The connection ended too early, on every try.
    #[error("{label} from {url} ends after {received} of {expected} bytes")]
    Truncated {
        /// What was fetched.
        label: String,
        /// From where.
        url: String,
        /// Bytes that arrived.
        received: u64,
        /// Bytes that should have.
        expected: u64,
    },
    /// The server continued at another place than asked, on every try.
    #[error("the server does not continue {label} from {url} where asked")]
    BadRange {
        /// What was fetched.
        label: String,
        /// From where.
        url: String,
    },
    /// The server answered with an error.
    #[error("the server answers {status} for {label} at {url}{}", wish(.retry_after))]
    Status {
        /// What was fetched.
        label: String,
        /// From where.
        url: String,
        /// RFC 9110 §15.
        status: u16,
        /// How long the server wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// It is not there.
    #[error("{label} is not at {url}")]
    Vanished {
        /// What was fetched.
        label: String,
        /// From where.
        url: String,
    },
    /// It is not what the lock says.
    #[error("{0}")]
    WrongContent(Box<WrongContent>),
    /// An index is longer than any real one.
    #[error("{label} at {url} is longer than {max_bytes} bytes")]
    TooLong {
        /// What was fetched.
        label: String,
        /// From where.
        url: String,
        /// The limit.
        max_bytes: u64,
    },
    /// The network may not be used, and the store lacks something.
    #[error("{} not in the cache, and --offline forbids fetching: {}", count(.missing), named(.missing))]
    Offline {
        /// What is missing.
        missing: Vec<String>,
    },
    /// A local file could not be read.
    #[error("cannot read {label} from `{path}`")]
    ReadFile {
        /// What was fetched.
        label: String,
        /// From where.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The store could not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How a file differs from what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongContent {
    /// What was fetched.
    pub label: String,
    /// From where, without credentials.
    pub url: String,
    /// Expected digest.
    pub sha256: Sha256,
    /// Expected length.
    pub len_bytes: Option<u64>,
    /// What is there instead.
    pub actual: Actual,
}

/// What a file turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actual {
    /// It was read to its end.
    Content {
        /// Its digest.
        sha256: Sha256,
        /// Its length.
        len_bytes: u64,
    },
    /// Its length was enough to tell; it was not read.
    Length(u64),
    /// It has more bytes than this.
    LongerThan(u64),
}

impl fmt::Display for WrongContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {} is not what is pinned: expected ", self.label, self.url)?;
        if let Some(len_bytes) = self.len_bytes {
            write!(f, "{len_bytes} bytes with ")?;
        }
        write!(f, "sha256 {}, got ", self.sha256)?;
        match self.actual {
            Actual::Content { sha256, len_bytes } => write!(f, "{len_bytes} bytes with sha256 {sha256}"),
            Actual::Length(len_bytes) => write!(f, "{len_bytes} bytes"),
            Actual::LongerThan(len_bytes) => write!(f, "more than {len_bytes} bytes"),
        }
    }
}

impl Diagnose for FetchError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::WrongContent(_) => FailureKind::Verification,
            Self::Store(error) => error.kind(),
            Self::Network { .. } | Self::Truncated { .. } | Self::BadRange { .. } | Self::Status { .. } => {
                FailureKind::Network
            }
            Self::Client { .. }
            | Self::NoCertificates { .. }
            | Self::Runtime { .. }
            | Self::Vanished { .. }
            | Self::TooLong { .. }
            | Self::Offline { .. }
            | Self::ReadFile { .. } => FailureKind::Request,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::NoCertificates { .. } => "install them (Debian: `apt install ca-certificates`)",
            Self::Network { .. } | Self::Truncated { .. } | Self::BadRange { .. } | Self::Status { .. } => {
                "what has arrived is kept: run the command again to go on, or give another mirror with `--mirror URL`"
            }
            Self::Vanished { .. } => {
                "mirrors delete superseded versions: run `skerry lock --update`, or give a mirror that still has it with `--mirror URL`"
            }
            Self::WrongContent(_) => {
                "try another mirror with `--mirror URL`; if the new content is right, run `skerry lock --update`"
            }
            Self::TooLong { .. } => "check that the URL is that of a Debian mirror",
            Self::Offline { .. } => "run the command once without `--offline`",
            Self::Store(error) => return error.hints(),
            Self::Client { .. } | Self::Runtime { .. } | Self::ReadFile { .. } => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}

fn wish(retry_after: &Option<Duration>) -> String {
    match retry_after {
        Some(wait) => format!(" and asks to wait {} s", wait.as_secs()),
        None => String::new(),
    }
}

fn count(missing: &[String]) -> String {
    match missing.len() {
        1 => "1 file is".to_owned(),
        many => format!("{many} files are"),
    }
}

fn named(missing: &[String]) -> String {
    let mut names = missing.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if missing.len() > NAMED {
        names.push_str(", …");
    }
    names
}
