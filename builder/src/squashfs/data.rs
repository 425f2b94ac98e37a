//! Stores a plan's blocks: compressed in parallel or taken from the cache, written in order, with bounded memory.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::mpsc;

use crate::digest::Sha256;

use super::encode::{Encoded, Encoder, EncoderPool};
use super::plan::{Batch, Plan};
use super::{BlockCache, Settings, SquashfsError};

/// Set in a block's size when the block is stored as it is.
pub(super) const UNCOMPRESSED: u32 = 1 << 24;
/// File data under way between the first batch not yet written and the last one begun. Its compressed blocks are held
/// in memory, so this bounds what the stage needs beside the tree.
const WINDOW_BYTES: u64 = 64 << 20;
const DIGEST_LEN: usize = 32;

/// Where a block is stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    pub start: u64,
    /// Length with [`UNCOMPRESSED`]; 0 is a hole, a block of zeros that takes no room.
    pub size: u32,
}

/// The result of storing a plan.
#[derive(Debug)]
pub(super) struct StoredData {
    /// One for each block of the plan.
    pub blocks: Vec<Stored>,
    /// Where the data ends in the image.
    pub end: u64,
    pub cached_batches: u64,
}

/// A writer that knows where in the image it is.
pub(super) struct Positioned<'w, W> {
    inner: &'w mut W,
    offset: u64,
}

impl<'w, W: Write> Positioned<'w, W> {
    pub(super) const fn new(inner: &'w mut W, offset: u64) -> Self {
        Self { inner, offset }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SquashfsError> {
        let offset = self.offset;
        self.inner
            .write_all(bytes)
            .map_err(|source| SquashfsError::WriteImage { offset, source })?;
        self.offset += bytes.len() as u64;
        Ok(())
    }
}

/// A batch's blocks as they are cached: the bytes of all blocks, then their sizes, then the digest of both.
struct Packed {
    value: Vec<u8>,
    sizes: Vec<u32>,
    origin: PackedFrom,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PackedFrom {
    Cache,
    Files,
}

impl Packed {
    fn seal(mut blocks: Vec<u8>, sizes: Vec<u32>) -> Self {
        for size in &sizes {
            blocks.extend(size.to_le_bytes());
        }
        let digest = Sha256::of(&blocks);
        blocks.extend(digest.as_bytes());
        Self {
            value: blocks,
            sizes,
            origin: PackedFrom::Files,
        }
    }

    /// Takes a cached value apart; none if it is not whole.
    fn open(value: Vec<u8>, block_count: usize) -> Option<Self> {
        let (sealed, digest) = value.split_at_checked(value.len().checked_sub(DIGEST_LEN)?)?;
        if Sha256::of(sealed).as_bytes() != digest {
            return None;
        }
        let (blocks, sizes) = sealed.split_at_checked(sealed.len().checked_sub(4 * block_count)?)?;
        let (sizes, _) = sizes.as_chunks::<4>();
        let sizes: Vec<u32> = sizes.iter().map(|size| u32::from_le_bytes(*size)).collect();
        let total: u64 = sizes.iter().map(|size| u64::from(size & !UNCOMPRESSED)).sum();
        (total == blocks.len() as u64).then_some(Self {
            value,
            sizes,
            origin: PackedFrom::Cache,
        })
    }

    fn blocks(&self) -> &[u8] {
        &self.value[..self.value.len() - DIGEST_LEN - 4 * self.sizes.len()]
    }
}

/// All that a batch needs to be stored.
struct Job<'a> {
    plan: &'a Plan<'a>,
    settings: &'a Settings,
    cache: &'a dyn BlockCache,
    encoders: &'a EncoderPool,
}

impl Job<'_> {
    fn pack(&self, batch: &Batch) -> Result<Packed, SquashfsError> {
        let key = self.plan.key(batch, self.settings);
        let cached = self.cache.get(&key);
        if let Some(packed) = cached.and_then(|value| Packed::open(value, batch.blocks.len())) {
            return Ok(packed);
        }
        let packed = self.encoders.with(|encoder| self.compress(batch, encoder))?;
        self.cache.put(&key, &packed.value);
        Ok(packed)
    }

    fn compress(&self, batch: &Batch, encoder: &mut Encoder) -> Result<Packed, SquashfsError> {
        let mut input = Vec::new();
        let mut stored = Vec::new();
        let mut sizes = Vec::with_capacity(batch.blocks.len());
        for block in batch.blocks.clone() {
            self.read(block, &mut input)?;
            if !self.plan.is_fragment(block) && input.iter().all(|byte| *byte == 0) {
                sizes.push(0);
                continue;
            }
            let encoded = encoder.data(&input).map_err(|source| SquashfsError::Compress {
                what: self.plan.contents[self.plan.blocks[block][0].content].path.to_string(),
                source,
            })?;
            let (bytes, mark) = match encoded {
                Encoded::Packed(bytes) => (bytes, 0),
                Encoded::Plain => (input.as_slice(), UNCOMPRESSED),
            };
            sizes.push(bytes.len() as u32 | mark);
            stored.extend_from_slice(bytes);
        }
        Ok(Packed::seal(stored, sizes))
    }

    fn read(&self, block: usize, input: &mut Vec<u8>) -> Result<(), SquashfsError> {
        input.clear();
        for slice in &self.plan.blocks[block] {
            let content = &self.plan.contents[slice.content];
            let start = input.len();
            input.resize(start + slice.len_bytes as usize, 0);
            content
                .data
                .read_at(&mut input[start..], slice.offset)
                .map_err(|source| SquashfsError::ReadFile {
                    path: content.path.clone(),
                    offset: slice.offset,
                    len_bytes: slice.len_bytes,
                    source,
                })?;
        }
        Ok(())
    }
}

/// Stores all blocks of `plan` at the position of `out`.
pub(super) fn write<W: Write>(
    plan: &Plan<'_>,
    settings: &Settings,
    cache: &dyn BlockCache,
    out: &mut Positioned<'_, W>,
) -> Result<StoredData, SquashfsError> {
    let encoders = EncoderPool::new(settings.level);
    let job = Job {
        plan,
        settings,
        cache,
        encoders: &encoders,
    };
    let mut blocks = Vec::with_capacity(plan.blocks.len());
    let mut cached_batches = 0;
    in_order(
        &plan.batches,
        |batch| job.pack(batch),
        |packed| {
            let mut start = out.offset;
            for size in &packed.sizes {
                blocks.push(Stored { start, size: *size });
                start += u64::from(size & !UNCOMPRESSED);
            }
            cached_batches += u64::from(packed.origin == PackedFrom::Cache);
            out.write(packed.blocks())
        },
    )?;
    Ok(StoredData {
        blocks,
        end: out.offset,
        cached_batches,
    })
}

/// Calls `pack` for all batches in the rayon pool and `consume` for the results, in the order of the batches. No batch is
/// begun before the window has room for it.
fn in_order(
    batches: &[Batch],
    pack: impl Fn(&Batch) -> Result<Packed, SquashfsError> + Sync,
    mut consume: impl FnMut(Packed) -> Result<(), SquashfsError>,
) -> Result<(), SquashfsError> {
    let pack = &pack;
    rayon::in_place_scope_fifo(|scope| {
        let (sender, results) = mpsc::channel();
        let mut early = BTreeMap::new();
        let mut begun = 0;
        let mut under_way = 0;
        for (index, batch) in batches.iter().enumerate() {
            while begun <= index || begun < batches.len() && under_way + batches[begun].len_bytes <= WINDOW_BYTES {
                let (number, next, sender) = (begun, &batches[begun], sender.clone());
                under_way += next.len_bytes;
                begun += 1;
                scope.spawn_fifo(move |_| {
                    // The receiver is gone only after another batch has failed.
                    let _ = sender.send((number, pack(next)));
                });
            }
            let result = loop {
                if let Some(result) = early.remove(&index) {
                    break result;
                }
                let (number, result) = receive(&results);
                early.insert(number, result);
            };
            consume(result?)?;
            under_way -= batch.len_bytes;
        }
        Ok(())
    })
}

/// Waits for a result. Inside a rayon pool this thread works meanwhile: it may be the only one there is.
fn receive<T>(results: &mpsc::Receiver<T>) -> T {
    loop {
        if let Ok(result) = results.try_recv() {
            return result;
        }
        if rayon::yield_now() != Some(rayon::Yield::Executed) {
            return results.recv().expect("the sender outlives the loop that receives");
        }
    }
}
