//! The little of gRPC that containerd's services need: calls over HTTP/2 on a Unix socket (gRPC's PROTOCOL-HTTP2.md).
//!
//! Not supported, because containerd uses none of it here: compression, several messages in one answer at once.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request};
use prost::Message;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long one step may take: a commit waits until a layer is on a slow card.
const PATIENCE: Duration = Duration::from_secs(300);
/// Flag and length before each message.
const PREFIX_BYTES: usize = 5;
/// Answers here are some hundred bytes; an image with many labels a few thousand.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// gRPC status codes that are looked at.
pub const NOT_FOUND: u32 = 5;
/// The thing is there.
pub const ALREADY_EXISTS: u32 = 6;
/// What gRPC says when nothing better is known.
const UNKNOWN: u32 = 2;

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No connection.
    #[error("cannot connect to {socket}")]
    Connect {
        /// Where to.
        socket: String,
        /// Why.
        source: std::io::Error,
    },
    /// The server refused or failed.
    #[error("{method}: {message} (gRPC status {code})")]
    Status {
        /// Which call.
        method: &'static str,
        /// The status.
        code: u32,
        /// What the server says.
        message: String,
    },
    /// The connection broke.
    #[error("{method}: the connection broke")]
    Transport {
        /// Which call.
        method: &'static str,
        /// Why.
        source: h2::Error,
    },
    /// No answer.
    #[error("{method}: no answer within {} seconds", PATIENCE.as_secs())]
    Timeout {
        /// Which call.
        method: &'static str,
    },
    /// An answer that makes no sense.
    #[error("{method}: an answer that makes no sense: {what}")]
    Malformed {
        /// Which call.
        method: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// What is to be sent cannot be read.
    #[error("cannot read {path}")]
    Blob {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

impl CallError {
    /// The gRPC status, if the server gave one.
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Status { code, .. } => Some(*code),
            _ => None,
        }
    }
}

/// A connection to containerd, for one of its namespaces.
#[derive(Clone)]
pub struct Connection {
    sender: SendRequest<Bytes>,
    headers: HeaderMap,
    _driver: Arc<Driver>,
}

/// The task that moves the connection's frames; it ends with the connection.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects to the server behind `socket`.
    pub async fn open(socket: &Path, namespace: &'static str) -> Result<Self, CallError> {
        const METHOD: &str = "connect";
        let stream = UnixStream::connect(socket).await.map_err(|source| CallError::Connect {
            socket: socket.display().to_string(),
            source,
        })?;
        let handshake = within(METHOD, h2::client::handshake(stream)).await?;
        let (sender, connection) = handshake.map_err(transport(METHOD))?;
        let driver = tokio::spawn(async move {
            // Every call sees the connection's end by itself.
            let _ = connection.await;
        });
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        headers.insert("te", HeaderValue::from_static("trailers"));
        headers.insert("containerd-namespace", HeaderValue::from_static(namespace));
        Ok(Self {
            sender,
            headers,
            _driver: Arc::new(Driver(driver)),
        })
    }

    /// The same connection; what is made through it belongs to a lease.
    pub fn under(&self, lease: &'static str) -> Self {
        let mut connection = self.clone();
        connection
            .headers
            .insert("containerd-lease", HeaderValue::from_static(lease));
        connection
    }

    /// One message there, one back.
    pub async fn call<A: Message + Default>(
        &self,
        method: &'static str,
        message: &impl Message,
    ) -> Result<A, CallError> {
        let mut stream = self.stream(method).await?;
        stream.send(message, Sent::Last).await?;
        match stream.receive().await? {
            Some(answer) => Ok(answer),
            None => Err(malformed(method, "no message in it")),
        }
    }

    /// Begins a call with many messages.
    pub async fn stream(&self, method: &'static str) -> Result<Stream, CallError> {
        let mut request = Request::post(format!("http://localhost{method}"))
            .body(())
            .map_err(|_| malformed(method, "no such method"))?;
        *request.headers_mut() = self.headers.clone();
        let ready = within(method, self.sender.clone().ready()).await?;
        let (response, body) = ready
            .map_err(transport(method))?
            .send_request(request, false)
            .map_err(transport(method))?;
        Ok(Stream {
            method,
            body,
            answer: Answer::Awaited(response),
            buffer: BytesMut::new(),
        })
    }
}

/// Whether more messages follow one that is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Yes.
    MoreFollow,
    /// No.
    Last,
}

enum Answer {
    Awaited(h2::client::ResponseFuture),
    Begun(RecvStream),
}

/// A call with many messages, each way.
pub struct Stream {
    method: &'static str,
    body: SendStream<Bytes>,
    answer: Answer,
    buffer: BytesMut,
}

impl Stream {
    /// Sends a message, as fast as the server takes it.
    pub async fn send(&mut self, message: &impl Message, sent: Sent) -> Result<(), CallError> {
        let length = message.encoded_len();
        let mut frame = BytesMut::with_capacity(PREFIX_BYTES + length);
        frame.put_u8(0);
        frame.put_u32(u32::try_from(length).map_err(|_| malformed(self.method, "too long a message"))?);
        message
            .encode(&mut frame)
            .map_err(|_| malformed(self.method, "too long a message"))?;
        let mut rest = frame.freeze();
        while !rest.is_empty() {
            self.body.reserve_capacity(rest.len());
            if self.body.capacity() == 0 {
                let granted = std::future::poll_fn(|context| self.body.poll_capacity(context));
                if !matches!(within(self.method, granted).await?, Some(Ok(_))) {
                    // The server has answered already, and its answer says why.
                    return Err(self.refusal().await);
                }
            }
            let part = rest.split_to(self.body.capacity().min(rest.len()));
            let end = rest.is_empty() && sent == Sent::Last;
            if self.body.send_data(part, end).is_err() {
                return Err(self.refusal().await);
            }
        }
        Ok(())
    }

    /// Why the server takes no more.
    async fn refusal(&mut self) -> CallError {
        match self.receive::<()>().await {
            Err(error) => error,
            Ok(_) => malformed(self.method, "it ended before its request"),
        }
    }

    /// The next message of the answer; none at its end, if the server says that all went well.
    pub async fn receive<A: Message + Default>(&mut self) -> Result<Option<A>, CallError> {
        let method = self.method;
        loop {
            if let Some(message) = take(method, &mut self.buffer)? {
                let message = A::decode(message);
                return message
                    .map(Some)
                    .map_err(|_| malformed(method, "a message of another type"));
            }
            let body = self.begun().await?;
            match within(method, body.data()).await? {
                Some(part) => {
                    let part = part.map_err(transport(method))?;
                    body.flow_control()
                        .release_capacity(part.len())
                        .map_err(transport(method))?;
                    self.buffer.extend_from_slice(&part);
                }
                None => {
                    let trailers = within(method, body.trailers()).await?.map_err(transport(method))?;
                    return match trailers {
                        Some(trailers) => status(method, &trailers).map(|()| None),
                        None => Err(malformed(method, "it ends without a status")),
                    };
                }
            }
        }
    }

    async fn begun(&mut self) -> Result<&mut RecvStream, CallError> {
        if let Answer::Awaited(response) = &mut self.answer {
            let response = within(self.method, response).await?.map_err(transport(self.method))?;
            if response.headers().contains_key("grpc-status") {
                status(self.method, response.headers())?;
            }
            if response.status() != http::StatusCode::OK {
                return Err(malformed(self.method, "no gRPC"));
            }
            self.answer = Answer::Begun(response.into_body());
        }
        match &mut self.answer {
            Answer::Begun(body) => Ok(body),
            Answer::Awaited(_) => Err(malformed(self.method, "it did not begin")),
        }
    }
}

/// The first whole message in `buffer`.
fn take(method: &'static str, buffer: &mut BytesMut) -> Result<Option<Bytes>, CallError> {
    if buffer.len() < PREFIX_BYTES {
        return Ok(None);
    }
    let length = u32::from_be_bytes([buffer[1], buffer[2], buffer[3], buffer[4]]) as usize;
    if buffer[0] != 0 || length > MAX_ANSWER_BYTES {
        return Err(malformed(method, "compressed or too long"));
    }
    if buffer.len() < PREFIX_BYTES + length {
        return Ok(None);
    }
    buffer.advance(PREFIX_BYTES);
    Ok(Some(buffer.split_to(length).freeze()))
}

fn status(method: &'static str, headers: &HeaderMap) -> Result<(), CallError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match text("grpc-status").map(|code| code.parse().unwrap_or(UNKNOWN)) {
        Some(0) => Ok(()),
        code => Err(CallError::Status {
            method,
            code: code.unwrap_or(UNKNOWN),
            message: text("grpc-message").unwrap_or("no reason given").to_owned(),
        }),
    }
}

async fn within<T>(method: &'static str, step: impl Future<Output = T>) -> Result<T, CallError> {
    timeout(PATIENCE, step).await.map_err(|_| CallError::Timeout { method })
}

fn transport(method: &'static str) -> impl Fn(h2::Error) -> CallError {
    move |source| CallError::Transport { method, source }
}

fn malformed(method: &'static str, what: &'static str) -> CallError {
    CallError::Malformed { method, what }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn messages_are_found_however_the_bytes_arrive(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..5),
            part in 1..50usize,
        ) {
            let mut bytes = Vec::new();
            for message in &messages {
                bytes.extend([0, 0, 0, 0, message.len() as u8]);
                bytes.extend(message);
            }
            let (mut buffer, mut found) = (BytesMut::new(), Vec::new());
            for part in bytes.chunks(part) {
                buffer.extend_from_slice(part);
                while let Some(message) = take("test", &mut buffer).unwrap() {
                    found.push(message.to_vec());
                }
            }
            prop_assert_eq!(found, messages);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut buffer = BytesMut::from(bytes.as_slice());
            while let Ok(Some(_)) = take("test", &mut buffer) {}
        }
    }
}
