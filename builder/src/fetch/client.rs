//! The HTTP client: resumes, retries, verifies.

use std::future::Future;
use std::io::Write;

use reqwest::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_RANGE, RANGE};
use reqwest::{Response, StatusCode};
use tokio::runtime::Runtime;

use super::download::{Download, take_turn};
use super::error::Actual;
use super::request::{Caches, Request, Trouble, header};
use super::{FetchError, MAX_LEN_BYTES, Patience, response};
use crate::mirror::without_credentials;
use crate::store::Pending;

/// Which certificate authorities are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Certificates {
    Host,
    None,
}

/// Which URLs are asked, redirections included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Schemes {
    /// Those of http, too: what comes is verified by a digest from elsewhere.
    Any,
    /// Those of https: the connection alone says that what comes is right.
    SecureOnly,
}

/// An HTTP client with the event loop that it runs on.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    certificates: Certificates,
    runtime: Runtime,
    patience: Patience,
}

impl Client {
    pub(super) fn new(patience: Patience) -> Result<Self, FetchError> {
        Self::for_schemes(patience, Schemes::Any)
    }

    pub(super) fn for_schemes(patience: Patience, schemes: Schemes) -> Result<Self, FetchError> {
        // Fails if there is one already, which then is this one, too.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            reqwest::Client::builder()
                .user_agent(concat!("skerry/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(patience.connect_timeout)
                .read_timeout(patience.idle_timeout)
                .https_only(schemes == Schemes::SecureOnly)
        };
        // A host without root certificates can still use a plain http mirror: what comes is verified anyway.
        let (http, certificates) = match builder().build() {
            Ok(http) => (http, Certificates::Host),
            Err(_) => {
                let http = builder().tls_certs_only([]).build();
                (
                    http.map_err(|source| FetchError::Client { source })?,
                    Certificates::None,
                )
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| FetchError::Runtime { source })?;
        Ok(Self {
            http,
            certificates,
            runtime,
            patience,
        })
    }

    pub(super) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Fetches a pinned file into the store and tells its length. Wrong content is asked for once more, from the start
    /// and past caches: a proxy that holds an old or broken answer is more common than an attack.
    pub(super) async fn download(&self, download: &mut Download<'_>) -> Result<u64, FetchError> {
        match self.download_by(download, Caches::Trusted).await {
            Err(FetchError::WrongContent(_)) => self.download_by(download, Caches::Avoided).await,
            result => result,
        }
    }

    async fn download_by(&self, download: &mut Download<'_>, caches: Caches) -> Result<u64, FetchError> {
        let Some(mut pending) = take_turn(download).await? else {
            return Ok(0);
        };
        if caches == Caches::Avoided {
            pending.restart()?;
        }
        let filled = self.fill(download, &mut pending, caches).await;
        if let Err(error) = filled {
            if matches!(error, FetchError::WrongContent(_)) {
                pending.discard();
            }
            return Err(error);
        }
        let len_bytes = pending.len_bytes()?;
        // Flushing to the disk takes milliseconds that other downloads can use.
        let committed = tokio::task::spawn_blocking(move || pending.commit()).await;
        committed
            .expect("committing does not panic, and the runtime outlives it")
            .map_err(|error| download.explain(error))?;
        Ok(len_bytes)
    }

    /// Tries until all bytes are there. A try that got further than any before it does not count.
    async fn fill(&self, download: &mut Download<'_>, pending: &mut Pending, caches: Caches) -> Result<(), FetchError> {
        let mut tries = 0;
        loop {
            let before = download.told;
            let Err(trouble) = self.try_fill(download, pending, caches).await else {
                return Ok(());
            };
            tries = if download.told > before { 1 } else { tries + 1 };
            self.wait_out(trouble, tries).await?;
        }
    }

    async fn try_fill(
        &self,
        download: &mut Download<'_>,
        pending: &mut Pending,
        caches: Caches,
    ) -> Result<(), Trouble> {
        let wanted = download.wanted;
        let mut position = pending.len_bytes()?;
        if wanted.len_bytes.is_some_and(|len_bytes| position > len_bytes) {
            pending.restart()?;
            position = 0;
        }
        download.reached(position);
        if wanted.len_bytes == Some(position) {
            return Ok(());
        }
        let request = Request {
            label: &wanted.label,
            url: &wanted.url,
            from: position,
            caches,
        };
        let mut response = self.begin(download, pending, &request).await?;
        position = pending.len_bytes()?;
        while let Some(chunk) = response.chunk().await.map_err(|error| request.network_error(error))? {
            position += chunk.len() as u64;
            if position > wanted.len_bytes.unwrap_or(MAX_LEN_BYTES) {
                return Err(download.check_length(position).expect_err("it is too long").into());
            }
            if let Err(source) = pending.write_all(&chunk) {
                return Err(pending.write_error(source).into());
            }
            download.reached(position);
        }
        match wanted.len_bytes {
            Some(expected) if position < expected => Err(Trouble::passing(FetchError::Truncated {
                label: wanted.label.clone(),
                url: without_credentials(&wanted.url),
                received: position,
                expected,
            })),
            _ => Ok(()),
        }
    }

    /// Sends the request and makes the file end where the response's body begins.
    async fn begin(
        &self,
        download: &Download<'_>,
        pending: &mut Pending,
        request: &Request<'_>,
    ) -> Result<Response, Trouble> {
        let answer = self.send(request).await;
        if let Err(Trouble::Passing {
            error: FetchError::BadRange { .. },
            ..
        }) = answer
        {
            pending.restart()?;
        }
        let response = answer?;
        let whole = if response.status() == StatusCode::PARTIAL_CONTENT {
            let range = header(&response, CONTENT_RANGE).and_then(response::content_range);
            match range {
                Some(range) if range.first == request.from => range.whole,
                _ => {
                    pending.restart()?;
                    return Err(request.bad_range());
                }
            }
        } else {
            pending.restart()?;
            response.content_length()
        };
        if let Some(len_bytes) = whole {
            download.check_length(len_bytes).map_err(|error| match error {
                // Told by the server, so exactly known.
                FetchError::WrongContent(_) => download.wrong(Actual::Length(len_bytes)),
                error => error,
            })?;
        }
        Ok(response)
    }

    pub(super) async fn send(&self, request: &Request<'_>) -> Result<Response, Trouble> {
        if self.certificates == Certificates::None && request.url.starts_with("https:") {
            return Err(Trouble::Final(FetchError::NoCertificates {
                label: request.label.to_owned(),
                url: without_credentials(request.url),
            }));
        }
        let mut builder = self.http.get(request.url).header(ACCEPT_ENCODING, "identity");
        if request.from > 0 {
            builder = builder.header(RANGE, format!("bytes={}-", request.from));
        }
        if request.caches == Caches::Avoided {
            builder = builder.header(CACHE_CONTROL, "no-cache");
        }
        let response = builder.send().await.map_err(|error| request.network_error(error))?;
        request.accept(response)
    }

    /// Sleeps before the next try, or tells that there is none.
    pub(super) async fn wait_out(&self, trouble: Trouble, tries: u32) -> Result<(), FetchError> {
        let (error, retry_after) = match trouble {
            Trouble::Final(error) => return Err(error),
            Trouble::Passing { error, retry_after } => (error, retry_after.unwrap_or_default()),
        };
        let delay = self
            .patience
            .first_delay
            .saturating_mul(1 << tries.saturating_sub(1).min(16))
            .min(self.patience.max_delay);
        if tries >= self.patience.tries || retry_after > self.patience.max_delay {
            return Err(error);
        }
        tracing::info!(%error, tries, "trying again");
        tokio::time::sleep(delay.max(retry_after)).await;
        Ok(())
    }

    /// Fetches a file of unknown digest into memory.
    pub(super) async fn get(&self, label: &str, url: &str, max_bytes: u64) -> Result<Vec<u8>, FetchError> {
        let request = Request {
            label,
            url,
            from: 0,
            // An index from a cache may be older than the files it names.
            caches: Caches::Avoided,
        };
        let mut tries = 0;
        loop {
            match self.try_get(&request, max_bytes).await {
                Ok(content) => return Ok(content),
                Err(trouble) => {
                    tries += 1;
                    self.wait_out(trouble, tries).await?;
                }
            }
        }
    }

    async fn try_get(&self, request: &Request<'_>, max_bytes: u64) -> Result<Vec<u8>, Trouble> {
        let mut response = self.send(request).await?;
        let mut content = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| request.network_error(error))? {
            if (content.len() + chunk.len()) as u64 > max_bytes {
                return Err(Trouble::Final(FetchError::TooLong {
                    label: request.label.to_owned(),
                    url: without_credentials(request.url),
                    max_bytes,
                }));
            }
            content.extend_from_slice(&chunk);
        }
        Ok(content)
    }
}
