//! From the lock to things in memory: packages fetched and unpacked, components and container images obtained.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::component::{self, ComponentFile};
use crate::deb::unpack::{UnpackedDeb, unpack};
use crate::failure::{Failure, FailureKind};
use crate::fetch::{Access, Wanted, fetch};
use crate::lock::{Lock, LockedComponent, LockedPackage};
use crate::oci::Image;
use crate::progress::Work;
use crate::rootfs::assemble::Program;
use crate::store::Shelf;
use crate::tree::{FileData, Origin, TreePath};

use super::Workshop;
use super::caches::StoreCache;
use super::images;
use super::plan::BuildPlan;

/// All that the root file system is made of.
#[derive(Debug)]
pub struct Inputs {
    /// Packages in the order of their names.
    pub packages: Vec<UnpackedDeb>,
    /// Components and Skerry's node agent.
    pub programs: Vec<Program>,
    /// Container images, by name.
    pub images: Vec<Image>,
    /// `skerry-init`.
    pub init: FileData,
}

/// Fetches, unpacks and makes whatever is not there yet; tells `timed` how long each part took.
pub fn obtain(
    plan: &BuildPlan,
    lock: &Lock,
    workshop: Workshop<'_>,
    timed: &mut dyn FnMut(&'static str, Duration),
) -> Result<Inputs, Failure> {
    let start = Instant::now();
    fetch_packages(lock, workshop)?;
    timed("fetch", start.elapsed());
    let start = Instant::now();
    let mut programs = obtain_components(plan, lock, workshop)?;
    programs.push(Program {
        path: TreePath::parse("usr/bin/skerry-node").expect("a constant path is well formed"),
        data: plan.programs.node.clone(),
        origin: Origin::Component(Arc::from("skerry")),
    });
    timed("components", start.elapsed());
    let start = Instant::now();
    let images = images::obtain(plan, workshop)?;
    timed("images", start.elapsed());
    let start = Instant::now();
    let packages = unpack_packages(lock, workshop)?;
    timed("unpack", start.elapsed());
    Ok(Inputs {
        packages,
        programs,
        images,
        init: plan.programs.init.clone(),
    })
}

fn fetch_packages(lock: &Lock, workshop: Workshop<'_>) -> Result<(), Failure> {
    let missing = |package: &&LockedPackage| workshop.store.get(Shelf::Inputs, &package.sha256).is_none();
    let missing: Vec<&LockedPackage> = lock.packages.iter().filter(missing).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let url = |package: &LockedPackage| -> Result<String, Failure> {
        match workshop.mirror {
            Some(mirror) => Ok(format!("{}/{}", mirror.archive(&package.archive)?, package.path)),
            // Nothing is downloaded then; the path says enough for the list of what is missing.
            None => Ok(package.path.clone()),
        }
    };
    let wanted = |package: &&LockedPackage| {
        Ok(Wanted {
            label: format!("{} {}", package.name, package.version),
            url: url(package)?,
            sha256: package.sha256,
            len_bytes: Some(package.len_bytes),
        })
    };
    let wanted = missing.iter().map(wanted).collect::<Result<Vec<_>, Failure>>()?;
    let mut options = workshop.fetch;
    if workshop.mirror.is_none() {
        options.access = Access::Offline;
    }
    fetch(wanted, workshop.store, &options, workshop.reporter)?;
    Ok(())
}

fn unpack_packages(lock: &Lock, workshop: Workshop<'_>) -> Result<Vec<UnpackedDeb>, Failure> {
    let cache = StoreCache::new(workshop.store, workshop.blocks);
    let task = workshop
        .reporter
        .start("unpacking", Work::Items(lock.packages.len() as u64));
    // The largest package decides how long it takes, so it comes first.
    let mut order: Vec<usize> = (0..lock.packages.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(lock.packages[*index].len_bytes));
    let unpacked: Result<Vec<(usize, UnpackedDeb)>, Failure> = order
        .into_par_iter()
        .with_max_len(1)
        .map(|index| {
            let package = &lock.packages[index];
            let file = workshop
                .store
                .get(Shelf::Inputs, &package.sha256)
                .ok_or_else(|| vanished(package))?;
            let unpacked = unpack(&file, &package.sha256, &cache)?;
            workshop.reporter.advance(task, 1);
            Ok((index, unpacked))
        })
        .collect();
    workshop.reporter.finish(task);
    let mut unpacked = unpacked?;
    unpacked.sort_by_key(|(index, _)| *index);
    Ok(unpacked.into_iter().map(|(_, package)| package).collect())
}

fn vanished(package: &LockedPackage) -> Failure {
    let message = format!(
        "{} {} went out of the cache while it was needed",
        package.name, package.version
    );
    Failure::new(FailureKind::Request, message).hint("run the build again; is `skerry cache prune` running?")
}

fn obtain_components(plan: &BuildPlan, lock: &Lock, workshop: Workshop<'_>) -> Result<Vec<Program>, Failure> {
    let mut programs = Vec::new();
    let bench = component::Workshop {
        store: workshop.store,
        fetch: workshop.fetch,
        reporter: workshop.reporter,
        folder: &plan.spec.folder,
    };
    for spec in &plan.spec.components {
        let pinned = lock
            .components
            .iter()
            .find(|component| component.name == spec.name)
            .map(pinned_files);
        let built = component::obtain(spec, plan.spec.architecture, pinned.as_deref(), &bench)?;
        for file in built {
            programs.push(Program {
                path: TreePath::parse(&file.path_in_image)
                    .map_err(|error| Failure::new(FailureKind::Request, error.to_string()))?,
                data: stored(&file.store_path, &file).map_err(|error| unreadable(&error))?,
                origin: Origin::Component(Arc::from(spec.name.as_str())),
            });
        }
    }
    Ok(programs)
}

fn stored(path: &std::path::Path, file: &component::BuiltFile) -> io::Result<FileData> {
    Ok(FileData::from_stored(
        Arc::new(std::fs::File::open(path)?),
        0,
        file.len_bytes,
        file.sha256,
    ))
}

fn pinned_files(component: &LockedComponent) -> Vec<ComponentFile> {
    let file = |file: &crate::lock::LockedFile| ComponentFile {
        name: file.name.clone(),
        len_bytes: file.len_bytes,
        sha256: file.sha256,
    };
    component.files.iter().map(file).collect()
}

/// A file of the cache that can no longer be read.
pub fn unreadable(error: &io::Error) -> Failure {
    Failure::new(FailureKind::Request, format!("cannot read from the cache: {error}"))
}
