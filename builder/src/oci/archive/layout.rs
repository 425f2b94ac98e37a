//! The image of an archived OCI layout: which of its manifests is meant, and its blobs.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::{Archive, MAX_LAYERS, Wanted, check_platform, image, limit, parse, platform_name};
use crate::digest::Sha256;
use crate::oci::manifest::{
    CONTAINERD_NAME, DOCKER_REFERENCE_TYPE, Descriptor, ImageConfig, Index, Manifest, REF_NAME,
};
use crate::oci::{Image, OciError, Reference, layout};
use crate::tree::FileData;

/// Indexes in indexes.
const MAX_DEPTH: usize = 4;
/// Manifests of all indexes together; an image for every platform of the world has two dozen.
const MAX_MANIFESTS: usize = 1_000;

/// One image of the layout, for one architecture or several.
struct Candidate {
    /// As the annotations have it.
    name: Option<String>,
    manifests: Vec<Descriptor>,
}

pub(super) fn read(archive: &Archive, wanted: &Wanted<'_>) -> Result<Image, OciError> {
    let index: Index = parse(layout::INDEX, "OCI index", &archive.document(layout::INDEX)?)?;
    let mut count = 0;
    let mut candidates: Vec<Candidate> = Vec::new();
    for descriptor in index.manifests {
        let name = name_of(&descriptor);
        let mut manifests = Vec::new();
        collect(archive, descriptor, (0, &mut count), &mut manifests)?;
        match candidates.iter_mut().find(|candidate| candidate.name == name) {
            Some(candidate) => candidate.manifests.extend(manifests),
            None if manifests.is_empty() => {}
            None => candidates.push(Candidate { name, manifests }),
        }
    }
    let (reference, manifests) = choose(candidates, wanted.reference)?;
    let descriptor = for_machine(archive, manifests, wanted)?;
    load(archive, reference, descriptor, wanted)
}

fn name_of(descriptor: &Descriptor) -> Option<String> {
    let annotation = |key| descriptor.annotations.get(key).cloned();
    annotation(CONTAINERD_NAME).or_else(|| annotation(REF_NAME))
}

/// The manifests behind a descriptor, without those that only say something about an image.
fn collect(
    archive: &Archive,
    descriptor: Descriptor,
    (depth, count): (usize, &mut usize),
    manifests: &mut Vec<Descriptor>,
) -> Result<(), OciError> {
    *count += 1;
    if *count > MAX_MANIFESTS {
        return Err(limit(layout::INDEX, "manifests", MAX_MANIFESTS as u64));
    }
    if depth > MAX_DEPTH {
        return Err(limit(layout::INDEX, "levels", MAX_DEPTH as u64));
    }
    if descriptor.annotations.contains_key(DOCKER_REFERENCE_TYPE) {
        return Ok(());
    }
    if descriptor.is_index() {
        let index: Index = archive.blob_document(&descriptor, "OCI index")?;
        for inner in index.manifests {
            collect(archive, inner, (depth + 1, &mut *count), manifests)?;
        }
    } else if descriptor.is_manifest() {
        manifests.push(descriptor);
    }
    Ok(())
}

/// The image with the wanted name, or the only one.
fn choose(
    mut candidates: Vec<Candidate>,
    wanted: Option<&Reference>,
) -> Result<(Reference, Vec<Descriptor>), OciError> {
    let full = |candidate: &Candidate| full_name(candidate.name.as_deref()?);
    if let Some(wanted) = wanted {
        let same = candidates
            .iter()
            .position(|candidate| full(candidate).as_ref() == Some(wanted));
        let place = same.or((candidates.len() == 1).then_some(0));
        let place = place.ok_or_else(|| match candidates.is_empty() {
            true => OciError::NoImages,
            false => OciError::NotThere {
                wanted: wanted.to_string(),
                names: names(&candidates),
            },
        })?;
        return Ok((wanted.clone(), candidates.swap_remove(place).manifests));
    }
    match candidates.as_slice() {
        [] => Err(OciError::NoImages),
        [only] => {
            let reference = full(only).ok_or(OciError::NoName)?;
            Ok((reference, candidates.swap_remove(0).manifests))
        }
        several => Err(OciError::WhichImage { names: names(several) }),
    }
}

/// The name, unless it is a tag alone, which `skopeo` and others leave in a layout.
fn full_name(name: &str) -> Option<Reference> {
    name.contains(['/', ':']).then(|| name.parse().ok()).flatten()
}

fn names(candidates: &[Candidate]) -> Vec<String> {
    let name = |candidate: &Candidate| match &candidate.name {
        Some(name) => name.escape_debug().to_string(),
        None => "one without a name".to_owned(),
    };
    candidates.iter().map(name).collect()
}

/// The first manifest whose platform, or else whose configuration, is the machine's.
fn for_machine(archive: &Archive, manifests: Vec<Descriptor>, wanted: &Wanted<'_>) -> Result<Descriptor, OciError> {
    let mut found = Vec::new();
    for descriptor in manifests {
        let (os, architecture) = match &descriptor.platform {
            Some(platform) => (platform.os.clone(), platform.architecture.clone()),
            None => {
                let manifest: Manifest = archive.blob_document(&descriptor, "image manifest")?;
                let config: ImageConfig = archive.blob_document(&manifest.config, "image configuration")?;
                (config.os, config.architecture)
            }
        };
        if os == "linux" && architecture == wanted.arch.names().go {
            return Ok(descriptor);
        }
        found.push(platform_name(&os, &architecture));
    }
    Err(OciError::architecture(wanted.arch, found))
}

fn load(
    archive: &Archive,
    reference: Reference,
    descriptor: Descriptor,
    wanted: &Wanted<'_>,
) -> Result<Image, OciError> {
    let manifest: Manifest = archive.blob_document(&descriptor, "image manifest")?;
    if manifest.layers.len() > MAX_LAYERS {
        return Err(limit("manifest", "layers", MAX_LAYERS as u64));
    }
    let config: ImageConfig = archive.blob_document(&manifest.config, "image configuration")?;
    // Before the layers are read: a wrong archive is told at once.
    check_platform(&config, wanted.arch)?;
    let parts: Vec<&Descriptor> = [&descriptor, &manifest.config]
        .into_iter()
        .chain(&manifest.layers)
        .collect();
    let blobs: BTreeMap<Sha256, FileData> = parts
        .into_par_iter()
        .map(|part| Ok((part.digest, archive.blob(part)?)))
        .collect::<Result<_, OciError>>()?;
    image(reference, (descriptor, &manifest), (&config, blobs), wanted.arch)
}
