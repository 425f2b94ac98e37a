//! Puts an image onto disks, and proves that it is there.
//!
//! In: an image of ours with its manifest ([`image`]), and disks ([`medium`]). Out: the same bytes on each of them, read back
//! and compared with the manifest, or the reason why not.
//!
//! ```text
//! Image ─read, decode, check→ Block ─to each medium→ written ─flush→ read back ─compare→ partition table
//! ```
//!
//! One thread reads and decodes the image, once for all media; each medium has threads of its own. What is on its way lies
//! in the buffers of one [`buffers::Pool`], which bounds the memory, and so the slowest medium sets the pace.
//!
//! A medium is invalid from the first write to the last: its first and last MiB are zeros before anything else is written,
//! and the partition table comes when all the rest was read back. [`write`](mod@write) has the order.
//!
//! Deliberately unsupported: images without a manifest, disks with sectors of 4096 bytes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread;

use crate::artifacts::ranges::{CUT_BYTES, HashedRange};
use crate::digest::Sha256;
use crate::progress::Reporter;

pub mod buffers;
pub mod error;
pub mod image;
pub mod medium;
pub mod plan;
mod probes;
mod verify;
mod write;

#[cfg(test)]
mod tests;

use buffers::{Buffer, Lent, Pool};
pub use error::{ImageError, MediumError};
pub use image::{Image, ImageReader};
pub use medium::{BlockDevice, Medium};
pub use plan::FlashPlan;
pub use write::Written;

/// Buffers for all media together, of [`CUT_BYTES`] each: four on their way to a medium, and one that is being filled.
const BUFFERS: usize = 5;

/// What the work needs beside image and media.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Set by whoever wants the work to end early.
    pub stop: &'a AtomicBool,
    /// Hears how far each medium is.
    pub reporter: &'a dyn Reporter,
    /// Something that no earlier run had, so that what an earlier run left is not taken for this one's.
    pub nonce: u64,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("nonce", &self.nonce)
            .finish_non_exhaustive()
    }
}

impl Context<'_> {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// A medium with the name that progress and errors have for it.
#[derive(Debug)]
pub struct Named<M> {
    /// Such as `/dev/sdb`.
    pub name: String,
    /// The medium.
    pub medium: M,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// What is wrong with the image, if anything is: then no medium is complete.
    pub image: Result<(), ImageError>,
    /// For each medium, in order.
    pub media: Vec<Result<Written, MediumError>>,
}

/// A part of the image on its way to all media.
struct Block<'p> {
    range: HashedRange,
    bytes: Lent<'p>,
    /// Whether its digest is right; found out once, by the medium that gets to it first.
    right: OnceLock<bool>,
}

impl Block<'_> {
    fn is_right(&self) -> bool {
        *self.right.get_or_init(|| Sha256::of(&self.bytes) == self.range.sha256)
    }
}

/// What is held back until all the rest is on the medium: the partition tables.
struct Held {
    offset: u64,
    bytes: Buffer,
}

/// Writes the image that `reader` reads onto all `media`. A medium that fails does not keep the others from being finished.
pub fn flash<M: Medium>(
    plan: &FlashPlan,
    reader: &mut dyn ImageReader,
    media: &[Named<M>],
    context: &Context<'_>,
) -> Outcome {
    let pool = Pool::new(BUFFERS, CUT_BYTES as usize);
    let wrong = OnceLock::new();
    let Outcome { image, media } = thread::scope(|scope| {
        let start = |named| {
            let (blocks, incoming) = channel();
            let (pool, wrong) = (&pool, &wrong);
            let task = write::Task {
                named,
                plan,
                pool,
                wrong,
                context,
            };
            (blocks, scope.spawn(move || task.run(incoming)))
        };
        let (senders, threads): (Vec<_>, Vec<_>) = media.iter().map(start).unzip();
        let image = feed(plan, reader, &pool, senders, context);
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        let media = threads.into_iter().map(join).collect();
        Outcome { image, media }
    });
    // Why the reading ended early does not matter then.
    let image = wrong
        .into_inner()
        .map_or(image, |range| Err(ImageError::Differs { range }));
    Outcome { image, media }
}

/// Reads the image once and hands every block to all media that are still there; stops when none is.
fn feed<'p>(
    plan: &FlashPlan,
    reader: &mut dyn ImageReader,
    pool: &'p Pool,
    mut media: Vec<Sender<Arc<Block<'p>>>>,
    context: &Context<'_>,
) -> Result<(), ImageError> {
    for range in &plan.ranges {
        if context.stopped() || media.is_empty() {
            // Why is told by the media.
            return Ok(());
        }
        let mut bytes = pool.take(range.len_bytes as usize);
        match reader.read_range(range.offset, &mut bytes) {
            Ok(()) => {}
            Err(_) if context.stopped() => return Ok(()),
            Err(source) => return Err(ImageError::read(range, source)),
        }
        let block = Arc::new(Block {
            range: range.clone(),
            bytes,
            right: OnceLock::new(),
        });
        media.retain(|medium| medium.send(Arc::clone(&block)).is_ok());
    }
    Ok(())
}
