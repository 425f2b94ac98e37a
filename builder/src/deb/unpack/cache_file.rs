//! The cache file of an unpacked package: contents of regular files, then the index as JSON, then a trailer of 64
//! bytes.
//!
//! | offset in the trailer | length | what |
//! |---|---|---|
//! | 0 | 8 | magic |
//! | 8 | 4 | version of the format, little-endian as all numbers |
//! | 12 | 4 | zero |
//! | 16 | 8 | where the index begins; contents fill the file up to there |
//! | 24 | 8 | length of the index |
//! | 32 | 32 | SHA-256 of the index |
//!
//! The trailer comes last, so a file that was torn by a crash has none, or one that does not fit the file's length.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use super::{Index, UnpackedDeb};
use crate::digest::Sha256;

const MAGIC: &[u8; 8] = b"\x89skryDeb";

/// Raise it with every change of the index or of how packages are read; files of other versions are written anew.
/// 1: the first.
const VERSION: u32 = 1;

const TRAILER_LEN: usize = 64;

/// The largest index in Debian (a kernel's headers) is below 8 MiB; bounds the allocation.
const MAX_INDEX_BYTES: u64 = 256 << 20;

/// Appends index and trailer to a file that has `data_bytes` of contents.
pub(super) fn write_index(file: &mut impl Write, index: &Index, data_bytes: u64) -> io::Result<()> {
    let index = serde_json::to_vec(index)?;
    let mut trailer = Vec::with_capacity(TRAILER_LEN);
    trailer.extend_from_slice(MAGIC);
    trailer.extend_from_slice(&VERSION.to_le_bytes());
    trailer.extend_from_slice(&[0; 4]);
    trailer.extend_from_slice(&data_bytes.to_le_bytes());
    trailer.extend_from_slice(&(index.len() as u64).to_le_bytes());
    trailer.extend_from_slice(Sha256::of(&index).as_bytes());
    file.write_all(&index)?;
    file.write_all(&trailer)
}

/// Reads the index of a cache file; nothing if the file is torn, damaged or of another version.
pub(super) fn load(file: File) -> io::Result<Option<UnpackedDeb>> {
    let len = file.metadata()?.len();
    let Some(trailer_offset) = len.checked_sub(TRAILER_LEN as u64) else {
        return Ok(None);
    };
    let mut trailer = [0; TRAILER_LEN];
    file.read_exact_at(&mut trailer, trailer_offset)?;
    let Some((offset, index_len, sha256)) = parse_trailer(&trailer, trailer_offset) else {
        return Ok(None);
    };
    let mut bytes = vec![0; index_len];
    file.read_exact_at(&mut bytes, offset)?;
    if Sha256::of(&bytes) != sha256 {
        return Ok(None);
    }
    let index = serde_json::from_slice::<Index>(&bytes).ok();
    let file = Arc::new(file);
    Ok(index.and_then(|index| index.into_unpacked(&file, offset)))
}

fn parse_trailer(trailer: &[u8; TRAILER_LEN], trailer_offset: u64) -> Option<(u64, usize, Sha256)> {
    let number = |at: usize| u64::from_le_bytes(trailer[at..at + 8].try_into().expect("eight bytes"));
    let (offset, index_len) = (number(16), number(24));
    let is_ours = &trailer[..8] == MAGIC
        && trailer[8..16] == u64::from(VERSION).to_le_bytes()
        && index_len <= MAX_INDEX_BYTES
        && offset.checked_add(index_len) == Some(trailer_offset);
    let sha256 = Sha256::from_bytes(trailer[32..].try_into().expect("32 bytes"));
    is_ours.then_some((offset, usize::try_from(index_len).ok()?, sha256))
}
