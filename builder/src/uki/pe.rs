//! As much of the PE format as an EFI program's section table takes (Microsoft, "PE Format"; PE32+ only).
//!
//! Positions below are relative to the COFF file header, 4 bytes behind the offset at 0x3c, unless said otherwise.

use std::ops::Range;

/// Where the file says where its PE signature is.
const SIGNATURE_OFFSET_AT: usize = 0x3c;
const COFF_LEN: usize = 20;
/// PE32+ optional header up to and with the number of data directories.
const OPTIONAL_LEN: usize = 112;
const PE32_PLUS: u16 = 0x020b;
const SECTION_LEN: usize = 40;
/// The directory of certificates; the others speak of memory, which appending leaves as it is.
const CERTIFICATE_DIRECTORY: usize = 4;
/// `IMAGE_SCN_CNT_INITIALIZED_DATA | IMAGE_SCN_MEM_READ`
const READ_ONLY_DATA: u32 = 0x4000_0040;
/// Firmware refuses stranger values; larger ones would let a small file ask for much memory.
const MAX_ALIGNMENT: u32 = 0x1_0000;

/// Why a PE file cannot be read or extended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeError {
    /// It does not begin like one.
    #[error("it is not a PE file")]
    NotPe,
    /// It is for 32-bit machines, or for none.
    #[error("it is not a 64-bit EFI program (PE32+)")]
    NotPe32Plus,
    /// A structure lies beyond the end.
    #[error("its {what} at offset {offset} lies beyond its end")]
    Truncated {
        /// Which structure.
        what: &'static str,
        /// Where it begins.
        offset: usize,
    },
    /// An alignment is no power of two, or out of bounds.
    #[error("its {what} alignment {value} is not a power of two from 512 to 65536")]
    Alignment {
        /// Of sections or of the file.
        what: &'static str,
        /// The value.
        value: u32,
    },
    /// The section table cannot grow without moving what follows.
    #[error("its header has room for {room} more sections, and {needed} are needed")]
    NoHeaderRoom {
        /// How many headers would fit.
        room: usize,
        /// How many are to be added.
        needed: usize,
    },
    /// Offsets and addresses have 32 bits.
    #[error("it would be larger than 4 GiB")]
    TooLarge,
}

/// One row of the section table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its name, up to eight bytes.
    pub name: String,
    /// Where it is in memory, relative to the image.
    pub virtual_address: u32,
    /// How long it is in memory.
    pub virtual_size: u32,
    /// Where it is in the file, with its padding; inside of the file.
    pub raw: Range<usize>,
}

impl Section {
    /// Where its content is in the file: without padding, where it is shorter in memory.
    pub fn content(&self) -> Range<usize> {
        let len = usize::try_from(self.virtual_size).map_or(self.raw.len(), |len| len.min(self.raw.len()));
        self.raw.start..self.raw.start + len
    }
}

/// The headers of a PE file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pe {
    /// `Machine`; compare with [`crate::arch::ArchNames::pe_machine`].
    pub machine: u16,
    /// Bytes of memory that the whole image takes.
    pub size_of_image: u32,
    /// The sections, in the table's order.
    pub sections: Vec<Section>,
    coff_at: usize,
    table_at: usize,
    section_alignment: u32,
    file_alignment: u32,
    size_of_headers: u32,
    size_of_initialized_data: u32,
    directories: u32,
}

/// A section to be added.
#[derive(Debug, Clone, Copy)]
pub struct NewSection<'a> {
    name: &'a str,
    bytes: &'a [u8],
    min_virtual_size: u32,
}

impl<'a> NewSection<'a> {
    /// Read-only data under a name of at most eight bytes.
    pub fn new(name: &'a str, bytes: &'a [u8]) -> Self {
        Self {
            name,
            bytes,
            min_virtual_size: 0,
        }
    }

    /// The same, taking at least so many bytes of memory.
    #[must_use]
    pub fn at_least_in_memory(self, min_virtual_size: u32) -> Self {
        Self {
            min_virtual_size,
            ..self
        }
    }
}

impl Pe {
    /// Reads the headers.
    pub fn parse(bytes: &[u8]) -> Result<Self, PeError> {
        let coff_at = match bytes.starts_with(b"MZ") {
            true => get::<4>(bytes, "DOS header", SIGNATURE_OFFSET_AT)?,
            false => return Err(PeError::NotPe),
        };
        let signature_at = usize::try_from(u32::from_le_bytes(coff_at)).map_err(|_| PeError::NotPe)?;
        if get(bytes, "signature", signature_at)? != *b"PE\0\0" {
            return Err(PeError::NotPe);
        }
        let coff_at = signature_at + 4;
        let header: [u8; COFF_LEN + OPTIONAL_LEN] = get(bytes, "header", coff_at)?;
        let optional_len = usize::from(half(&header, 16));
        let directories = word(&header, COFF_LEN + 108);
        let directories_len = u64::from(directories) * 8;
        if half(&header, COFF_LEN) != PE32_PLUS || (optional_len as u64) < OPTIONAL_LEN as u64 + directories_len {
            return Err(PeError::NotPe32Plus);
        }
        let table_at = coff_at + COFF_LEN + optional_len;
        let sections = (0..usize::from(half(&header, 2)))
            .map(|index| read_section(bytes, table_at + index * SECTION_LEN))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            machine: half(&header, 0),
            size_of_image: word(&header, COFF_LEN + 56),
            sections,
            coff_at,
            table_at,
            section_alignment: word(&header, COFF_LEN + 32),
            file_alignment: word(&header, COFF_LEN + 36),
            size_of_headers: word(&header, COFF_LEN + 60),
            size_of_initialized_data: word(&header, COFF_LEN + 8),
            directories,
        })
    }

    /// The first section of this name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// How many section headers fit between the table and what follows it in the file and in memory.
    fn header_room(&self, bytes: &[u8]) -> usize {
        let table_end = self.table_at + self.sections.len() * SECTION_LEN;
        let in_file = self
            .sections
            .iter()
            .filter(|section| !section.raw.is_empty())
            .map(|section| section.raw.start);
        let in_memory = self.sections.iter().map(|section| section.virtual_address as usize);
        let end = in_file.chain(in_memory).fold(bytes.len(), usize::min);
        let gap = bytes.get(table_end..end).unwrap_or_default();
        let zeros = gap.iter().take_while(|byte| **byte == 0).count();
        zeros / SECTION_LEN
    }
}

fn read_section(bytes: &[u8], at: usize) -> Result<Section, PeError> {
    let header: [u8; SECTION_LEN] = get(bytes, "section table", at)?;
    let name = header[..8].split(|byte| *byte == 0).next().unwrap_or_default();
    let (len, start) = (word(&header, 16) as usize, word(&header, 20) as usize);
    // A section without content in the file may point anywhere.
    let raw = if len == 0 {
        0..0
    } else {
        start..start.saturating_add(len)
    };
    if raw.end > bytes.len() {
        return Err(PeError::Truncated {
            what: "section",
            offset: start,
        });
    }
    Ok(Section {
        name: String::from_utf8_lossy(name).into_owned(),
        virtual_address: word(&header, 12),
        virtual_size: word(&header, 8),
        raw,
    })
}

/// The file `bytes`, whose headers are `pe`, with more sections at its end. Whatever follows its last section
/// (certificates, symbols) is dropped, and so is the time in its header.
pub fn append(bytes: &[u8], pe: &Pe, added: &[NewSection<'_>]) -> Result<Vec<u8>, PeError> {
    for (what, value) in [("section", pe.section_alignment), ("file", pe.file_alignment)] {
        if !value.is_power_of_two() || !(512..=MAX_ALIGNMENT).contains(&value) {
            return Err(PeError::Alignment { what, value });
        }
    }
    let room = pe.header_room(bytes);
    if added.len() > room {
        let needed = added.len();
        return Err(PeError::NoHeaderRoom { room, needed });
    }
    let table_end = pe.table_at + (pe.sections.len() + added.len()) * SECTION_LEN;
    let data_end = pe
        .sections
        .iter()
        .map(|section| section.raw.end)
        .fold(table_end, usize::max);
    let mut image = bytes[..data_end].to_vec();
    let mut growth = Growth {
        next_address: next_address(pe)?,
        data_len: pe.size_of_initialized_data,
    };
    for (index, section) in added.iter().enumerate() {
        let header = growth.add(&mut image, pe, section)?;
        let at = pe.table_at + (pe.sections.len() + index) * SECTION_LEN;
        image[at..at + SECTION_LEN].copy_from_slice(&header);
    }
    let sections = u16::try_from(pe.sections.len() + added.len()).map_err(|_| PeError::TooLarge)?;
    let headers_len = u32::try_from(table_end.next_multiple_of(pe.file_alignment as usize));
    let headers_len = headers_len.map_err(|_| PeError::TooLarge)?.max(pe.size_of_headers);
    let optional = pe.coff_at + COFF_LEN;
    image[pe.coff_at + 2..pe.coff_at + 4].copy_from_slice(&sections.to_le_bytes());
    let mut set = |at: usize, value: u32| image[at..at + 4].copy_from_slice(&value.to_le_bytes());
    set(pe.coff_at + 4, 0); // time
    set(pe.coff_at + 8, 0); // symbol table
    set(pe.coff_at + 12, 0); // number of symbols
    set(optional + 8, growth.data_len);
    set(optional + 56, growth.next_address);
    set(optional + 60, headers_len);
    set(optional + 64, 0);
    if pe.directories as usize > CERTIFICATE_DIRECTORY {
        let at = optional + OPTIONAL_LEN + CERTIFICATE_DIRECTORY * 8;
        set(at, 0);
        set(at + 4, 0);
    }
    let checksum = checksum(&image)?;
    image[optional + 64..optional + 68].copy_from_slice(&checksum.to_le_bytes());
    Ok(image)
}

fn next_address(pe: &Pe) -> Result<u32, PeError> {
    let mut end = pe.size_of_headers;
    for section in &pe.sections {
        let section_end = section.virtual_address.checked_add(section.virtual_size);
        end = end.max(section_end.ok_or(PeError::TooLarge)?);
    }
    end.checked_next_multiple_of(pe.section_alignment)
        .ok_or(PeError::TooLarge)
}

/// How far the image has grown.
struct Growth {
    next_address: u32,
    data_len: u32,
}

impl Growth {
    /// Appends a section's content and returns its header.
    fn add(&mut self, image: &mut Vec<u8>, pe: &Pe, section: &NewSection<'_>) -> Result<[u8; SECTION_LEN], PeError> {
        let align = pe.file_alignment as usize;
        image.resize(image.len().next_multiple_of(align), 0);
        let raw_at = u32::try_from(image.len()).map_err(|_| PeError::TooLarge)?;
        image.extend_from_slice(section.bytes);
        image.resize(image.len().next_multiple_of(align), 0);
        let raw_end = u32::try_from(image.len()).map_err(|_| PeError::TooLarge)?;
        let len = u32::try_from(section.bytes.len()).map_err(|_| PeError::TooLarge)?;
        let virtual_size = len.max(section.min_virtual_size);

        let mut header = [0; SECTION_LEN];
        header[..section.name.len()].copy_from_slice(section.name.as_bytes());
        let fields = [
            (8, virtual_size),
            (12, self.next_address),
            (16, raw_end - raw_at),
            (20, raw_at),
            (36, READ_ONLY_DATA),
        ];
        for (at, value) in fields {
            header[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        let end = self.next_address.checked_add(virtual_size);
        let end = end.and_then(|end| end.checked_next_multiple_of(pe.section_alignment));
        self.next_address = end.ok_or(PeError::TooLarge)?;
        self.data_len = self.data_len.checked_add(raw_end - raw_at).ok_or(PeError::TooLarge)?;
        Ok(header)
    }
}

/// The sum that the optional header's `CheckSum` holds, over a file where that field is zero: 16-bit words with the
/// carry added back, plus the file's length (ImageHlp `CheckSumMappedFile`).
fn checksum(image: &[u8]) -> Result<u32, PeError> {
    let (words, rest) = image.as_chunks::<2>();
    let sum: u64 = words.iter().map(|word| u64::from(u16::from_le_bytes(*word))).sum();
    let mut sum = sum + rest.first().map_or(0, |byte| u64::from(*byte));
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u32::try_from(sum + image.len() as u64).map_err(|_| PeError::TooLarge)
}

fn get<const LEN: usize>(bytes: &[u8], what: &'static str, offset: usize) -> Result<[u8; LEN], PeError> {
    let range = bytes.get(offset..).and_then(|rest| rest.first_chunk());
    range.copied().ok_or(PeError::Truncated { what, offset })
}

// Both are only called at constant positions inside of a header that was read whole.
fn half(header: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([header[at], header[at + 1]])
}

fn word(header: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}
