//! Records of a pax extended header (POSIX.1-2001, "pax Header Block"): `LENGTH KEY=VALUE\n`.
//!
//! Values may hold any byte, newlines included, so the length rules.

use std::collections::BTreeMap;

use super::{TarError, text};

/// Linux's limits for the name and the value of an extended attribute (`XATTR_NAME_MAX`, `XATTR_SIZE_MAX`).
const MAX_XATTR_NAME: usize = 255;
const MAX_XATTR_VALUE: usize = 65_536;

/// Records by key; of two with the same key the later one counts.
pub(super) type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// Splits a header into its records.
pub(super) fn parse(mut bytes: &[u8]) -> Result<Records, &'static str> {
    const MALFORMED: &str = "malformed";
    let mut records = Records::new();
    while !bytes.is_empty() {
        let space = bytes.iter().take(8).position(|byte| *byte == b' ').ok_or(MALFORMED)?;
        let digits = std::str::from_utf8(&bytes[..space]).map_err(|_| MALFORMED)?;
        let len: usize = digits.parse().map_err(|_| MALFORMED)?;
        if len <= space + 1 || len > bytes.len() || bytes[len - 1] != b'\n' {
            return Err(MALFORMED);
        }
        let record = &bytes[space + 1..len - 1];
        let equals = record.iter().position(|byte| *byte == b'=').ok_or(MALFORMED)?;
        records.insert(record[..equals].to_vec(), record[equals + 1..].to_vec());
        bytes = &bytes[len..];
    }
    Ok(records)
}

/// What the records say about one entry.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    pub(super) path: Option<Vec<u8>>,
    pub(super) target: Option<Vec<u8>>,
    pub(super) len_bytes: Option<u64>,
    pub(super) user: Option<String>,
    pub(super) group: Option<String>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) xattrs: BTreeMap<String, Vec<u8>>,
}

impl Attributes {
    /// Keys that would change the content or the rights and are not supported stop the reading; others (times, for
    /// example) are passed over.
    pub(super) fn from_records(records: Records, offset: u64) -> Result<Self, TarError> {
        let mut attributes = Self::default();
        for (key, value) in records {
            match key.as_slice() {
                b"path" => attributes.path = Some(value),
                b"linkpath" => attributes.target = Some(value),
                b"size" => attributes.len_bytes = Some(number(&value, "size", offset)?),
                b"uid" => attributes.uid = Some(number(&value, "user", offset)?),
                b"gid" => attributes.gid = Some(number(&value, "group", offset)?),
                b"uname" => attributes.user = Some(text(&value, "user", offset)?),
                b"gname" => attributes.group = Some(text(&value, "group", offset)?),
                key if key.starts_with(b"GNU.sparse.") || key.starts_with(b"SCHILY.acl.") => {
                    let kind = format!("`{}`", key.escape_ascii());
                    return Err(TarError::Unsupported { offset, kind });
                }
                key => {
                    if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                        attributes.xattrs.insert(xattr_name(name, &value, offset)?, value);
                    }
                }
            }
        }
        Ok(attributes)
    }
}

fn number(value: &[u8], field: &'static str, offset: u64) -> Result<u64, TarError> {
    let text = std::str::from_utf8(value).ok();
    text.and_then(|text| text.parse().ok())
        .ok_or(TarError::BadField { offset, field })
}

fn xattr_name(name: &[u8], value: &[u8], offset: u64) -> Result<String, TarError> {
    let name = text(name, "extended attribute", offset)?;
    match name.is_empty() || name.len() > MAX_XATTR_NAME || value.len() > MAX_XATTR_VALUE {
        true => Err(TarError::BadField {
            offset,
            field: "extended attribute",
        }),
        false => Ok(name),
    }
}
