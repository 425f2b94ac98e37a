//! Extended attributes: names and values in one metadata table, and a second one that says where each set begins. Equal
//! sets are stored once.

use std::collections::BTreeMap;

use crate::tree::{Stat, TreePath};

use super::SquashfsError;
use super::encode::Encoder;
use super::metadata::MetadataWriter;
use super::superblock::NO_TABLE;

/// Namespaces by their number on disk.
pub(super) const NAMESPACES: [&str; 3] = ["user.", "trusted.", "security."];
/// Set in an attribute's type when its value is stored elsewhere and only referred to.
pub(super) const OUT_OF_LINE: u16 = 0x100;
/// Linux' `XATTR_NAME_MAX`, with the namespace.
const MAX_NAME_LEN: usize = 255;
/// Linux' `XATTR_SIZE_MAX`.
pub(super) const MAX_VALUE_LEN: usize = 65_536;

type Attributes = BTreeMap<String, Vec<u8>>;

/// The sets of a tree, numbered in the order of their first use.
#[derive(Debug, Default)]
pub(super) struct XattrSets<'a> {
    numbers: BTreeMap<&'a Attributes, u32>,
    sets: Vec<(&'a Attributes, &'a TreePath)>,
}

impl<'a> XattrSets<'a> {
    /// The number of a node's set; none if it has no attributes.
    pub(super) fn number(&mut self, path: &'a TreePath, stat: &'a Stat) -> Result<Option<u32>, SquashfsError> {
        if stat.xattrs.is_empty() {
            return Ok(None);
        }
        let next = u32::try_from(self.sets.len()).map_err(|_| SquashfsError::TooMany("sets of attributes"))?;
        let number = *self.numbers.entry(&stat.xattrs).or_insert(next);
        if number == next {
            self.sets.push((&stat.xattrs, path));
        }
        Ok(Some(number))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// The stored tables for the position `start`, and the position that the superblock names.
    pub(super) fn tables(&self, start: u64, encoder: &mut Encoder) -> Result<(Vec<u8>, u64), SquashfsError> {
        if self.is_empty() {
            return Ok((Vec::new(), NO_TABLE));
        }
        let mut values = MetadataWriter::new("extended attributes", encoder);
        let mut lookup = Vec::new();
        for (attributes, path) in &self.sets {
            let position = values.position()?;
            let bytes = set_bytes(attributes, path)?;
            values.append(&bytes)?;
            let len = u32::try_from(bytes.len()).map_err(|_| SquashfsError::TooMany("bytes of attributes"))?;
            lookup.extend(position.reference().to_le_bytes());
            lookup.extend((attributes.len() as u32).to_le_bytes());
            lookup.extend(len.to_le_bytes());
        }
        let mut bytes = values.finish()?;
        let mut header = start.to_le_bytes().to_vec();
        header.extend((self.sets.len() as u32).to_le_bytes());
        header.extend([0; 4]);
        let mut ids = MetadataWriter::new("extended attribute sets", encoder);
        ids.append(&lookup)?;
        let (ids, table) = ids.finish_indexed(start + bytes.len() as u64, &header)?;
        bytes.extend(ids);
        Ok((bytes, table))
    }
}

fn set_bytes(attributes: &Attributes, path: &TreePath) -> Result<Vec<u8>, SquashfsError> {
    let mut bytes = Vec::new();
    for (full_name, value) in attributes {
        let namespace = NAMESPACES.iter().position(|prefix| full_name.starts_with(prefix));
        let Some(namespace) = namespace else {
            return Err(SquashfsError::XattrNamespace {
                path: (*path).clone(),
                name: full_name.clone(),
            });
        };
        let name = &full_name[NAMESPACES[namespace].len()..];
        if full_name.len() > MAX_NAME_LEN || value.len() > MAX_VALUE_LEN || name.is_empty() {
            return Err(SquashfsError::XattrTooLong {
                path: (*path).clone(),
                name: full_name.clone(),
                len_bytes: value.len(),
            });
        }
        bytes.extend((namespace as u16).to_le_bytes());
        bytes.extend((name.len() as u16).to_le_bytes());
        bytes.extend(name.as_bytes());
        bytes.extend((value.len() as u32).to_le_bytes());
        bytes.extend(value);
    }
    Ok(bytes)
}
