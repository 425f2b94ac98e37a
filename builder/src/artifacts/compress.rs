//! Compresses a disk image, and hashes it on the way.
//!
//! In: a sparse file. Out: zstd frames (RFC 8878) of 4 MiB each, one after the other, then a seek table in a skippable frame
//! ("Zstandard Seekable Format" 0.1.0), so that a reader can begin anywhere, decompress in parallel and step over empty
//! parts, while `zstd -d` sees one ordinary file. As frames do not depend on each other, they are made in parallel and
//! are the same for any number of threads.
//!
//! The image is read once: frames, the digests of the ranges in them, and the digest of the whole come from the same bytes.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use nix::errno::Errno;
use nix::unistd::{Whence, lseek};
use rayon::prelude::*;
use sha2::Digest as _;
use zstd::bulk::Compressor;

use super::ranges::{self, CUT_BYTES, HashedRange};
use super::{ArtifactError, FileDigest};
use crate::digest::{HashingWriter, Sha256};
use crate::disk::staged::StagedFile;

/// Bytes of the image in a frame. Ranges are cut at the same places, so each lies within one frame.
const FRAME_BYTES: u64 = CUT_BYTES;
/// Nearly all of an image is compressed already, so more effort buys nothing.
const LEVEL: i32 = 1;
/// Frames that are made at a time; bounds memory to some 100 MB.
const FRAMES_AT_A_TIME: usize = 4;
/// Groups of frames that wait to be hashed or written.
const GROUPS_IN_FLIGHT: usize = 1;
/// The skippable frame that holds the seek table.
const SEEK_TABLE_FRAME: u32 = 0x184d_2a5e;
/// Ends the seek table.
const SEEK_TABLE_END: u32 = 0x8f92_eab1;

/// What to compress.
#[derive(Debug, Clone, Copy)]
pub struct CompressInput<'a> {
    /// The disk image.
    pub raw: &'a Path,
    /// Where the compressed image goes.
    pub zst: &'a Path,
    /// Which parts of the image hold data, in order.
    pub ranges: &'a [Range<u64>],
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compressed {
    /// The disk image.
    pub raw: FileDigest,
    /// The compressed image.
    pub zst: FileDigest,
    /// The ranges, cut, with their digests.
    pub ranges: Vec<HashedRange>,
}

/// A part of the image, and what was made of it.
struct Frame {
    /// `None` for zeros.
    raw: Option<Vec<u8>>,
    raw_len: usize,
    compressed: Vec<u8>,
    ranges: Vec<HashedRange>,
}

/// A finished frame on its way to the file.
struct Packed {
    compressed: Vec<u8>,
    raw_len: usize,
}

/// A part of the image on its way to be hashed.
type RawPart = (Option<Vec<u8>>, usize);

/// Compresses the image, hashing it, the result and the ranges.
pub fn compress(input: &CompressInput<'_>) -> Result<Compressed, ArtifactError> {
    let read_failed = |source| ArtifactError::Read {
        path: input.raw.to_owned(),
        source,
    };
    let write_failed = |source| ArtifactError::Write {
        path: input.zst.to_owned(),
        source,
    };
    let file = File::open(input.raw).map_err(read_failed)?;
    let image_bytes = file.metadata().map_err(read_failed)?.len();
    let pieces = ranges::cut(input.ranges);
    if let Some(bad) = pieces.iter().find(|piece| piece.end > image_bytes) {
        let (offset, len_bytes) = (bad.start, bad.end - bad.start);
        return Err(ArtifactError::BadRange {
            offset,
            len_bytes,
            image_bytes,
        });
    }
    let image = Image {
        file,
        image_bytes,
        pieces,
        zero_frame: pack(&zeros(FRAME_BYTES as usize)).map_err(write_failed)?,
    };
    let mut staged = StagedFile::create(input.zst).map_err(write_failed)?;
    let out = staged.file();
    let (raw_sha256, written, ranges) = thread::scope(|scope| {
        let (to_hasher, raw_parts) = sync_channel(GROUPS_IN_FLIGHT);
        let (to_writer, packed) = sync_channel(GROUPS_IN_FLIGHT);
        let hasher = scope.spawn(move || hash_all(&raw_parts));
        let writer = scope.spawn(move || write_all(out, &packed));
        let ranges = image.feed(input.raw, &to_hasher, &to_writer);
        drop((to_hasher, to_writer));
        let hashed = hasher.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let written = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (hashed, written, ranges)
    });
    // A failed write ends the feeding early: it is the error to show.
    let zst = written.map_err(write_failed)?;
    let ranges = ranges?;
    staged.commit().map_err(write_failed)?;
    Ok(Compressed {
        raw: FileDigest {
            sha256: raw_sha256,
            len_bytes: image_bytes,
        },
        zst,
        ranges,
    })
}

struct Image {
    file: File,
    image_bytes: u64,
    pieces: Vec<Range<u64>>,
    /// A whole frame of zeros, which is the most frequent one.
    zero_frame: Vec<u8>,
}

impl Image {
    /// Makes all frames, in order; stops early when nobody listens any more.
    fn feed(
        &self,
        path: &Path,
        to_hasher: &SyncSender<Vec<RawPart>>,
        to_writer: &SyncSender<Vec<Packed>>,
    ) -> Result<Vec<HashedRange>, ArtifactError> {
        let starts: Vec<u64> = (0..self.image_bytes).step_by(FRAME_BYTES as usize).collect();
        let mut ranges = Vec::new();
        for group in starts.chunks(FRAMES_AT_A_TIME) {
            let frames: Vec<Frame> = group
                .par_iter()
                .map(|start| self.frame(path, *start))
                .collect::<Result<_, _>>()?;
            let (mut parts, mut packed) = (Vec::new(), Vec::new());
            for frame in frames {
                parts.push((frame.raw, frame.raw_len));
                packed.push(Packed {
                    compressed: frame.compressed,
                    raw_len: frame.raw_len,
                });
                ranges.extend(frame.ranges);
            }
            if to_writer.send(packed).is_err() || to_hasher.send(parts).is_err() {
                break;
            }
        }
        Ok(ranges)
    }

    /// The frame for the part that begins at `start`.
    fn frame(&self, path: &Path, start: u64) -> Result<Frame, ArtifactError> {
        let end = (start + FRAME_BYTES).min(self.image_bytes);
        let raw_len = (end - start) as usize;
        let raw = self.read(start, end).map_err(|source| ArtifactError::Read {
            path: path.to_owned(),
            source,
        })?;
        let compressed = match &raw {
            None if raw_len as u64 == FRAME_BYTES => self.zero_frame.clone(),
            None => pack(&zeros(raw_len)).map_err(|source| compress_failed(path, start, source))?,
            Some(bytes) => pack(bytes).map_err(|source| compress_failed(path, start, source))?,
        };
        let first = self.pieces.partition_point(|piece| piece.end <= start);
        let within = self.pieces[first..].iter().take_while(|piece| piece.start < end);
        let ranges = within.map(|piece| {
            let (offset, len_bytes) = (piece.start, piece.end - piece.start);
            let sha256 = match &raw {
                None => Sha256::of(&zeros(len_bytes as usize)),
                Some(bytes) => Sha256::of(&bytes[(offset - start) as usize..][..len_bytes as usize]),
            };
            HashedRange {
                offset,
                len_bytes,
                sha256,
            }
        });
        Ok(Frame {
            ranges: ranges.collect(),
            raw,
            raw_len,
            compressed,
        })
    }

    /// The bytes from `start` to `end`; `None` where the file has a hole.
    fn read(&self, start: u64, end: u64) -> io::Result<Option<Vec<u8>>> {
        // Seeking moves the position that threads share, which does not matter: all reads name theirs.
        match lseek(&self.file, start.cast_signed(), Whence::SeekData) {
            Ok(data) if data.cast_unsigned() >= end => return Ok(None),
            Err(Errno::ENXIO) => return Ok(None),
            // A file system that cannot tell is one without holes.
            Ok(_) | Err(_) => {}
        }
        let mut bytes = zeros((end - start) as usize);
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(Some(bytes))
    }
}

fn compress_failed(path: &Path, offset: u64, source: io::Error) -> ArtifactError {
    ArtifactError::Compress {
        path: path.to_owned(),
        offset,
        source,
    }
}

fn zeros(len: usize) -> Vec<u8> {
    vec![0; len]
}

/// One frame, with its content's size and checksum.
fn pack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut compressor = Compressor::new(LEVEL)?;
    compressor.include_checksum(true)?;
    compressor.compress(bytes)
}

fn hash_all(parts: &Receiver<Vec<RawPart>>) -> Sha256 {
    let zero = zeros(64 << 10);
    let mut hasher = sha2::Sha256::new();
    for (raw, len) in parts.iter().flatten() {
        match raw {
            Some(bytes) => hasher.update(&bytes),
            None => (0..len)
                .step_by(zero.len())
                .for_each(|at| hasher.update(&zero[..zero.len().min(len - at)])),
        }
    }
    Sha256::from_bytes(hasher.finalize().into())
}

/// Writes the frames and the seek table.
fn write_all(out: &mut File, packed: &Receiver<Vec<Packed>>) -> io::Result<FileDigest> {
    let mut out = HashingWriter::new(out);
    let mut table = Vec::new();
    for frame in packed.iter().flatten() {
        out.write_all(&frame.compressed)?;
        table.push((frame.compressed.len(), frame.raw_len));
    }
    out.write_all(&seek_table(&table))?;
    let (_, sha256, len_bytes) = out.finish();
    Ok(FileDigest { sha256, len_bytes })
}

/// The seek table for frames of these compressed and raw lengths, none of which reaches 4 GiB.
fn seek_table(frames: &[(usize, usize)]) -> Vec<u8> {
    let mut content: Vec<u8> = frames
        .iter()
        .flat_map(|(compressed, raw)| [*compressed as u32, *raw as u32])
        .flat_map(u32::to_le_bytes)
        .collect();
    content.extend((frames.len() as u32).to_le_bytes());
    content.push(0); // no checksums here: the frames have their own
    content.extend(SEEK_TABLE_END.to_le_bytes());
    let mut frame = SEEK_TABLE_FRAME.to_le_bytes().to_vec();
    frame.extend((content.len() as u32).to_le_bytes());
    frame.extend(content);
    frame
}

#[cfg(test)]
mod tests;
