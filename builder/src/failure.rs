//! What a stage's error becomes for the person at the terminal: a chain of sentences, hints and an exit code.

use std::error::Error;
use std::fmt;

/// Which class of failure it is; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The request cannot be carried out as written (definition, resolution, lint, I/O).
    Request,
    /// The command line is wrong.
    Usage,
    /// The network failed; trying again may help.
    Network,
    /// A hash, signature or date did not verify; trying again will not help.
    Verification,
    /// Refused, because data could be lost.
    Safety,
    /// A defect in Skerry.
    Bug,
    /// The user stopped it.
    Interrupted,
}

impl FailureKind {
    /// The process's exit code; documented in `skerry --help` and stable.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Request => 1,
            Self::Usage => 2,
            Self::Network => 3,
            Self::Verification => 4,
            Self::Safety => 5,
            Self::Bug => 70,
            Self::Interrupted => 130,
        }
    }
}

/// How a stage's error presents itself, beside its `Display` and `source`.
pub trait Diagnose: Error {
    /// The class of this failure.
    fn kind(&self) -> FailureKind {
        FailureKind::Request
    }

    /// What to do next: exact commands or keys, lower case, without a final period.
    fn hints(&self) -> Vec<String> {
        Vec::new()
    }

    /// Text to show below the message as it is, such as a source line with a caret.
    fn excerpt(&self) -> Option<String> {
        None
    }
}

/// A failed request, ready to be shown.
#[derive(Debug)]
pub struct Failure {
    /// Its class.
    pub kind: FailureKind,
    /// The message, then what caused it, outermost first.
    pub chain: Vec<String>,
    /// Text to show as it is.
    pub excerpt: Option<String>,
    /// What to do next.
    pub hints: Vec<String>,
}

impl Failure {
    /// A failure with one message and no cause.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            chain: vec![message.into()],
            excerpt: None,
            hints: Vec::new(),
        }
    }

    /// The same with one more hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl<E: Diagnose + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            kind: error.kind(),
            chain: chain(&error),
            excerpt: error.excerpt(),
            hints: error.hints(),
        }
    }
}

/// The error and its causes, outermost first. Of an HTTP client's layers only the innermost says something: the others
/// say that there are layers.
pub fn chain(error: &dyn Error) -> Vec<String> {
    let mut chain = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(mut inner) = cause {
        if inner.is::<reqwest::Error>() {
            while let Some(deeper) = inner.source() {
                inner = deeper;
            }
        }
        chain.push(inner.to_string());
        cause = inner.source();
    }
    chain
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chain.join(": "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot reach the server")]
    struct Unreachable(#[source] reqwest::Error);

    #[test]
    fn of_an_http_clients_layers_only_the_innermost_is_told() {
        // Fails if another test was first, and then it is the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Nobody listens on port 9 (discard) of this machine.
        let request = reqwest::Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .get("http://127.0.0.1:9/")
            .send();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let error = runtime.unwrap().block_on(request).unwrap_err();
        let told = chain(&Unreachable(error));
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[0], "cannot reach the server");
        assert!(told[1].starts_with("Connection refused"), "{told:?}");
    }
}
