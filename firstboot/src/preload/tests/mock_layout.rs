//! A small OCI image layout, made by hand, with the layout's own rules as tests.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::preload::layout::{self, LayoutError};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A layout in a folder of its own.
pub struct MockLayout {
    folder: TempDir,
    entries: Vec<Value>,
    ids: BTreeMap<String, String>,
    layers: BTreeMap<String, Vec<String>>,
}

impl MockLayout {
    /// An empty one.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("blobs/sha256")).unwrap();
        std::fs::write(folder.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Self {
            folder,
            entries: Vec::new(),
            ids: BTreeMap::new(),
            layers: BTreeMap::new(),
        }
    }

    /// Adds an image whose layers are these bytes, taken for uncompressed ones.
    pub fn image(&mut self, name: &str, layers: &[Vec<u8>]) {
        let mut manifest = self.manifest(name, layers);
        manifest["annotations"] = json!({ "io.containerd.image.name": name });
        self.entries.push(manifest);
    }

    fn manifest(&mut self, name: &str, layers: &[Vec<u8>]) -> Value {
        let kind = "application/vnd.oci.image.layer.v1.tar";
        let layers: Vec<Value> = layers.iter().map(|layer| self.blob(kind, layer)).collect();
        let digests: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
        let architecture = if cfg!(target_arch = "aarch64") {
            "arm64"
        } else {
            "amd64"
        };
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": { "Entrypoint": ["/pause"] },
            "rootfs": { "type": "layers", "diff_ids": digests },
        });
        let config = self.blob(
            "application/vnd.oci.image.config.v1+json",
            config.to_string().as_bytes(),
        );
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        self.ids.insert(name.to_owned(), text(&config["digest"]));
        self.layers
            .insert(name.to_owned(), digests.into_iter().map(text).collect());
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        self.blob(MANIFEST, manifest.to_string().as_bytes())
    }

    fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        std::fs::write(self.folder.path().join("blobs/sha256").join(&hex), bytes).unwrap();
        json!({ "mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len() })
    }

    /// Writes the index.
    pub fn finish(&self) {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": self.entries });
        std::fs::write(self.folder.path().join("index.json"), index.to_string()).unwrap();
    }

    /// Changes a byte of a blob.
    pub fn damage(&self, digest: &str) {
        let path = self.folder.path().join("blobs/sha256").join(&digest["sha256:".len()..]);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[0] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The digest of an image's configuration.
    pub fn id(&self, name: &str) -> &str {
        &self.ids[name]
    }

    /// The digests of an image's layers.
    pub fn layers(&self, name: &str) -> &[String] {
        &self.layers[name]
    }
}

#[test]
fn blobs_come_after_those_that_they_refer_to_and_name_them() {
    let mut layout = MockLayout::new();
    layout.image("a:1", &[b"one".to_vec(), b"two".to_vec()]);
    layout.finish();
    let images = layout::read(layout.folder()).unwrap();
    let blobs = &images[0].blobs;
    assert_eq!(blobs.len(), 4);
    let labels: Vec<_> = blobs[3].labels.iter().collect();
    let prefix = "containerd.io/gc.ref.content";
    let wanted = [
        ("config", layout.id("a:1")),
        ("l.0", &layout.layers("a:1")[0]),
        ("l.1", &layout.layers("a:1")[1]),
    ];
    for ((key, value), (end, digest)) in labels.into_iter().zip(wanted) {
        assert_eq!(
            (key.as_str(), value.as_str()),
            (format!("{prefix}.{end}").as_str(), digest)
        );
    }
    assert_eq!(images[0].id.to_string(), layout.id("a:1"));
}

#[test]
fn of_several_platforms_those_count_whose_blobs_are_there() {
    let mut layout = MockLayout::new();
    let here = layout.manifest("a:1", &[b"one".to_vec()]);
    let absent = json!({ "mediaType": MANIFEST, "digest": format!("sha256:{}", "0".repeat(64)), "size": 2 });
    let mut index = layout.blob(INDEX, json!({ "manifests": [absent, here] }).to_string().as_bytes());
    index["annotations"] = json!({ "io.containerd.image.name": "a:1" });
    layout.entries.push(index);
    layout.finish();
    let images = layout::read(layout.folder()).unwrap();
    assert_eq!(images[0].blobs.len(), 4);
    let labels = &images[0].blobs[3].labels;
    assert_eq!(labels.keys().collect::<Vec<_>>(), ["containerd.io/gc.ref.content.m.1"]);
}

#[test]
fn an_image_without_a_manifest_is_refused() {
    let mut layout = MockLayout::new();
    let mut index = layout.blob(INDEX, br#"{"manifests":[]}"#);
    index["annotations"] = json!({ "io.containerd.image.name": "a:1" });
    layout.entries.push(index);
    layout.finish();
    let error = layout::read(layout.folder()).unwrap_err();
    assert!(matches!(error, LayoutError::NoManifest { .. }), "{error}");
}

#[test]
fn a_digest_cannot_lead_out_of_the_layout() {
    let mut layout = MockLayout::new();
    for digest in [
        "sha256:../../../../etc/passwd",
        "sha512:00",
        "",
        &format!("sha256:{}", "A".repeat(64)),
    ] {
        let name = json!({ "io.containerd.image.name": "a:1" });
        layout.entries = vec![json!({ "mediaType": MANIFEST, "digest": digest, "size": 1, "annotations": name })];
        layout.finish();
        let error = layout::read(layout.folder()).unwrap_err();
        assert!(matches!(error, LayoutError::Format { .. }), "{digest}: {error}");
    }
}

#[test]
fn entries_without_a_name_are_passed_over() {
    let mut layout = MockLayout::new();
    let nameless = layout.manifest("a:1", &[]);
    layout.entries.push(nameless);
    layout.finish();
    assert_eq!(layout::read(layout.folder()).unwrap(), []);
}
