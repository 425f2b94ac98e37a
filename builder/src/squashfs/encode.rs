//! Compression of single blocks.

use std::io;
use std::sync::{Mutex, PoisonError};

use zstd::bulk::Compressor;

use super::SquashfsError;

/// The level of the trial that tells noise from data whose bytes are evenly spread but repeat.
const TRIAL_LEVEL: i32 = 1;
/// A block that had the trial is worth compressing when the trial saves this fraction of it (3.1 %). This and
/// [`has_even_bytes`] decide what is in a cached batch: a change needs a new `plan::CACHE_VERSION`.
const WORTHWHILE_FRACTION: usize = 32;
/// [`has_even_bytes`] looks at every eighth piece of this length, which makes it 1 % of the work at level 9.
const SAMPLE_LEN: usize = 4096;
const SAMPLE_STEP: usize = 8;

/// How a block is to be stored.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Encoded<'a> {
    /// As it is.
    Plain,
    /// As these bytes, fewer than the block has.
    Packed(&'a [u8]),
}

/// Compresses blocks one after the other, with contexts and a buffer that are kept between them.
pub(super) struct Encoder {
    final_pass: Compressor<'static>,
    trial: Compressor<'static>,
    output: Vec<u8>,
}

impl Encoder {
    pub(super) fn new(level: i32) -> Result<Self, SquashfsError> {
        let compressor = |level| {
            Compressor::new(level).map_err(|source| SquashfsError::Compress {
                what: format!("anything at level {level}"),
                source,
            })
        };
        Ok(Self {
            final_pass: compressor(level)?,
            trial: compressor(TRIAL_LEVEL)?,
            output: Vec::new(),
        })
    }

    /// Compresses data; noise stays plain.
    pub(super) fn data(&mut self, block: &[u8]) -> io::Result<Encoded<'_>> {
        if has_even_bytes(block) {
            self.output.clear();
            self.output.reserve(zstd::compress_bound(block.len()));
            let trial_len = self.trial.compress_to_buffer(block, &mut self.output)?;
            if trial_len > block.len() - block.len() / WORTHWHILE_FRACTION {
                return Ok(Encoded::Plain);
            }
        }
        self.metadata(block)
    }

    /// Compresses whatever becomes smaller by it.
    pub(super) fn metadata(&mut self, block: &[u8]) -> io::Result<Encoded<'_>> {
        self.output.clear();
        self.output.reserve(zstd::compress_bound(block.len()));
        self.final_pass.compress_to_buffer(block, &mut self.output)?;
        Ok(match self.output.len() < block.len() {
            true => Encoded::Packed(&self.output),
            false => Encoded::Plain,
        })
    }
}

/// Whether all byte values are about equally frequent in an eighth of the block, as in compressed and encrypted data: the
/// sum of the squared frequencies is at most 9/8 of the least possible. That is about 7.9 bits of entropy for each byte,
/// but computed in whole numbers, since a logarithm's last digit differs between machines.
fn has_even_bytes(block: &[u8]) -> bool {
    // Four tables, because counting into one waits for itself when neighbours are equal.
    let mut counts = [[0_u32; 256]; 4];
    let mut len = 0;
    for sample in block.chunks(SAMPLE_LEN).step_by(SAMPLE_STEP) {
        len += sample.len() as u64;
        for quad in sample.chunks(4) {
            for (table, byte) in counts.iter_mut().zip(quad) {
                table[usize::from(*byte)] += 1;
            }
        }
    }
    let total = |value: usize| counts.iter().map(|table| u64::from(table[value])).sum::<u64>();
    let squares: u64 = (0..256).map(|value| total(value).pow(2)).sum();
    squares * 256 * 8 <= len * len * 9
}

/// Encoders that wait for work, so that each thread of a build makes one at most.
pub(super) struct EncoderPool {
    level: i32,
    idle: Mutex<Vec<Encoder>>,
}

impl EncoderPool {
    pub(super) const fn new(level: i32) -> Self {
        Self {
            level,
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Lends an encoder to `work`.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&mut Encoder) -> Result<T, SquashfsError>,
    ) -> Result<T, SquashfsError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut encoder = match idle {
            Some(encoder) => encoder,
            None => Encoder::new(self.level)?,
        };
        let result = work(&mut encoder);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(encoder);
        result
    }
}
