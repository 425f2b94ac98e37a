//! What passes packed is unpacked for who learns from it.

use std::io::{self, Write};
use std::ops::ControlFlow;

use flate2::write::GzDecoder;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use super::body::End;

/// How the bytes of a body are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Plain,
    /// RFC 1952.
    Gzip,
}

/// Who learns from a body.
pub trait Learner {
    /// The next bytes, as they were before any compression, in pieces of any size. Breaks if it wants no more; then this
    /// is the last call.
    fn data(&mut self, bytes: &[u8]) -> ControlFlow<()>;
    /// No more will come. The last call.
    fn end(self: Box<Self>, how: End);
}

/// The way of the bytes of a body to its learner.
#[expect(missing_debug_implementations, reason = "what it holds may be secret")]
pub struct Unpacking(Way);

enum Way {
    Plain(Box<dyn Learner>),
    Gzip(Box<GzDecoder<Unpacked>>),
    /// Nobody is interested any more.
    Over,
}

/// Where unpacked bytes go. Holds the learner until it wants no more, or the end is told.
struct Unpacked(Option<Box<dyn Learner>>);

impl Encoding {
    /// How the body that comes with these headers is packed; none if in a way that no API server uses.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
        match (encodings.next().map(|name| name.as_bytes()), encodings.next()) {
            (None | Some(b"identity"), None) => Some(Self::Plain),
            (Some(b"gzip"), None) => Some(Self::Gzip),
            _ => None,
        }
    }
}

impl Unpacking {
    /// Nothing has come yet.
    pub fn new(encoding: Encoding, learner: Box<dyn Learner>) -> Self {
        Self(match encoding {
            Encoding::Plain => Way::Plain(learner),
            Encoding::Gzip => Way::Gzip(Box::new(GzDecoder::new(Unpacked(Some(learner))))),
        })
    }

    /// The next bytes of the body. What they are packed from is shown at once.
    pub fn data(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Way::Over => {}
            Way::Plain(learner) => {
                if learner.data(bytes).is_break() {
                    self.0 = Way::Over;
                }
            }
            Way::Gzip(decoder) => {
                if decoder.write_all(bytes).and_then(|()| decoder.flush()).is_err() {
                    self.end(End::Unseen);
                }
            }
        }
    }

    /// No more will come.
    pub fn end(&mut self, how: End) {
        match std::mem::replace(&mut self.0, Way::Over) {
            Way::Over => {}
            Way::Plain(learner) => learner.end(how),
            Way::Gzip(mut decoder) => {
                // No file of gzip is empty, but an answer without a body may say it is one.
                let how = match how {
                    End::Complete if decoder.try_finish().is_err() => End::Unseen,
                    how => how,
                };
                if let Some(learner) = decoder.get_mut().0.take() {
                    learner.end(how);
                }
            }
        }
    }
}

impl Write for Unpacked {
    /// Fails when nobody wants more.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let wanted = self.0.as_mut().is_some_and(|learner| learner.data(bytes).is_continue());
        if !wanted {
            self.0 = None;
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
