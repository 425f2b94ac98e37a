//! Finds the sections of a PE file (Microsoft PE format) by reading as little of it as possible.

use std::collections::BTreeMap;

use crate::fat::read::FatReadError;

/// Where the DOS header says at which byte the PE header begins.
const PE_OFFSET_AT: u64 = 0x3c;
/// Bytes of signature and COFF header.
const COFF_BYTES: u64 = 24;
/// Bytes of an entry in the section table.
const SECTION_BYTES: u64 = 40;
/// The loader of Windows takes at most so many sections.
const MAX_SECTIONS: u64 = 96;
/// The longest text section that is read.
const MAX_TEXT_BYTES: u64 = 64 << 10;

/// Reads at most so many bytes (second) from an offset (first).
pub(super) type ReadRange<'a> = dyn FnMut(u64, u64) -> Result<Vec<u8>, FatReadError> + 'a;

/// Why the sections cannot be found.
#[derive(Debug, thiserror::Error)]
pub(super) enum PeError {
    #[error("it cannot be read from the volume")]
    Read {
        #[from]
        source: FatReadError,
    },
    #[error("it is no PE file at byte {offset}")]
    NotPe { offset: u64 },
    #[error("it ends within the PE header at byte {offset}")]
    Cut { offset: u64 },
    #[error("it has {count} sections")]
    TooManySections { count: u64 },
    #[error("a text section has {len_bytes} bytes")]
    TooLong { len_bytes: u64 },
}

/// Where a section's content is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Section {
    offset: u64,
    len_bytes: u64,
}

impl Section {
    /// The content of a section that holds text.
    pub(super) fn read(&self, read: &mut ReadRange<'_>) -> Result<Vec<u8>, PeError> {
        if self.len_bytes > MAX_TEXT_BYTES {
            return Err(PeError::TooLong {
                len_bytes: self.len_bytes,
            });
        }
        exactly(read, self.offset, self.len_bytes)
    }
}

/// The sections by name; of several with one name, the first.
pub(super) fn sections(read: &mut ReadRange<'_>) -> Result<BTreeMap<String, Section>, PeError> {
    if exactly(read, 0, 2)? != b"MZ" {
        return Err(PeError::NotPe { offset: 0 });
    }
    let header_at = u64::from(u32_at(&exactly(read, PE_OFFSET_AT, 4)?, 0));
    let header = exactly(read, header_at, COFF_BYTES)?;
    if header[..4] != *b"PE\0\0" {
        return Err(PeError::NotPe { offset: header_at });
    }
    let count = u64::from(u16::from_le_bytes([header[6], header[7]]));
    if count > MAX_SECTIONS {
        return Err(PeError::TooManySections { count });
    }
    let optional_bytes = u64::from(u16::from_le_bytes([header[20], header[21]]));
    let table = exactly(read, header_at + COFF_BYTES + optional_bytes, count * SECTION_BYTES)?;
    let mut sections = BTreeMap::new();
    for entry in table.as_chunks::<{ SECTION_BYTES as usize }>().0 {
        let name = entry[..8].split(|byte| *byte == 0).next().unwrap_or_default();
        // The file holds padding up to the raw size; the virtual size is the content's.
        let len_bytes = u64::from(u32_at(entry, 8).min(u32_at(entry, 16)));
        let section = Section {
            offset: u64::from(u32_at(entry, 20)),
            len_bytes,
        };
        sections
            .entry(String::from_utf8_lossy(name).into_owned())
            .or_insert(section);
    }
    Ok(sections)
}

fn exactly(read: &mut ReadRange<'_>, offset: u64, len_bytes: u64) -> Result<Vec<u8>, PeError> {
    let bytes = read(offset, len_bytes)?;
    if bytes.len() as u64 == len_bytes {
        Ok(bytes)
    } else {
        Err(PeError::Cut { offset })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
