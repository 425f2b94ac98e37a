//! Which folders hold shared libraries: `etc/ld.so.conf` and the loader's own.

use std::io;

use globset::GlobBuilder;

use crate::arch::Arch;
use crate::tree::{FileData, Tree, TreePath};

/// `include` lines may nest that deep; glibc's own files nest once.
const MAX_INCLUDE_DEPTH: usize = 8;

/// Why the folders cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum ConfError {
    /// A configuration file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: TreePath,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Files include each other.
    #[error("{path} is included more than {MAX_INCLUDE_DEPTH} levels deep")]
    TooDeep {
        /// The file.
        path: TreePath,
    },
    /// An `include` is no glob.
    #[error("{path}:{line}: `{pattern}` is not a valid pattern of files")]
    BadPattern {
        /// The file.
        path: TreePath,
        /// Line number from 1.
        line: usize,
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        #[source]
        source: globset::Error,
    },
}

/// A folder of libraries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// As the configuration names it, absolute; this is what the cache says.
    pub written: String,
    /// Where it is in the tree once links are followed.
    pub real: TreePath,
}

/// All folders, configured ones first; a folder that is reached twice counts once, under its first name.
pub fn folders(tree: &Tree, arch: Arch) -> Result<Vec<Folder>, ConfError> {
    let mut written = Vec::new();
    let top = TreePath::parse("etc/ld.so.conf").expect("a constant path");
    read_conf(tree, &top, 0, &mut written)?;
    let multiarch = arch.names().multiarch;
    written.extend([format!("/lib/{multiarch}"), format!("/usr/lib/{multiarch}")]);
    written.extend(["/lib", "/usr/lib"].map(str::to_owned));

    let mut folders: Vec<Folder> = Vec::new();
    for written in written {
        let real = TreePath::parse(&written).ok().and_then(|path| tree.resolve(&path));
        let Some(real) = real.filter(|real| tree.get(real).is_some()) else {
            continue;
        };
        if folders.iter().all(|folder| folder.real != real) {
            folders.push(Folder { written, real });
        }
    }
    Ok(folders)
}

fn read_conf(tree: &Tree, path: &TreePath, depth: usize, folders: &mut Vec<String>) -> Result<(), ConfError> {
    if depth > MAX_INCLUDE_DEPTH {
        return Err(ConfError::TooDeep { path: path.clone() });
    }
    let bytes = tree.file(path.as_str()).map_or(Ok(Vec::new()), FileData::read);
    let bytes = bytes.map_err(|source| ConfError::Read {
        path: path.clone(),
        source,
    })?;
    for (at, line) in String::from_utf8_lossy(&bytes).lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        match line.split_once(char::is_whitespace) {
            Some(("include", patterns)) => {
                for pattern in patterns.split_whitespace() {
                    let files = matching(tree, path, pattern).map_err(|source| ConfError::BadPattern {
                        path: path.clone(),
                        line: at + 1,
                        pattern: pattern.to_owned(),
                        source,
                    })?;
                    for file in files {
                        read_conf(tree, &file, depth + 1, folders)?;
                    }
                }
            }
            Some(("hwcap", _)) => {}
            _ if line.starts_with('/') => folders.push(line.trim_end_matches('/').to_owned()),
            _ => {}
        }
    }
    Ok(())
}

/// Files that an `include` means, in name order; relative ones start at the including file's folder.
fn matching(tree: &Tree, conf: &TreePath, pattern: &str) -> Result<Vec<TreePath>, globset::Error> {
    let absolute = match pattern.strip_prefix('/') {
        Some(rest) => rest.to_owned(),
        None => format!("{}/{pattern}", conf.parent().unwrap_or_default().as_str()),
    };
    let glob = GlobBuilder::new(&absolute)
        .literal_separator(true)
        .build()?
        .compile_matcher();
    let paths = tree.iter().map(|(path, _)| path);
    Ok(paths.filter(|path| glob.is_match(path.as_str())).cloned().collect())
}
