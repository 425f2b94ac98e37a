//! What can go wrong between a request and its answer, and how it is told.

use std::fmt;

use super::Asked;
use super::advice::{self, Trouble};
use super::exchange::Reply;
use super::objects;
use crate::certificates::{Facts, Validity};
use crate::control_plane::{ApiError, ApiErrorKind};
use crate::secret::Secret;
use crate::tls::{Shown, TlsError, Verdict};
use crate::visible::visible;

/// How much of a server's own words is repeated.
const MAX_WORDS_CHARS: usize = 300;
/// RFC 6585 §6: what an honest captive portal answers.
const NETWORK_AUTHENTICATION_REQUIRED: u16 = 511;

/// Why there is no answer.
#[derive(Debug, Clone)]
pub enum Failure {
    /// The name does not resolve: what was said.
    Dns(String),
    /// No TCP connection: whereto and why.
    NoConnection(String),
    /// The proxy does not connect: why.
    Proxy(String),
    /// TCP connects, and then nothing.
    HandshakeTimeout,
    /// What answers does not speak TLS.
    NotTls,
    /// The server refuses the handshake: its alert.
    Alert(String),
    /// The handshake makes no sense.
    Handshake(String),
    /// The server's certificate is not right.
    Untrusted(Box<Shown>),
    /// The server's certificate is right in everything but its dates.
    OutOfTime {
        /// Those dates.
        validity: Validity,
        /// This machine's clock.
        now: u64,
        /// The server's clock, if that is within the dates.
        server_time: Option<u64>,
    },
    /// The connection broke: when.
    Broken(String),
    /// The whole request took too long.
    NoAnswer,
    /// The answer is too large.
    TooLarge,
    /// The answer is not HTTP: why.
    NotHttp(String),
    /// The token cannot be sent.
    BadToken,
    /// The node's own certificate cannot be read: why.
    Identity(String),
    /// There is nothing to verify the server by, or nothing to show to it.
    Setup(TlsError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(reason) | Self::NoConnection(reason) => f.write_str(reason),
            Self::Proxy(reason) => write!(f, "the proxy does not connect: {reason}"),
            Self::HandshakeTimeout => f.write_str("TCP connects, but the TLS handshake does not get through"),
            Self::NotTls => f.write_str("what answers there does not speak TLS"),
            Self::Alert(alert) => write!(f, "the server refuses the TLS handshake: {alert}"),
            Self::Handshake(reason) => write!(f, "the TLS handshake makes no sense: {reason}"),
            Self::Untrusted(shown) => match &shown.verdict {
                Verdict::OtherName(names) => {
                    let names = clean(&names.join(", "), &[]);
                    write!(
                        f,
                        "its certificate is signed as it should be, but for other names: {names}"
                    )
                }
                Verdict::Refused(reason) => write!(f, "{} is not the right one: {reason}", words(shown)),
                _ => write!(f, "{} is not the right one", words(shown)),
            },
            Self::OutOfTime {
                validity,
                now,
                server_time,
            } => {
                let (from, to) = (date(validity.not_before), date(validity.not_after));
                let server_says = server_time
                    .map(|time| format!(" and the server's {}", date(time)))
                    .unwrap_or_default();
                let now = date(*now);
                write!(
                    f,
                    "its certificate is right, but valid from {from} to {to}; this clock says {now}{server_says}"
                )
            }
            Self::Broken(when) => write!(f, "the connection broke: {when}"),
            Self::NoAnswer => f.write_str("connected, but the answer did not come in time"),
            Self::TooLarge => f.write_str("the answer is larger than 1 MiB"),
            Self::NotHttp(reason) => write!(f, "the answer is not HTTP: {reason}"),
            Self::Identity(reason) => write!(f, "the node's own certificate cannot be read: {reason}"),
            Self::BadToken => f.write_str("the token has characters that no token has"),
            Self::Setup(error) => error.fmt(f),
        }
    }
}

impl Failure {
    /// Tells a wrong clock, which says `now`, from a wrong server.
    pub(crate) fn judged_at(self, now: u64) -> Self {
        match self {
            Self::Untrusted(shown) => match shown.verdict {
                Verdict::OutOfTime(validity) => Self::OutOfTime {
                    validity,
                    now,
                    server_time: None,
                },
                _ => Self::Untrusted(shown),
            },
            failure => failure,
        }
    }

    /// What kind of error it is.
    pub fn kind(&self) -> ApiErrorKind {
        match self {
            Self::Dns(_) => ApiErrorKind::Dns,
            Self::NoConnection(_) | Self::Proxy(_) | Self::Alert(_) | Self::Broken(_) => ApiErrorKind::Connect,
            Self::HandshakeTimeout | Self::NoAnswer => ApiErrorKind::Timeout,
            Self::NotTls => ApiErrorKind::NotKubernetes,
            Self::Handshake(_) | Self::TooLarge | Self::NotHttp(_) => ApiErrorKind::BadAnswer,
            Self::Untrusted(_) => ApiErrorKind::Untrusted,
            Self::OutOfTime { server_time, .. } => ApiErrorKind::Clock {
                server_time: *server_time,
            },
            Self::BadToken | Self::Identity(_) => ApiErrorKind::Unauthorized,
            Self::Setup(TlsError::Authorities { .. } | TlsError::NotAuthority { .. }) => ApiErrorKind::Untrusted,
            Self::Setup(_) => ApiErrorKind::Unauthorized,
        }
    }

    /// In words fit for a console: others' words are in them.
    pub fn told(&self) -> String {
        clean(&self.to_string(), &[])
    }

    fn trouble(&self) -> Trouble {
        match self {
            Self::HandshakeTimeout => Trouble::Handshake,
            Self::Proxy(_) => Trouble::Proxy,
            Self::Untrusted(shown) if matches!(shown.verdict, Verdict::OtherName(_)) => Trouble::OtherName,
            _ => Trouble::Kind(self.kind()),
        }
    }

    pub(super) fn explain(&self, asked: &Asked<'_>) -> ApiError {
        ApiError {
            kind: self.kind(),
            endpoint: asked.endpoint.to_string(),
            detail: clean(&self.to_string(), &asked.secrets),
            advice: advice::on(self.trouble(), asked.purpose),
        }
    }
}

/// The certificate that was shown, in words.
pub(super) fn words(shown: &Shown) -> String {
    match &shown.facts {
        Some(Facts { subject, issuer, .. }) => format!("the certificate of {subject}, issued by {issuer},"),
        None => "an unreadable certificate".to_owned(),
    }
}

/// An answer with a status of 2xx, or what the status means.
pub(super) fn judge(reply: Reply, asked: &Asked<'_>) -> Result<Reply, ApiError> {
    let Reply {
        status, retry_after, ..
    } = reply;
    let kind = match status {
        300..=399 | NETWORK_AUTHENTICATION_REQUIRED => ApiErrorKind::NotKubernetes,
        429 => ApiErrorKind::Throttled { retry_after },
        500.. => ApiErrorKind::Server { status, retry_after },
        _ if is_page(&reply) => ApiErrorKind::NotKubernetes,
        200..=299 => return Ok(reply),
        401 => ApiErrorKind::Unauthorized,
        403 => ApiErrorKind::Forbidden,
        404 => ApiErrorKind::NotFound,
        _ => ApiErrorKind::Server { status, retry_after },
    };
    Err(refused(kind, said(&reply, kind), asked))
}

/// An error that is not a failed connection.
pub(super) fn refused(kind: ApiErrorKind, detail: impl AsRef<str>, asked: &Asked<'_>) -> ApiError {
    ApiError {
        kind,
        endpoint: asked.endpoint.to_string(),
        detail: clean(detail.as_ref(), &asked.secrets),
        advice: advice::on(Trouble::Kind(kind), asked.purpose),
    }
}

/// Whether the answer is Kubernetes' own word that it is so: a `Status` object with this status.
pub(super) fn says(reply: &Reply, status: u16) -> bool {
    reply.status == status && objects::status(&reply.body).is_some()
}

/// Whether it is a page for people.
fn is_page(reply: &Reply) -> bool {
    let begins = reply.body.trim_ascii_start().first();
    reply.content_type.starts_with("text/html") || begins == Some(&b'<')
}

fn said(reply: &Reply, kind: ApiErrorKind) -> String {
    let status = reply.status;
    let shown = reply.shown.as_deref().unwrap_or_default();
    match (&reply.location, objects::status(&reply.body)) {
        (Some(location), _) if kind == ApiErrorKind::NotKubernetes => {
            format!("status {status}, sends to {location}; it showed {shown} which nobody has verified")
        }
        _ if kind == ApiErrorKind::NotKubernetes => {
            format!("status {status} with a page for people; it showed {shown} which nobody has verified")
        }
        (_, Some(message)) => format!("status {status}: {message}"),
        _ => format!("status {status}"),
    }
}

/// Strangers' words, fit for a console: one line, not too long, without control characters and without our secrets.
pub(super) fn clean(text: &str, secrets: &[&Secret]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.expose().is_empty()) {
        text = text.replace(secret.expose(), "(redacted)");
    }
    let cut: String = text.chars().map(visible).take(MAX_WORDS_CHARS).collect();
    cut.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Days and minutes in UTC, as certificates are dated.
fn date(seconds: u64) -> String {
    let time = i64::try_from(seconds)
        .ok()
        .and_then(|time| time::OffsetDateTime::from_unix_timestamp(time).ok());
    match time {
        Some(time) => format!("{} {:02}:{:02} UTC", time.date(), time.hour(), time.minute()),
        None => "beyond all calendars".to_owned(),
    }
}

#[cfg(test)]
mod tests;
