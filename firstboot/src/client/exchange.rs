//! One request and its answer over HTTP/1.1: bounded in size, and nothing followed or decoded that an API server does not
//! send.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
    USER_AGENT,
};
use hyper::{Method, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;

use super::failure::Failure;
use super::proxy::authority;
use crate::discovery::cluster_info::MAX_BYTES;
use crate::join_config::Endpoint;
use crate::secret::Secret;

const AGENT: &str = concat!("skerry-node/", env!("CARGO_PKG_VERSION"));
/// The longest `Retry-After` that is obeyed: a typing error of a day must not strand a machine.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// A request, below an endpoint's own path.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub method: Method,
    pub path: String,
    /// The bearer token.
    pub bearer: Option<Secret>,
    /// JSON.
    pub body: Option<String>,
}

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub status: u16,
    /// The server's clock, in seconds since 1970.
    pub date: Option<u64>,
    pub retry_after: Option<Duration>,
    pub location: Option<String>,
    pub content_type: String,
    pub body: Bytes,
    /// The certificate that the server showed, in words; filled in by whoever made the connection.
    pub shown: Option<String>,
}

/// An open connection. The task that drives it ends with it.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Request {
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            bearer: None,
            body: None,
        }
    }
}

impl Connection {
    pub async fn over(stream: TlsStream<TcpStream>) -> Result<Self, Failure> {
        let handshake = Builder::new().handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|error| broken(&error))?;
        // What goes wrong with the connection is told to whoever waits for the answer.
        let driver = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Self { sender, driver })
    }

    /// Whether another request can be sent.
    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    pub async fn send(&mut self, endpoint: &Endpoint, request: &Request) -> Result<Reply, Failure> {
        let built = build(endpoint, request)?;
        self.sender.ready().await.map_err(|error| broken(&error))?;
        let response = self.sender.send_request(built).await.map_err(|error| broken(&error))?;
        read(response).await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn build(endpoint: &Endpoint, request: &Request) -> Result<hyper::Request<Full<Bytes>>, Failure> {
    let invalid = |_| Failure::NotHttp("the request cannot be written down".to_owned());
    let body = request.body.clone().unwrap_or_default();
    let mut builder = hyper::Request::builder()
        .method(request.method.clone())
        .uri(match (endpoint.path.as_str(), request.path.as_str()) {
            ("", "") => "/".to_owned(),
            (base, path) => format!("{base}{path}"),
        })
        .header(HOST, authority(endpoint))
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, "application/json");
    if request.body.is_some() {
        builder = builder.header(CONTENT_TYPE, "application/json");
    }
    if let Some(bearer) = &request.bearer {
        let text = Secret::new(format!("Bearer {}", bearer.expose()));
        let mut value = HeaderValue::from_str(text.expose()).map_err(|_| Failure::BadToken)?;
        value.set_sensitive(true);
        builder = builder.header(AUTHORIZATION, value);
    }
    builder.body(Full::new(Bytes::from(body))).map_err(invalid)
}

async fn read(response: Response<Incoming>) -> Result<Reply, Failure> {
    let (head, mut body) = response.into_parts();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(&error))?;
        let data = frame.into_data().unwrap_or_default();
        if bytes.len() + data.len() > MAX_BYTES {
            return Err(Failure::TooLarge);
        }
        bytes.extend_from_slice(&data);
    }
    let text = |name: HeaderName| text(&head.headers, &name);
    let date = text(DATE).and_then(|value| seconds(&value));
    Ok(Reply {
        status: head.status.as_u16(),
        date,
        retry_after: text(RETRY_AFTER).and_then(|value| retry_after(&value, date)),
        location: text(LOCATION),
        content_type: text(CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase(),
        body: bytes.into(),
        shown: None,
    })
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// An HTTP date (RFC 9110 §5.6.7) in seconds since 1970.
fn seconds(date: &str) -> Option<u64> {
    let time = httpdate::parse_http_date(date).ok()?;
    time.duration_since(std::time::UNIX_EPOCH)
        .ok()
        .map(|time| time.as_secs())
}

/// `Retry-After` (RFC 9110 §10.2.3): seconds, or a date, which is measured by the server's own clock because this
/// machine's may be wrong.
fn retry_after(value: &str, date: Option<u64>) -> Option<Duration> {
    let secs = match value.trim().parse::<u64>() {
        Ok(secs) => secs,
        Err(_) => seconds(value)?.saturating_sub(date?),
    };
    Some(Duration::from_secs(secs).min(MAX_RETRY_AFTER))
}

/// What went wrong with a connection.
pub(crate) fn broken(error: &hyper::Error) -> Failure {
    match error {
        error if error.is_timeout() => Failure::NoAnswer,
        error if error.is_parse() => Failure::NotHttp(error.to_string()),
        error if error.is_incomplete_message() => Failure::Broken("in the middle of the answer".to_owned()),
        error => Failure::Broken(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_by_the_servers_clock() {
        let date = seconds("Mon, 01 Jun 2026 00:00:00 GMT");
        assert_eq!(date, Some(1_780_272_000));
        assert_eq!(retry_after("17", None), Some(Duration::from_secs(17)));
        let later = "Mon, 01 Jun 2026 00:01:30 GMT";
        assert_eq!(retry_after(later, date), Some(Duration::from_secs(90)));
        assert_eq!(retry_after("Sun, 31 May 2026 00:00:00 GMT", date), Some(Duration::ZERO));
        assert_eq!(retry_after(later, None), None);
        assert_eq!(retry_after("soon", date), None);
        assert_eq!(retry_after("-1", date), None);
    }

    #[test]
    fn a_retry_after_of_years_is_cut() {
        assert_eq!(retry_after("99999999999", None), Some(MAX_RETRY_AFTER));
    }

    #[test]
    fn a_token_that_is_no_header_is_told_apart_and_not_repeated() {
        let endpoint = Endpoint {
            host: "a".to_owned(),
            port: 1,
            path: String::new(),
        };
        let request = Request {
            bearer: Some(Secret::new("line\nbreak")),
            ..Request::get("/")
        };
        let failure = build(&endpoint, &request).unwrap_err();
        assert!(matches!(failure, Failure::BadToken), "{failure:?}");
    }
}
