//! The parts of a disk image that hold data, each with its digest: what a flash writes and reads back.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::digest::Sha256;

/// Ranges are cut at multiples of this, so that a writer checks one while it writes the next.
pub const CUT_BYTES: u64 = 4 << 20;

/// A part of the image with its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashedRange {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its length in bytes, at most [`CUT_BYTES`].
    pub len_bytes: u64,
    /// The digest of its bytes.
    pub sha256: Sha256,
}

/// Cuts `ranges` at the multiples of [`CUT_BYTES`].
pub fn cut(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let pieces = |range: &Range<u64>| {
        let (end, mut from) = (range.end, range.start);
        std::iter::from_fn(move || {
            let start = from;
            from = (start / CUT_BYTES + 1).saturating_mul(CUT_BYTES).min(end);
            (start < end).then_some(start..from)
        })
    };
    ranges.iter().flat_map(pieces).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_at_multiples_and_lose_nothing() {
        let (a, b) = (CUT_BYTES - 3, 2 * CUT_BYTES + 5);
        let (cut_a, cut_b) = (CUT_BYTES, 2 * CUT_BYTES);
        assert_eq!(
            cut(&[0..1, a..b, b..b, b..b + 1]),
            [0..1, a..cut_a, cut_a..cut_b, cut_b..b, b..b + 1]
        );
        assert!(cut(&[]).is_empty());
    }
}
