//! Container images: those that a disk image brings along, so that a node starts pods without pulling anything.
//!
//! In: a program to pack, or an archive that `docker save`, `skopeo copy`, `ko` or another builder wrote. Out: an
//! [`Image`] whose every digest was verified, and [`layout`]s of such images, the same bytes each time. Specs: OCI image
//! format 1.1 (manifest, configuration, layers, layout) and the archives of `docker save`.
//!
//! Images keep their bytes: an image that is pinned by digest somewhere has to stay that image. Only what [`pack`] makes
//! is free, and its layer is a plain tar: squashfs compresses it with the rest of the root, and a node with little memory
//! does not decompress it twice. Deliberately unsupported: digests other than SHA-256, encrypted and foreign layers,
//! pulling from registries.

pub mod archive;
mod error;
pub mod layer;
pub mod layout;
pub mod manifest;
mod pack;
mod reference;

use std::collections::BTreeMap;

use crate::arch::Arch;
use crate::digest::Sha256;
use crate::tree::FileData;

pub use archive::{Wanted, read};
pub use error::OciError;
pub use pack::{PackContent, PackFile, PackInput, pack, packed};
pub use reference::{BadReference, Reference};

use manifest::Descriptor;

/// The name of the image that holds a pod's namespaces, as containerd's configuration has it.
pub const PAUSE_REFERENCE: &str = "skerry.local/pause:1";

/// An image for one architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its name.
    pub reference: Reference,
    /// What points to its manifest.
    pub manifest: Descriptor,
    /// Its manifest, configuration and layers by digest.
    pub blobs: BTreeMap<Sha256, FileData>,
}

impl Image {
    /// Bytes of all its blobs.
    pub fn len_bytes(&self) -> u64 {
        self.blobs.values().map(|blob| blob.len_bytes).sum()
    }
}

/// The pause image around `program`, which is static.
pub fn pause(program: Vec<u8>, arch: Arch) -> Result<Image, OciError> {
    packed(&PackInput {
        files: vec![PackFile::program("pause", program)],
        entrypoint: vec!["/pause".to_owned()],
        // Nobody: it needs no rights.
        user: "65535:65535".to_owned(),
        ..PackInput::new(PAUSE_REFERENCE, arch)
    })
}

#[cfg(test)]
mod tests;
