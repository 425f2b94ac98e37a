//! The outer archive of a Debian package: bytes flow in, the list of its members (name, place, length) flows out.
//!
//! Format: `ar` in its common form as deb(5) restricts it: 60-byte headers with decimal ASCII numbers, data padded to
//! even offsets. GNU's long names (`//`) and BSD's (`#1/…`) are deliberately refused: no package has them.

use std::io::{self, Read, Seek, SeekFrom};

/// The first eight bytes of every archive.
const MAGIC: &[u8; 8] = b"!<arch>\n";

/// Length of a member's header.
const HEADER_LEN: usize = 60;

/// Packages have three members; dpkg allows a few more that it ignores.
const MAX_MEMBERS: usize = 32;

/// One member of an archive; its bytes are a range of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArMember {
    /// Its name, without the `/` that some writers put at the end.
    pub name: String,
    /// Where its data begins, in bytes from the start of the archive.
    pub offset: u64,
    /// The length of its data in bytes.
    pub len_bytes: u64,
}

/// Why an archive cannot be read; offsets are bytes from its start.
#[derive(Debug, thiserror::Error)]
pub enum ArError {
    /// The magic bytes are missing.
    #[error("this is no ar archive: it does not begin with `!<arch>`")]
    NoArchive,
    /// The file ends inside a member's header.
    #[error("the member header at offset {offset} is cut off")]
    HeaderCutOff {
        /// Where the header begins.
        offset: u64,
    },
    /// A header whose fields make no sense.
    #[error("the member header at offset {offset} has a bad {field}")]
    BadHeader {
        /// Where the header begins.
        offset: u64,
        /// Which field.
        field: &'static str,
    },
    /// The file ends inside a member's data.
    #[error("member `{member}` is cut off: {present} of {len_bytes} bytes are there, from offset {offset} on")]
    DataCutOff {
        /// The member's name.
        member: String,
        /// Where its data begins.
        offset: u64,
        /// How long it should be.
        len_bytes: u64,
        /// How many bytes are there.
        present: u64,
    },
    /// More members than any package has.
    #[error("there are more than {MAX_MEMBERS} members")]
    TooManyMembers,
    /// Reading failed.
    #[error("cannot read the archive at offset {offset}")]
    Read {
        /// Where.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Lists the members of an archive. Only headers are read, and every member is known to lie inside the archive.
pub fn read_members(archive: &mut (impl Read + Seek)) -> Result<Vec<ArMember>, ArError> {
    let at = |offset| move |source| ArError::Read { offset, source };
    let end = archive.seek(SeekFrom::End(0)).map_err(at(0))?;
    archive.seek(SeekFrom::Start(0)).map_err(at(0))?;
    let mut magic = [0; MAGIC.len()];
    match archive.read_exact(&mut magic) {
        Ok(()) if magic == *MAGIC => {}
        Err(source) if source.kind() != io::ErrorKind::UnexpectedEof => return Err(at(0)(source)),
        _ => return Err(ArError::NoArchive),
    }
    let mut members = Vec::new();
    let mut offset = MAGIC.len() as u64;
    while offset < end {
        if members.len() == MAX_MEMBERS {
            return Err(ArError::TooManyMembers);
        }
        if end - offset < HEADER_LEN as u64 {
            return Err(ArError::HeaderCutOff { offset });
        }
        archive.seek(SeekFrom::Start(offset)).map_err(at(offset))?;
        let mut header = [0; HEADER_LEN];
        archive.read_exact(&mut header).map_err(at(offset))?;
        let member = parse_header(&header, offset)?;
        let present = end - member.offset;
        if present < member.len_bytes {
            return Err(ArError::DataCutOff {
                member: member.name,
                offset: member.offset,
                len_bytes: member.len_bytes,
                present,
            });
        }
        // Members begin at even offsets; the last one's padding may be missing.
        offset = (member.offset + member.len_bytes).next_multiple_of(2);
        members.push(member);
    }
    Ok(members)
}

fn parse_header(header: &[u8; HEADER_LEN], offset: u64) -> Result<ArMember, ArError> {
    let bad = |field| ArError::BadHeader { offset, field };
    if &header[58..] != b"`\n" {
        return Err(bad("end mark"));
    }
    let text = |range: std::ops::Range<usize>| {
        std::str::from_utf8(&header[range])
            .ok()
            .map(|text| text.trim_end_matches(' '))
    };
    let name = text(0..16).ok_or_else(|| bad("name"))?;
    let name = name.strip_suffix('/').unwrap_or(name);
    if name.is_empty()
        || name.starts_with("#1/")
        || name.contains('/')
        || !name.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err(bad("name"));
    }
    let digits = text(48..58).ok_or_else(|| bad("size"))?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad("size"));
    }
    Ok(ArMember {
        name: name.to_owned(),
        offset: offset + HEADER_LEN as u64,
        len_bytes: digits.parse().map_err(|_| bad("size"))?,
    })
}

#[cfg(test)]
mod tests;
