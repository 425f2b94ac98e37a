//! What is said about the finished image: its parts, their origins and sizes.

use std::collections::BTreeMap;

use crate::artifacts::manifest::PackageSize;
use crate::artifacts::sbom::{SbomInput, SbomOrigin, SbomPackage, go_modules};
use crate::component::Origin as ComponentOrigin;
use crate::deb::unpack::UnpackedDeb;
use crate::failure::Failure;
use crate::lock::{Lock, LockedPackage};
use crate::oci::Image;
use crate::rootfs::contents::Versions;
use crate::tree::{Content, Origin, Tree};

use super::inputs::Inputs;
use super::plan::{BuildPlan, image_version};

/// The bill of materials' content.
pub fn sbom(plan: &BuildPlan, lock: &Lock, inputs: &Inputs) -> Result<SbomInput, Failure> {
    let mut packages = debian(lock, inputs);
    packages.extend(components(plan, lock, inputs)?);
    packages.extend(images(plan, inputs));
    Ok(SbomInput {
        image: plan.spec.name.clone(),
        image_version: image_version(lock),
        timestamp: lock.timestamp,
        digest: plan.digest,
        packages,
    })
}

fn debian(lock: &Lock, inputs: &Inputs) -> Vec<SbomPackage> {
    // Its version begins with that of the release (Debian Policy does not say so; it has been so since 1996).
    let base_files = lock.packages.iter().find(|package| package.name == "base-files");
    let release = base_files.map(|package| {
        let version = package.version.to_string();
        let digits = version.chars().take_while(char::is_ascii_digit);
        digits.collect::<String>()
    });
    let package = |(package, unpacked): (&LockedPackage, &UnpackedDeb)| SbomPackage {
        name: package.name.clone(),
        version: package.version.to_string(),
        arch: package.architecture.clone(),
        source: Some(package.source.clone()),
        sha256: package.sha256,
        licences: unpacked.licences.clone(),
        origin: SbomOrigin::Deb {
            release: release.clone(),
        },
        download: Some(format!("{}/{}", package.archive, package.path)),
        modules: Vec::new(),
    };
    lock.packages.iter().zip(&inputs.packages).map(package).collect()
}

fn components(plan: &BuildPlan, lock: &Lock, inputs: &Inputs) -> Result<Vec<SbomPackage>, Failure> {
    let mut packages = Vec::new();
    for locked in &lock.components {
        let spec = plan.spec.components.iter().find(|spec| spec.name == locked.name);
        let origin = match spec.map(|spec| &spec.origin) {
            Some(ComponentOrigin::Go(go)) => SbomOrigin::Go {
                module: go.module.clone(),
            },
            _ => SbomOrigin::File,
        };
        for file in &locked.files {
            let program = inputs
                .programs
                .iter()
                .find(|program| program.data.sha256 == file.sha256);
            let modules = program.map(|program| go_modules::read(&program.data)).transpose()?;
            packages.push(SbomPackage {
                name: format!("{}/{}", locked.name, file.name),
                version: locked.version.clone(),
                arch: plan.spec.architecture.names().debian.to_owned(),
                source: None,
                sha256: file.sha256,
                licences: Vec::new(),
                origin: origin.clone(),
                download: None,
                modules: modules.unwrap_or_default(),
            });
        }
    }
    Ok(packages)
}

fn images(plan: &BuildPlan, inputs: &Inputs) -> Vec<SbomPackage> {
    let package = |image: &Image| SbomPackage {
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
        modules: Vec::new(),
    };
    inputs.images.iter().map(package).collect()
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
