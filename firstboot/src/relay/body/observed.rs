//! A body that is shown to somebody while it passes.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body as _, Frame};

use super::{BodyError, End, Observer, RelayBody};

/// A body and who is shown it.
pub(super) struct Observed {
    body: RelayBody,
    /// How many bytes are still to come, where that was said.
    left: Option<u64>,
    /// None once the observer has been told the end.
    observer: Option<Box<dyn Observer>>,
}

impl Observed {
    pub fn new(body: RelayBody, observer: Box<dyn Observer>) -> Self {
        let mut observed = Self {
            left: body.size_hint().exact(),
            body,
            observer: Some(observer),
        };
        observed.end_if_over();
        observed
    }

    pub fn body(&self) -> &RelayBody {
        &self.body
    }

    pub fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(observer) = &mut self.observer {
            ready!(observer.poll_ready(context));
        }
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

    fn show(&mut self, data: &Bytes) {
        self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
        if let Some(observer) = &mut self.observer {
            observer.data(data);
        }
    }

    /// Readers that know the end by the last frame or by the length do not ask for another frame.
    fn end_if_over(&mut self) {
        if self.body.is_end_stream() || self.left == Some(0) {
            self.end(End::Complete);
        }
    }

    fn end(&mut self, how: End) {
        if let Some(observer) = self.observer.take() {
            observer.end(how);
        }
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        self.end(End::Abandoned);
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observed")
            .field("body", &self.body)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}
