//! The binary index of kmod: a radix trie from keys to values, searched by `libkmod` without reading the text files.
//!
//! Format (version 2.1; all integers are 32 bits, most significant byte first): magic, version, then the root's
//! reference. A reference is a file offset whose top bits tell which parts the node there has, in this order:
//!
//! ```text
//! PREFIX    bytes that all keys below share, NUL-terminated
//! CHILDREN  first byte, last byte, then one reference for each byte between them (0 where there is none)
//! VALUES    count, then each as priority and NUL-terminated text, lowest priority first
//! ```
//!
//! Children are written before their parent. Keys may hold wildcards; the trie does not care.

use std::collections::BTreeMap;

const MAGIC: u32 = 0xb007_f457;
const VERSION: u32 = 0x0002_0001;
const HEADER_LEN: usize = 12;
const HAS_PREFIX: u32 = 0x8000_0000;
const HAS_VALUES: u32 = 0x4000_0000;
const HAS_CHILDREN: u32 = 0x2000_0000;
/// Offsets have 28 bits.
const MAX_OFFSET: u32 = 0x0fff_ffff;
/// The trie's depth is at most that; the longest alias in Debian's kernel has 250 bytes.
const MAX_KEY_LEN: usize = 4096;

/// Why keys and values do not make an index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// Keys are ASCII without NUL.
    #[error("`{}` cannot be a key of a module index", .0.escape_debug())]
    BadKey(String),
    /// Values end at the first NUL.
    #[error("`{}` cannot be a value of a module index", .0.escape_debug())]
    BadValue(String),
    /// 28-bit offsets do not reach further than 256 MiB.
    #[error("the module index is longer than 256 MiB")]
    TooLong,
    /// Bytes that are no such index, when reading one.
    #[error("the module index is broken at offset {0}")]
    Broken(usize),
}

/// Values with their priorities, lowest first.
pub type Values = Vec<(u32, String)>;

/// Keys with their values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    entries: BTreeMap<String, Values>,
}

impl Index {
    /// An index of `(priority, (key, value))`; priorities are positions in `modules.order`.
    pub fn collect(entries: impl Iterator<Item = (usize, (String, String))>) -> Result<Self, IndexError> {
        let mut index = Self::default();
        for (priority, (key, value)) in entries {
            index.insert(key, value, u32::try_from(priority).map_err(|_| IndexError::TooLong)?)?;
        }
        Ok(index)
    }

    /// Adds a value. Among equal priorities the later one comes first, as in kmod's own writer.
    pub fn insert(&mut self, key: String, value: String, priority: u32) -> Result<(), IndexError> {
        if key.len() > MAX_KEY_LEN || !key.bytes().all(|byte| matches!(byte, 1..=0x7f)) {
            return Err(IndexError::BadKey(key));
        }
        if value.contains('\0') {
            return Err(IndexError::BadValue(value));
        }
        let values = self.entries.entry(key).or_default();
        let at = values.partition_point(|(present, _)| *present < priority);
        values.insert(at, (priority, value));
        Ok(())
    }

    /// The values of exactly this key.
    pub fn get(&self, key: &str) -> &[(u32, String)] {
        self.entries.get(key).map_or(&[], Vec::as_slice)
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, IndexError> {
        let mut bytes = Vec::new();
        for number in [MAGIC, VERSION, 0] {
            push(&mut bytes, number);
        }
        let entries: Vec<(&[u8], &Values)> = self.entries.iter().map(|(key, v)| (key.as_bytes(), v)).collect();
        let root = write_node(&mut bytes, &entries, 0)?;
        bytes[8..HEADER_LEN].copy_from_slice(&root.to_be_bytes());
        Ok(bytes)
    }

    /// Reads an index that anybody wrote.
    pub fn parse(bytes: &[u8]) -> Result<Self, IndexError> {
        if number_at(bytes, 0)? != MAGIC || number_at(bytes, 4)? >> 16 != VERSION >> 16 {
            return Err(IndexError::Broken(0));
        }
        let mut index = Self::default();
        let mut reader = Reader {
            bytes,
            // Each byte belongs to one node, so reading more of them than there are means shared or circular nodes.
            bytes_left: bytes.len(),
            index: &mut index,
        };
        reader.node(number_at(bytes, 8)?, &mut String::new())?;
        Ok(index)
    }
}

fn push(bytes: &mut Vec<u8>, number: u32) {
    bytes.extend_from_slice(&number.to_be_bytes());
}

/// Writes the trie of `entries`, sorted by key, all of which agree in their first `depth` bytes; returns its reference.
fn write_node(bytes: &mut Vec<u8>, entries: &[(&[u8], &Values)], depth: usize) -> Result<u32, IndexError> {
    let (first, last) = match entries {
        [] => (&[][..], &[][..]),
        [first, ..] => (&first.0[depth..], &entries[entries.len() - 1].0[depth..]),
    };
    // What the first and the last of sorted keys share, all between them share. The root has no prefix.
    let shared = match depth {
        0 => 0,
        _ => first.iter().zip(last).take_while(|(left, right)| left == right).count(),
    };
    let depth_here = depth + shared;
    let own = entries.first().filter(|(key, _)| key.len() == depth_here);
    let below = &entries[usize::from(own.is_some())..];
    let children = below
        .chunk_by(|left, right| left.0[depth_here] == right.0[depth_here])
        .map(|group| Ok((group[0].0[depth_here], write_node(bytes, group, depth_here + 1)?)))
        .collect::<Result<BTreeMap<u8, u32>, IndexError>>()?;

    let mut reference = u32::try_from(bytes.len()).map_err(|_| IndexError::TooLong)?;
    if reference > MAX_OFFSET {
        return Err(IndexError::TooLong);
    }
    if shared > 0 {
        reference |= HAS_PREFIX;
        bytes.extend_from_slice(&first[..shared]);
        bytes.push(0);
    }
    if let (Some((first, _)), Some((last, _))) = (children.first_key_value(), children.last_key_value()) {
        reference |= HAS_CHILDREN;
        bytes.extend([*first, *last]);
        for byte in *first..=*last {
            push(bytes, children.get(&byte).copied().unwrap_or(0));
        }
    }
    if let Some((_, values)) = own {
        reference |= HAS_VALUES;
        push(bytes, u32::try_from(values.len()).map_err(|_| IndexError::TooLong)?);
        for (priority, value) in *values {
            push(bytes, *priority);
            bytes.extend_from_slice(value.as_bytes());
            bytes.push(0);
        }
    }
    Ok(reference)
}

struct Reader<'a> {
    bytes: &'a [u8],
    bytes_left: usize,
    index: &'a mut Index,
}

impl Reader<'_> {
    fn node(&mut self, reference: u32, key: &mut String) -> Result<(), IndexError> {
        let mut at = (reference & MAX_OFFSET) as usize;
        self.spend(1, at)?;
        let key_len = key.len();
        if reference & HAS_PREFIX != 0 {
            key.push_str(&self.text(&mut at)?);
        }
        if key.len() > MAX_KEY_LEN {
            return Err(IndexError::Broken(at));
        }
        if reference & HAS_CHILDREN != 0 {
            let (first, last) = match self.bytes.get(at..at + 2) {
                Some(&[first, last]) if first <= last && last < 0x80 => (first, last),
                _ => return Err(IndexError::Broken(at)),
            };
            at += 2;
            for byte in first..=last {
                let child = self.number(&mut at)?;
                if child != 0 {
                    key.push(char::from(byte));
                    self.node(child, key)?;
                    key.pop();
                }
            }
        }
        if reference & HAS_VALUES != 0 {
            let count = self.number(&mut at)?;
            for _ in 0..count {
                let priority = self.number(&mut at)?;
                let value = self.text(&mut at)?;
                let values = self.index.entries.entry(key.clone()).or_default();
                values.push((priority, value));
            }
        }
        key.truncate(key_len);
        Ok(())
    }

    fn spend(&mut self, len: usize, at: usize) -> Result<(), IndexError> {
        self.bytes_left = self.bytes_left.checked_sub(len).ok_or(IndexError::Broken(at))?;
        Ok(())
    }

    fn number(&mut self, at: &mut usize) -> Result<u32, IndexError> {
        self.spend(4, *at)?;
        let number = number_at(self.bytes, *at)?;
        *at += 4;
        Ok(number)
    }

    fn text(&mut self, at: &mut usize) -> Result<String, IndexError> {
        let broken = IndexError::Broken(*at);
        let rest = self.bytes.get(*at..).ok_or_else(|| broken.clone())?;
        let len = rest.iter().position(|byte| *byte == 0).ok_or_else(|| broken.clone())?;
        self.spend(len, *at)?;
        *at += len + 1;
        String::from_utf8(rest[..len].to_vec()).map_err(|_| broken)
    }
}

fn number_at(bytes: &[u8], at: usize) -> Result<u32, IndexError> {
    let range = bytes.get(at..).and_then(|rest| rest.first_chunk());
    range
        .map(|number| u32::from_be_bytes(*number))
        .ok_or(IndexError::Broken(at))
}
