//! The documents of an image: index, manifest, configuration (OCI image format 1.1, and Docker's forms of the same).
//!
//! Reading takes no notice of members that nothing here needs; writing has a fixed order of members.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::Sha256;

/// A manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An index of manifests.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// A configuration.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// A layer that is a plain tar.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// The same, compressed by gzip.
pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The same, compressed by zstd, which only newer tools write.
pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// The annotation by which containerd knows an image's full name.
pub const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// The annotation with the name, often only the tag, inside of a layout.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation of what says something about an image and is none.
pub const DOCKER_REFERENCE_TYPE: &str = "vnd.docker.reference.type";

/// Points to a document or layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// Its digest.
    #[serde(serialize_with = "write_digest", deserialize_with = "read_digest")]
    pub digest: Sha256,
    /// Its length in bytes.
    pub size: u64,
    /// What is said about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The machines that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

impl Descriptor {
    /// Points to `content` without saying more.
    pub fn of(media_type: &str, content: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Sha256::of(content),
            size: content.len() as u64,
            annotations: BTreeMap::new(),
            platform: None,
        }
    }

    /// Whether it points to a manifest.
    pub fn is_manifest(&self) -> bool {
        [MANIFEST, DOCKER_MANIFEST].contains(&self.media_type.as_str())
    }

    /// Whether it points to an index.
    pub fn is_index(&self) -> bool {
        [INDEX, DOCKER_INDEX].contains(&self.media_type.as_str())
    }
}

/// The machines that an image is for, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// Such as `amd64`.
    pub architecture: String,
    /// Such as `linux`.
    pub os: String,
}

/// An index: `index.json` of a layout, or one image for several architectures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// [`INDEX`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Manifests and further indexes.
    pub manifests: Vec<Descriptor>,
}

/// A manifest: an image for one architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// [`MANIFEST`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, the lowest first.
    pub layers: Vec<Descriptor>,
}

/// The part of a configuration that decides where an image runs and what its layers are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// Go's name of the architecture.
    pub architecture: String,
    /// Go's name of the operating system.
    pub os: String,
    /// How its programs start.
    #[serde(default)]
    pub config: RunConfig,
    /// The layers.
    pub rootfs: RootFs,
}

/// How an image's program starts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RunConfig {
    /// User and group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Environment, `NAME=value`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub env: Vec<String>,
    /// The program and its first arguments.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub entrypoint: Vec<String>,
    /// More arguments, which a pod may replace.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub cmd: Vec<String>,
}

/// The layers by the digests of their uncompressed tars.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// One per layer, the lowest first.
    #[serde(deserialize_with = "read_digests", serialize_with = "write_digests")]
    pub diff_ids: Vec<Sha256>,
}

/// The text of a document.
pub fn to_bytes(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("documents have text as keys and no fallible fields")
}

/// Docker writes `null` for an empty list.
fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::<Vec<String>>::deserialize(deserializer)?.unwrap_or_default())
}

fn write_digest<S: Serializer>(digest: &Sha256, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("sha256:{digest}"))
}

fn read_digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Sha256, D::Error> {
    parse_digest(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn write_digests<S: Serializer>(digests: &[Sha256], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(digests.iter().map(|digest| format!("sha256:{digest}")))
}

fn read_digests<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Sha256>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let digests = texts.iter().map(|text| parse_digest(text));
    digests.collect::<Result<_, _>>().map_err(serde::de::Error::custom)
}

/// `sha256:` and 64 lower-case hex digits; the specification allows others, which nobody uses.
fn parse_digest(text: &str) -> Result<Sha256, String> {
    let hex = text
        .strip_prefix("sha256:")
        .filter(|hex| !hex.bytes().any(|byte| byte.is_ascii_uppercase()));
    hex.and_then(|hex| hex.parse().ok())
        .ok_or_else(|| format!("`{}` is no sha256 digest", text.escape_default()))
}
