//! The container images that a disk image brings along: fetched, verified, and each under a name of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::definition::PreloadSpec;
use crate::digest::Sha256;
use crate::failure::{Diagnose, Failure, FailureKind};
use crate::fetch::{Actual, FetchError, Wanted, WrongContent, fetch};
use crate::oci::{self, Image, OciError, Reference};
use crate::store::Shelf;

use super::Workshop;
use super::inputs::unreadable;
use super::plan::BuildPlan;

/// Why an image cannot be brought along.
#[derive(Debug, thiserror::Error)]
pub enum PreloadError {
    /// Its archive is not there.
    #[error("the image archive `{}` of `preload.{name}` does not exist", path.display())]
    Missing {
        /// The table's name in the definition.
        name: String,
        /// The archive.
        path: PathBuf,
    },
    /// Its archive is not the one that is pinned.
    #[error("the image archive `{}` of `preload.{name}` is not the one that is pinned: expected sha256 {expected}", path.display())]
    Changed {
        /// The table's name in the definition.
        name: String,
        /// The archive.
        path: PathBuf,
        /// What the definition says.
        expected: Sha256,
        /// What it has, if it was read to its end.
        actual: Option<Sha256>,
    },
    /// Its archive cannot be copied into the cache.
    #[error("cannot take the image of `preload.{name}` into the cache")]
    Fetch {
        /// The table's name in the definition.
        name: String,
        /// Why.
        #[source]
        source: Box<FetchError>,
    },
    /// Its archive holds no image that can be used.
    #[error("cannot use the image archive `{}` of `preload.{name}`", path.display())]
    Unusable {
        /// The table's name in the definition.
        name: String,
        /// The archive.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<OciError>,
    },
    /// Two images with one name.
    #[error("`preload.{name}` brings the image `{reference}`, which is there already")]
    SameName {
        /// The later table's name in the definition.
        name: String,
        /// The image's name.
        reference: Reference,
    },
}

impl Diagnose for PreloadError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Changed { .. } => FailureKind::Verification,
            Self::Fetch { source, .. } => source.kind(),
            Self::Unusable { source, .. } => source.kind(),
            Self::Missing { .. } | Self::SameName { .. } => FailureKind::Request,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Missing { .. } => vec![
                "`file` is relative to the definition's folder".to_owned(),
                "`skopeo copy docker://NAME oci-archive:FILE` or `docker save NAME -o FILE` writes one".to_owned(),
            ],
            Self::Changed {
                actual: Some(actual), ..
            } => vec![format!("if this is the archive that is wanted: sha256 = \"{actual}\"")],
            Self::Unusable { source, .. } => source.hints(),
            Self::SameName { .. } => vec!["give one of them another name with `reference`".to_owned()],
            Self::Changed { actual: None, .. } | Self::Fetch { .. } => Vec::new(),
        }
    }
}

/// The pause image, which every pod needs, and those of the definition.
pub fn obtain(plan: &BuildPlan, workshop: Workshop<'_>) -> Result<Vec<Image>, Failure> {
    let program = plan.programs.pause.read().map_err(|error| unreadable(&error))?;
    let mut images = BTreeMap::new();
    let pause = oci::pause(program, plan.spec.architecture)?;
    images.insert(pause.reference.clone(), pause);
    for preload in &plan.spec.preload {
        let image = load(preload, plan, workshop)?;
        let reference = image.reference.clone();
        if images.insert(reference.clone(), image).is_some() {
            let name = preload.name.clone();
            return Err(PreloadError::SameName { name, reference }.into());
        }
    }
    Ok(images.into_values().collect())
}

fn load(preload: &PreloadSpec, plan: &BuildPlan, workshop: Workshop<'_>) -> Result<Image, Failure> {
    let path = plan.spec.folder.join(&preload.file);
    let wanted = Wanted {
        label: format!("image {}", preload.name),
        url: path.to_string_lossy().into_owned(),
        sha256: preload.sha256,
        len_bytes: None,
    };
    fetch(vec![wanted], workshop.store, &workshop.fetch, workshop.reporter)
        .map_err(|error| explained(error, preload, path.clone()))?;
    let entry = workshop
        .store
        .open_entry(Shelf::Inputs, &preload.sha256)
        .ok_or_else(|| unreadable(&std::io::ErrorKind::NotFound.into()))?;
    let wanted = oci::Wanted {
        reference: preload.reference.as_ref(),
        arch: plan.spec.architecture,
    };
    let image = oci::read(entry.file, &wanted).map_err(|source| PreloadError::Unusable {
        name: preload.name.clone(),
        path,
        source: Box::new(source),
    })?;
    Ok(image)
}

/// The hints of a fetch are about mirrors; here it is a file that the user has.
fn explained(error: FetchError, preload: &PreloadSpec, path: PathBuf) -> PreloadError {
    let name = preload.name.clone();
    match error {
        FetchError::Vanished { .. } => PreloadError::Missing { name, path },
        FetchError::WrongContent(wrong) => PreloadError::Changed {
            name,
            path,
            expected: preload.sha256,
            actual: found(&wrong),
        },
        error => PreloadError::Fetch {
            name,
            source: Box::new(error),
        },
    }
}

const fn found(wrong: &WrongContent) -> Option<Sha256> {
    match wrong.actual {
        Actual::Content { sha256, .. } => Some(sha256),
        Actual::Length(_) | Actual::LongerThan(_) => None,
    }
}

#[cfg(test)]
mod tests;
