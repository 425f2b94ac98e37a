//! The bodies that the relay passes on or makes: never whole in memory, frame by frame as they come, trailers included.
//!
//! | made by | it is |
//! |---|---|
//! | [`From<Incoming>`](RelayBody::from) | what the other side sends, as it comes |
//! | [`RelayBody::whole`] | a few bytes that are there |
//! | [`RelayBody::channel`] | what a task of the relay sends, piece by piece: a watch held open, a LIST from the store |
//! | [`RelayBody::observed`] | one of these, shown to an [`Observer`] while it passes |
//!
//! Who reads slowly slows down who writes: nothing is buffered here. A body that is dropped before its end, because
//! kubelet is no longer interested, cancels what it comes from.

mod observed;
mod place;

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::mpsc;

pub(super) use place::Place;

use observed::Observed;

/// Pieces that wait in a channel: one to send while the next is made.
const CHANNEL_PIECES: usize = 1;

/// The body of a request or an answer.
#[derive(Debug)]
pub struct RelayBody(Kind);

#[derive(Debug)]
enum Kind {
    Whole(Option<Bytes>),
    Through { stream: Incoming, _place: Option<Place> },
    Channel(mpsc::Receiver<Result<Frame<Bytes>, BodyError>>),
    Observed(Box<Observed>),
}

/// Why a body has no end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection that it came over broke, or its sender gave up.
    #[error("the body broke off")]
    Broken {
        /// The cause.
        source: hyper::Error,
    },
    /// The relay itself could not go on.
    #[error("the relay cut the body short")]
    CutShort,
}

/// Who is shown a body while it passes. It must not take long: everything else waits.
pub trait Observer {
    /// Ready when it can be shown more; the body is not read on before.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()>;
    /// The next bytes, as they pass, in pieces of any size.
    fn data(&mut self, bytes: &Bytes);
    /// No more will come. The last call.
    fn end(self: Box<Self>, how: End);
}

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As a whole.
    Complete,
    /// In the middle: the connection broke.
    Broken,
    /// In the middle: kubelet did not want the rest.
    Abandoned,
    /// Nobody knows: bytes passed that were not shown, or are not what they were said to be.
    Unseen,
}

/// The other end of [`RelayBody::channel`]. When it is dropped, the body ends as a whole.
#[derive(Debug)]
pub struct BodySender(mpsc::Sender<Result<Frame<Bytes>, BodyError>>);

/// Whoever was to have the body does not want it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody reads the body any more")]
pub struct Unwanted;

impl RelayBody {
    /// No body.
    pub fn empty() -> Self {
        Self(Kind::Whole(None))
    }

    /// These bytes.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self(Kind::Whole((!bytes.is_empty()).then_some(bytes)))
    }

    /// What is sent later.
    pub fn channel() -> (BodySender, Self) {
        let (sender, receiver) = mpsc::channel(CHANNEL_PIECES);
        (BodySender(sender), Self(Kind::Channel(receiver)))
    }

    /// The same body, shown to `observer`.
    pub fn observed(self, observer: Box<dyn Observer>) -> Self {
        Self(Kind::Observed(Box::new(Observed::new(self, observer))))
    }

    /// What comes over a connection in which it takes up a place.
    pub(super) fn through(stream: Incoming, place: Place) -> Self {
        Self(Kind::Through {
            stream,
            _place: Some(place),
        })
    }
}

impl From<Incoming> for RelayBody {
    fn from(stream: Incoming) -> Self {
        Self(Kind::Through { stream, _place: None })
    }
}

impl BodySender {
    /// Sends a piece, as soon as the ones before it are taken.
    pub async fn send(&self, piece: impl Into<Bytes>) -> Result<(), Unwanted> {
        let piece = Frame::data(piece.into());
        self.0.send(Ok(piece)).await.map_err(|_| Unwanted)
    }

    #[cfg(test)]
    pub(super) async fn trailers(self, trailers: hyper::HeaderMap) {
        self.0.send(Ok(Frame::trailers(trailers))).await.unwrap();
    }

    /// Ends the body in such a way that its reader sees that something is missing.
    pub async fn cut_short(self) {
        // If nobody reads it, nobody misses anything.
        let _ = self.0.send(Err(BodyError::CutShort)).await;
    }

    /// Waits until nobody wants the body any more.
    pub async fn unwanted(&self) {
        self.0.closed().await;
    }
}

impl Body for RelayBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Kind::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Through { stream, .. } => {
                let frame = ready!(Pin::new(stream).poll_frame(context));
                Poll::Ready(frame.map(|frame| frame.map_err(|source| BodyError::Broken { source })))
            }
            Kind::Channel(receiver) => receiver.poll_recv(context),
            Kind::Observed(observed) => observed.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_none(),
            Kind::Through { stream, .. } => stream.is_end_stream(),
            Kind::Channel(receiver) => receiver.is_closed() && receiver.is_empty(),
            Kind::Observed(observed) => observed.body().is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Through { stream, .. } => stream.size_hint(),
            Kind::Channel(_) => SizeHint::default(),
            Kind::Observed(observed) => observed.body().size_hint(),
        }
    }
}

#[cfg(test)]
mod tests;
