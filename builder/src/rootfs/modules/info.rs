//! What a kernel module says about itself, read from its `.ko`, `.ko.xz`, `.ko.zst` or `.ko.gz` file.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};

use crate::elf::ElfError;
use crate::elf::sections::Sections;
use crate::tree::FileData;

/// Longer modules are refused; the longest in Debian's kernel is below 32 MiB.
const MAX_MODULE_BYTES: u64 = 256 << 20;
/// Memory an xz decoder may ask for; the kernel's own build uses dictionaries of 2 MiB.
const MAX_XZ_MEMORY_BYTES: u64 = 128 << 20;

/// Why a module cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InfoError {
    /// The bytes cannot be fetched or decompressed.
    #[error("cannot decompress it")]
    Decompress(#[source] io::Error),
    /// It is longer than any real module.
    #[error("it is longer than {MAX_MODULE_BYTES} bytes when decompressed")]
    TooLong,
    /// It is no ELF file, or a broken one.
    #[error("it is not a sound ELF file")]
    Elf(#[from] ElfError),
    /// It has no `.modinfo`.
    #[error("it has no section `.modinfo`, so it is no kernel module")]
    NoModinfo,
}

/// The parts of a module that matter outside of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleInfo {
    /// `e_machine` of the ELF header.
    pub machine: u16,
    /// Kernel version and build flags it is made for.
    pub vermagic: String,
    /// Modules it cannot do without; names as written.
    pub depends: Vec<String>,
    /// Soft dependencies as written: `pre: a b post: c`.
    pub soft_depends: Vec<String>,
    /// Modules that it may ask for while it runs.
    pub weak_depends: Vec<String>,
    /// Patterns of device ids and other names that it answers to.
    pub aliases: Vec<String>,
    /// Firmware files that it may ask for.
    pub firmware: Vec<String>,
    /// Symbols that it exports, sorted.
    pub exports: Vec<String>,
}

/// How a module's file is packed, by its name's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Plain,
    Xz,
    Zstd,
    Gzip,
}

impl Packing {
    fn of(file_name: &str) -> Option<Self> {
        let packings = [
            (".ko", Self::Plain),
            (".ko.xz", Self::Xz),
            (".ko.zst", Self::Zstd),
            (".ko.gz", Self::Gzip),
        ];
        let found = packings.into_iter().find(|(suffix, _)| file_name.ends_with(suffix));
        found.map(|(_, packing)| packing)
    }
}

/// Whether a file of this name is a kernel module.
pub fn is_module_file(file_name: &str) -> bool {
    Packing::of(file_name).is_some()
}

impl ModuleInfo {
    /// Reads the module in a file; its name tells how it is packed.
    pub fn read(file_name: &str, data: &FileData) -> Result<Self, InfoError> {
        let packed = data.read().map_err(InfoError::Decompress)?;
        Self::parse(&unpack(file_name, packed)?)
    }

    /// Reads an unpacked module.
    pub fn parse(elf: &[u8]) -> Result<Self, InfoError> {
        let sections = Sections::parse(elf)?;
        let modinfo = sections.by_name(".modinfo")?.ok_or(InfoError::NoModinfo)?;
        let mut info = Self {
            machine: sections.machine(),
            ..Self::default()
        };
        for entry in modinfo.split(|byte| *byte == 0) {
            let entry = String::from_utf8_lossy(entry);
            if let Some((key, value)) = entry.split_once('=') {
                info.take(key, value);
            }
        }
        // kbuild's EXPORT_SYMBOL makes one such local symbol per export, in every version since 2.6.
        let exports = sections
            .defined_symbols()?
            .filter_map(|name| name.strip_prefix(b"__ksymtab_"));
        info.exports = exports.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        info.exports.sort_unstable();
        info.exports.dedup();
        Ok(info)
    }

    fn take(&mut self, key: &str, value: &str) {
        let value = || value.to_owned();
        match key {
            "alias" => self.aliases.push(value()),
            "depends" => self.depends.extend(names(&value())),
            "softdep" => self.soft_depends.push(value()),
            "weakdep" => self.weak_depends.push(value()),
            "firmware" => self.firmware.push(value()),
            "vermagic" => self.vermagic = value(),
            _ => {}
        }
    }
}

fn names(list: &str) -> impl Iterator<Item = String> {
    list.split(',').filter(|name| !name.is_empty()).map(str::to_owned)
}

fn unpack(file_name: &str, packed: Vec<u8>) -> Result<Vec<u8>, InfoError> {
    let reader: Box<dyn Read + '_> = match Packing::of(file_name) {
        Some(Packing::Plain) | None => return Ok(packed),
        Some(Packing::Xz) => Box::new(xz(&packed)?),
        Some(Packing::Zstd) => Box::new(zstd::Decoder::new(&packed[..]).map_err(InfoError::Decompress)?),
        Some(Packing::Gzip) => Box::new(flate2::read::MultiGzDecoder::new(&packed[..])),
    };
    let mut bytes = Vec::new();
    reader
        .take(MAX_MODULE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(InfoError::Decompress)?;
    match bytes.len() as u64 > MAX_MODULE_BYTES {
        true => Err(InfoError::TooLong),
        false => Ok(bytes),
    }
}

fn xz(packed: &[u8]) -> Result<impl Read + '_, InfoError> {
    let stream = liblzma::stream::Stream::new_stream_decoder(MAX_XZ_MEMORY_BYTES, 0);
    let stream = stream.map_err(|error| InfoError::Decompress(error.into()))?;
    Ok(liblzma::bufread::XzDecoder::new_stream(packed, stream))
}
