//! Downloads. Flows in: what is wanted, by URL, length and SHA-256. Flows out: entries of the store, verified before
//! they are visible.
//!
//! HTTP semantics: RFC 9110 (ranges §14, `Retry-After` §10.2.3). Proxies come from the usual environment variables.
//! `file:` URLs and plain paths are copied. Deliberately unsupported: other schemes, and content codings, since the
//! digest is that of the bytes as they lie on the server.

mod client;
mod download;
mod error;
mod http_stream;
mod local;
mod request;
mod response;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::digest::Sha256;
use crate::mirror::without_credentials;
use crate::progress::{Reporter, Work};
use crate::store::{Shelf, Store};

use client::Client;
use download::Download;
pub use error::{Actual, FetchError, WrongContent};
pub use http_stream::HttpStream;

/// More than any input is long; what has no known length is cut off here.
const MAX_LEN_BYTES: u64 = 4 << 30;

/// Whether the network may be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Access {
    /// What is missing is fetched.
    #[default]
    Online,
    /// What is missing is an error.
    Offline,
}

/// How long to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Tries of one download, the first included.
    pub tries: u32,
    /// Wait before the second try; doubles with each further one. A server's `Retry-After` can lengthen it.
    pub first_delay: Duration,
    /// Longest wait before a further try.
    pub max_delay: Duration,
    /// Longest time until a connection stands.
    pub connect_timeout: Duration,
    /// Longest time in which nothing arrives.
    pub idle_timeout: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            tries: 5,
            first_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(30),
        }
    }
}

/// How to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchOptions {
    /// Whether the network may be used.
    pub access: Access,
    /// Downloads at a time.
    pub parallel: usize,
    /// How long to try.
    pub patience: Patience,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            access: Access::Online,
            parallel: 8,
            patience: Patience::default(),
        }
    }
}

/// A file that must be in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Name and version of what it is, for progress and errors.
    pub label: String,
    /// Where it is: http, https, file, or a plain path.
    pub url: String,
    /// Digest of its content.
    pub sha256: Sha256,
    /// Length of its content; `None` where only the digest is published.
    pub len_bytes: Option<u64>,
}

/// What a fetch did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FetchSummary {
    /// Files that were downloaded.
    pub fetched: usize,
    /// Files that the store had.
    pub cached: usize,
    /// Lengths of the downloaded ones.
    pub bytes: u64,
}

/// Puts all that is wanted on the store's shelf of inputs, the biggest first. Blocks until done; with the first failure
/// the other downloads stop, to be continued by the next call. Must not be called from within an async runtime.
pub fn fetch(
    wanted: Vec<Wanted>,
    store: &Store,
    options: &FetchOptions,
    reporter: &dyn Reporter,
) -> Result<FetchSummary, FetchError> {
    let total = wanted.iter().map(|file| file.sha256).collect::<BTreeSet<_>>().len();
    let missing = missing(wanted, store)?;
    if missing.is_empty() {
        return Ok(FetchSummary {
            cached: total,
            ..FetchSummary::default()
        });
    }
    if options.access == Access::Offline {
        forbid_network(&missing)?;
    }
    let client = Client::new(options.patience)?;
    let downloads = stream::iter(&missing)
        .map(|file| fetch_one(&client, file, store, reporter))
        .buffer_unordered(options.parallel.max(1))
        .try_fold(0, async |sum, bytes| Ok(sum + bytes));
    Ok(FetchSummary {
        fetched: missing.len(),
        cached: total - missing.len(),
        bytes: client.block_on(downloads)?,
    })
}

/// The content of a file whose digest is not known, such as a signed index; the caller verifies it. More than
/// `max_bytes` is an error.
pub fn fetch_index(label: &str, url: &str, max_bytes: u64, options: &FetchOptions) -> Result<Vec<u8>, FetchError> {
    if let Some(path) = local::path_of(url) {
        return local::read(label, &path, max_bytes);
    }
    if options.access == Access::Offline {
        return Err(FetchError::Offline {
            missing: vec![label.to_owned()],
        });
    }
    let client = Client::new(options.patience)?;
    client.block_on(client.get(label, url, max_bytes))
}

/// Files on this machine may be copied offline, too.
fn forbid_network(missing: &[Wanted]) -> Result<(), FetchError> {
    let remote = missing.iter().filter(|file| local::path_of(&file.url).is_none());
    let missing: Vec<String> = remote.map(|file| file.label.clone()).collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(FetchError::Offline { missing }),
    }
}

/// What the store lacks, each digest once, the biggest first: so no long download remains for the end. An entry of a
/// length that the lock does not say is no entry.
fn missing(mut wanted: Vec<Wanted>, store: &Store) -> Result<Vec<Wanted>, FetchError> {
    wanted.sort_by(|a, b| (&a.sha256, &a.url).cmp(&(&b.sha256, &b.url)));
    wanted.dedup_by_key(|file| file.sha256);
    // A stable sort; unknown lengths may be long ones.
    wanted.sort_by_key(|file| Reverse(file.len_bytes.unwrap_or(u64::MAX)));
    let mut missing = Vec::new();
    for file in wanted {
        match store.open_entry(Shelf::Inputs, &file.sha256) {
            Some(entry) if file.len_bytes.is_none_or(|len_bytes| len_bytes == entry.len_bytes) => {}
            Some(_) => {
                store.remove(Shelf::Inputs, &file.sha256)?;
                missing.push(file);
            }
            None => missing.push(file),
        }
    }
    Ok(missing)
}

/// Fetches one file and tells its length.
async fn fetch_one(client: &Client, file: &Wanted, store: &Store, reporter: &dyn Reporter) -> Result<u64, FetchError> {
    tracing::debug!(label = file.label, url = without_credentials(&file.url), "fetching");
    let task = reporter.start(&file.label, file.len_bytes.map_or(Work::Unknown, Work::Bytes));
    let advance = |amount| reporter.advance(task, amount);
    let mut download = Download::new(file, store, &advance);
    let result = match local::path_of(&file.url) {
        Some(path) => local::copy(&mut download, &path),
        None => client.download(&mut download).await,
    };
    reporter.finish(task);
    result
}
