//! A gRPC server that gives every call the same wrong answer.

use std::path::PathBuf;

use bytes::Bytes;
use http::{HeaderMap, Response};
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};

/// What every call gets.
#[derive(Debug, Clone, Copy)]
pub enum Reply {
    /// A status and a reason, in the headers.
    Status(u32, &'static str),
    /// A status in the trailers.
    Trailers(u32),
    /// An end without trailers.
    NoStatus,
    /// A status of HTTP.
    Http(u16),
    /// A message marked as compressed.
    Compressed,
    /// A message that is none.
    Garbage,
    /// A reset of the stream.
    Reset,
}

/// A server that runs as long as the runtime does.
pub struct Fake(TempDir);

impl Fake {
    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.0.path().join("socket")
    }
}

/// Starts a server on the current runtime.
pub fn serve(reply: Reply) -> Fake {
    let fake = Fake(tempfile::tempdir().unwrap());
    let listener = UnixListener::bind(fake.socket()).unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        talk(stream, reply).await;
    });
    fake
}

async fn talk(stream: UnixStream, reply: Reply) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        let mut response = Response::builder().status(match reply {
            Reply::Http(status) => status,
            _ => 200,
        });
        if let Reply::Status(code, message) = reply {
            response = response.header("grpc-status", code).header("grpc-message", message);
        }
        if let Reply::Reset = reply {
            respond.send_reset(h2::Reason::INTERNAL_ERROR);
            continue;
        }
        let headers_only = matches!(reply, Reply::Status(..) | Reply::Http(_));
        let mut body = respond.send_response(response.body(()).unwrap(), headers_only).unwrap();
        match reply {
            Reply::NoStatus => body.send_data(Bytes::new(), true).unwrap(),
            Reply::Compressed => body.send_data(Bytes::from_static(b"\x01\0\0\0\x01x"), true).unwrap(),
            Reply::Garbage => body
                .send_data(Bytes::from_static(b"\0\0\0\0\x02\x0a\xff"), true)
                .unwrap(),
            Reply::Trailers(code) => {
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", code.into());
                body.send_trailers(trailers).unwrap();
            }
            Reply::Status(..) | Reply::Http(_) | Reply::Reset => {}
        }
    }
}
