//! Packs files as an image of one layer.

use std::collections::BTreeMap;

use super::layer::{TarContent, tar_of};
use super::manifest::{
    CONFIG, Descriptor, ImageConfig, LAYER, MANIFEST, Manifest, Platform, RootFs, RunConfig, to_bytes,
};
use super::{Image, OciError, layout};
use crate::arch::Arch;
use crate::tree::{FileData, TreePath};

/// What an image is packed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackInput {
    /// The image's name.
    pub reference: String,
    /// What it runs on.
    pub arch: Arch,
    /// What it holds; folders above come by themselves.
    pub files: Vec<PackFile>,
    /// The program that starts and its first arguments.
    pub entrypoint: Vec<String>,
    /// More arguments, which a pod may replace.
    pub arguments: Vec<String>,
    /// Environment, `NAME=value`.
    pub environment: Vec<String>,
    /// User and group, `1000:1000`; empty for root.
    pub user: String,
}

/// A file of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackFile {
    /// Its path from the image's root.
    pub path: String,
    /// Its permissions.
    pub mode: u16,
    /// What it is.
    pub content: PackContent,
}

/// What a file of an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackContent {
    /// A regular file.
    File(Vec<u8>),
    /// A symbolic link to this target.
    Link(String),
    /// A folder that would be empty.
    Folder,
}

impl PackInput {
    /// An image without files.
    pub fn new(reference: &str, arch: Arch) -> Self {
        Self {
            reference: reference.to_owned(),
            arch,
            files: Vec::new(),
            entrypoint: Vec::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            user: String::new(),
        }
    }
}

impl PackFile {
    /// A program that everybody may run.
    pub fn program(path: &str, bytes: Vec<u8>) -> Self {
        Self::new(path, 0o755, PackContent::File(bytes))
    }

    /// A file that everybody may read.
    pub fn file(path: &str, bytes: Vec<u8>) -> Self {
        Self::new(path, 0o644, PackContent::File(bytes))
    }

    /// A symbolic link.
    pub fn link(path: &str, target: &str) -> Self {
        Self::new(path, 0o777, PackContent::Link(target.to_owned()))
    }

    fn new(path: &str, mode: u16, content: PackContent) -> Self {
        Self {
            path: path.to_owned(),
            mode,
            content,
        }
    }
}

/// Packs `input` as an OCI archive: a tar of an image layout, as `skopeo` and `ctr` take it.
pub fn pack(input: &PackInput) -> Result<Vec<u8>, OciError> {
    let files = layout::files(&[packed(input)?]);
    let folders = ["blobs", layout::BLOBS].map(|path| (path, 0o755, TarContent::Folder));
    let contents = files
        .iter()
        .map(|(path, data)| Ok((path, data.read()?)))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(OciError::Write)?;
    let files = contents
        .iter()
        .map(|(path, bytes)| (path.as_str(), 0o644, TarContent::File(bytes)));
    tar_of(folders.into_iter().chain(files)).map_err(OciError::Write)
}

/// Packs `input` as an image in memory.
pub fn packed(input: &PackInput) -> Result<Image, OciError> {
    let reference = input.reference.parse().map_err(OciError::Name)?;
    let layer = layer(&input.files)?;
    let go = input.arch.names().go;
    let layer_descriptor = Descriptor::of(LAYER, &layer);
    let config = to_bytes(&ImageConfig {
        architecture: go.to_owned(),
        os: "linux".to_owned(),
        config: RunConfig {
            user: input.user.clone(),
            env: input.environment.clone(),
            entrypoint: input.entrypoint.clone(),
            cmd: input.arguments.clone(),
        },
        rootfs: RootFs {
            kind: "layers".to_owned(),
            diff_ids: vec![layer_descriptor.digest],
        },
    });
    let manifest = to_bytes(&Manifest {
        schema_version: 2,
        media_type: Some(MANIFEST.to_owned()),
        config: Descriptor::of(CONFIG, &config),
        layers: vec![layer_descriptor],
    });
    let descriptor = Descriptor {
        platform: Some(Platform {
            architecture: go.to_owned(),
            os: "linux".to_owned(),
        }),
        ..Descriptor::of(MANIFEST, &manifest)
    };
    let blobs = [layer, config, manifest].map(FileData::from_bytes);
    Ok(Image {
        reference,
        manifest: descriptor,
        blobs: blobs.into_iter().map(|blob| (blob.sha256, blob)).collect(),
    })
}

/// The tar of the files and of the folders above them, in the order of their paths: a folder before what is in it.
fn layer(files: &[PackFile]) -> Result<Vec<u8>, OciError> {
    let mut entries: BTreeMap<TreePath, (u16, TarContent<'_>)> = BTreeMap::new();
    for file in files {
        let bad = || OciError::PackPath {
            path: file.path.clone(),
        };
        let path = TreePath::parse(&file.path).map_err(|_| bad())?;
        let content = match &file.content {
            PackContent::File(bytes) => TarContent::File(bytes),
            PackContent::Link(target) => TarContent::Link(target),
            PackContent::Folder => TarContent::Folder,
        };
        if path == TreePath::ROOT || entries.insert(path, (file.mode, content)).is_some() {
            return Err(bad());
        }
    }
    let paths: Vec<TreePath> = entries.keys().cloned().collect();
    for path in paths {
        let above = std::iter::successors(path.parent(), TreePath::parent);
        for folder in above.take_while(|folder| *folder != TreePath::ROOT) {
            let (_, content) = entries.entry(folder).or_insert((0o755, TarContent::Folder));
            if *content != TarContent::Folder {
                return Err(OciError::PackPath {
                    path: path.as_str().to_owned(),
                });
            }
        }
    }
    let entries = entries
        .iter()
        .map(|(path, (mode, content))| (path.as_str(), *mode, *content));
    tar_of(entries).map_err(OciError::Write)
}
