//! A file that is used while it arrives. Its digest is not checked here: the caller verifies what it reads.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::header::CONTENT_RANGE;
use reqwest::{Response, StatusCode};

use super::client::{Client, Schemes};
use super::request::{Caches, Request, Trouble, header};
use super::{FetchError, Patience, response};
use crate::mirror::without_credentials;

/// How often a wait for the network looks whether it is still wanted.
const STOP_POLL: Duration = Duration::from_millis(100);

/// A file on a server, read from its start to its end.
///
/// A broken connection is taken up where it broke; a server without ranges is asked for everything again, and what was read
/// already is passed over. Errors of [`Read`] hold a [`FetchError`], or are of the kind [`io::ErrorKind::ConnectionAborted`] when
/// `stop` was set: on `Interrupted`, [`Read::read_exact`] and others would read on.
#[derive(Debug)]
pub struct HttpStream {
    client: Client,
    transfer: Transfer,
    stop: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Transfer {
    label: String,
    url: String,
    response: Option<Response>,
    /// Bytes handed out or waiting in `chunk`.
    position: u64,
    /// Bytes of the current response that were handed out before.
    known: u64,
    len_bytes: Option<u64>,
    chunk: io::Cursor<Vec<u8>>,
    tries: u32,
}

impl HttpStream {
    /// The file at `url`, called `label` in errors; nothing is asked yet. An `https:` URL leads to no other scheme, through
    /// no redirection.
    pub fn new(label: &str, url: &str, patience: Patience, stop: Arc<AtomicBool>) -> Result<Self, FetchError> {
        let schemes = match url.starts_with("https:") {
            true => Schemes::SecureOnly,
            false => Schemes::Any,
        };
        Ok(Self {
            client: Client::for_schemes(patience, schemes)?,
            transfer: Transfer {
                label: label.to_owned(),
                url: url.to_owned(),
                response: None,
                position: 0,
                known: 0,
                len_bytes: None,
                chunk: io::Cursor::default(),
                tries: 0,
            },
            stop,
        })
    }

    /// Waits for more; an empty chunk at the end.
    fn next_chunk(&mut self) -> io::Result<Vec<u8>> {
        let (client, transfer, stop) = (&self.client, &mut self.transfer, &self.stop);
        let work = async {
            loop {
                let trouble = match transfer.try_chunk(client).await {
                    Ok(chunk) => return Ok(chunk),
                    Err(trouble) => trouble,
                };
                transfer.response = None;
                transfer.tries += 1;
                client.wait_out(trouble, transfer.tries).await?;
            }
        };
        let stopped = async {
            while !stop.load(Ordering::Relaxed) {
                tokio::time::sleep(STOP_POLL).await;
            }
        };
        let outcome: Option<Result<_, FetchError>> = client.block_on(async {
            tokio::select! {
                outcome = work => Some(outcome),
                () = stopped => None,
            }
        });
        match outcome {
            Some(outcome) => outcome.map_err(io::Error::other),
            None => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

impl Read for HttpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.transfer.chunk.read(buffer)?;
        if count > 0 || buffer.is_empty() {
            return Ok(count);
        }
        self.transfer.chunk = io::Cursor::new(self.next_chunk()?);
        self.transfer.chunk.read(buffer)
    }
}

impl Transfer {
    async fn try_chunk(&mut self, client: &Client) -> Result<Vec<u8>, Trouble> {
        if self.len_bytes == Some(self.position) {
            return Ok(Vec::new());
        }
        if self.response.is_none() {
            self.begin(client).await?;
        }
        let request = request(&self.label, &self.url, self.position);
        let response = self.response.as_mut().expect("it has just begun");
        while let Some(chunk) = response.chunk().await.map_err(|error| request.network_error(error))? {
            let passed = self.known.min(chunk.len() as u64);
            self.known -= passed;
            let new = &chunk[passed as usize..];
            if !new.is_empty() {
                self.position += new.len() as u64;
                // It got further: that try does not count.
                self.tries = 0;
                return Ok(new.to_vec());
            }
        }
        match self.len_bytes {
            Some(expected) if self.position < expected => Err(Trouble::passing(FetchError::Truncated {
                label: self.label.clone(),
                url: without_credentials(&self.url),
                received: self.position,
                expected,
            })),
            _ => Ok(Vec::new()),
        }
    }

    /// Asks for what is not there yet.
    async fn begin(&mut self, client: &Client) -> Result<(), Trouble> {
        let request = request(&self.label, &self.url, self.position);
        let response = client.send(&request).await?;
        let whole = if response.status() == StatusCode::PARTIAL_CONTENT {
            self.known = 0;
            let range = header(&response, CONTENT_RANGE).and_then(response::content_range);
            match range {
                Some(range) if range.first == self.position => range.whole,
                _ => return Err(request.bad_range()),
            }
        } else {
            self.known = self.position;
            response.content_length()
        };
        match (self.len_bytes, whole) {
            // Another file has taken its place.
            (Some(before), Some(now)) if before != now => return Err(request.bad_range()),
            (known, told) => self.len_bytes = known.or(told),
        }
        self.response = Some(response);
        Ok(())
    }
}

fn request<'a>(label: &'a str, url: &'a str, from: u64) -> Request<'a> {
    Request {
        label,
        url,
        from,
        caches: Caches::Trusted,
    }
}
