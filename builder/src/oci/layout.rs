//! An OCI image layout: images in a folder, each blob once however many images have it.

use std::collections::BTreeMap;

use super::manifest::{CONTAINERD_NAME, Index, REF_NAME, to_bytes};
use super::{Image, manifest};
use crate::tree::FileData;

/// The file that marks a layout, and what it says (OCI image layout, "oci-layout file").
pub const MARK: &str = "oci-layout";
const MARK_TEXT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// The file that names the images.
pub const INDEX: &str = "index.json";
/// The folder of the blobs.
pub const BLOBS: &str = "blobs/sha256";

/// All files of the layout that holds `images`, by path; the index lists them by name.
pub fn files(images: &[Image]) -> BTreeMap<String, FileData> {
    let mut named: Vec<&Image> = images.iter().collect();
    named.sort_by(|a, b| a.reference.cmp(&b.reference));
    let index = Index {
        schema_version: 2,
        media_type: Some(manifest::INDEX.to_owned()),
        manifests: named.iter().map(|image| described(image)).collect(),
    };
    let blobs = named.iter().flat_map(|image| &image.blobs);
    let blobs = blobs.map(|(digest, data)| (format!("{BLOBS}/{digest}"), data.clone()));
    let own = [(MARK, MARK_TEXT.to_vec()), (INDEX, to_bytes(&index))];
    let own = own.map(|(path, bytes)| (path.to_owned(), FileData::from_bytes(bytes)));
    blobs.chain(own).collect()
}

/// The image's entry in the index.
fn described(image: &Image) -> manifest::Descriptor {
    let mut descriptor = image.manifest.clone();
    // The second one is for tools other than containerd, which tell the images of a layout apart by it. The tag alone,
    // which is the custom, would not do that.
    descriptor.annotations = [CONTAINERD_NAME, REF_NAME]
        .map(|key| (key.to_owned(), image.reference.to_string()))
        .into();
    descriptor
}
