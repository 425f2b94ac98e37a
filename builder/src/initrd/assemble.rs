//! Puts the initrd together: a cpio archive (`newc`, kernel: Documentation/driver-api/early-userspace/buffer-format.rst)
//! with `/init` and `/lib/modules/RELEASE`, compressed with zstd.
//!
//! Module files go in as they are: the kernel unpacks `.ko.xz` itself. Unpacked ones made neither the archive smaller nor
//! the boot faster by more than the noise (one emulated processor), but took 10 MB more memory.
//! Owner is always root; all times are the input's.

use std::collections::BTreeMap;
use std::io;

use skerry_firstboot::initrd::loader::LIST;
use skerry_firstboot::initrd::module_index::{IndexTexts, ModuleIndex, ModuleName};

use super::cpio::{self, CpioContent, CpioEntry, CpioError};
use super::modules::{Selection, UnknownModule, select};
use crate::digest::Sha256;
use crate::failure::Diagnose;
use crate::tree::{FileData, Tree};

/// Nearly all of the archive is modules, which are compressed already: level 19 saves 1.6 % more and takes 15 times as
/// long in every build.
const ZSTD_LEVEL: i32 = 9;
/// All modules of a Debian kernel are 100 MB. Nobody wants more before the root is there, and memory bounds it.
const CONTENT_MAX_BYTES: u64 = 128 << 20;

const PROGRAM: u16 = 0o755;
const FILE: u16 = 0o644;

/// All that decides an initrd.
#[derive(Debug, Clone, Copy)]
pub struct InitrdInput<'a> {
    /// The image's tree, with modules and depmod indexes in `/usr/lib/modules`.
    pub tree: &'a Tree,
    /// The kernel's release, such as `6.12.117+deb13-amd64`.
    pub kernel_version: &'a str,
    /// The program `skerry-init`.
    pub init: &'a FileData,
    /// Which modules; see [`super::modules`].
    pub modules: &'a [String],
    /// Seconds since 1970, the time of all files.
    pub timestamp: u32,
}

/// A finished initrd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initrd {
    /// As the loader takes it.
    pub bytes: Vec<u8>,
    /// Of `bytes`.
    pub sha256: Sha256,
    /// The modules in it: paths below the kernel's module folder, sorted.
    pub modules: Vec<String>,
}

/// Why there is no initrd.
#[derive(Debug, thiserror::Error)]
pub enum InitrdError {
    /// An index that depmod makes is not in the tree.
    #[error("the image has no /{path}")]
    NoIndex {
        /// Its path in the tree.
        path: String,
    },
    /// A file's content is out of reach.
    #[error("cannot read /{path}")]
    Read {
        /// Its path in the tree or in the initrd.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An index names a file that is not there.
    #[error("modules.dep of kernel {kernel_version} names {path}, which the image does not have")]
    NoModuleFile {
        /// The kernel's release.
        kernel_version: String,
        /// The path below its folder.
        path: String,
    },
    /// The list of modules asks for one that does not exist.
    #[error("cannot choose modules of kernel {kernel_version}")]
    Modules {
        /// The kernel's release.
        kernel_version: String,
        /// Which one.
        #[source]
        source: UnknownModule,
    },
    /// Too many modules were asked for.
    #[error("the initrd would hold more than {CONTENT_MAX_BYTES} bytes")]
    TooLarge,
    /// A path or size that the archive cannot hold.
    #[error("cannot archive the initrd")]
    Archive(#[source] CpioError),
    /// The compressor failed.
    #[error("cannot compress the initrd")]
    Compress(#[source] io::Error),
}

impl Diagnose for InitrdError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoIndex { .. } => vec!["is the kernel package in `packages`, and the pass `depmod` on?".into()],
            Self::NoModuleFile { .. } => {
                vec!["the folders to keep of the kernel's modules must include those of `initrd-modules`".into()]
            }
            Self::Modules { source, .. } => vec![format!(
                "correct it in `initrd-modules`, or write `-{}` if some kernels may lack it",
                source.0
            )],
            Self::TooLarge => vec!["make the patterns in `initrd-modules` narrower".into()],
            Self::Read { .. } | Self::Archive(_) | Self::Compress(_) => Vec::new(),
        }
    }
}

/// Makes the initrd; the same input gives the same bytes.
pub fn assemble(input: &InitrdInput<'_>) -> Result<Initrd, InitrdError> {
    let indexes = Indexes::read(input)?;
    let selection =
        select(&indexes.parsed, &indexes.builtin, input.modules).map_err(|source| InitrdError::Modules {
            kernel_version: input.kernel_version.to_owned(),
            source,
        })?;
    let mut content = Content::default();
    for folder in ["dev", "proc", "run", "sys", "sysroot"] {
        content.add_folder(folder);
    }
    let init = input.init.read().map_err(|source| InitrdError::Read {
        path: "init".into(),
        source,
    })?;
    content.add_file("init", PROGRAM, init)?;
    let folder = format!("lib/modules/{}", input.kernel_version);
    for (name, text) in indexes.subset(&selection) {
        content.add_file(&format!("{folder}/{name}"), FILE, text.into_bytes())?;
    }
    let modules = module_paths(&indexes.parsed, &selection);
    for path in &modules {
        content.add_file(&format!("{folder}/{path}"), FILE, read_module(input, path)?)?;
    }
    let bytes = compress(content.archive(input.timestamp)?)?;
    Ok(Initrd {
        sha256: Sha256::of(&bytes),
        bytes,
        modules,
    })
}

/// The depmod indexes of the tree.
struct Indexes {
    dep: String,
    softdep: String,
    alias: String,
    builtin: String,
    parsed: ModuleIndex,
}

impl Indexes {
    fn read(input: &InitrdInput<'_>) -> Result<Self, InitrdError> {
        let read = |name: &str| {
            let path = tree_path(input, name);
            let Some(file) = input.tree.file(&path) else {
                return Err(InitrdError::NoIndex { path });
            };
            let bytes = file.read().map_err(|source| InitrdError::Read { path, source })?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let (dep, softdep, alias) = (read("modules.dep")?, read("modules.softdep")?, read("modules.alias")?);
        let parsed = ModuleIndex::parse(IndexTexts {
            dep: &dep,
            softdep: &softdep,
            alias: &alias,
        });
        Ok(Self {
            builtin: read("modules.builtin")?,
            dep,
            softdep,
            alias,
            parsed,
        })
    }

    /// The index files for the initrd: the lines that concern the chosen modules, and the list of those to load always.
    fn subset(&self, selection: &Selection) -> [(&'static str, String); 4] {
        let chosen = |name: &str| selection.modules.contains(&ModuleName::new(name));
        let always = selection.loaded_always.iter().map(|name| format!("{name}\n"));
        [
            (
                "modules.dep",
                lines(&self.dep, |line| line.split(':').next().is_some_and(chosen)),
            ),
            (
                "modules.softdep",
                lines(&self.softdep, |line| word(line, 1).is_some_and(chosen)),
            ),
            (
                "modules.alias",
                lines(&self.alias, |line| word(line, 2).is_some_and(chosen)),
            ),
            (LIST, always.collect()),
        ]
    }
}

fn lines(text: &str, keep: impl Fn(&str) -> bool) -> String {
    let kept = text.lines().filter(|line| !line.starts_with('#') && keep(line));
    kept.flat_map(|line| [line, "\n"]).collect()
}

fn word(line: &str, number: usize) -> Option<&str> {
    line.split_ascii_whitespace().nth(number)
}

fn module_paths(index: &ModuleIndex, selection: &Selection) -> Vec<String> {
    let paths = selection.modules.iter().filter_map(|name| index.path(name));
    let mut paths: Vec<_> = paths.map(str::to_owned).collect();
    paths.sort();
    paths
}

fn read_module(input: &InitrdInput<'_>, path: &str) -> Result<Vec<u8>, InitrdError> {
    let tree_path = tree_path(input, path);
    let file = input.tree.file(&tree_path).ok_or_else(|| InitrdError::NoModuleFile {
        kernel_version: input.kernel_version.to_owned(),
        path: path.to_owned(),
    })?;
    file.read().map_err(|source| InitrdError::Read {
        path: tree_path,
        source,
    })
}

fn tree_path(input: &InitrdInput<'_>, name: &str) -> String {
    format!("usr/lib/modules/{}/{name}", input.kernel_version)
}

/// The entries by path.
#[derive(Default)]
struct Content {
    entries: BTreeMap<String, (u16, CpioContent)>,
    len_bytes: u64,
}

impl Content {
    /// With its parents.
    fn add_folder(&mut self, path: &str) {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.add_folder(parent);
        }
        self.entries.entry(path.to_owned()).or_insert((0o755, CpioContent::Dir));
    }

    fn add_file(&mut self, path: &str, mode: u16, bytes: Vec<u8>) -> Result<(), InitrdError> {
        self.len_bytes += bytes.len() as u64;
        if self.len_bytes > CONTENT_MAX_BYTES {
            return Err(InitrdError::TooLarge);
        }
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.add_folder(parent);
        }
        self.entries.insert(path.to_owned(), (mode, CpioContent::File(bytes)));
        Ok(())
    }

    /// The cpio archive. In the order of paths a folder always comes before what it holds.
    fn archive(self, timestamp: u32) -> Result<Vec<u8>, InitrdError> {
        let entries = self.entries.into_iter();
        let entries = entries.map(|(path, (mode, content))| CpioEntry { path, mode, content });
        cpio::write(&entries.collect::<Vec<_>>(), timestamp).map_err(InitrdError::Archive)
    }
}

/// The smaller of the archive and its compressed form; the kernel takes both.
fn compress(archive: Vec<u8>) -> Result<Vec<u8>, InitrdError> {
    let compressed = zstd::bulk::compress(&archive, ZSTD_LEVEL).map_err(InitrdError::Compress)?;
    Ok(if compressed.len() < archive.len() {
        compressed
    } else {
        archive
    })
}

#[cfg(test)]
mod tests;
