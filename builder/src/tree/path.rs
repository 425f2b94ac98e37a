//! Paths inside an image.

use std::fmt;

/// A path inside the image: relative, `/`-separated, without empty, `.` or `..` parts; the root is the empty path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TreePath(pub(super) String);

/// Text that cannot be a path inside an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a path inside the image")]
pub struct BadPath(pub String);

impl TreePath {
    /// The top folder.
    pub const ROOT: Self = Self(String::new());

    /// Reads a path as archives write it: a leading `/` or `./` and a trailing `/` are dropped; `..`, NUL, other control
    /// characters and parts over 255 bytes are refused.
    pub fn parse(text: &str) -> Result<Self, BadPath> {
        let bad = || BadPath(text.escape_default().to_string());
        let mut parts = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => return Err(bad()),
                _ if part.len() > 255 || part.bytes().any(|byte| byte < 0x20 || byte == 0x7f) => return Err(bad()),
                _ => parts.push(part),
            }
        }
        Ok(Self(parts.join("/")))
    }

    /// The path as text, without a leading `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last part; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The folder that holds it; none for the root.
    pub fn parent(&self) -> Option<Self> {
        match self.0.rfind('/') {
            _ if self.0.is_empty() => None,
            None => Some(Self::ROOT),
            Some(end) => Some(Self(self.0[..end].to_owned())),
        }
    }

    /// This path followed by another, relative one. The same rules as [`TreePath::parse`].
    pub fn join(&self, rest: &str) -> Result<Self, BadPath> {
        Self::parse(&format!("{}/{rest}", self.0))
    }

    /// Whether it lies somewhere below `folder`.
    pub fn is_below(&self, folder: &Self) -> bool {
        folder.0.is_empty() && !self.0.is_empty()
            || self
                .0
                .strip_prefix(folder.0.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
    }

    /// Follows a symbolic link's target from the folder that holds the link; `..` stops at the root, as in a chroot.
    pub fn resolve_link(&self, target: &str) -> Self {
        let mut parts: Vec<&str> = match target.starts_with('/') {
            true => Vec::new(),
            false => self
                .0
                .rsplit_once('/')
                .map_or_else(Vec::new, |(folder, _)| folder.split('/').collect()),
        };
        for part in target.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop();
                }
                _ => parts.push(part),
            }
        }
        Self(parts.join("/"))
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}
