//! Files out of a published archive: `.tar.gz`, as CNI plugins and containerd come.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path};

use flate2::read::MultiGzDecoder;

use super::{ComponentError, ComponentFile, ComponentSpec};
use crate::mirror::without_credentials;
use crate::store::{Scratch, Shelf, Store};

/// More than any release unpacks to; a smaller file that claims more is a bomb.
const MAX_UNPACKED_BYTES: u64 = 2 << 30;
/// How many members an error names.
const NAMED: usize = 12;

/// Whether the download is to be unpacked, by its name.
pub(super) fn is_archive(url: &str) -> bool {
    url.ends_with(".tar.gz") || url.ends_with(".tgz")
}

/// Whether the download looks like an archive that cannot be unpacked.
pub(super) fn is_unknown_archive(url: &str) -> bool {
    let ends = [".tar", ".tar.xz", ".tar.zst", ".tar.bz2", ".zip", ".7z", ".rpm", ".deb"];
    ends.iter().any(|end| url.ends_with(end))
}

/// Unpacks the files to install, and nothing else, into the store.
pub(super) fn unpack(
    spec: &ComponentSpec,
    url: &str,
    archive: &ComponentFile,
    store: &Store,
) -> Result<Vec<ComponentFile>, ComponentError> {
    let entry = store
        .open_entry(Shelf::Inputs, &archive.sha256)
        .ok_or_else(|| ComponentError::Disappeared {
            component: spec.name.clone(),
        })?;
    let scratch = store.scratch().map_err(|source| ComponentError::Store { source })?;
    let unpacking = Unpacking {
        spec,
        url: without_credentials(url),
        store,
        scratch,
    };
    unpacking.run(entry.file)
}

struct Unpacking<'a> {
    spec: &'a ComponentSpec,
    /// Without credentials.
    url: String,
    store: &'a Store,
    scratch: Scratch,
}

impl Unpacking<'_> {
    fn run(&self, archive: File) -> Result<Vec<ComponentFile>, ComponentError> {
        let limited = MultiGzDecoder::new(BufReader::new(archive)).take(MAX_UNPACKED_BYTES);
        let mut tar = tar::Archive::new(limited);
        let mut present = Vec::new();
        let mut files = BTreeMap::new();
        let damaged = |source| self.damaged(source);
        for member in tar.entries().map_err(damaged)? {
            let mut member = member.map_err(damaged)?;
            let Some(name) = plain_name(&member.path().map_err(damaged)?) else {
                continue;
            };
            if !member.header().entry_type().is_file() {
                continue;
            }
            if self.spec.install.contains_key(&name) {
                let file = self.keep(&name, &mut member)?;
                files.insert(name, file);
            } else if present.len() < NAMED {
                present.push(name);
            }
        }
        if tar.into_inner().limit() == 0 {
            return Err(ComponentError::TooLarge {
                component: self.spec.name.clone(),
                url: self.url.clone(),
                max_bytes: MAX_UNPACKED_BYTES,
            });
        }
        match self.spec.install.keys().find(|name| !files.contains_key(*name)) {
            Some(member) => Err(ComponentError::NoMember {
                component: self.spec.name.clone(),
                member: member.clone(),
                url: self.url.clone(),
                present: present.join(", "),
            }),
            None => Ok(files.into_values().collect()),
        }
    }

    /// Unpacks one member under a name of our own, so what the archive calls it cannot lead anywhere.
    fn keep(&self, name: &str, member: &mut impl Read) -> Result<ComponentFile, ComponentError> {
        let path = self.scratch.path().join("member");
        let workspace_error = |source| ComponentError::Workspace {
            component: self.spec.name.clone(),
            path: path.clone(),
            source,
        };
        let mut file = File::create(&path).map_err(workspace_error)?;
        copy(member, &mut file).map_err(|error| match error {
            CopyError::Read(source) => self.damaged(source),
            CopyError::Write(source) => workspace_error(source),
        })?;
        let imported = self
            .store
            .import(&path)
            .map_err(|source| ComponentError::Store { source })?;
        Ok(ComponentFile {
            name: name.to_owned(),
            len_bytes: imported.len_bytes,
            sha256: imported.sha256,
        })
    }

    fn damaged(&self, source: io::Error) -> ComponentError {
        ComponentError::Unpack {
            component: self.spec.name.clone(),
            url: self.url.clone(),
            source,
        }
    }
}

/// Which side of a copy failed: the archive or the disk.
enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

fn copy(from: &mut impl Read, to: &mut impl io::Write) -> Result<(), CopyError> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = from.read(&mut buffer).map_err(CopyError::Read)?;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..count]).map_err(CopyError::Write)?;
    }
}

/// The path without `./`, if it is relative, without `..`, and text.
fn plain_name(path: &Path) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}
