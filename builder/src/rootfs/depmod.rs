//! The indexes by which `modprobe` and `udev` find kernel modules: what `depmod` would write.
//!
//! In: the modules that [`crate::rootfs::modules`] kept, and the kernel's own lists in the tree. Out: `modules.dep`,
//! `.alias`, `.symbols`, `.softdep`, `.weakdep`, `.devname`, the binary tries (`*.bin`, see [`index`]) and a
//! `modules.order` cut down to what is there. Spec: kmod 34, `depmod(8)`, `modules.dep(5)`. Deliberately not supported:
//! `depmod.d` overrides, external modules, and checks of symbol versions.

pub mod index;
mod order;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;

use crate::failure::Diagnose;
use crate::rootfs::modules::{Module, alias_key, builtin_aliases, module_name};
use crate::tree::{Content, FileData, Node, Origin, Stat, Tree, TreeError, TreePath};
use index::{Index, IndexError};

/// Why the indexes cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum DepmodError {
    /// The kernel version cannot be a folder's name.
    #[error("`{0}` is not a kernel version")]
    BadVersion(String),
    /// Modules need each other, so none can be loaded first.
    #[error("kernel modules need each other in a circle: {}", .0.join(", "))]
    Circle(Vec<String>),
    /// A module needs one that was not kept.
    #[error("kernel module `{module}` needs `{dependency}`, which is not among the modules kept")]
    MissingDependency {
        /// Who needs it.
        module: String,
        /// What is missing.
        dependency: String,
    },
    /// One of the kernel's lists cannot be read.
    #[error("cannot read {path}")]
    List {
        /// The file.
        path: TreePath,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A name cannot be a key or a value of an index.
    #[error("cannot write {file}")]
    Index {
        /// Which index.
        file: &'static str,
        /// Why.
        #[source]
        source: IndexError,
    },
    /// The tree does not take a file.
    #[error("cannot put the module indexes into the tree")]
    Tree(#[from] TreeError),
}

impl Diagnose for DepmodError {}

/// Writes all indexes for `modules` into `usr/lib/modules/KERNEL_VERSION`, in place of any that are there.
pub fn write(tree: &mut Tree, kernel_version: &str, modules: &[Module]) -> Result<(), DepmodError> {
    let bad = |_| DepmodError::BadVersion(kernel_version.to_owned());
    let folder = TreePath::parse(&format!("usr/lib/modules/{kernel_version}")).map_err(bad)?;
    let file = |name: &str| folder.join(name).expect("a plain name below a good path");
    let lists = Lists {
        order: list(tree, &file("modules.order"))?,
        builtin: list(tree, &file("modules.builtin"))?,
        builtin_modinfo: list(tree, &file("modules.builtin.modinfo"))?,
    };
    for (name, bytes) in files(modules, &lists)? {
        let node = Node {
            stat: Stat::root(0o644),
            content: Content::File(FileData::from_bytes(bytes)),
            origin: Origin::Pass("depmod"),
        };
        tree.replace(file(name), node)?;
    }
    Ok(())
}

/// The kernel package's own lists, as text; empty where one is missing.
struct Lists {
    order: String,
    builtin: String,
    builtin_modinfo: String,
}

fn list(tree: &Tree, path: &TreePath) -> Result<String, DepmodError> {
    let bytes = tree.file(path.as_str()).map_or(Ok(Vec::new()), FileData::read);
    let bytes = bytes.map_err(|source| DepmodError::List {
        path: path.clone(),
        source,
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn files(modules: &[Module], lists: &Lists) -> Result<Vec<(&'static str, Vec<u8>)>, DepmodError> {
    let mut files = Vec::new();
    let mut text = |name, text: String| files.push((name, text.into_bytes()));
    let builtin = lists.builtin.lines().map(module_name).collect();
    let dependencies = order::dependency_lines(modules, &builtin)?;
    text("modules.dep", lines(dependencies.iter().map(|line| line.as_str())));
    text("modules.alias", aliases(modules));
    text("modules.symbols", symbols(modules));
    text("modules.softdep", soft_dependencies(modules));
    text("modules.weakdep", weak_dependencies(modules));
    text("modules.devname", device_names(modules));
    text("modules.order", kept_order(modules, &lists.order));

    let mut binary = |file, index: Result<Index, IndexError>| {
        let bytes = index.and_then(|index| index.to_bytes());
        bytes
            .map(|bytes| files.push((file, bytes)))
            .map_err(|source| DepmodError::Index { file, source })
    };
    let names = modules.iter().map(|module| module.name.clone());
    binary("modules.dep.bin", Index::collect(names.zip(dependencies).enumerate()))?;
    binary("modules.alias.bin", alias_index(modules))?;
    binary("modules.symbols.bin", symbol_index(modules))?;
    let builtin = builtin.into_iter().map(|name| (0, (name, String::new())));
    binary("modules.builtin.bin", Index::collect(builtin))?;
    let aliases = builtin_aliases(&lists.builtin_modinfo);
    let aliases = aliases.map(|(module, alias)| (0, (alias_key(alias), module.to_owned())));
    binary("modules.builtin.alias.bin", Index::collect(aliases))?;
    Ok(files)
}

fn lines<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.fold(String::new(), |mut text, line| {
        text.push_str(line);
        text.push('\n');
        text
    })
}

fn aliases(modules: &[Module]) -> String {
    let mut text = "# Aliases extracted from modules themselves.\n".to_owned();
    for module in modules {
        for alias in &module.info.aliases {
            let _ = writeln!(text, "alias {alias} {}", module.name);
        }
    }
    text
}

fn alias_index(modules: &[Module]) -> Result<Index, IndexError> {
    Index::collect(modules.iter().enumerate().flat_map(|(at, module)| {
        let aliases = module.info.aliases.iter();
        aliases.map(move |alias| (at, (alias_key(alias), module.name.clone())))
    }))
}

fn symbols(modules: &[Module]) -> String {
    let mut text = "# Aliases for symbols, used by symbol_request().\n".to_owned();
    for module in modules {
        for symbol in &module.info.exports {
            let _ = writeln!(text, "alias symbol:{symbol} {}", module.name);
        }
    }
    text
}

fn symbol_index(modules: &[Module]) -> Result<Index, IndexError> {
    Index::collect(modules.iter().enumerate().flat_map(|(at, module)| {
        let exports = module.info.exports.iter();
        exports.map(move |symbol| (at, (format!("symbol:{symbol}"), module.name.clone())))
    }))
}

fn soft_dependencies(modules: &[Module]) -> String {
    let mut text = "# Soft dependencies extracted from modules themselves.\n".to_owned();
    for module in modules {
        for line in &module.info.soft_depends {
            let _ = writeln!(text, "softdep {} {line}", module.name);
        }
    }
    text
}

fn weak_dependencies(modules: &[Module]) -> String {
    let mut text = "# Weak dependencies extracted from modules themselves.\n".to_owned();
    for module in modules {
        for line in &module.info.weak_depends {
            let _ = writeln!(text, "weakdep {} {line}", module.name);
        }
    }
    text
}

/// Device nodes that systemd-tmpfiles makes, so that opening one loads its module: `NAME DEVNAME c|bMAJOR:MINOR`.
fn device_names(modules: &[Module]) -> String {
    let mut text = "# Device nodes to trigger on-demand module loading.\n".to_owned();
    for module in modules {
        let aliases = || module.info.aliases.iter();
        let number = aliases().find_map(|alias| device_number(alias));
        let name = aliases().find_map(|alias| alias.strip_prefix("devname:"));
        if let (Some((kind, major, minor)), Some(name)) = (number, name) {
            let _ = writeln!(text, "{} {name} {kind}{major}:{minor}", module.name);
        }
    }
    text
}

/// `char-major-10-200` and `block-major-7-0`; without a minor number an alias stands for a whole major.
fn device_number(alias: &str) -> Option<(char, u32, u32)> {
    let (kind, numbers) = match alias.strip_prefix("char-major-") {
        Some(numbers) => ('c', numbers),
        None => ('b', alias.strip_prefix("block-major-")?),
    };
    let (major, minor) = numbers.split_once('-')?;
    Some((kind, major.parse().ok()?, minor.parse().ok()?))
}

/// The lines of `modules.order` whose modules are there.
fn kept_order(modules: &[Module], order: &str) -> String {
    let kept: BTreeSet<&str> = modules.iter().map(|module| module.name.as_str()).collect();
    lines(order.lines().filter(|line| kept.contains(module_name(line).as_str())))
}

#[cfg(test)]
mod tests;
