//! The root file system by path: what other files here derive their facts from.

use crate::squashfs::ReadAt;
use crate::squashfs::read::{Entry, EntryContent, Image};

/// The longest text that is read: a bundle of certificates has some 200 KB.
const MAX_TEXT_BYTES: u64 = 4 << 20;
/// How many symbolic links are followed one after the other (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

/// The entries of an image, which are in the order of their paths.
pub(super) struct RootView<'a, R: ReadAt + ?Sized> {
    image: &'a Image<'a, R>,
    entries: &'a [Entry],
}

impl<'a, R: ReadAt + ?Sized> RootView<'a, R> {
    pub(super) const fn new(image: &'a Image<'a, R>, entries: &'a [Entry]) -> Self {
        Self { image, entries }
    }

    /// What is at `path`, which has no leading `/`.
    pub(super) fn find(&self, path: &[u8]) -> Option<&'a Entry> {
        let index = self
            .entries
            .binary_search_by(|entry| entry.path.as_bytes().cmp(path))
            .ok()?;
        self.entries.get(index)
    }

    /// All that lies in `folder` or below it, with the paths from there; paths that are no text are left out.
    pub(super) fn below(&self, folder: &str) -> impl Iterator<Item = (&'a str, &'a Entry)> + use<'a, R> {
        let prefix = format!("{folder}/");
        let first = self
            .entries
            .partition_point(|entry| entry.path.as_bytes() < prefix.as_bytes());
        self.entries[first..]
            .iter()
            .map_while(move |entry| Some((entry.path.as_bytes().strip_prefix(prefix.as_bytes())?, entry)))
            .filter_map(|(rest, entry)| Some((std::str::from_utf8(rest).ok()?, entry)))
    }

    /// What is in `folder`, by name.
    pub(super) fn children(&self, folder: &str) -> impl Iterator<Item = (&'a str, &'a Entry)> + use<'a, R> {
        self.below(folder).filter(|(name, _)| !name.contains('/'))
    }

    /// The file at `path`, or the one that the symbolic link there leads to.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let mut path = path.as_bytes().to_vec();
        for _ in 0..MAX_LINKS {
            match &self.find(&path)?.content {
                EntryContent::File(file) => {
                    let bytes = self.image.read_file(file, MAX_TEXT_BYTES).ok()?;
                    return Some(String::from_utf8_lossy(&bytes).into_owned());
                }
                EntryContent::Symlink(target) => path = followed(&path, target),
                EntryContent::HardLink(target) => path = target.as_bytes().to_vec(),
                _ => return None,
            }
        }
        None
    }

    /// Whether something is at `path`.
    pub(super) fn has(&self, path: &str) -> bool {
        self.find(path.as_bytes()).is_some()
    }
}

/// Where a link at `path` leads; `..` stops at the root, as in a chroot.
fn followed(path: &[u8], target: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    if !target.starts_with(b"/") {
        parts.extend(path.split(|byte| *byte == b'/'));
        parts.pop();
    }
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_from_their_folder_and_never_out_of_the_root() {
        let follow =
            |path: &str, target: &str| String::from_utf8(followed(path.as_bytes(), target.as_bytes())).unwrap();
        assert_eq!(follow("etc/os-release", "../usr/lib/os-release"), "usr/lib/os-release");
        assert_eq!(follow("etc/a/b", "c"), "etc/a/c");
        assert_eq!(follow("etc/a", "/x//./y"), "x/y");
        assert_eq!(follow("a", "../../b"), "b");
    }
}
