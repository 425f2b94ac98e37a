//! Finds the sections of a PE file (Microsoft PE format), and whether it is signed, by reading as little of it as possible.

use crate::fat::read::FatReadError;

/// Where the DOS header says at which byte the PE header begins.
const PE_OFFSET_AT: u64 = 0x3c;
/// Bytes of signature and COFF header.
const COFF_BYTES: u64 = 24;
/// Bytes of an entry in the section table.
const SECTION_BYTES: u64 = 40;
/// The loader of Windows takes at most so many sections.
const MAX_SECTIONS: u64 = 96;
/// Which data directory says where the signatures are ("Certificate Table").
const CERTIFICATE_DIRECTORY: usize = 4;
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

/// What the headers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PeFile {
    /// By name, in the file's order.
    pub sections: Vec<(String, Section)>,
    /// Whether it has a signature for Secure Boot; whose it is, is not looked at.
    pub is_signed: bool,
}

impl PeFile {
    /// Of several sections with one name, the first.
    pub(super) fn section(&self, name: &str) -> Option<&Section> {
        let found = self.sections.iter().find(|(own, _)| own == name)?;
        Some(&found.1)
    }
}

/// Where a section's content is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Section {
    offset: u64,
    pub len_bytes: u64,
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

/// Reads the headers.
pub(super) fn read(read: &mut ReadRange<'_>) -> Result<PeFile, PeError> {
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
    let optional = exactly(read, header_at + COFF_BYTES, optional_bytes)?;
    let table = exactly(read, header_at + COFF_BYTES + optional_bytes, count * SECTION_BYTES)?;
    Ok(PeFile {
        sections: table
            .as_chunks::<{ SECTION_BYTES as usize }>()
            .0
            .iter()
            .map(section)
            .collect(),
        is_signed: is_signed(&optional),
    })
}

fn section(entry: &[u8; SECTION_BYTES as usize]) -> (String, Section) {
    let name = entry[..8].split(|byte| *byte == 0).next().unwrap_or_default();
    // The file holds padding up to the raw size; the virtual size is the content's.
    let len_bytes = u64::from(u32_at(entry, 8).min(u32_at(entry, 16)));
    let section = Section {
        offset: u64::from(u32_at(entry, 20)),
        len_bytes,
    };
    (String::from_utf8_lossy(name).into_owned(), section)
}

/// Whether the optional header names a certificate table that is not empty.
fn is_signed(optional: &[u8]) -> bool {
    let directories = match optional.first_chunk() {
        Some([0x0b, 0x01]) => 96,
        Some([0x0b, 0x02]) => 112,
        _ => return false,
    };
    let word = |at: usize| optional.get(at..at + 4).map_or(0, |word| u32_at(word, 0));
    // The number of directories stands right before them.
    word(directories - 4) as usize > CERTIFICATE_DIRECTORY && word(directories + 8 * CERTIFICATE_DIRECTORY + 4) > 0
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
