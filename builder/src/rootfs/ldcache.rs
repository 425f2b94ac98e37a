//! `/etc/ld.so.cache`, where the dynamic loader finds libraries by soname: what `ldconfig` would write.
//!
//! In: the tree with `etc/ld.so.conf`, and its library folders. Out: the cache, and the links from sonames to files that
//! are missing, which `ldconfig` would make as well. Spec: glibc 2.41, `elf/ldconfig.c` behaviour and the "new" cache
//! format, see [`format`]. Deliberately not supported: `glibc-hwcaps` sub-folders (no package of an image has any; a
//! library there would be passed over in favour of its baseline, never wrongly loaded), libraries for another word size
//! or machine than the image's, and the pre-2.2 format.

mod conf;
pub mod format;

use std::collections::BTreeMap;

use crate::arch::Arch;
use crate::elf::{self, Class, ElfError};
use crate::failure::Diagnose;
use crate::tree::{Content, FileData, Node, Origin, Stat, Tree, TreeError, TreePath};
use conf::ConfError;
use format::{Entry, compare_names};

/// Why the cache cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum LdCacheError {
    /// The list of folders cannot be read.
    #[error("cannot find the folders of shared libraries")]
    Conf(#[from] ConfError),
    /// A library cannot be understood.
    #[error("cannot read shared library {path}")]
    Library {
        /// The file.
        path: TreePath,
        /// Why.
        #[source]
        source: ElfError,
    },
    /// The tree does not take the cache or a link.
    #[error("cannot put the library cache into the tree")]
    Tree(#[from] TreeError),
}

impl Diagnose for LdCacheError {}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The cache's entries, in its order.
    pub entries: Vec<Entry>,
    /// Links from sonames to files that no package shipped.
    pub links: Vec<TreePath>,
}

/// Writes `etc/ld.so.cache` for the libraries of `arch`, and the links it relies on.
pub fn write(tree: &mut Tree, arch: Arch) -> Result<Written, LdCacheError> {
    let mut entries = Vec::new();
    let mut links = Vec::new();
    for folder in conf::folders(tree, arch)? {
        for (soname, library) in libraries(tree, &folder.real, arch)? {
            let link = folder.real.join(&soname).expect("sonames are checked to be one part");
            if tree.get(&link).is_none() {
                tree.insert(link.clone(), pass_node(Content::Symlink(library.file_name), 0o777))?;
                links.push(link);
            }
            let path = format!("{}/{soname}", folder.written);
            entries.push(Entry { soname, path });
        }
    }
    format::sort(&mut entries);
    let cache = FileData::from_bytes(format::to_bytes(&entries, arch));
    let path = TreePath::parse("etc/ld.so.cache").expect("a constant path");
    tree.replace(path, pass_node(Content::File(cache), 0o644))?;
    Ok(Written { entries, links })
}

fn pass_node(content: Content, mode: u16) -> Node {
    Node {
        stat: Stat::root(mode),
        content,
        origin: Origin::Pass("ldcache"),
    }
}

/// How a folder offers one soname.
struct Library {
    file_name: String,
    kind: Kind,
}

/// A file is preferred to a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Link,
    File,
}

/// The libraries directly in `folder` by soname.
fn libraries(tree: &Tree, folder: &TreePath, arch: Arch) -> Result<BTreeMap<String, Library>, LdCacheError> {
    let mut found: BTreeMap<String, Library> = BTreeMap::new();
    let candidates = tree.children(folder).filter(|(path, _)| is_library_name(path.name()));
    for (path, node) in candidates {
        let Some((soname, kind)) = soname_of(tree, path, node, arch)? else {
            continue;
        };
        let library = Library {
            file_name: path.name().to_owned(),
            kind,
        };
        let better = |present: &Library| {
            let by_name = || compare_names(&library.file_name, &present.file_name);
            library.kind.cmp(&present.kind).then_with(by_name).is_gt()
        };
        if found.get(&soname).is_none_or(better) {
            found.insert(soname, library);
        }
    }
    Ok(found)
}

/// `lib*.so*` and `ld*.so*`, without the scripts that debuggers keep beside libraries.
fn is_library_name(name: &str) -> bool {
    let starts = name.starts_with("lib")
        || name.starts_with("ld-")
        || name.starts_with("ld.so.")
        || name.starts_with("ld64.so.");
    starts && name.contains(".so") && name.is_ascii() && !name.ends_with("-gdb.py")
}

fn soname_of(tree: &Tree, path: &TreePath, node: &Node, arch: Arch) -> Result<Option<(String, Kind)>, LdCacheError> {
    let real = match &node.content {
        Content::Symlink(_) => tree.resolve(path),
        _ => Some(path.clone()),
    };
    let Some(real) = real else { return Ok(None) };
    let Some(data) = tree.file(real.as_str()) else {
        return Ok(None);
    };
    let facts = elf::read(data).map_err(|source| LdCacheError::Library {
        path: real.clone(),
        source,
    })?;
    let Some(facts) = facts.filter(|facts| facts.class == Class::Bits64 && facts.machine == arch.names().elf_machine)
    else {
        return Ok(None);
    };
    let own_name = path.name().to_owned();
    let soname = facts.soname.unwrap_or_else(|| own_name.clone());
    let is_one_part =
        !soname.is_empty() && soname.is_ascii() && !soname.contains('/') && TreePath::parse(&soname).is_ok();
    if !is_one_part {
        return Ok(None);
    }
    let is_link = matches!(node.content, Content::Symlink(_));
    Ok(Some(match is_link && is_known_name(&own_name, &soname) {
        true => (own_name, Kind::Link),
        false => (soname, Kind::File),
    }))
}

/// Whether a link of this name is an entry of its own: it is the soname itself, or the `libfoo.so` of a soname
/// `libfoo.so.1`, as compilers look for it. All other links are one more way to the soname.
fn is_known_name(link_name: &str, soname: &str) -> bool {
    link_name == soname || link_name.ends_with(".so") && soname.starts_with(link_name)
}

#[cfg(test)]
mod tests;
