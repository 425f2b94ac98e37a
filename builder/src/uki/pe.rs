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
/// `IMAGE_SCN_CNT_CODE | IMAGE_SCN_MEM_READ`
const CODE: u32 = 0x4000_0020;
/// `IMAGE_DLLCHARACTERISTICS_NX_COMPAT`: the program runs where pages are never both writable and executable.
pub const NX_COMPAT: u16 = 0x0100;
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
    /// `DllCharacteristics`, such as [`NX_COMPAT`].
    pub dll_characteristics: u16,
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
    characteristics: u32,
}

impl<'a> NewSection<'a> {
    /// Read-only data under a name of at most eight bytes.
    pub fn new(name: &'a str, bytes: &'a [u8]) -> Self {
        Self {
            name,
            bytes,
            characteristics: READ_ONLY_DATA,
        }
    }

    /// The same, marked as code.
    #[must_use]
    pub fn as_code(self) -> Self {
        Self {
            characteristics: CODE,
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
            dll_characteristics: half(&header, COFF_LEN + 70),
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

/// The file `bytes`, whose headers are `pe`, with more sections at its end and these `DllCharacteristics`. Whatever
/// follows its last section (certificates, symbols) is dropped, and so is the time in its header.
pub fn append(bytes: &[u8], pe: &Pe, added: &[NewSection<'_>], dll_characteristics: u16) -> Result<Vec<u8>, PeError> {
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
    let ends = pe.sections.iter().map(|section| section.raw.end);
    let data_end = ends.fold(table_end, usize::max);
    let mut growth = Growth {
        image: bytes[..data_end].to_vec(),
        section_count: pe.sections.len(),
        next_address: next_address(pe)?,
        data_len: pe.size_of_initialized_data,
    };
    for section in added {
        growth.add(pe, section)?;
    }
    growth.finish(pe, dll_characteristics)
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

/// The image as far as it has grown; its headers still tell of the stub alone.
struct Growth {
    image: Vec<u8>,
    section_count: usize,
    next_address: u32,
    data_len: u32,
}

impl Growth {
    /// Appends a section's content and puts its header into the table, which is known to have room.
    fn add(&mut self, pe: &Pe, section: &NewSection<'_>) -> Result<(), PeError> {
        let raw_at = self.align(pe)?;
        self.image.extend_from_slice(section.bytes);
        let raw_len = self.align(pe)? - raw_at;
        let len = u32::try_from(section.bytes.len()).map_err(|_| PeError::TooLarge)?;

        let at = pe.table_at + self.section_count * SECTION_LEN;
        let header = &mut self.image[at..at + SECTION_LEN];
        header[..section.name.len()].copy_from_slice(section.name.as_bytes());
        let fields = [
            (8, len),
            (12, self.next_address),
            (16, raw_len),
            (20, raw_at),
            (36, section.characteristics),
        ];
        for (at, value) in fields {
            header[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        self.section_count += 1;
        let end = self.next_address.checked_add(len);
        let end = end.and_then(|end| end.checked_next_multiple_of(pe.section_alignment));
        self.next_address = end.ok_or(PeError::TooLarge)?;
        self.data_len = self.data_len.checked_add(len).ok_or(PeError::TooLarge)?;
        Ok(())
    }

    /// Pads the file to its alignment; returns its length.
    fn align(&mut self, pe: &Pe) -> Result<u32, PeError> {
        let len = self.image.len().next_multiple_of(pe.file_alignment as usize);
        self.image.resize(len, 0);
        u32::try_from(len).map_err(|_| PeError::TooLarge)
    }

    /// Makes the headers agree with the sections.
    fn finish(mut self, pe: &Pe, dll_characteristics: u16) -> Result<Vec<u8>, PeError> {
        let table_end = pe.table_at + self.section_count * SECTION_LEN;
        let headers_len = u32::try_from(table_end.next_multiple_of(pe.file_alignment as usize));
        let headers_len = headers_len.map_err(|_| PeError::TooLarge)?.max(pe.size_of_headers);
        let sections = u16::try_from(self.section_count).map_err(|_| PeError::TooLarge)?;
        let (coff, optional) = (pe.coff_at, pe.coff_at + COFF_LEN);
        let mut set = |at: usize, bytes: &[u8]| self.image[at..at + bytes.len()].copy_from_slice(bytes);
        set(coff + 2, &sections.to_le_bytes());
        set(coff + 4, &[0; 12]); // time, symbol table, number of symbols
        set(optional + 8, &self.data_len.to_le_bytes());
        set(optional + 56, &self.next_address.to_le_bytes());
        set(optional + 60, &headers_len.to_le_bytes());
        set(optional + 64, &[0; 4]); // checksum
        set(optional + 70, &dll_characteristics.to_le_bytes());
        if pe.directories as usize > CERTIFICATE_DIRECTORY {
            set(optional + OPTIONAL_LEN + CERTIFICATE_DIRECTORY * 8, &[0; 8]);
        }
        let checksum = checksum(&self.image)?;
        self.image[optional + 64..optional + 68].copy_from_slice(&checksum.to_le_bytes());
        Ok(self.image)
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
