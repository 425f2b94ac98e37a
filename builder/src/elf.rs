//! The few facts about ELF files that passes and lints need.
//!
//! In: the bytes of a file, in memory or in a cached archive. Out: machine, class, and of 64-bit little-endian files
//! (the only ones an image may hold) what the dynamic loader reads: soname, needed libraries, search paths, interpreter.
//! [`sections`] reads sections and symbols of kernel modules. Spec: System V gABI, "Object Files" and "Dynamic
//! Linking". Deliberately not supported: extended numbering (over 65,279 sections) and section compression.

#[cfg(test)]
pub(crate) mod sample;
pub mod sections;

use std::io;

use crate::failure::Diagnose;
use crate::tree::FileData;

/// More program headers than this are no real program; 0xffff is the format's own limit.
const MAX_PROGRAM_HEADERS: u64 = 1024;
/// Larger dynamic sections and string tables are refused: the largest in Debian are below 4 MiB.
const MAX_TABLE_BYTES: u64 = 64 << 20;

const PROGRAM_HEADER_LEN: u64 = 56;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_STRSZ: u64 = 10;
const DT_SONAME: u64 = 14;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;

/// Why a file that begins like an ELF file cannot be read as one.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// A structure reaches beyond the end of the file.
    #[error("the {what} at offset {offset} lies beyond the end of the ELF file")]
    Truncated {
        /// Which structure.
        what: &'static str,
        /// Where it begins.
        offset: u64,
    },
    /// A structure is larger than any real one.
    #[error("the {what} of the ELF file has a size of {len_bytes} bytes, which no real file has")]
    TooLarge {
        /// Which structure.
        what: &'static str,
        /// Its size.
        len_bytes: u64,
    },
    /// The dynamic section names an address that no segment loads.
    #[error("the string table at address {address:#x} is in no loaded segment of the ELF file")]
    Unmapped {
        /// The address.
        address: u64,
    },
    /// A structure that the reader needs has another layout.
    #[error("the ELF file is not 64-bit little-endian, or has an unusual {what}")]
    Unsupported {
        /// Which structure.
        what: &'static str,
    },
    /// The bytes could not be fetched from where they are kept.
    #[error("cannot read the {what} of the ELF file")]
    Read {
        /// Which structure.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Diagnose for ElfError {}

/// Word size of an ELF file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// `ELFCLASS32`.
    Bits32,
    /// `ELFCLASS64`.
    Bits64,
}

/// What an ELF file is and what it asks of the dynamic loader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElfFacts {
    /// `e_machine`; compare with [`crate::arch::ArchNames::elf_machine`].
    pub machine: u16,
    /// Word size.
    pub class: Class,
    /// `e_type`: 1 relocatable (kernel module), 2 executable, 3 shared object or position-independent executable.
    pub object_type: u16,
    /// `PT_INTERP`, the dynamic loader's path.
    pub interpreter: Option<String>,
    /// `DT_SONAME`.
    pub soname: Option<String>,
    /// `DT_NEEDED`, in file order.
    pub needed: Vec<String>,
    /// Parts of `DT_RUNPATH`, or of `DT_RPATH` where that is missing; `$ORIGIN` is left as written.
    pub search_paths: Vec<String>,
}

/// Whether a file's first bytes are those of an ELF file.
pub fn is_elf(start: &[u8]) -> bool {
    start.starts_with(b"\x7fELF")
}

/// Reads the facts from bytes in memory; none if it is no ELF file.
pub fn parse(bytes: &[u8]) -> Result<Option<ElfFacts>, ElfError> {
    facts(&bytes)
}

/// Reads the facts of a file of the tree, fetching only the few parts needed; none if it is no ELF file.
pub fn read(data: &FileData) -> Result<Option<ElfFacts>, ElfError> {
    facts(data)
}

/// Bytes at a place, in memory or in a file.
trait Source {
    fn len_bytes(&self) -> u64;
    fn fill(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// `len` bytes from `offset` on; the range is checked before anything is allocated.
    fn take(&self, what: &'static str, offset: u64, len: u64) -> Result<Vec<u8>, ElfError> {
        if offset.checked_add(len).is_none_or(|end| end > self.len_bytes()) {
            return Err(ElfError::Truncated { what, offset });
        }
        if len > MAX_TABLE_BYTES {
            return Err(ElfError::TooLarge { what, len_bytes: len });
        }
        let mut bytes = vec![0; usize::try_from(len).expect("bounded by MAX_TABLE_BYTES")];
        self.fill(&mut bytes, offset)
            .map_err(|source| ElfError::Read { what, source })?;
        Ok(bytes)
    }
}

impl Source for &[u8] {
    fn len_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn fill(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let range = self.get(start..).and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(range.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl Source for FileData {
    fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    fn fill(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_at(buffer, offset)
    }
}

/// One entry of the program header table.
struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    len_in_file: u64,
}

fn facts(source: &impl Source) -> Result<Option<ElfFacts>, ElfError> {
    if source.len_bytes() < 20 {
        return Ok(None);
    }
    let ident = source.take("file header", 0, 20)?;
    if !is_elf(&ident) {
        return Ok(None);
    }
    let half = |at: usize| match ident[5] {
        2 => u16::from_be_bytes([ident[at], ident[at + 1]]),
        _ => u16::from_le_bytes([ident[at], ident[at + 1]]),
    };
    let class = match ident[4] {
        2 => Class::Bits64,
        _ => Class::Bits32,
    };
    let mut facts = ElfFacts {
        machine: half(18),
        class,
        object_type: half(16),
        interpreter: None,
        soname: None,
        needed: Vec::new(),
        search_paths: Vec::new(),
    };
    if class == Class::Bits64 && ident[5] == 1 {
        let segments = segments(source)?;
        facts.interpreter = interpreter(source, &segments)?;
        read_dynamic(source, &segments, &mut facts)?;
    }
    Ok(Some(facts))
}

fn segments(source: &impl Source) -> Result<Vec<Segment>, ElfError> {
    let what = "program header table";
    let header = source.take("file header", 0, 64)?;
    let (offset, count) = (u64_at(&header, 32), u64::from(u16_at(&header, 56)));
    if count == 0 {
        return Ok(Vec::new());
    }
    if u64::from(u16_at(&header, 54)) != PROGRAM_HEADER_LEN {
        return Err(ElfError::Unsupported { what });
    }
    if count > MAX_PROGRAM_HEADERS {
        let len_bytes = count * PROGRAM_HEADER_LEN;
        return Err(ElfError::TooLarge { what, len_bytes });
    }
    let table = source.take(what, offset, count * PROGRAM_HEADER_LEN)?;
    let entries = table.as_chunks::<{ PROGRAM_HEADER_LEN as usize }>().0;
    Ok(entries
        .iter()
        .map(|entry| Segment {
            kind: u32_at(entry, 0),
            offset: u64_at(entry, 8),
            address: u64_at(entry, 16),
            len_in_file: u64_at(entry, 32),
        })
        .collect())
}

fn interpreter(source: &impl Source, segments: &[Segment]) -> Result<Option<String>, ElfError> {
    let Some(segment) = segments.iter().find(|segment| segment.kind == PT_INTERP) else {
        return Ok(None);
    };
    let bytes = source.take("interpreter path", segment.offset, segment.len_in_file)?;
    Ok(Some(string_at(&bytes, 0)))
}

fn read_dynamic(source: &impl Source, segments: &[Segment], facts: &mut ElfFacts) -> Result<(), ElfError> {
    let Some(segment) = segments.iter().find(|segment| segment.kind == PT_DYNAMIC) else {
        return Ok(());
    };
    let table = source.take("dynamic section", segment.offset, segment.len_in_file)?;
    let entries: Vec<(u64, u64)> = table
        .as_chunks::<16>()
        .0
        .iter()
        .map(|entry| (u64_at(entry, 0), u64_at(entry, 8)))
        .take_while(|(tag, _)| *tag != 0)
        .collect();
    let value = |wanted: u64| entries.iter().find(|(tag, _)| *tag == wanted).map(|(_, value)| *value);
    let (Some(address), Some(len)) = (value(DT_STRTAB), value(DT_STRSZ)) else {
        return Ok(());
    };
    let strings = source.take("dynamic string table", file_offset(segments, address)?, len)?;
    let text = |at: u64| string_at(&strings, usize::try_from(at).unwrap_or(usize::MAX));
    facts.soname = value(DT_SONAME).map(text);
    facts.needed = entries
        .iter()
        .filter(|(tag, _)| *tag == DT_NEEDED)
        .map(|(_, at)| text(*at))
        .collect();
    if let Some(at) = value(DT_RUNPATH).or(value(DT_RPATH)) {
        facts.search_paths = text(at)
            .split(':')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect();
    }
    Ok(())
}

fn file_offset(segments: &[Segment], address: u64) -> Result<u64, ElfError> {
    let holds = |segment: &&Segment| {
        segment.kind == PT_LOAD
            && address
                .checked_sub(segment.address)
                .is_some_and(|inside| inside < segment.len_in_file)
    };
    let segment = segments.iter().find(holds).ok_or(ElfError::Unmapped { address })?;
    segment
        .offset
        .checked_add(address - segment.address)
        .ok_or(ElfError::Unmapped { address })
}

/// The NUL-terminated text at `at`; empty where there is none.
fn string_at(bytes: &[u8], at: usize) -> String {
    let rest = bytes.get(at..).unwrap_or_default();
    let text = rest.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

// The three below are only called on ranges whose length was checked.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests;
