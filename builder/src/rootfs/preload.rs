//! Container images that the root brings along, as an OCI image layout; the node hands them to containerd.

use skerry_firstboot::preload::LAYOUT;

use crate::oci::{Image, layout};
use crate::tree::{Tree, TreeError};

use super::made::{By, path};

const BY: By = By("preload");

/// Puts the layout that holds `images` into the tree.
pub fn apply(tree: &mut Tree, images: &[Image]) -> Result<(), TreeError> {
    for (place, data) in layout::files(images) {
        tree.insert(path(&format!("{LAYOUT}/{place}")), BY.copy(0o644, data))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Arch;
    use crate::oci::{PackFile, PackInput, packed, pause};
    use crate::tree::Content;

    #[test]
    fn images_that_share_a_layer_bring_it_once_and_the_index_names_both() {
        let shared = |reference: &str, entrypoint: &str| {
            packed(&PackInput {
                files: vec![PackFile::program("bin/app", vec![7; 10_000])],
                entrypoint: vec![entrypoint.to_owned()],
                ..PackInput::new(reference, Arch::X86_64)
            })
            .unwrap()
        };
        let images = [
            shared("b.example/app:1", "/bin/app"),
            shared("a.example/app:1", "/bin/other"),
        ];
        let mut tree = Tree::new();
        apply(&mut tree, &images).unwrap();
        let blobs = path("usr/share/skerry/images/blobs/sha256");
        // One layer, two configurations, two manifests.
        assert_eq!(tree.children(&blobs).count(), 5);
        let index = tree.file("usr/share/skerry/images/index.json").unwrap().read().unwrap();
        let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
        let names: Vec<_> = index["manifests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|manifest| manifest["annotations"]["io.containerd.image.name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["a.example/app:1", "b.example/app:1"]);
    }

    #[test]
    fn every_blob_has_its_digest_as_name_and_everybody_may_read_it() {
        let mut tree = Tree::new();
        apply(&mut tree, &[pause(b"\x7fELF".to_vec(), Arch::Aarch64).unwrap()]).unwrap();
        let files: Vec<_> = tree
            .iter()
            .filter_map(|(path, node)| match &node.content {
                Content::File(data) => Some((path, node.stat.mode, data)),
                _ => None,
            })
            .collect();
        assert_eq!(files.len(), 5);
        for (path, mode, data) in files {
            assert_eq!(mode, 0o644);
            if path.as_str().contains("/blobs/") {
                assert_eq!(path.name(), data.sha256.to_string());
            }
        }
    }
}
