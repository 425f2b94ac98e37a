//! The image that every device gets a copy of.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::disk::sparse::{self, CopyMethod};
use crate::fat::update::Patch;
use crate::seed::{self, Esp, JoinFile, SeedError};

/// How much is compared at a time.
const BLOCK_BYTES: usize = 1 << 20;

/// An image that stays as it is.
#[derive(Debug)]
pub struct Image {
    file: File,
    path: PathBuf,
    esp: Esp,
}

impl Image {
    /// Opens the image at `path` for reading.
    pub fn open(path: &Path) -> Result<Self, SeedError> {
        let file = File::open(path).map_err(|source| SeedError::Open {
            path: path.to_owned(),
            source,
        })?;
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Err(SeedError::NoDisk { path: path.to_owned() });
        }
        Ok(Self {
            esp: seed::esp(&file, path)?,
            file,
            path: path.to_owned(),
        })
    }

    /// The image's length in bytes, holes included.
    pub fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// What a copy with this join file differs in.
    pub fn patch(&self, join_file: &JoinFile) -> Result<Patch, SeedError> {
        seed::patch(&self.file, &self.esp, &self.path, join_file)
    }

    /// Makes the empty file `to` a copy with `patch`.
    pub fn write_copy(&self, to: &File, patch: &Patch) -> io::Result<CopyMethod> {
        let method = sparse::copy(&self.file, to)?;
        patch.apply(to)?;
        Ok(method)
    }

    /// Whether `other` is such a copy, byte for byte.
    pub fn is_copied_to(&self, other: &File, patch: &Patch) -> io::Result<bool> {
        if other.metadata()?.len() != self.len_bytes()? {
            return Ok(false);
        }
        // Where both have holes there is nothing to compare, and a patch makes data.
        for range in [sparse::data_ranges(&self.file)?, sparse::data_ranges(other)?].concat() {
            if !self.agrees(other, patch, range)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn agrees(&self, other: &File, patch: &Patch, range: Range<u64>) -> io::Result<bool> {
        let [mut own, mut theirs] = [vec![0; BLOCK_BYTES], vec![0; BLOCK_BYTES]];
        let mut at = range.start;
        while at < range.end {
            let count = usize::try_from((range.end - at).min(BLOCK_BYTES as u64)).map_err(io::Error::other)?;
            self.file.read_exact_at(&mut own[..count], at)?;
            other.read_exact_at(&mut theirs[..count], at)?;
            patch.lay_over(&mut own[..count], at);
            if own[..count] != theirs[..count] {
                return Ok(false);
            }
            at += count as u64;
        }
        Ok(true)
    }
}
