//! Archives of `docker save`.

use super::*;
use crate::oci::manifest::{ImageConfig, RootFs, RunConfig};

/// Configuration and layers of an image for x86_64.
fn parts(layers: &[&[u8]]) -> Vec<u8> {
    to_bytes(&ImageConfig {
        architecture: "amd64".to_owned(),
        os: "linux".to_owned(),
        config: RunConfig::default(),
        rootfs: RootFs {
            kind: "layers".to_owned(),
            diff_ids: layers.iter().map(|layer| Sha256::of(layer)).collect(),
        },
    })
}

fn list(config: &str, tags: &str, layers: &str) -> (String, Vec<u8>) {
    let text = format!(r#"[{{"Config":"{config}","RepoTags":{tags},"Layers":[{layers}]}}]"#);
    ("manifest.json".to_owned(), text.into_bytes())
}

fn layer(content: &[u8]) -> Vec<u8> {
    tar_of([("file", 0o644, TarContent::File(content))]).unwrap()
}

#[test]
fn a_saved_image_keeps_its_configuration_and_layers_and_gets_a_manifest() {
    let (low, high) = (layer(b"low"), layer(b"high"));
    let config = parts(&[&low, &high]);
    let config_name = format!("{}.json", Sha256::of(&config));
    let files = [
        ("a/layer.tar".to_owned(), low.clone()),
        ("b/layer.tar".to_owned(), high.clone()),
        (config_name.clone(), config.clone()),
        list(&config_name, r#"["app:1"]"#, r#""a/layer.tar","b/layer.tar""#),
    ];
    let image = read_as(&archive(&files), None).unwrap();
    assert_eq!(image.reference.to_string(), "docker.io/library/app:1");
    let manifest = image.blobs[&image.manifest.digest].read().unwrap();
    let manifest: manifest::Manifest = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest.config.digest, Sha256::of(&config));
    let layers: Vec<_> = manifest
        .layers
        .iter()
        .map(|layer| (layer.digest, layer.media_type.as_str()))
        .collect();
    assert_eq!(layers, [&low, &high].map(|layer| (Sha256::of(layer), manifest::LAYER)));
    assert_eq!(image.blobs.len(), 4);
}

#[test]
fn equal_layers_that_are_links_are_there_once() {
    let low = layer(b"low");
    let config = parts(&[&low, &low]);
    let config_name = format!("{}.json", Sha256::of(&config));
    let manifest = list(&config_name, r#"["app:1"]"#, r#""a/layer.tar","b/layer.tar""#);
    let entries = [
        ("a/layer.tar", 0o644, TarContent::File(&low)),
        ("b/layer.tar", 0o777, TarContent::Link("../a/layer.tar")),
        (config_name.as_str(), 0o644, TarContent::File(&config)),
        ("manifest.json", 0o644, TarContent::File(&manifest.1)),
    ];
    let image = read_as(&tar_of(entries).unwrap(), None).unwrap();
    assert_eq!(image.blobs.len(), 3);
}

#[test]
fn a_compressed_layer_is_checked_by_what_it_unpacks_to() {
    let plain = layer(b"low");
    let packed = {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain).unwrap();
        gzip.finish().unwrap()
    };
    let config = parts(&[&plain]);
    let files = |layer: Vec<u8>| {
        archive(&[
            ("l.tar.gz".to_owned(), layer),
            ("config.json".to_owned(), config.clone()),
            list("config.json", "null", r#""l.tar.gz""#),
        ])
    };
    let image = read_as(&files(packed), Some("r.example/app:1")).unwrap();
    assert_eq!(image.blobs.len(), 3);
    let error = read_as(&files(layer(b"other")), Some("r.example/app:1")).unwrap_err();
    assert_eq!(error.kind(), FailureKind::Verification);
}

#[test]
fn a_configuration_that_is_not_what_its_name_says_is_refused() {
    let low = layer(b"low");
    let config = parts(&[&low]);
    let config_name = format!("{}.json", Sha256::of(b"another"));
    let files = [
        ("l".to_owned(), low),
        (config_name.clone(), config),
        list(&config_name, r#"["app:1"]"#, r#""l""#),
    ];
    let error = read_as(&archive(&files), None).unwrap_err();
    assert!(matches!(error, OciError::Damaged { .. }), "{error}");
}

#[test]
fn a_saved_image_without_a_name_needs_one() {
    let low = layer(b"low");
    let config = parts(&[&low]);
    let files = [
        ("l".to_owned(), low),
        ("c.json".to_owned(), config),
        list("c.json", "[]", r#""l""#),
    ];
    let error = read_as(&archive(&files), None).unwrap_err();
    assert_eq!(error.to_string(), "the archive does not name its image");
    assert!(read_as(&archive(&files), Some("app")).is_ok());
}
