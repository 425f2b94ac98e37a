//! The bytes of `ld.so.cache`: glibc's format 1.1, little-endian, as both architectures of Skerry use it.
//!
//! ```text
//! 0   "glibc-ld.so.cache1.1"      28  flags (2: little-endian), 3 bytes unused
//! 20  number of entries           32  offset of extensions (0: none)
//! 24  length of the strings       36  12 bytes unused
//! 48  per entry, 24 bytes: flags, offset of soname, offset of path, OS version (0), hwcap (0, 64 bits)
//!     strings, NUL-terminated; offsets count from the start of the file
//! ```
//!
//! The loader searches by bisection, so entries must stand in [`compare_names`]' order, largest first.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::arch::Arch;

const MAGIC: &[u8; 20] = b"glibc-ld.so.cache1.1";
const HEADER_LEN: usize = 48;
const ENTRY_LEN: usize = 24;
const LITTLE_ENDIAN: u8 = 2;

/// One library of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What programs ask for.
    pub soname: String,
    /// The absolute path to load.
    pub path: String,
}

/// Bytes that are no cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the library cache is broken at offset {0}")]
pub struct Broken(pub usize);

/// The type of a 64-bit library that uses glibc, as the loader expects it in an entry.
const fn entry_flags(arch: Arch) -> u32 {
    match arch {
        Arch::X86_64 => 0x0303,
        Arch::Aarch64 => 0x0a03,
    }
}

/// Compares names as the loader does: digits in a row are one number, and a number is larger than any other character.
/// Numbers wrap at 32 bits as the loader's do.
pub fn compare_names(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    loop {
        match (left.first(), right.first()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => match (a.is_ascii_digit(), b.is_ascii_digit()) {
                (true, false) => return Ordering::Greater,
                (false, true) => return Ordering::Less,
                (true, true) => match take_number(&mut left).cmp(&take_number(&mut right)) {
                    Ordering::Equal => {}
                    unequal => return unequal,
                },
                (false, false) if a != b => return a.cmp(b),
                (false, false) => (left, right) = (&left[1..], &right[1..]),
            },
        }
    }
}

fn take_number(text: &mut &[u8]) -> i32 {
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(len);
    *text = rest;
    digits.iter().fold(0_i32, |number, digit| {
        number.wrapping_mul(10).wrapping_add(i32::from(digit - b'0'))
    })
}

/// Puts entries into the order the loader needs; equal names keep theirs, so that the first folder wins.
pub fn sort(entries: &mut [Entry]) {
    entries.sort_by(|left, right| compare_names(&right.soname, &left.soname));
}

/// The file for entries that [`sort`] has put into order.
pub fn to_bytes(entries: &[Entry], arch: Arch) -> Vec<u8> {
    let mut strings = Strings {
        first_offset: HEADER_LEN + entries.len() * ENTRY_LEN,
        bytes: Vec::new(),
        offsets: BTreeMap::new(),
    };
    let mut table = Vec::with_capacity(entries.len() * ENTRY_LEN);
    for entry in entries {
        let (soname, path) = (strings.offset_of(&entry.soname), strings.offset_of(&entry.path));
        let fields = [entry_flags(arch), soname, path, 0, 0, 0];
        table.extend(fields.into_iter().flat_map(u32::to_le_bytes));
    }
    let mut bytes = MAGIC.to_vec();
    bytes.extend(number(entries.len()).to_le_bytes());
    bytes.extend(number(strings.bytes.len()).to_le_bytes());
    bytes.extend([LITTLE_ENDIAN, 0, 0, 0]);
    bytes.resize(HEADER_LEN, 0);
    bytes.extend(table);
    bytes.extend(strings.bytes);
    bytes
}

/// The texts after the table, each once.
struct Strings<'a> {
    first_offset: usize,
    bytes: Vec<u8>,
    offsets: BTreeMap<&'a str, u32>,
}

impl<'a> Strings<'a> {
    fn offset_of(&mut self, text: &'a str) -> u32 {
        *self.offsets.entry(text).or_insert_with(|| {
            let offset = number(self.first_offset + self.bytes.len());
            self.bytes.extend_from_slice(text.as_bytes());
            self.bytes.push(0);
            offset
        })
    }
}

fn number(len: usize) -> u32 {
    u32::try_from(len).expect("the names of an image's libraries are far below 4 GiB")
}

/// Reads a cache of this format, whoever wrote it; entries of other architectures and hwcaps are among the result.
pub fn parse(bytes: &[u8]) -> Result<Vec<Entry>, Broken> {
    let word = |at: usize| {
        let range = bytes.get(at..).and_then(|rest| rest.first_chunk());
        range.map(|word| u32::from_le_bytes(*word) as usize).ok_or(Broken(at))
    };
    let text = |at: usize| {
        let rest = bytes.get(at..).ok_or(Broken(at))?;
        let len = rest.iter().position(|byte| *byte == 0).ok_or(Broken(at))?;
        let text = std::str::from_utf8(&rest[..len]).map_err(|_| Broken(at))?;
        Ok(text.to_owned())
    };
    if !bytes.starts_with(MAGIC) {
        return Err(Broken(0));
    }
    let count = word(20)?;
    if count > bytes.len() / ENTRY_LEN {
        return Err(Broken(20));
    }
    (0..count)
        .map(|index| {
            let at = HEADER_LEN + index * ENTRY_LEN;
            Ok(Entry {
                soname: text(word(at + 4)?)?,
                path: text(word(at + 8)?)?,
            })
        })
        .collect()
}
