//! Sections and symbols of 64-bit little-endian ELF files, as kernel modules have them (gABI, "Sections", "Symbol Table").

use super::{ElfError, Source, is_elf, u16_at, u32_at, u64_at};
use crate::tree::FileData;

const SECTION_HEADER_LEN: u64 = 64;
const SYMBOL_LEN: usize = 24;
const SHT_SYMTAB: u32 = 2;
const SHT_NOBITS: u32 = 8;
const SHN_UNDEF: u16 = 0;

/// The section table of one file.
#[derive(Debug)]
pub struct Sections<'a> {
    bytes: &'a [u8],
    machine: u16,
    headers: Vec<Header>,
    names: &'a [u8],
}

#[derive(Debug, Clone, Copy)]
struct Header {
    name: u32,
    kind: u32,
    offset: u64,
    len: u64,
    link: u32,
}

/// The content of the first section of this name of a file of the tree; little else of it is fetched.
pub fn read(data: &FileData, name: &str) -> Result<Option<Vec<u8>>, ElfError> {
    let (_, headers, names) = table(data)?;
    let content = |header: &Header| match header.kind {
        SHT_NOBITS => Ok(Vec::new()),
        _ => data.take("section", header.offset, header.len),
    };
    let names = headers.get(names).map(content).transpose()?.unwrap_or_default();
    let section = headers
        .iter()
        .find(|header| text_at(&names, header.name) == name.as_bytes());
    section.map(content).transpose()
}

/// The machine, the section headers, and which of the sections has their names.
fn table(source: &impl Source) -> Result<(u16, Vec<Header>, usize), ElfError> {
    let what = "section header table";
    let header = source.take("file header", 0, 64)?;
    if !is_elf(&header) || header[4] != 2 || header[5] != 1 {
        return Err(ElfError::Unsupported { what: "file header" });
    }
    let (offset, count) = (u64_at(&header, 40), u64::from(u16_at(&header, 60)));
    if count > 0 && u64::from(u16_at(&header, 58)) != SECTION_HEADER_LEN {
        return Err(ElfError::Unsupported { what });
    }
    let table = source.take(what, offset, count * SECTION_HEADER_LEN)?;
    let entries = table.as_chunks::<{ SECTION_HEADER_LEN as usize }>().0;
    let headers = entries.iter().map(Header::parse).collect();
    Ok((u16_at(&header, 18), headers, usize::from(u16_at(&header, 62))))
}

impl<'a> Sections<'a> {
    /// Reads the section table of `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ElfError> {
        let (machine, headers, names) = table(&bytes)?;
        let names = match headers.get(names) {
            Some(section) => section.content(bytes)?,
            None => &[],
        };
        Ok(Self {
            bytes,
            machine,
            headers,
            names,
        })
    }

    /// `e_machine` of the file header.
    pub fn machine(&self) -> u16 {
        self.machine
    }

    /// The content of the first section of this name.
    pub fn by_name(&self, name: &str) -> Result<Option<&'a [u8]>, ElfError> {
        let section = self
            .headers
            .iter()
            .find(|header| text_at(self.names, header.name) == name.as_bytes());
        section.map(|section| section.content(self.bytes)).transpose()
    }

    /// Names of the defined symbols of the symbol table, in file order; empty for stripped files.
    pub fn defined_symbols(&self) -> Result<impl Iterator<Item = &'a [u8]> + use<'a>, ElfError> {
        let table = self.headers.iter().find(|header| header.kind == SHT_SYMTAB);
        let symbols = table.map_or(Ok(&[][..]), |table| table.content(self.bytes))?;
        let strings = table.and_then(|table| self.headers.get(usize::try_from(table.link).ok()?));
        let strings = strings.map_or(Ok(&[][..]), |strings| strings.content(self.bytes))?;
        let entries = symbols.as_chunks::<SYMBOL_LEN>().0;
        Ok(entries
            .iter()
            .filter(|symbol| u16_at(*symbol, 6) != SHN_UNDEF)
            .map(move |symbol| text_at(strings, u32_at(symbol, 0))))
    }
}

impl Header {
    fn parse(entry: &[u8; SECTION_HEADER_LEN as usize]) -> Self {
        Self {
            name: u32_at(entry, 0),
            kind: u32_at(entry, 4),
            offset: u64_at(entry, 24),
            len: u64_at(entry, 32),
            link: u32_at(entry, 40),
        }
    }

    fn content<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], ElfError> {
        if self.kind == SHT_NOBITS {
            return Ok(&[]);
        }
        let range = || {
            let start = usize::try_from(self.offset).ok()?;
            bytes.get(start..)?.get(..usize::try_from(self.len).ok()?)
        };
        range().ok_or(ElfError::Truncated {
            what: "section",
            offset: self.offset,
        })
    }
}

fn text_at(strings: &[u8], at: u32) -> &[u8] {
    let rest = usize::try_from(at).ok().and_then(|at| strings.get(at..));
    rest.unwrap_or_default()
        .split(|byte| *byte == 0)
        .next()
        .unwrap_or_default()
}
