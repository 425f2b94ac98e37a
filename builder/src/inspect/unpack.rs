//! Unpacks a compressed image into a sparse temporary file without a name, which vanishes with this process however it ends.
//!
//! In: a `.zst` file, ours or any other tool's (RFC 8878, any number of frames). Parts of zeros take no room on the disk, and
//! memory is bounded by zstd's window, of at most 128 MiB.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::InspectError;

/// Larger than any card or stick that an image is made for.
const MAX_IMAGE_BYTES: u64 = 256 << 30;
/// What is looked at for zeros at a time.
const PIECE_BYTES: usize = 256 << 10;
/// zstd's own limit where none is set (`ZSTD_WINDOWLOG_LIMIT_DEFAULT`).
const MAX_WINDOW_LOG: u32 = 27;

/// Counts what was read from the compressed file.
struct Counted<R> {
    inner: R,
    read_bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read_bytes += count as u64;
        Ok(count)
    }
}

/// The raw image that `compressed`, the file at `path`, holds.
pub(super) fn unpack(compressed: &File, path: &Path) -> Result<File, InspectError> {
    let folder = scratch_folder();
    let scratch_failed = |source| InspectError::Scratch {
        folder: folder.clone(),
        source,
    };
    let mut scratch = tempfile::tempfile_in(&folder).map_err(scratch_failed)?;
    let failed = |offset, unpacked_bytes, source: io::Error| match source.kind() {
        ErrorKind::UnexpectedEof => InspectError::CutOff {
            path: path.to_owned(),
            offset,
            unpacked_bytes,
        },
        _ => InspectError::Unpack {
            path: path.to_owned(),
            offset,
            unpacked_bytes,
            source,
        },
    };
    let counted = Counted {
        inner: compressed,
        read_bytes: 0,
    };
    let mut decoder = zstd::Decoder::with_buffer(BufReader::new(counted)).map_err(|source| failed(0, 0, source))?;
    decoder
        .window_log_max(MAX_WINDOW_LOG)
        .map_err(|source| failed(0, 0, source))?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut len_bytes = 0;
    loop {
        let (count, outcome) = fill(&mut decoder, &mut piece);
        let input = decoder.get_ref();
        let offset = input.get_ref().read_bytes - input.buffer().len() as u64;
        outcome.map_err(|source| failed(offset, len_bytes + count as u64, source))?;
        if count == 0 {
            break;
        }
        if piece[..count].iter().any(|byte| *byte != 0) {
            scratch
                .seek(SeekFrom::Start(len_bytes))
                .and_then(|_| scratch.write_all(&piece[..count]))
                .map_err(scratch_failed)?;
        }
        len_bytes += count as u64;
        if len_bytes > MAX_IMAGE_BYTES {
            return Err(InspectError::TooLarge {
                path: path.to_owned(),
                max_bytes: MAX_IMAGE_BYTES,
            });
        }
    }
    scratch.set_len(len_bytes).map_err(scratch_failed)?;
    Ok(scratch)
}

/// Reads until `piece` is full, the end is reached or reading fails; how much was read, in any case.
fn fill(decoder: &mut impl Read, piece: &mut [u8]) -> (usize, io::Result<()>) {
    let mut filled = 0;
    while filled < piece.len() {
        match decoder.read(&mut piece[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (filled, Err(error)),
        }
    }
    (filled, Ok(()))
}

/// `TMPDIR`, or `/var/tmp`, which unlike `/tmp` is on a disk (file-hierarchy(7)).
fn scratch_folder() -> PathBuf {
    let chosen = std::env::var_os("TMPDIR").filter(|folder| !folder.is_empty());
    let chosen = chosen.map(PathBuf::from);
    let usual = Path::new("/var/tmp");
    chosen.unwrap_or_else(|| match usual.is_dir() {
        true => usual.to_owned(),
        false => std::env::temp_dir(),
    })
}
