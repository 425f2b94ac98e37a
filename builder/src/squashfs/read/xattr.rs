//! Sets of extended attributes.

use std::collections::BTreeMap;

use super::super::ReadAt;
use super::super::xattr::{MAX_VALUE_LEN, NAMESPACES, OUT_OF_LINE};
use super::ReadError;
use super::metadata::{Budget, Cursor, MetadataReader};

/// Sets of any image we would meet; bounds the table held in memory to 16 MiB.
const MAX_SETS: u32 = 1 << 20;
/// Attributes of one node.
const MAX_COUNT: u32 = 1 << 12;

/// Where the sets are.
pub(super) struct XattrReader {
    values: u64,
    lookup: Vec<u8>,
}

impl XattrReader {
    pub(super) fn open<R: ReadAt + ?Sized>(metadata: &MetadataReader<'_, R>, header: u64) -> Result<Self, ReadError> {
        let values = u64::from_le_bytes(metadata.raw(header)?);
        let sets = u32::from_le_bytes(metadata.raw(header.saturating_add(8))?);
        if sets > MAX_SETS {
            return Err(ReadError::TooMuch("sets of extended attributes"));
        }
        let lookup = metadata.indexed(header.saturating_add(16), u64::from(sets) * 16)?;
        Ok(Self { values, lookup })
    }

    /// The attributes of a set by full name.
    pub(super) fn read<R: ReadAt + ?Sized>(
        &self,
        metadata: &MetadataReader<'_, R>,
        set: u32,
        budget: &mut Budget,
    ) -> Result<BTreeMap<String, Vec<u8>>, ReadError> {
        let corrupt = |what| ReadError::Xattrs { set, what };
        let (entries, _) = self.lookup.as_chunks::<16>();
        let entry = entries.get(set as usize).ok_or_else(|| corrupt("no such number"))?;
        let (reference, counts) = entry.split_at(8);
        let reference = u64::from_le_bytes(reference.try_into().expect("8 of 16 bytes"));
        let count = u32::from_le_bytes(counts[..4].try_into().expect("4 of 8 bytes"));
        if count > MAX_COUNT {
            return Err(corrupt("too many attributes"));
        }
        let mut cursor = self.cursor(metadata, reference)?;
        let mut attributes = BTreeMap::new();
        for _ in 0..count {
            let (kind, name_len) = (cursor.u16()?, cursor.u16()?);
            let namespace = NAMESPACES.get(usize::from(kind & !OUT_OF_LINE));
            let namespace = namespace.ok_or_else(|| corrupt("an unknown namespace"))?;
            let name = String::from_utf8(cursor.bytes(usize::from(name_len))?);
            let name = name.map_err(|_| corrupt("a name that is no UTF-8"))?;
            let inline = value(&mut cursor, set)?;
            let value = match kind & OUT_OF_LINE {
                0 => inline,
                _ => {
                    let reference = inline.try_into().map_err(|_| corrupt("a torn reference"))?;
                    value(&mut self.cursor(metadata, u64::from_le_bytes(reference))?, set)?
                }
            };
            budget.take(name.len() + value.len())?;
            attributes.insert(format!("{namespace}{name}"), value);
        }
        Ok(attributes)
    }

    fn cursor<'m, 'd, R: ReadAt + ?Sized>(
        &self,
        metadata: &'m MetadataReader<'d, R>,
        reference: u64,
    ) -> Result<Cursor<'m, 'd, R>, ReadError> {
        metadata.cursor(self.values.checked_add(reference >> 16), reference as u16)
    }
}

fn value<R: ReadAt + ?Sized>(cursor: &mut Cursor<'_, '_, R>, set: u32) -> Result<Vec<u8>, ReadError> {
    let len = cursor.u32()? as usize;
    if len > MAX_VALUE_LEN {
        let what = "a value that is too long";
        return Err(ReadError::Xattrs { set, what });
    }
    cursor.bytes(len)
}
