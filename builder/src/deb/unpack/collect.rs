//! Takes the entries of `data.tar` as they stream by: contents go into the cache file, the rest into the index.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use sha2::Digest as _;

use super::cache_file::write_index;
use super::control_part::ControlPart;
use super::{Index, IndexEntry, IndexKind, PendingFile};
use crate::deb::DebError;
use crate::deb::archive::PartError;
use crate::deb::control::licences;
use crate::deb::tar::{TarEntry, TarKind};
use crate::digest::Sha256;
use crate::tree::TreePath;

/// Contents are copied in pieces of this size.
const COPY_BYTES: usize = 128 << 10;

/// Copyright files that are longer are not looked at; the longest in Debian have a few hundred KiB.
const MAX_COPYRIGHT_BYTES: u64 = 2 << 20;

/// The cache entry being written and the index growing beside it.
pub(super) struct Collector<'a> {
    package: &'a Path,
    out: BufWriter<Box<dyn PendingFile>>,
    data_bytes: u64,
    buffer: Vec<u8>,
    entries: Vec<IndexEntry>,
    /// Where in `entries` a path is; only looked up, never iterated.
    by_path: HashMap<TreePath, usize>,
    licences: Vec<String>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(package: &'a Path, pending: Box<dyn PendingFile>) -> Self {
        Self {
            package,
            out: BufWriter::with_capacity(COPY_BYTES, pending),
            data_bytes: 0,
            buffer: vec![0; COPY_BYTES],
            entries: Vec::new(),
            by_path: HashMap::new(),
            licences: Vec::new(),
        }
    }

    /// Takes the next entry with its content.
    pub(super) fn take(&mut self, entry: TarEntry, content: &mut dyn Read) -> Result<(), PartError> {
        if let Some(index) = self.by_path.get(&entry.path) {
            let both_folders = entry.kind == TarKind::Dir && matches!(self.entries[*index].kind, IndexKind::Dir);
            return match both_folders {
                true => Ok(()),
                false => Err(self.bad_entry(&entry.path, "is there twice").into()),
            };
        }
        let kind = match entry.kind {
            TarKind::Dir => IndexKind::Dir,
            TarKind::File { len_bytes, .. } => self.store(&entry.path, len_bytes, content)?,
            TarKind::Symlink(target) => IndexKind::Symlink(target),
            TarKind::HardLink(target) => self.link(&entry.path, &target)?,
            TarKind::CharDevice { major, minor } => IndexKind::CharDevice { major, minor },
            TarKind::BlockDevice { major, minor } => IndexKind::BlockDevice { major, minor },
            TarKind::Fifo => IndexKind::Fifo,
        };
        self.entries.push(IndexEntry {
            path: entry.path.as_str().to_owned(),
            mode: entry.mode,
            user: entry.user,
            group: entry.group,
            xattrs: entry.xattrs,
            kind,
        });
        self.by_path.insert(entry.path, self.entries.len() - 1);
        Ok(())
    }

    /// Writes the index and makes the entry visible.
    pub(super) fn finish(mut self, control: ControlPart) -> io::Result<File> {
        self.licences.sort_unstable();
        self.licences.dedup();
        let index = Index {
            control: control.control,
            scripts: control.scripts,
            triggers: control.triggers,
            conffiles: control.conffiles.iter().map(|path| path.as_str().to_owned()).collect(),
            licences: self.licences,
            entries: self.entries,
        };
        write_index(&mut self.out, &index, self.data_bytes)?;
        let pending = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        pending.commit()
    }

    /// Copies a file's content into the cache file.
    fn store(&mut self, path: &TreePath, len_bytes: u64, content: &mut dyn Read) -> Result<IndexKind, PartError> {
        let mut hasher = sha2::Sha256::new();
        let mut copyright = (is_copyright(path) && len_bytes <= MAX_COPYRIGHT_BYTES).then(Vec::new);
        let mut rest = len_bytes;
        while rest > 0 {
            let count = content.read(&mut self.buffer).map_err(PartError::Read)?;
            if count == 0 {
                return Err(PartError::Read(io::ErrorKind::UnexpectedEof.into()));
            }
            let piece = &self.buffer[..count];
            hasher.update(piece);
            if let Some(text) = &mut copyright {
                text.extend_from_slice(piece);
            }
            self.out.write_all(piece).map_err(|source| DebError::Cache {
                package: self.package.to_owned(),
                action: "write",
                source,
            })?;
            rest -= count as u64;
        }
        let offset = self.data_bytes;
        self.data_bytes += len_bytes;
        if let Some(text) = copyright {
            self.licences.extend(licences(&String::from_utf8_lossy(&text)));
        }
        let sha256 = Sha256::from_bytes(hasher.finalize().into());
        Ok(IndexKind::File {
            offset,
            len_bytes,
            sha256,
        })
    }

    /// Links to links become links to the file; a second name of anything but a file becomes its copy.
    fn link(&self, path: &TreePath, target: &TreePath) -> Result<IndexKind, DebError> {
        let earlier = self.by_path.get(target).map(|index| &self.entries[*index].kind);
        match earlier {
            None => Err(self.bad_entry(path, "is a hard link to nothing that came before it")),
            Some(IndexKind::Dir) => Err(self.bad_entry(path, "is a hard link to a folder")),
            Some(IndexKind::File { .. }) => Ok(IndexKind::HardLink(target.as_str().to_owned())),
            Some(other) => Ok(other.clone()),
        }
    }

    fn bad_entry(&self, path: &TreePath, problem: &'static str) -> DebError {
        DebError::Entry {
            package: self.package.to_owned(),
            path: path.clone(),
            problem,
        }
    }
}

fn is_copyright(path: &TreePath) -> bool {
    let inner = path
        .as_str()
        .strip_prefix("usr/share/doc/")
        .and_then(|rest| rest.strip_suffix("/copyright"));
    inner.is_some_and(|package| !package.contains('/'))
}
