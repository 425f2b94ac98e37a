//! As much of ELF as the lints need: the header of any file, the dynamic section of 64-bit little-endian ones.
//!
//! Format: System V gABI, chapters 4 and 5. Read at offsets, never as a whole; counts and lengths are bounded.

use std::io;

use crate::tree::FileData;

/// Length of a 64-bit header; a 32-bit one is shorter, but every real file is longer.
pub(super) const HEADER_LEN: usize = 64;

const PROGRAM_HEADER_LEN: u16 = 56;
const MAX_PROGRAM_HEADERS: u16 = 256;
const MAX_DYNAMIC_BYTES: u64 = 1 << 20;
const MAX_STRING_BYTES: u64 = 4096;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;

const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;

/// The `e_machine` of a header; none if the bytes are no ELF file.
pub(super) fn machine(header: &[u8]) -> Option<u16> {
    let bytes: [u8; 2] = header.get(18..20)?.try_into().ok()?;
    match (&header[..4], header[5]) {
        (b"\x7fELF", 2) => Some(u16::from_be_bytes(bytes)),
        (b"\x7fELF", _) => Some(u16::from_le_bytes(bytes)),
        _ => None,
    }
}

/// What a program or library asks of the dynamic linker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Linkage {
    /// The program interpreter's path.
    pub(super) interpreter: Option<String>,
    /// Names of the libraries it needs.
    pub(super) needed: Vec<String>,
    /// Where to look first: `DT_RUNPATH`, or `DT_RPATH` where there is none; separated by colons.
    pub(super) search_path: Option<String>,
}

/// Why a file's linkage cannot be told.
#[derive(Debug)]
pub(super) enum LinkageError {
    /// Its tables contradict themselves or its length.
    Damaged,
    /// Reading failed.
    Io(io::Error),
}

impl From<io::Error> for LinkageError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Damaged,
            _ => Self::Io(error),
        }
    }
}

/// The linkage of a 64-bit little-endian file with this header; empty for others and for files that are not linked
/// dynamically.
pub(super) fn linkage(data: &FileData, header: &[u8; HEADER_LEN]) -> Result<Linkage, LinkageError> {
    let is_64_bit_little_endian = header[4] == 2 && header[5] == 1;
    let count = u16_at(header, 56);
    if !is_64_bit_little_endian || count == 0 {
        return Ok(Linkage::default());
    }
    if u16_at(header, 54) != PROGRAM_HEADER_LEN || count > MAX_PROGRAM_HEADERS {
        return Err(LinkageError::Damaged);
    }
    let table = read(
        data,
        u64_at(header, 32),
        u64::from(count) * u64::from(PROGRAM_HEADER_LEN),
    )?;
    let segments: Vec<Segment> = table
        .chunks_exact(usize::from(PROGRAM_HEADER_LEN))
        .map(Segment::parse)
        .collect();
    let find = |kind| segments.iter().find(|segment| segment.kind == kind);
    let interpreter =
        find(PT_INTERP).map(|segment| string(data, segment.offset, segment.offset + segment.len.min(MAX_STRING_BYTES)));
    let mut linkage = Linkage {
        interpreter: interpreter.transpose()?,
        ..Linkage::default()
    };
    if let Some(dynamic) = find(PT_DYNAMIC) {
        if dynamic.len > MAX_DYNAMIC_BYTES {
            return Err(LinkageError::Damaged);
        }
        let tags = tags(&read(data, dynamic.offset, dynamic.len)?);
        read_tags(data, &segments, &tags, &mut linkage)?;
    }
    Ok(linkage)
}

/// A program header.
#[derive(Debug, Clone, Copy)]
struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    len: u64,
}

impl Segment {
    fn parse(bytes: &[u8]) -> Self {
        Self {
            kind: u32::from_le_bytes(bytes[..4].try_into().expect("four bytes")),
            offset: u64_at(bytes, 8).min(u64::MAX / 4),
            address: u64_at(bytes, 16),
            len: u64_at(bytes, 32).min(u64::MAX / 4),
        }
    }

    /// Where in the file an address is.
    fn offset_of(&self, address: u64) -> Option<u64> {
        let inside = address.checked_sub(self.address)?;
        (self.kind == PT_LOAD && inside < self.len).then(|| self.offset + inside)
    }
}

/// The dynamic section's pairs up to its end mark.
fn tags(section: &[u8]) -> Vec<(u64, u64)> {
    let pairs = section.chunks_exact(16).map(|pair| (u64_at(pair, 0), u64_at(pair, 8)));
    pairs.take_while(|(tag, _)| *tag != DT_NULL).collect()
}

fn read_tags(
    data: &FileData,
    segments: &[Segment],
    tags: &[(u64, u64)],
    linkage: &mut Linkage,
) -> Result<(), LinkageError> {
    let value_of = |wanted| tags.iter().find(|(tag, _)| *tag == wanted).map(|(_, value)| *value);
    let strings =
        value_of(DT_STRTAB).and_then(|address| segments.iter().find_map(|segment| segment.offset_of(address)));
    let text = |index: u64| {
        let start = strings
            .and_then(|start| start.checked_add(index))
            .ok_or(LinkageError::Damaged)?;
        string(data, start, start.saturating_add(MAX_STRING_BYTES))
    };
    for (_, index) in tags.iter().filter(|(tag, _)| *tag == DT_NEEDED) {
        linkage.needed.push(text(*index)?);
    }
    let search_path = value_of(DT_RUNPATH).or_else(|| value_of(DT_RPATH));
    linkage.search_path = search_path.map(text).transpose()?;
    Ok(())
}

/// The text from `start` to its NUL, which has to come before `end`.
fn string(data: &FileData, start: u64, end: u64) -> Result<String, LinkageError> {
    const PIECE: u64 = 128;
    let end = end.min(data.len_bytes);
    let mut bytes = Vec::new();
    let mut at = start;
    while at < end {
        let piece = read(data, at, PIECE.min(end - at))?;
        if let Some(len) = piece.iter().position(|byte| *byte == 0) {
            bytes.extend_from_slice(&piece[..len]);
            return String::from_utf8(bytes).map_err(|_| LinkageError::Damaged);
        }
        bytes.extend_from_slice(&piece);
        at += piece.len() as u64;
    }
    Err(LinkageError::Damaged)
}

/// A range that lies inside the file and is short enough to be held in memory.
fn read(data: &FileData, offset: u64, len: u64) -> Result<Vec<u8>, LinkageError> {
    let fits = offset.checked_add(len).is_some_and(|end| end <= data.len_bytes) && len <= MAX_DYNAMIC_BYTES;
    if !fits {
        return Err(LinkageError::Damaged);
    }
    let mut bytes = vec![0; usize::try_from(len).expect("at most a megabyte")];
    data.read_at(&mut bytes, offset)?;
    Ok(bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
