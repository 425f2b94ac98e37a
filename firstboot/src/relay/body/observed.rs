//! A body that is shown to somebody while it passes.

use std::fmt;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use flate2::write::GzDecoder;
use hyper::body::{Body as _, Frame};

use super::{BodyError, End, Observer, RelayBody};

/// How the bytes of a body are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    Gzip,
}

/// A body and who is shown it.
#[derive(Debug)]
pub(super) struct Observed {
    body: RelayBody,
    /// How many bytes are still to come, where that was said.
    left: Option<u64>,
    /// None once the observer has been told the end.
    view: Option<View>,
}

/// The way of the bytes to the observer.
enum View {
    Plain(Box<dyn Observer>),
    Gzip(Box<GzDecoder<Unpacked>>),
}

/// Where unpacked bytes go. Holds the observer until the end is told.
struct Unpacked(Option<Box<dyn Observer>>);

impl Observed {
    pub fn new(body: RelayBody, encoding: Encoding, observer: Box<dyn Observer>) -> Self {
        let view = match encoding {
            Encoding::Plain => View::Plain(observer),
            Encoding::Gzip => View::Gzip(Box::new(GzDecoder::new(Unpacked(Some(observer))))),
        };
        let mut observed = Self {
            left: body.size_hint().exact(),
            body,
            view: Some(view),
        };
        observed.end_if_over();
        observed
    }

    pub fn body(&self) -> &RelayBody {
        &self.body
    }

    pub fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.show(data);
                }
                self.end_if_over();
            }
            Some(Err(_)) => self.end(End::Broken),
            None => self.end(End::Complete),
        }
        Poll::Ready(frame)
    }

    fn show(&mut self, data: &[u8]) {
        self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
        let shown = match &mut self.view {
            None => Ok(()),
            Some(View::Plain(observer)) => {
                observer.data(data);
                Ok(())
            }
            Some(View::Gzip(decoder)) => decoder.write_all(data).and_then(|()| decoder.flush()),
        };
        if shown.is_err() {
            self.end(End::Broken);
        }
    }

    /// Readers that know the end by the last frame or by the length do not ask for another frame.
    fn end_if_over(&mut self) {
        if self.body.is_end_stream() || self.left == Some(0) {
            self.end(End::Complete);
        }
    }

    fn end(&mut self, how: End) {
        match self.view.take() {
            None => {}
            Some(View::Plain(observer)) => observer.end(how),
            Some(View::Gzip(mut decoder)) => {
                // No file of gzip is empty, but an answer without a body may say it is one.
                let how = match how {
                    End::Complete if decoder.try_finish().is_err() => End::Broken,
                    how => how,
                };
                if let Some(observer) = decoder.get_mut().0.take() {
                    observer.end(how);
                }
            }
        }
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        self.end(End::Abandoned);
    }
}

impl Write for Unpacked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(observer) = &mut self.0 {
            observer.data(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Gzip(_) => "Gzip",
        })
    }
}
