//! One medium, from the first write to the last.
//!
//! 1. The first and the last MiB become zeros, are flushed and read back. From here on nothing takes the medium for a disk with
//!    partitions, neither the old ones nor the new ones: firmware restores a partition table from the backup in the last
//!    sectors, where an earlier installation has left one.
//! 2. Marks are written beyond the image (see [`probes`]), then the image without its partition tables, and flushed.
//! 3. All of it is read back and compared.
//! 4. The partition tables are written: the backup, then the first MiB, each flushed and read back.
//!
//! A power cut before the end of 4 leaves a medium that does not start; after it, one that is whole. What was in the gaps of
//! the image and behind it stays: nothing refers to it, and systemd-repart clears the places of the partitions that it makes.

use std::io;
use std::ops::Range;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::buffers::{Buffer, Pool};
use super::medium::{Medium, write_all};
use super::plan::{EDGE_BYTES, FlashPlan, bytes_of, common, without};
use super::{Block, Context, Held, MediumError, Named, probes, verify};
use crate::artifacts::ranges::HashedRange;
use crate::progress::{TaskId, Work};

/// Writes at a time: while the medium is busy with one, the next ones wait in its queue.
const WRITERS: usize = 4;

/// What was done to a medium that is now whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Bytes of the image.
    pub data_bytes: u64,
    /// How long writing and flushing took.
    pub write_time: Duration,
    /// How long reading back took.
    pub verify_time: Duration,
}

/// What one medium's threads share.
pub(super) struct Task<'a, M> {
    pub(super) named: &'a Named<M>,
    pub(super) plan: &'a FlashPlan,
    pub(super) pool: &'a Pool,
    /// Which part of the image is not what it has to be, once that was seen.
    pub(super) wrong: &'a OnceLock<HashedRange>,
    pub(super) context: &'a Context<'a>,
}

/// How far the writing is.
struct State {
    blocks: usize,
    /// The partition tables, as far as their blocks have come.
    tables: Vec<Held>,
    error: Option<MediumError>,
}

/// Whether blocks may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ready {
    Now,
    Never,
}

/// Where the writers wait until the medium is prepared.
#[derive(Debug, Default)]
struct Gate(OnceLock<Ready>);

/// Tells the writers that the medium will never be ready, unless it was opened.
struct Opener<'a>(&'a Gate);

impl Opener<'_> {
    fn open(&self) {
        self.0.0.get_or_init(|| Ready::Now);
    }
}

impl Drop for Opener<'_> {
    fn drop(&mut self) {
        self.0.0.get_or_init(|| Ready::Never);
    }
}

impl Held {
    pub(super) fn extent(&self) -> Range<u64> {
        self.offset..self.offset + self.bytes.len() as u64
    }

    /// Copies what the block has of it.
    fn take_from(&mut self, block: &Block<'_>) {
        let shared = common(&bytes_of(&block.range), &self.extent());
        if shared.start < shared.end {
            let part = block.part(&shared);
            self.bytes[(shared.start - self.offset) as usize..][..part.len()].copy_from_slice(part);
        }
    }
}

impl Block<'_> {
    /// The bytes of a range that lies within the block.
    fn part(&self, range: &Range<u64>) -> &[u8] {
        &self.bytes[(range.start - self.range.offset) as usize..(range.end - self.range.offset) as usize]
    }
}

impl<M: Medium> Task<'_, M> {
    /// Writes the blocks that come in, and finishes the medium when all have come.
    pub(super) fn run(&self, incoming: Receiver<Arc<Block<'_>>>) -> Result<Written, MediumError> {
        let started = Instant::now();
        let marks = probes::places(self.plan.image_bytes, self.medium().len_bytes());
        let held = self.with_progress("writing", |progress| {
            let prepare = || {
                self.invalidate()?;
                probes::mark(self.medium(), &marks, self.context)
            };
            let held = self.write_blocks(incoming, progress, prepare)?;
            self.sync()?;
            Ok(held)
        })?;
        let write_time = started.elapsed();
        let started = Instant::now();
        self.with_progress("reading back", |progress| {
            verify::ranges(self, &held, progress)?;
            self.check_edges()?;
            probes::check(self.medium(), &marks, self.context)
        })?;
        if self.context.stopped() {
            return Err(MediumError::Stopped);
        }
        self.commit(&held).inspect_err(|_| self.retract())?;
        Ok(Written {
            data_bytes: self.plan.data_bytes(),
            write_time,
            verify_time: started.elapsed(),
        })
    }

    fn medium(&self) -> &dyn Medium {
        &self.named.medium
    }

    fn with_progress<T>(
        &self,
        doing: &str,
        work: impl FnOnce(TaskId) -> Result<T, MediumError>,
    ) -> Result<T, MediumError> {
        let name = format!("{} {doing}", self.named.name);
        let reporter = self.context.reporter;
        let progress = reporter.start(&name, Work::Bytes(self.plan.data_bytes()));
        let outcome = work(progress);
        reporter.finish(progress);
        outcome
    }

    /// The parts of the first and the last MiB that the image does not fill, or only at the end.
    fn edges(&self) -> [Range<u64>; 2] {
        let len_bytes = self.medium().len_bytes();
        let tail = len_bytes.saturating_sub(EDGE_BYTES).max(self.plan.image_bytes)..len_bytes;
        [0..EDGE_BYTES, tail]
    }

    /// Makes the medium one that nothing takes for a disk with partitions.
    fn invalidate(&self) -> Result<(), MediumError> {
        let len_bytes = self.medium().len_bytes();
        if len_bytes < self.plan.image_bytes {
            let image_bytes = self.plan.image_bytes;
            return Err(MediumError::TooSmall { len_bytes, image_bytes });
        }
        // Also where the image's own backup table is going to be.
        let tail = len_bytes - EDGE_BYTES..len_bytes;
        let edges = [0..EDGE_BYTES, tail];
        for edge in &edges {
            self.write_zeros(edge)
                .map_err(|source| MediumError::io("write", edge.clone(), source))?;
        }
        self.sync()?;
        // Some cards that are worn out accept all writes and keep none. An old table that stays would refer to new content.
        for edge in edges {
            verify::zeros(self.medium(), edge).map_err(|error| match error {
                MediumError::Differs { range } => MediumError::Unchanged { range },
                error => error,
            })?;
        }
        Ok(())
    }

    /// Writes what comes in, and gathers what is held back. Nothing is written before `prepare` has succeeded; the first
    /// blocks are checked meanwhile.
    fn write_blocks(
        &self,
        incoming: Receiver<Arc<Block<'_>>>,
        progress: TaskId,
        prepare: impl FnOnce() -> Result<(), MediumError>,
    ) -> Result<Vec<Held>, MediumError> {
        let incoming = Mutex::new(incoming);
        let table = |range: Range<u64>| Held {
            offset: range.start,
            bytes: Buffer::zeroed((range.end - range.start) as usize),
        };
        let state = Mutex::new(State {
            blocks: 0,
            tables: self.plan.withheld().into_iter().map(table).collect(),
            error: None,
        });
        let gate = Gate::default();
        thread::scope(|scope| {
            for _ in 0..WRITERS {
                scope.spawn(|| self.write_some(&incoming, &state, &gate, progress));
            }
            // Also opened, to end them, where preparing panics.
            let opener = Opener(&gate);
            prepare().inspect(|()| opener.open())
        })?;
        let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        match state.error {
            Some(error) => Err(error),
            None if self.context.stopped() => Err(MediumError::Stopped),
            None if state.blocks < self.plan.ranges.len() => Err(MediumError::NoImage),
            None => Ok(state.tables),
        }
    }

    fn write_some(
        &self,
        incoming: &Mutex<Receiver<Arc<Block<'_>>>>,
        state: &Mutex<State>,
        gate: &Gate,
        progress: TaskId,
    ) {
        let state = || state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            // Whoever waits for a block has the queue for itself; the others write.
            let next = incoming.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(block) = next else { return };
            // Found out here, while the medium is busy with something else.
            block.is_right();
            if *gate.0.wait() == Ready::Never || state().error.is_some() || self.context.stopped() {
                return;
            }
            let outcome = self.write_block(&block);
            let mut state = state();
            match outcome {
                Ok(()) => {
                    state.blocks += 1;
                    state.tables.iter_mut().for_each(|table| table.take_from(&block));
                }
                Err(error) => {
                    state.error.get_or_insert(error);
                }
            }
            drop(state);
            self.context.reporter.advance(progress, block.range.len_bytes);
        }
    }

    /// Checks the block, and writes what of it is not held back.
    fn write_block(&self, block: &Block<'_>) -> Result<(), MediumError> {
        if !block.is_right() {
            self.wrong.get_or_init(|| block.range.clone());
            return Err(MediumError::NoImage);
        }
        for range in without(bytes_of(&block.range), &self.plan.withheld()) {
            let written = write_all(self.medium(), block.part(&range), range.start);
            written.map_err(|source| MediumError::io("write", range.clone(), source))?;
        }
        Ok(())
    }

    /// The ends are still zeros: nothing that was written elsewhere has arrived there.
    fn check_edges(&self) -> Result<(), MediumError> {
        self.edges()
            .into_iter()
            .try_for_each(|edge| verify::zeros(self.medium(), edge))
    }

    /// Makes the medium valid.
    fn commit(&self, tables: &[Held]) -> Result<(), MediumError> {
        // The marks were taken away: that, too, has to be there before the table is.
        self.sync()?;
        for table in tables {
            let extent = table.extent();
            let written = write_all(self.medium(), &table.bytes, table.offset);
            written.map_err(|source| MediumError::io("write", extent.clone(), source))?;
            self.sync()?;
            verify::bytes(self.medium(), table.offset, &table.bytes)?;
        }
        Ok(())
    }

    /// Takes the partition table away again, if the medium still lets itself be written to.
    fn retract(&self) {
        // There already is an error to tell, and it is why this may fail, too.
        let _also_failing = self.write_zeros(&(0..EDGE_BYTES)).and_then(|()| self.medium().sync());
    }

    fn write_zeros(&self, range: &Range<u64>) -> io::Result<()> {
        write_all(
            self.medium(),
            &Buffer::zeroed((range.end - range.start) as usize),
            range.start,
        )
    }

    fn sync(&self) -> Result<(), MediumError> {
        self.medium().sync().map_err(|source| MediumError::Sync { source })
    }
}
