//! A body that arrives as the script wants it.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame};
use tokio::time::{Sleep, sleep};

use super::answer::Delivery;

/// Between two bytes of a slow body.
const PACE: Duration = Duration::from_millis(100);

/// The bytes of an answer.
#[derive(Debug)]
pub struct Delivered {
    rest: Bytes,
    delivery: Delivery,
    step: Step,
    pause: Pin<Box<Sleep>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Nothing has been sent.
    First,
    /// The first part has been handed over, perhaps not flushed yet.
    Handed,
    /// The first part is on its way.
    Flushed,
}

impl Delivered {
    /// `body`, to be sent as `delivery` says.
    pub fn new(body: Vec<u8>, delivery: Delivery) -> Self {
        Self {
            rest: body.into(),
            delivery,
            step: Step::First,
            pause: Box::pin(sleep(PACE)),
        }
    }

    fn half(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.step {
            Step::First => {
                self.step = Step::Handed;
                let half = self.rest.split_to(self.rest.len() / 2);
                Poll::Ready(Some(Ok(Frame::data(half))))
            }
            // The connection flushes what it has when a body has nothing to give.
            Step::Handed => {
                self.step = Step::Flushed;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Step::Flushed if self.delivery == Delivery::Cut => {
                Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())))
            }
            // Nobody ever wakes this task: the client must give up.
            Step::Flushed => Poll::Pending,
        }
    }

    fn byte(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        if self.pause.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.pause = Box::pin(sleep(PACE));
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(1)))))
    }
}

impl Body for Delivered {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.delivery {
            Delivery::Whole if self.rest.is_empty() => Poll::Ready(None),
            Delivery::Whole => Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.rest))))),
            Delivery::Cut | Delivery::Stall => self.half(context),
            Delivery::Slow => self.byte(context),
            Delivery::Endless => Poll::Ready(Some(Ok(Frame::data(self.rest.clone())))),
        }
    }
}
