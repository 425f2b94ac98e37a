//! What `docker save` writes: a list of images with the paths of their configurations and layers. There is no manifest,
//! so one is made; configuration and layers keep their bytes and so the image keeps its id.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::Deserialize;

use super::{Archive, MAX_LAYERS, Wanted, check, check_platform, image, limit, parse};
use crate::digest::Sha256;
use crate::oci::layer::Compression;
use crate::oci::manifest::{
    CONFIG, Descriptor, ImageConfig, LAYER, LAYER_GZIP, LAYER_ZSTD, MANIFEST as MANIFEST_TYPE, Manifest, to_bytes,
};
use crate::oci::{Image, OciError, Reference};
use crate::tree::FileData;

/// The file that lists the images.
pub(super) const MANIFEST: &str = "manifest.json";

/// One image of the list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

pub(super) fn read(archive: &Archive, wanted: &Wanted<'_>) -> Result<Image, OciError> {
    let list: Vec<Saved> = parse(MANIFEST, "list of images", &archive.document(MANIFEST)?)?;
    let (reference, saved) = choose(&list, wanted.reference)?;
    if saved.layers.len() > MAX_LAYERS {
        return Err(limit(MANIFEST, "layers", MAX_LAYERS as u64));
    }
    let config_bytes = archive.document(&saved.config)?;
    check_name(&saved.config, &config_bytes)?;
    let config: ImageConfig = parse(
        &saved.config.escape_debug().to_string(),
        "image configuration",
        &config_bytes,
    )?;
    check_platform(&config, wanted.arch)?;
    let layers: Vec<(Descriptor, FileData)> = saved
        .layers
        .par_iter()
        .map(|path| layer(archive, path))
        .collect::<Result<_, _>>()?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MANIFEST_TYPE.to_owned()),
        config: Descriptor::of(CONFIG, &config_bytes),
        layers: layers.iter().map(|(descriptor, _)| descriptor.clone()).collect(),
    };
    let manifest_bytes = to_bytes(&manifest);
    let descriptor = Descriptor::of(MANIFEST_TYPE, &manifest_bytes);
    let documents = [config_bytes, manifest_bytes].map(FileData::from_bytes);
    let contents = layers.into_iter().map(|(_, data)| data).chain(documents);
    let blobs: BTreeMap<Sha256, FileData> = contents.map(|data| (data.sha256, data)).collect();
    image(reference, (descriptor, &manifest), (&config, blobs), wanted.arch)
}

fn choose<'a>(list: &'a [Saved], wanted: Option<&Reference>) -> Result<(Reference, &'a Saved), OciError> {
    let named: Vec<(&str, &Saved)> = list
        .iter()
        .flat_map(|saved| saved.repo_tags.iter().flatten().map(move |tag| (tag.as_str(), saved)))
        .collect();
    let names = || {
        let names = named.iter().map(|(name, _)| name.escape_debug().to_string());
        names.collect::<Vec<_>>()
    };
    match (wanted, list, named.as_slice()) {
        (_, [], _) => Err(OciError::NoImages),
        (Some(wanted), [only], _) => Ok((wanted.clone(), only)),
        (Some(wanted), _, _) => {
            let same = |(name, _): &&(&str, &Saved)| name.parse().ok().as_ref() == Some(wanted);
            let found = named.iter().find(same);
            found
                .map(|(_, saved)| (wanted.clone(), *saved))
                .ok_or_else(|| OciError::NotThere {
                    wanted: wanted.to_string(),
                    names: names(),
                })
        }
        (None, _, []) => Err(OciError::NoName),
        (None, [_], [(name, saved)]) => Ok((name.parse().map_err(OciError::Name)?, saved)),
        (None, _, _) => Err(OciError::WhichImage { names: names() }),
    }
}

/// A configuration's file name is its digest, in the forms `HEX.json` and `blobs/sha256/HEX`; others say nothing.
fn check_name(path: &str, bytes: &[u8]) -> Result<(), OciError> {
    let name = path.rsplit('/').next().unwrap_or_default();
    match name.strip_suffix(".json").unwrap_or(name).parse() {
        Ok(expected) => check(&path.escape_debug().to_string(), expected, Sha256::of(bytes)),
        Err(_) => Ok(()),
    }
}

/// Most layers are plain tars; what compressed ones are is seen from their first bytes, as Docker does it.
fn layer(archive: &Archive, path: &str) -> Result<(Descriptor, FileData), OciError> {
    let data = archive.content(path)?;
    let mut start = vec![0; data.len_bytes.min(4) as usize];
    data.read_at(&mut start, 0).map_err(OciError::Read)?;
    let media_type = match Compression::of_content(&start) {
        Compression::None => LAYER,
        Compression::Gzip => LAYER_GZIP,
        Compression::Zstd => LAYER_ZSTD,
    };
    let descriptor = Descriptor {
        media_type: media_type.to_owned(),
        digest: data.sha256,
        size: data.len_bytes,
        annotations: BTreeMap::new(),
        platform: None,
    };
    Ok((descriptor, data))
}
