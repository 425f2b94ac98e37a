//! The join file from a web server, by words on the kernel command line (PXE, UEFI HTTP boot).
//!
//! | word | meaning |
//! |---|---|
//! | `skerry.join-url=https://…` | what is asked for; `{serial}`, `{mac}` and `{machine-id}` are filled in |
//! | `skerry.join-pin=sha256:…` | digests of public keys, separated by commas; one of the server's chain must be among them |
//!
//! The command line is no place for secrets: every program on the machine reads it, and logs keep it. So the pin is not
//! optional, and what looks like a token is refused.

use crate::control_plane::ApiError;
use crate::device::Device;
use crate::initrd::cmdline::words;
use crate::join_config::{BootstrapToken, CaPin, Endpoint, EndpointError, MAX_BYTES, PinError};

use super::{Found, Source, SourceError};

const URL: &str = "skerry.join-url";
const PIN: &str = "skerry.join-pin";
/// Words that somebody may try, and that would give a secret away.
const SECRET_WORDS: [&str; 4] = ["skerry.token", "skerry.join-token", "skerry.join", "skerry.bearer"];
/// Parameters of a query that hold secrets.
const SECRET_PARAMETERS: [&str; 8] = [
    "token",
    "secret",
    "password",
    "passwd",
    "key",
    "auth",
    "sig",
    "access_token",
];
/// Longest URL.
const URL_LEN: usize = 1024;

/// Asks web servers. The real one pins TLS; tests answer themselves.
#[allow(async_fn_in_trait, reason = "one task drives a join; the futures need not be Send")]
pub trait Fetch {
    /// The body at `url`, at most [`MAX_BYTES`] of it, from a server with one of `pins` in its chain; none if the server
    /// says that it is not there (404).
    async fn get(&self, url: &str, pins: &[CaPin]) -> Result<Option<Vec<u8>>, ApiError>;
}

/// What is asked of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The URL, filled in.
    pub url: String,
    /// Digests of public keys in the server's chain: its own or that of an authority above it.
    pub pins: Vec<CaPin>,
}

/// A command line that nothing can be asked by. Never repeats its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HttpsError {
    /// A secret.
    #[error("`{0}=` would put a secret where every program can read it")]
    SecretWord(&'static str),
    /// A token in the URL.
    #[error("`{URL}=` holds what looks like a token or password")]
    SecretInUrl,
    /// No `https://`, or not a URL.
    #[error("`{URL}=` cannot be used")]
    Url(#[source] EndpointError),
    /// Something that no URL holds.
    #[error("`{URL}=` holds a character that must be written as `%XX`, or is too long")]
    Characters,
    /// Not `https://`.
    #[error("`{URL}=` must begin with `https://`")]
    NotHttps,
    /// A placeholder without a value.
    #[error("`{URL}=` has a placeholder that is unknown or that this machine has no value for")]
    Placeholder,
    /// No pin.
    #[error("`{URL}=` is there without `{PIN}=`")]
    NoPin,
    /// A pin without a URL.
    #[error("`{PIN}=` is there without `{URL}=`")]
    NoUrl,
    /// Not a pin.
    #[error("`{PIN}=` cannot be used")]
    Pin(#[source] PinError),
}

impl HttpsError {
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Self::SecretWord(_) | Self::SecretInUrl => {
                "make a new token, because this one is in logs; serve a join file by `skerry.join-url` and `skerry.join-pin`"
            }
            Self::NoPin | Self::Pin(_) | Self::NoUrl => {
                "add `skerry.join-pin=sha256:` with the digest of the server's public key, 64 hex digits"
            }
            Self::Url(_) | Self::Characters | Self::NotHttps | Self::Placeholder => {
                "write `skerry.join-url=https://HOST/PATH`; `{serial}`, `{mac}` and `{machine-id}` are filled in"
            }
        }
    }
}

impl Request {
    /// What the kernel command line says; none if it says nothing of this.
    pub fn from_cmdline(cmdline: &str, device: &Device) -> Result<Option<Self>, HttpsError> {
        let (mut url, mut pins) = (None, None);
        for word in words(cmdline) {
            let (key, value) = word.split_once('=').unwrap_or((&word, ""));
            match key {
                URL => url = Some(value.to_owned()),
                PIN => pins = Some(value.to_owned()),
                _ => {}
            }
        }
        let (url, pins) = match (url, pins) {
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(HttpsError::NoPin),
            (None, Some(_)) => return Err(HttpsError::NoUrl),
            (Some(url), Some(pins)) => (url, pins),
        };
        check_url(&url)?;
        let pins = pins
            .split(',')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(HttpsError::Pin)?;
        let url = device.fill(&url).ok_or(HttpsError::Placeholder)?;
        Ok(Some(Self { url, pins }))
    }
}

/// A word of the command line by which somebody gives a secret away. It is not used, and the machine must say so.
pub(super) fn exposed_secret(cmdline: &str) -> Option<HttpsError> {
    let given = words(cmdline);
    let is_given = |secret: &&&str| given.iter().any(|word| word.split('=').next() == Some(**secret));
    SECRET_WORDS
        .iter()
        .find(is_given)
        .map(|word| HttpsError::SecretWord(word))
}

fn check_url(url: &str) -> Result<(), HttpsError> {
    let rest = url.strip_prefix("https://").ok_or(HttpsError::NotHttps)?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let _: Endpoint = format!("https://{authority}").parse().map_err(HttpsError::Url)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/?&=%+,:{}".contains(&byte);
    if url.len() > URL_LEN || !path.bytes().all(plain) {
        return Err(HttpsError::Characters);
    }
    let (_, query) = path.split_once('?').unwrap_or((path, ""));
    let names = query
        .split('&')
        .map(|part| part.split('=').next().unwrap_or_default().to_ascii_lowercase());
    let is_token = |part: &str| part.parse::<BootstrapToken>().is_ok();
    let secret = names.into_iter().any(|name| SECRET_PARAMETERS.contains(&name.as_str()))
        || path.split(['/', '?', '&', '=', ',', ':']).any(is_token);
    match secret {
        true => Err(HttpsError::SecretInUrl),
        false => Ok(()),
    }
}

/// Asks for the join file that `cmdline` names.
pub(super) async fn find(cmdline: &str, device: &Device, fetch: &impl Fetch) -> Result<Option<Found>, SourceError> {
    let request = Request::from_cmdline(cmdline, device).map_err(SourceError::Cmdline)?;
    let Some(Request { url, pins }) = request else {
        return Ok(None);
    };
    match fetch.get(&url, &pins).await {
        Ok(None) => Ok(None),
        Ok(Some(body)) if body.len() > MAX_BYTES => Err(SourceError::TooLarge { url }),
        Ok(Some(body)) => Ok(Some(Found::new(Source::Https { url }, body.into()))),
        Err(failure) => Err(SourceError::Fetch { url, failure }),
    }
}

#[cfg(test)]
mod tests;
