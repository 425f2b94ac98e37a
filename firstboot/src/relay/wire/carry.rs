//! Hands a stream that comes in chunks to a reader piece by piece. A piece that lies within one chunk is not copied; one
//! that is split is put together first, and no more is held than that piece.

use super::{Flaw, WireError};

/// A buffer that grew larger than this is given back after use, in bytes.
const KEPT_CAPACITY: usize = 64 << 10;

/// What a reader did with the bytes that it was shown.
pub(super) enum Step {
    /// It read so many, and wants to see what follows.
    Took(usize),
    /// It wants so many next bytes to be passed over.
    Passes(u64),
    /// It can do nothing before so many bytes are there, which are more than it was shown.
    Wants(usize),
}

/// What is left of a stream between two chunks.
#[derive(Debug, Default)]
pub(super) struct Carry {
    /// The beginning of a piece that is not complete.
    kept: Vec<u8>,
    /// How long it is to become.
    wanted: usize,
    /// Bytes to pass over.
    passing: u64,
    /// Where in the stream the next piece begins.
    at: u64,
    lost: bool,
}

impl Carry {
    /// Shows `chunk` to `step` until it wants more than there is.
    pub(super) fn feed(
        &mut self,
        mut chunk: &[u8],
        mut step: impl FnMut(&[u8]) -> Result<Step, Flaw>,
    ) -> Result<(), WireError> {
        if self.lost {
            return Err(self.error(Flaw::Lost));
        }
        loop {
            self.pass(&mut chunk);
            if self.passing > 0 || !self.fill(&mut chunk) {
                return Ok(());
            }
            let shown = if self.kept.is_empty() { chunk } else { &self.kept };
            let stepped = step(shown).map_err(|flaw| {
                self.lost = true;
                self.error(flaw)
            })?;
            match stepped {
                Step::Took(len) => self.take(len, &mut chunk),
                Step::Passes(len) => self.passing = len,
                Step::Wants(len) if self.kept.is_empty() => {
                    self.wanted = len;
                    self.keep(&mut chunk, len);
                    return Ok(());
                }
                Step::Wants(len) => self.wanted = len,
            }
        }
    }

    /// Fails if the stream ends within a piece.
    pub(super) fn finish(&self) -> Result<(), WireError> {
        match (self.lost, self.kept.is_empty() && self.passing == 0) {
            (true, _) => Err(self.error(Flaw::Lost)),
            (false, false) => Err(self.error(Flaw::Cut)),
            (false, true) => Ok(()),
        }
    }

    pub(super) fn error(&self, flaw: Flaw) -> WireError {
        WireError { at: self.at, flaw }
    }

    fn pass(&mut self, chunk: &mut &[u8]) {
        let from_kept = usize::try_from(self.passing).unwrap_or(usize::MAX).min(self.kept.len());
        self.kept.drain(..from_kept);
        let from_chunk = usize::try_from(self.passing - from_kept as u64)
            .unwrap_or(usize::MAX)
            .min(chunk.len());
        *chunk = &chunk[from_chunk..];
        let passed = (from_kept + from_chunk) as u64;
        self.passing -= passed;
        self.at += passed;
    }

    /// Completes the piece that was begun. False if the chunk is not enough.
    fn fill(&mut self, chunk: &mut &[u8]) -> bool {
        if self.kept.is_empty() {
            return true;
        }
        self.keep(chunk, self.wanted.saturating_sub(self.kept.len()));
        self.kept.len() >= self.wanted
    }

    fn keep(&mut self, chunk: &mut &[u8], len: usize) {
        let (taken, rest) = chunk.split_at(len.min(chunk.len()));
        if !taken.is_empty() {
            self.kept.reserve_exact(self.wanted.saturating_sub(self.kept.len()));
            self.kept.extend_from_slice(taken);
        }
        *chunk = rest;
    }

    fn take(&mut self, len: usize, chunk: &mut &[u8]) {
        self.at += len as u64;
        if self.kept.is_empty() {
            *chunk = &chunk[len..];
            return;
        }
        self.kept.drain(..len);
        if self.kept.is_empty() && self.kept.capacity() > KEPT_CAPACITY {
            self.kept = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step that takes pieces of `len` bytes and tells where each lies in memory.
    fn pieces(len: usize, seen: &mut Vec<*const u8>) -> impl FnMut(&[u8]) -> Result<Step, Flaw> {
        move |bytes| match bytes.get(..len) {
            None => Ok(Step::Wants(len)),
            Some(piece) => {
                seen.push(piece.as_ptr());
                Ok(Step::Took(len))
            }
        }
    }

    #[test]
    fn a_piece_that_lies_within_one_chunk_is_not_copied() {
        let (mut carry, mut seen) = (Carry::default(), Vec::new());
        let chunk = [0; 25];
        carry.feed(&chunk, pieces(10, &mut seen)).unwrap();
        assert_eq!(seen, [chunk[0..].as_ptr(), chunk[10..].as_ptr()]);
        let next = [0; 15];
        carry.feed(&next, pieces(10, &mut seen)).unwrap();
        assert_eq!(seen.len(), 4);
        assert_eq!(seen[3], next[5..].as_ptr());
        assert_eq!((carry.at, carry.finish()), (40, Ok(())));
    }

    #[test]
    fn no_more_is_held_than_the_piece_that_is_split() {
        let (mut carry, mut seen) = (Carry::default(), Vec::new());
        let (len, chunk) = (1 << 20, [0; 1000]);
        let mut most = 0;
        for _ in 0..3000 {
            carry.feed(&chunk, pieces(len, &mut seen)).unwrap();
            most = most.max(carry.kept.capacity());
        }
        assert_eq!((seen.len(), most), (2, len));
        let rest = vec![0; len - carry.kept.len()];
        carry.feed(&rest, pieces(len, &mut seen)).unwrap();
        assert!(carry.kept.capacity() <= KEPT_CAPACITY);
    }

    #[test]
    fn what_is_passed_over_is_not_held() {
        let mut carry = Carry::default();
        let mut first = true;
        let mut step = |bytes: &[u8]| match std::mem::take(&mut first) {
            true => Ok(Step::Passes(5000)),
            false if bytes.is_empty() => Ok(Step::Wants(1)),
            false => Ok(Step::Took(bytes.len())),
        };
        for _ in 0..4 {
            carry.feed(&[0; 1000], &mut step).unwrap();
            assert_eq!(carry.kept.capacity(), 0);
        }
        assert_eq!(carry.finish().unwrap_err().flaw, Flaw::Cut);
        carry.feed(&[0; 1500], &mut step).unwrap();
        assert_eq!((carry.at, carry.finish()), (5500, Ok(())));
    }
}
