//! Marks across the whole medium, to find out whether it is as large as it says.
//!
//! Counterfeit cards tell a size that they do not have: beyond the real one they drop what is written, or put it in another
//! place. Where the image ends before that, reading it back finds nothing wrong, and the machine loses its data months later.
//! So a few blocks beyond the image are marked, each with its own place, and read after everything else was written.

use std::ops::Range;

use super::buffers::Buffer;
use super::medium::{Medium, read_all, write_all};
use super::plan::EDGE_BYTES;
use super::{Context, MediumError};
use crate::digest::Sha256;

/// Bytes of a mark: what cards write at a time at the least.
const MARK_BYTES: usize = 4096;

/// Where the marks of a medium go: at the powers of two, which real sizes are near to, and close to its end. Never within the
/// image or the last MiB.
pub(super) fn places(image_bytes: u64, medium_bytes: u64) -> Vec<u64> {
    let mark = MARK_BYTES as u64;
    let free = image_bytes.next_multiple_of(EDGE_BYTES)..medium_bytes.saturating_sub(EDGE_BYTES) / mark * mark;
    let powers = (0..u64::BITS).map(|power| 1_u64 << power);
    let last = free.end.checked_sub(mark);
    let mut places: Vec<u64> = powers
        .chain(last)
        .filter(|at| free.contains(at) && at + mark <= free.end)
        .collect();
    places.sort_unstable();
    places.dedup();
    places
}

/// Writes the marks.
pub(super) fn mark(medium: &dyn Medium, places: &[u64], context: &Context<'_>) -> Result<(), MediumError> {
    for at in places {
        let written = write_all(medium, &content(*at, context.nonce), *at);
        written.map_err(|source| MediumError::io("write", extent(*at), source))?;
    }
    Ok(())
}

/// Reads the marks, and takes them away if all are where they belong.
pub(super) fn check(medium: &dyn Medium, places: &[u64], context: &Context<'_>) -> Result<(), MediumError> {
    let mut found = Buffer::zeroed(MARK_BYTES);
    for at in places {
        let read = read_all(medium, &mut found, *at);
        read.map_err(|source| MediumError::io("read", extent(*at), source))?;
        if *found != *content(*at, context.nonce) {
            let claimed_bytes = medium.len_bytes();
            return Err(MediumError::Capacity { at: *at, claimed_bytes });
        }
    }
    let zeros = Buffer::zeroed(MARK_BYTES);
    for at in places {
        let written = write_all(medium, &zeros, *at);
        written.map_err(|source| MediumError::io("write", extent(*at), source))?;
    }
    Ok(())
}

fn extent(at: u64) -> Range<u64> {
    at..at + MARK_BYTES as u64
}

fn content(at: u64, nonce: u64) -> Buffer {
    let digest = Sha256::of_fields([&at.to_le_bytes()[..], &nonce.to_le_bytes()]);
    Buffer::of(&digest.as_bytes().repeat(MARK_BYTES / digest.as_bytes().len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn marks_are_at_powers_of_two_and_before_the_last_mib() {
        let last = 1000 * MIB - MIB - 4096;
        assert_eq!(places(100 * MIB, 1000 * MIB), [128 * MIB, 256 * MIB, 512 * MIB, last]);
        assert!(places(100 * MIB, 100 * MIB).is_empty());
        assert!(places(100 * MIB, 101 * MIB).is_empty());
        assert_eq!(places(100 * MIB, 102 * MIB), [101 * MIB - 4096]);
        assert!(places(100 * MIB, 0).is_empty());
    }
}
