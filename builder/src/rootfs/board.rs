//! What a board's boot ROM and boot loaders need, taken out of the tree: it lies outside of the root file system.
//!
//! In: the tree with the board's packages in it. Out: boot loaders with their places, files of the first partition, device
//! trees of the kernel package; and the tree without what the board's packages brought, but for their licences and for
//! firmware that the kernel loads.

use std::collections::BTreeMap;

use crate::definition::{BoardFile, BoardSpec, LoaderDefinition};
use crate::disk::Loader;
use crate::failure::{Diagnose, FailureKind};
use crate::tree::{FileData, Origin, Tree, TreePath};

/// What stays of the board's packages: licences, and firmware of devices.
const KEPT: [&str; 2] = ["usr/share/doc", "usr/lib/firmware"];

/// What of a board does not lie in the root file system.
#[derive(Debug, Clone, Default)]
pub struct BoardFiles {
    /// Boot loaders outside of partitions.
    pub loaders: Vec<Loader>,
    /// Files of the first partition, by path; without kernel, initrd and command line.
    pub files: BTreeMap<String, FileData>,
    /// Device trees for the unified kernel image, in the order of the board.
    pub device_trees: Vec<FileData>,
}

/// Why a board cannot have what it needs.
#[derive(Debug, thiserror::Error)]
pub enum BoardError {
    /// None of the packages brings a file.
    #[error("board `{board}` needs `{path}`, which no package of the image brings")]
    NoFile {
        /// The board's name.
        board: String,
        /// The path.
        path: String,
        /// Paths beside it that there are.
        beside: Vec<String>,
    },
    /// The kernel package has no such device tree.
    #[error("board `{board}` needs the device tree `{path}`, which kernel {kernel} does not have")]
    NoDeviceTree {
        /// The board's name.
        board: String,
        /// The path below the device trees' folder.
        path: String,
        /// The kernel's release.
        kernel: String,
        /// Paths beside it that there are.
        beside: Vec<String>,
    },
}

impl Diagnose for BoardError {
    fn kind(&self) -> FailureKind {
        FailureKind::Request
    }

    fn hints(&self) -> Vec<String> {
        let (Self::NoFile { beside, .. } | Self::NoDeviceTree { beside, .. }) = self;
        match beside.as_slice() {
            [] => vec!["check the board's `packages`, and `kernel.package`".to_owned()],
            _ => vec![format!("beside it are: {}", beside.join(", "))],
        }
    }
}

/// Takes what `board` needs out of the tree of an image with the kernel `release`.
pub fn take(tree: &mut Tree, board: &BoardSpec, release: &str) -> Result<BoardFiles, BoardError> {
    let source = BoardSource { tree, board, release };
    let loader = |loader: &LoaderDefinition| {
        let name = loader.file.rsplit('/').next().unwrap_or_default().to_owned();
        Ok(Loader {
            name,
            offset: loader.offset.bytes(),
            data: source.package_file(&loader.file)?,
        })
    };
    let file = |(path, file): (&String, &BoardFile)| {
        let data = match file {
            BoardFile::File(from) => source.package_file(from),
            BoardFile::DeviceTree(from) => source.device_tree(from),
            BoardFile::Text(text) => Ok(FileData::from_bytes(text.clone().into_bytes())),
            // They are made from the finished tree.
            BoardFile::Kernel | BoardFile::Initrd | BoardFile::CommandLine => return None,
        };
        Some(data.map(|data| (path.clone(), data)))
    };
    let taken = BoardFiles {
        loaders: board.loaders.iter().map(loader).collect::<Result<_, BoardError>>()?,
        files: board.files.iter().filter_map(file).collect::<Result<_, BoardError>>()?,
        device_trees: board
            .device_trees
            .iter()
            .map(|path| source.device_tree(path))
            .collect::<Result<_, BoardError>>()?,
    };
    remove_packages(tree, board);
    Ok(taken)
}

struct BoardSource<'a> {
    tree: &'a Tree,
    board: &'a BoardSpec,
    release: &'a str,
}

impl BoardSource<'_> {
    fn package_file(&self, path: &str) -> Result<FileData, BoardError> {
        let found = self.tree.file(path).cloned();
        found.ok_or_else(|| BoardError::NoFile {
            board: self.board.name.clone(),
            path: path.to_owned(),
            beside: self.beside(path),
        })
    }

    /// Kernel packages before 7 have a folder of their own for device trees, later ones one beside the modules.
    fn device_tree(&self, path: &str) -> Result<FileData, BoardError> {
        let release = self.release;
        let folders = [
            format!("usr/lib/linux-image-{release}"),
            format!("usr/lib/modules/{release}/dtb"),
        ];
        let places = folders.map(|folder| format!("{folder}/{path}"));
        let found = places.iter().find_map(|place| self.tree.file(place)).cloned();
        found.ok_or_else(|| BoardError::NoDeviceTree {
            board: self.board.name.clone(),
            path: path.to_owned(),
            kernel: release.to_owned(),
            beside: places.iter().flat_map(|place| self.beside(place)).collect(),
        })
    }

    /// Names in the folder of `path` that begin as it does.
    fn beside(&self, path: &str) -> Vec<String> {
        const MOST: usize = 20;
        let Some((folder, name)) = path.rsplit_once('/') else {
            return Vec::new();
        };
        let Ok(folder) = TreePath::parse(folder) else {
            return Vec::new();
        };
        let start: String = name.chars().take(3).collect();
        let names = self.tree.children(&folder).map(|(path, _)| path.name().to_owned());
        names.filter(|name| name.starts_with(&start)).take(MOST).collect()
    }
}

fn remove_packages(tree: &mut Tree, board: &BoardSpec) {
    let is_of_board = |origin: &Origin| match origin {
        Origin::Package(name) => board.packages.iter().any(|package| **package == **name),
        _ => false,
    };
    let kept = KEPT.map(|path| TreePath::parse(path).expect("a constant path is well formed"));
    let gone: Vec<TreePath> = tree
        .iter()
        .filter(|(path, node)| is_of_board(&node.origin) && !kept.iter().any(|kept| path.is_below(kept)))
        .map(|(path, _)| path.clone())
        .collect();
    // From below, so that a folder goes only when nobody else has anything in it.
    for path in gone.iter().rev() {
        if tree.children(path).next().is_none() {
            tree.remove(path);
        }
    }
}

#[cfg(test)]
mod tests;
