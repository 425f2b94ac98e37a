//! What is said about the finished image: its parts, their origins and sizes.

use std::collections::BTreeMap;

use crate::artifacts::manifest::PackageSize;
use crate::artifacts::sbom::{SbomInput, SbomOrigin, SbomPackage};
use crate::component::Origin as ComponentOrigin;
use crate::lock::Lock;
use crate::rootfs::contents::Versions;
use crate::tree::{Content, Origin, Tree};

use super::inputs::Inputs;
use super::plan::{BuildPlan, image_version};

/// The bill of materials' content.
pub fn sbom(plan: &BuildPlan, lock: &Lock, inputs: &Inputs) -> SbomInput {
    let debian = lock
        .packages
        .iter()
        .zip(&inputs.packages)
        .map(|(package, unpacked)| SbomPackage {
            name: package.name.clone(),
            version: package.version.to_string(),
            arch: package.architecture.clone(),
            source: Some(package.source.clone()),
            sha256: package.sha256,
            licences: unpacked.licences.clone(),
            origin: SbomOrigin::Deb,
            download: Some(format!("{}/{}", package.archive, package.path)),
        });
    let components = lock.components.iter().flat_map(|locked| {
        let spec = plan.spec.components.iter().find(|spec| spec.name == locked.name);
        let origin = match spec.map(|spec| &spec.origin) {
            Some(ComponentOrigin::Go(go)) => SbomOrigin::Go {
                module: go.module.clone(),
            },
            _ => SbomOrigin::File,
        };
        locked.files.iter().map(move |file| SbomPackage {
            name: format!("{}/{}", locked.name, file.name),
            version: locked.version.clone(),
            arch: plan.spec.architecture.names().debian.to_owned(),
            source: None,
            sha256: file.sha256,
            licences: Vec::new(),
            origin: origin.clone(),
            download: None,
        })
    });
    let images = inputs.images.iter().map(|image| SbomPackage {
        name: image.reference.to_string(),
        version: image.reference.tag().unwrap_or_default().to_owned(),
        arch: plan.spec.architecture.names().go.to_owned(),
        source: None,
        sha256: image.manifest.digest,
        licences: Vec::new(),
        origin: SbomOrigin::Oci {
            repository: image.reference.name().to_owned(),
        },
        download: None,
    });
    SbomInput {
        image: plan.spec.name.clone(),
        image_version: image_version(lock),
        timestamp: lock.timestamp,
        digest: plan.digest,
        packages: debian.chain(components).chain(images).collect(),
    }
}

/// The versions of all packages and components.
pub fn versions(lock: &Lock) -> Versions {
    let packages = lock
        .packages
        .iter()
        .map(|package| (package.name.clone(), package.version.to_string()));
    let components = lock
        .components
        .iter()
        .map(|component| (component.name.clone(), component.version.clone()));
    // A package's version comes first where a component has the same name.
    components.chain(packages).collect()
}

/// Bytes of the regular files of each package and component in the tree, largest first.
pub fn sizes(tree: &Tree, lock: &Lock) -> Vec<PackageSize> {
    let mut bytes: BTreeMap<String, u64> = BTreeMap::new();
    for (_, node) in tree.iter() {
        if let Content::File(data) = &node.content {
            let owner = match &node.origin {
                Origin::Package(name) | Origin::Component(name) => name.to_string(),
                other => other.to_string(),
            };
            *bytes.entry(owner).or_default() += data.len_bytes;
        }
    }
    let versions = versions(lock);
    let size = |(name, installed_bytes): (String, u64)| PackageSize {
        version: versions.get(&name).cloned().unwrap_or_default(),
        name,
        installed_bytes,
    };
    let mut sizes: Vec<PackageSize> = bytes.into_iter().map(size).collect();
    sizes.sort_by(|a, b| {
        b.installed_bytes
            .cmp(&a.installed_bytes)
            .then_with(|| a.name.cmp(&b.name))
    });
    sizes
}
