//! Reads back what was written, and compares it with the manifest.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::buffers::Buffer;
use super::medium::{Medium, read_all};
use super::plan::{bytes_of, common};
use super::write::Task;
use super::{Held, MediumError};
use crate::artifacts::ranges::HashedRange;
use crate::digest::Sha256;
use crate::progress::TaskId;

/// Reads at a time: one is hashed while the other waits for the medium.
const READERS: usize = 2;
/// What is read at a time of the ends of a medium.
const PIECE_BYTES: usize = 256 << 10;

/// Reads all ranges and compares their digests. The partition tables, which are not there yet, are taken from `held`.
pub(super) fn ranges<M: Medium>(task: &Task<'_, M>, held: &[Held], progress: TaskId) -> Result<(), MediumError> {
    let next = AtomicUsize::new(0);
    let over = AtomicBool::new(false);
    let worst: Mutex<Option<MediumError>> = Mutex::new(None);
    let reader = || {
        while !over.load(Ordering::Relaxed)
            && let Some(range) = task.plan.ranges.get(next.fetch_add(1, Ordering::Relaxed))
        {
            let outcome = match task.context.stopped() {
                true => Err(MediumError::Stopped),
                false => one_range(task, held, range),
            };
            if let Err(error) = outcome {
                over.store(true, Ordering::Relaxed);
                worst
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert(error);
            }
            task.context.reporter.advance(progress, range.len_bytes);
        }
    };
    thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(reader);
        }
    });
    worst
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .map_or(Ok(()), Err)
}

fn one_range<M: Medium>(task: &Task<'_, M>, held: &[Held], range: &HashedRange) -> Result<(), MediumError> {
    let mut found = task.pool.take(range.len_bytes as usize);
    let extent = bytes_of(range);
    let read = read_all(&task.named.medium, &mut found, range.offset);
    read.map_err(|source| MediumError::io("read", extent.clone(), source))?;
    for part in held {
        let shared = common(&extent, &part.extent());
        if shared.start < shared.end {
            let known = &part.bytes[(shared.start - part.offset) as usize..(shared.end - part.offset) as usize];
            found[(shared.start - range.offset) as usize..][..known.len()].copy_from_slice(known);
        }
    }
    match Sha256::of(&found) == range.sha256 {
        true => Ok(()),
        false => Err(MediumError::Differs { range: extent }),
    }
}

/// Reads as many bytes from `offset` on as `expected` has, and compares them.
pub(super) fn bytes(medium: &dyn Medium, offset: u64, expected: &[u8]) -> Result<(), MediumError> {
    let matches = |from: usize, found: &[u8]| *found == expected[from..][..found.len()];
    in_pieces(medium, offset..offset + expected.len() as u64, matches)
}

/// Reads `range`, which has to hold nothing but zeros.
pub(super) fn zeros(medium: &dyn Medium, range: Range<u64>) -> Result<(), MediumError> {
    in_pieces(medium, range, |_, found| found.iter().all(|byte| *byte == 0))
}

/// Has `matches` look at all of `range`, a piece at a time, each with its place in the range.
fn in_pieces(
    medium: &dyn Medium,
    range: Range<u64>,
    matches: impl Fn(usize, &[u8]) -> bool,
) -> Result<(), MediumError> {
    let mut buffer = Buffer::zeroed(PIECE_BYTES);
    for from in (0..(range.end - range.start) as usize).step_by(PIECE_BYTES) {
        let len = PIECE_BYTES.min((range.end - range.start) as usize - from);
        let found = &mut buffer[..len];
        let read = read_all(medium, found, range.start + from as u64);
        read.map_err(|source| MediumError::io("read", range.clone(), source))?;
        if !matches(from, found) {
            return Err(MediumError::Differs { range });
        }
    }
    Ok(())
}
