//! Names as an image has them: any bytes but `/` and NUL.

use std::fmt;

/// The longest path that the kernel can open (`PATH_MAX`, with the NUL).
const MAX_LEN: usize = 4095;
/// The longest name that the kernel reads (`SQUASHFS_NAME_LEN`).
const MAX_NAME_LEN: usize = 256;

/// A path inside an image: relative, `/`-separated, without empty, `.` or `..` parts; the root is the empty path. Its bytes
/// need not be text and may be control characters; `Display` begins with `/` and escapes those.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EntryPath(Vec<u8>);

impl EntryPath {
    /// The top folder.
    pub const ROOT: Self = Self(Vec::new());

    /// The bytes, without a leading `/`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path, if it is text.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The path of a name in this folder; none for a name that leads elsewhere, or a path that nobody could open.
    pub(super) fn join(&self, name: &[u8]) -> Option<Self> {
        let leads_elsewhere =
            matches!(name, b"" | b"." | b"..") || name.iter().any(|byte| matches!(byte, b'/' | b'\0'));
        if leads_elsewhere || name.len() > MAX_NAME_LEN {
            return None;
        }
        let mut path = self.0.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        (path.len() <= MAX_LEN).then_some(Self(path))
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", Escaped(&self.0))
    }
}

/// Shows bytes from an image as text: control characters and what is no UTF-8 as `\xNN`.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c.is_control() {
                    true => c.encode_utf8(&mut [0; 4]).bytes().try_for_each(|byte| hex(f, byte))?,
                    false => fmt::Write::write_char(f, c)?,
                }
            }
            chunk.invalid().iter().try_for_each(|byte| hex(f, *byte))?;
        }
        Ok(())
    }
}

fn hex(f: &mut fmt::Formatter<'_>, byte: u8) -> fmt::Result {
    write!(f, "\\x{byte:02x}")
}
