//! One request, and what its answer means for a further try.

use std::time::Duration;

use reqwest::header::{HeaderName, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use super::{FetchError, response};
use crate::mirror::without_credentials;

/// Whether an answer out of a cache on the way will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caches {
    Trusted,
    Avoided,
}

/// Why one try failed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Another try may succeed.
    Passing {
        error: FetchError,
        retry_after: Option<Duration>,
    },
    /// No further try will.
    Final(FetchError),
}

impl Trouble {
    pub(super) fn passing(error: FetchError) -> Self {
        Self::Passing {
            error,
            retry_after: None,
        }
    }
}

impl<E: Into<FetchError>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Final(error.into())
    }
}

/// What is asked of a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) label: &'a str,
    pub(super) url: &'a str,
    pub(super) from: u64,
    pub(super) caches: Caches,
}

impl Request<'_> {
    pub(super) fn network_error(&self, source: reqwest::Error) -> Trouble {
        // A redirection in a circle, or to where none may lead, will be the same the next time.
        let is_final = source.is_builder() || source.is_redirect();
        let error = FetchError::Network {
            label: self.label.to_owned(),
            url: without_credentials(self.url),
            source: source.without_url(),
        };
        match is_final {
            true => Trouble::Final(error),
            false => Trouble::passing(error),
        }
    }

    pub(super) fn bad_range(&self) -> Trouble {
        Trouble::passing(FetchError::BadRange {
            label: self.label.to_owned(),
            url: without_credentials(self.url),
        })
    }

    /// Sorts the server's answer: the response if it has a body of ours.
    pub(super) fn accept(&self, response: Response) -> Result<Response, Trouble> {
        let status = response.status();
        let (label, url) = (self.label.to_owned(), without_credentials(self.url));
        match status {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(FetchError::Vanished { label, url }.into()),
            StatusCode::RANGE_NOT_SATISFIABLE => Err(self.bad_range()),
            _ => {
                let retry_after = header(&response, RETRY_AFTER).and_then(response::retry_after);
                let error = FetchError::Status {
                    label,
                    url,
                    status: status.as_u16(),
                    retry_after,
                };
                let passing = status.is_server_error()
                    || status == StatusCode::TOO_MANY_REQUESTS
                    || status == StatusCode::REQUEST_TIMEOUT;
                Err(if passing {
                    Trouble::Passing { error, retry_after }
                } else {
                    Trouble::Final(error)
                })
            }
        }
    }
}

/// A header field, if it is there and text.
pub(super) fn header(response: &Response, name: HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}
