//! Directory entries: 8.3 names and VFAT long names (FAT specification, "FAT Directory Structure", "FAT Long Directory
//! Entries").

use std::collections::BTreeSet;

use super::time::DosTime;

/// Bytes of an entry.
pub const ENTRY_BYTES: usize = 32;
/// UTF-16 units in one long entry.
const UNITS_PER_ENTRY: usize = 13;
/// The longest name, in UTF-16 units.
pub const MAX_NAME_UNITS: usize = 255;
/// Where a long entry keeps its units.
const UNIT_OFFSETS: [usize; UNITS_PER_ENTRY] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
/// `attribute` of a long entry: read-only, hidden, system and volume at once.
const LONG_NAME: u8 = 0x0f;
/// Marks the long entry that is stored first and holds the name's end.
const LAST_LONG_ENTRY: u8 = 0x40;
/// Attribute bit: a folder.
const FOLDER: u8 = 0x10;
/// Attribute bit: the volume's label.
const VOLUME_LABEL: u8 = 0x08;

/// A name of 8 and 3 bytes, padded with spaces.
pub type ShortName = [u8; 11];

/// What an entry stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    /// A file (with the archive bit, as for everything not yet backed up).
    File,
    /// A folder.
    Folder,
    /// The volume's label.
    VolumeLabel,
}

/// A short entry without its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirEntry {
    /// What it stands for.
    pub attribute: Attribute,
    /// Where its content begins; 0 for nothing.
    pub first_cluster: u32,
    /// The length in bytes; 0 for folders.
    pub len_bytes: u32,
    /// When it was made, changed and read.
    pub time: DosTime,
}

impl DirEntry {
    /// The entry's bytes under the name `short`.
    pub fn to_bytes(&self, short: &ShortName) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..11].copy_from_slice(short);
        bytes[11] = match self.attribute {
            Attribute::File => 0x20,
            Attribute::Folder => FOLDER,
            Attribute::VolumeLabel => VOLUME_LABEL,
        };
        bytes[13] = self.time.hundredths;
        bytes[14..16].copy_from_slice(&self.time.time.to_le_bytes());
        bytes[16..18].copy_from_slice(&self.time.date.to_le_bytes());
        bytes[18..20].copy_from_slice(&self.time.date.to_le_bytes());
        bytes[20..22].copy_from_slice(&((self.first_cluster >> 16) as u16).to_le_bytes());
        bytes[22..24].copy_from_slice(&self.time.time.to_le_bytes());
        bytes[24..26].copy_from_slice(&self.time.date.to_le_bytes());
        bytes[26..28].copy_from_slice(&(self.first_cluster as u16).to_le_bytes());
        bytes[28..].copy_from_slice(&self.len_bytes.to_le_bytes());
        bytes
    }
}

/// What is wrong with a name, or nothing.
pub fn name_fault(name: &str) -> Option<&'static str> {
    if name.is_empty() || name == "." || name == ".." {
        Some("empty, `.` and `..` are no names")
    } else if name.chars().any(|c| c.is_control() || "\"*/:<>?\\|".contains(c)) {
        Some("control characters and `\"*/:<>?\\|` are not allowed")
    } else if name.ends_with(['.', ' ']) || name.starts_with(' ') {
        Some("a name neither begins nor ends with a space, nor ends with a dot")
    } else if name.encode_utf16().count() > MAX_NAME_UNITS {
        Some("a name has at most 255 UTF-16 units")
    } else {
        None
    }
}

/// The key under which FAT finds a name: case does not matter.
pub fn folded(name: &str) -> String {
    name.to_uppercase()
}

/// The short name for `name` that is in nobody's way, and the long entries to store before it (none when the short name
/// says it all).
///
/// A name that fits 8.3 but for its case keeps its letters; any other gets a numeric tail (`EDGE_1~1.EFI`), as in the
/// specification's "Basis-Name Generation". `taken` is extended.
pub fn encode_name(name: &str, taken: &mut BTreeSet<ShortName>) -> (ShortName, Vec<[u8; ENTRY_BYTES]>) {
    let upper = name.to_uppercase();
    let short = match exact_short_name(&upper) {
        Some(short) if !taken.contains(&short) => short,
        _ => tailed_short_name(&upper, taken),
    };
    taken.insert(short);
    if exact_short_name(name) == Some(short) {
        return (short, Vec::new());
    }
    (short, long_entries(name, checksum(&short)))
}

const fn is_short_name_byte(byte: u8) -> bool {
    byte.is_ascii_uppercase()
        || byte.is_ascii_digit()
        || matches!(byte, b'$' | b'%' | b'\'' | b'-' | b'_' | b'@' | b'~')
}

/// `name` as it is, if it is an upper-case 8.3 name. The rarer characters that are allowed count as not.
fn exact_short_name(name: &str) -> Option<ShortName> {
    let (base, extension) = name.split_once('.').unwrap_or((name, ""));
    let fits = |part: &str, len: usize| part.len() <= len && part.bytes().all(is_short_name_byte);
    if base.is_empty() || !fits(base, 8) || !fits(extension, 3) || name.ends_with('.') {
        return None;
    }
    Some(padded(base.as_bytes(), extension.as_bytes()))
}

/// The first `BASE~N.EXT` that is free.
fn tailed_short_name(upper: &str, taken: &BTreeSet<ShortName>) -> ShortName {
    let trimmed = upper.trim_start_matches('.');
    let (base, extension) = trimmed.rsplit_once('.').unwrap_or((trimmed, ""));
    let clean = |part: &str, len: usize| -> Vec<u8> {
        let kept = part.chars().filter(|c| !matches!(c, ' ' | '.'));
        let byte = |c: char| {
            u8::try_from(c)
                .ok()
                .filter(|byte| is_short_name_byte(*byte))
                .unwrap_or(b'_')
        };
        kept.map(byte).take(len).collect()
    };
    let (base, extension) = (clean(base, 8), clean(extension, 3));
    (1_u32..)
        .map(|number| {
            let tail = format!("~{number}");
            let mut name = base[..base.len().min(8 - tail.len())].to_vec();
            name.extend(tail.bytes());
            padded(&name, &extension)
        })
        .find(|short| !taken.contains(short))
        .expect("a folder has fewer entries than there are tails")
}

fn padded(base: &[u8], extension: &[u8]) -> ShortName {
    let mut short = [b' '; 11];
    short[..base.len()].copy_from_slice(base);
    short[8..8 + extension.len()].copy_from_slice(extension);
    short
}

/// Ties long entries to their short one.
pub fn checksum(short: &ShortName) -> u8 {
    short
        .iter()
        .fold(0, |sum: u8, byte| sum.rotate_right(1).wrapping_add(*byte))
}

/// The long entries of `name` in the order in which they are stored: its end first.
fn long_entries(name: &str, checksum: u8) -> Vec<[u8; ENTRY_BYTES]> {
    let units: Vec<u16> = name.encode_utf16().collect();
    let count = units.len().div_ceil(UNITS_PER_ENTRY);
    let mut entries: Vec<_> = units
        .chunks(UNITS_PER_ENTRY)
        .zip(1_u8..)
        .map(|(part, order)| {
            let last = if usize::from(order) == count {
                LAST_LONG_ENTRY
            } else {
                0
            };
            LongEntry::new(part, order | last, checksum).to_bytes()
        })
        .collect();
    entries.reverse();
    entries
}

/// One piece of a long name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongEntry {
    /// Its place in the name, from 1.
    order: u8,
    /// The checksum of the short name that follows.
    pub checksum: u8,
    /// Its units; a name's end is a 0 and then 0xffff.
    units: [u16; UNITS_PER_ENTRY],
}

impl LongEntry {
    fn new(part: &[u16], order: u8, checksum: u8) -> Self {
        let mut units = [0xffff; UNITS_PER_ENTRY];
        units[..part.len()].copy_from_slice(part);
        if part.len() < UNITS_PER_ENTRY {
            units[part.len()] = 0;
        }
        Self { order, checksum, units }
    }

    fn to_bytes(self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[0] = self.order;
        bytes[11] = LONG_NAME;
        bytes[13] = self.checksum;
        for (offset, unit) in UNIT_OFFSETS.into_iter().zip(self.units) {
            bytes[offset..offset + 2].copy_from_slice(&unit.to_le_bytes());
        }
        bytes
    }

    /// Its place in the name, from 1.
    pub const fn position(&self) -> u8 {
        self.order & !LAST_LONG_ENTRY
    }

    /// Whether it holds the name's end, which is stored first.
    pub const fn is_last(&self) -> bool {
        self.order & LAST_LONG_ENTRY != 0
    }

    /// The units that belong to the name.
    pub fn name_units(&self) -> &[u16] {
        let end = self.units.iter().position(|unit| *unit == 0);
        &self.units[..end.unwrap_or(UNITS_PER_ENTRY)]
    }
}

/// A short entry as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShortEntry {
    /// The name.
    pub name: ShortName,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Whether it is the volume's label.
    pub is_label: bool,
    /// Windows NT's marks: bit 3 the base, bit 4 the extension is shown in lower case.
    pub case: u8,
    /// Where its content begins.
    pub first_cluster: u32,
    /// The length in bytes.
    pub len_bytes: u32,
}

impl ShortEntry {
    /// The name as people see it; bytes outside of ASCII depend on a code page that nobody stores and become `\u{fffd}`.
    pub fn display_name(&self) -> String {
        let text = |bytes: &[u8], lower: bool| -> String {
            let shown = bytes.iter().map(|byte| match byte {
                byte if !byte.is_ascii() => char::REPLACEMENT_CHARACTER,
                byte if lower => char::from(byte.to_ascii_lowercase()),
                byte => char::from(*byte),
            });
            shown.collect::<String>().trim_end_matches(' ').to_owned()
        };
        let base = text(&self.name[..8], self.case & 0x08 != 0);
        let extension = text(&self.name[8..], self.case & 0x10 != 0);
        if extension.is_empty() {
            base
        } else {
            format!("{base}.{extension}")
        }
    }
}

/// Any entry as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnyEntry {
    /// No more entries follow.
    End,
    /// It has been deleted.
    Deleted,
    /// Part of a long name.
    Long(LongEntry),
    /// A file, folder or label.
    Short(ShortEntry),
}

impl AnyEntry {
    /// Reads an entry; every 32 bytes are some entry.
    pub fn parse(bytes: &[u8; ENTRY_BYTES]) -> Self {
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        match (bytes[0], bytes[11] & 0x3f) {
            (0, _) => Self::End,
            (0xe5, _) => Self::Deleted,
            (order, LONG_NAME) => Self::Long(LongEntry {
                order,
                checksum: bytes[13],
                units: UNIT_OFFSETS.map(u16_at),
            }),
            (_, attribute) => {
                let mut name = [0; 11];
                name.copy_from_slice(&bytes[..11]);
                Self::Short(ShortEntry {
                    name,
                    is_folder: attribute & FOLDER != 0,
                    is_label: attribute & VOLUME_LABEL != 0,
                    case: bytes[12],
                    first_cluster: u32::from(u16_at(20)) << 16 | u32::from(u16_at(26)),
                    len_bytes: u32::from_le_bytes([bytes[28], bytes[29], bytes[30], bytes[31]]),
                })
            }
        }
    }
}
