//! `skerry build`: from the definition to a folder of artifacts.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::artifacts::ArtifactKind;
use crate::artifacts::manifest::Manifest;
use crate::cli::BuildArgs;
use crate::definition::{ImageSpec, discover, spec};
use crate::env;
use crate::failure::{Failure, FailureKind};
use crate::lock::Lock;
use crate::pipeline::caches::BlockCaching;
use crate::pipeline::plan::{self, BuildPlan};
use crate::pipeline::{self, Built, Workshop, output};
use crate::printer::{self, Printer};
use crate::progress::terminal;
use crate::store::Store;

use super::{cache, load_image, lock, output_failed};

/// An image that is there now.
struct Made {
    manifest: Manifest,
    raw: PathBuf,
}

/// Builds, unless what would be built is there already.
pub fn build(arguments: &BuildArgs, printer: &Printer) -> Result<(), Failure> {
    if let Some(threads) = arguments.threads {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .build_global();
        pool.map_err(|error| Failure::new(FailureKind::Bug, error.to_string()))?;
    }
    let store = cache::open(arguments.inputs.cache_dir.clone())?;
    if arguments.all {
        return build_all(arguments, &store, printer);
    }
    let spec = load_image(&arguments.image)?;
    let out = arguments.out.clone();
    let out = out.unwrap_or_else(|| arguments.image.directory.join("out").join(&spec.name));
    match make(spec, out, arguments, &store, printer)? {
        Some(made) if arguments.json => print(&made.manifest.to_json(), printer),
        Some(made) => print(&made.raw.display().to_string(), printer),
        None => Ok(()),
    }
}

/// Builds every image of the project. One that fails does not keep the others from being built.
fn build_all(arguments: &BuildArgs, store: &Store, printer: &Printer) -> Result<(), Failure> {
    let project = &arguments.image.directory;
    let names = discover::images(project);
    if names.is_empty() {
        let message = format!("there is no image below {}", project.join("images").display());
        return Err(Failure::new(FailureKind::Request, message).hint("`skerry init` writes a first definition"));
    }
    let folder = arguments.out.clone().unwrap_or_else(|| project.join("out"));
    let (mut manifests, mut failed) = (Vec::new(), Vec::new());
    for name in &names {
        let made = discover::find(project, Some(name))
            .and_then(|path| spec::load(&path))
            .map_err(Failure::from)
            .and_then(|spec| make(spec, folder.join(name), arguments, store, printer));
        match made {
            Ok(Some(made)) if arguments.json => manifests.push(made.manifest),
            Ok(Some(made)) => print(&made.raw.display().to_string(), printer)?,
            Ok(None) => {}
            Err(failure) if failure.kind == FailureKind::Interrupted => return Err(failure),
            Err(failure) => {
                printer.failure(&failure);
                failed.push((name.as_str(), failure.kind));
            }
        }
    }
    if arguments.json {
        let text = serde_json::to_string_pretty(&manifests).expect("manifests are plain JSON");
        print(&text, printer)?;
    }
    match failed.first() {
        None => Ok(()),
        Some((_, kind)) => {
            let list: Vec<&str> = failed.iter().map(|(name, _)| *name).collect();
            let message = format!("{} of {} images failed: {}", failed.len(), names.len(), list.join(", "));
            Err(Failure::new(*kind, message))
        }
    }
}

/// Builds one image, unless it is there already; none if only the plan was to be printed.
fn make(
    spec: ImageSpec,
    out: PathBuf,
    arguments: &BuildArgs,
    store: &Store,
    printer: &Printer,
) -> Result<Option<Made>, Failure> {
    let start = Instant::now();
    let locked = fresh_lock(&spec, arguments, store, printer)?;
    let plan = plan::plan(spec, &locked, out)?;
    if arguments.dry_run {
        printer.data(&plan.describe(&locked)).map_err(output_failed)?;
        return Ok(None);
    }
    let manifest = match plan.finished().filter(|_| !arguments.no_block_cache) {
        Some(manifest) => {
            printer.step("Unchanged", &plan.out.display().to_string(), start.elapsed());
            manifest
        }
        None => {
            let built = execute(&plan, &locked, arguments, store, printer)?;
            summarize(&plan, &built, start.elapsed(), arguments, printer);
            built.manifest
        }
    };
    let raw = raw_path(&plan, &manifest);
    Ok(Some(Made { manifest, raw }))
}

fn print(text: &str, printer: &Printer) -> Result<(), Failure> {
    printer.data(&format!("{}\n", text.trim_end())).map_err(output_failed)
}

fn execute(
    plan: &BuildPlan,
    locked: &Lock,
    arguments: &BuildArgs,
    store: &Store,
    printer: &Printer,
) -> Result<Built, Failure> {
    let reporter = terminal::for_printer(printer);
    // A machine without a mirror can still build from its cache.
    let mirror = match arguments.inputs.offline {
        true => None,
        false => Some(lock::choose_mirror(&plan.spec, &arguments.inputs)?),
    };
    let workshop = Workshop {
        store,
        mirror: mirror.as_ref(),
        fetch: lock::fetch_options(&arguments.inputs),
        blocks: if arguments.no_block_cache {
            BlockCaching::Off
        } else {
            BlockCaching::On
        },
        reporter: reporter.as_ref(),
    };
    let built = pipeline::execute(plan, locked, workshop)?;
    output::stamp(&plan.out, &plan.stamp)?;
    Ok(built)
}

/// The lock that fits the definition; refreshed unless it was asked for as it is.
fn fresh_lock(spec: &ImageSpec, arguments: &BuildArgs, store: &Store, printer: &Printer) -> Result<Lock, Failure> {
    let present = lock::read(spec)?;
    match present {
        Some(present) if present.spec_digest == spec.lock_digest() => Ok(present),
        stale if arguments.locked || env::in_ci() => Err(lock::stale(spec, stale.as_ref())),
        stale => lock::refresh(spec, stale.as_ref(), store, &arguments.inputs, printer),
    }
}

fn raw_path(plan: &BuildPlan, manifest: &Manifest) -> PathBuf {
    let raw = manifest
        .artifacts
        .iter()
        .find(|artifact| artifact.kind == ArtifactKind::Raw);
    plan.out.join(raw.map_or("", |artifact| artifact.file.as_str()))
}

fn summarize(plan: &BuildPlan, built: &Built, took: Duration, arguments: &BuildArgs, printer: &Printer) {
    built.warnings.iter().for_each(|warning| printer.warn(warning));
    if arguments.timings {
        for (stage, took) in &built.timings {
            printer.step("", stage, *took);
        }
    }
    let manifest = &built.manifest;
    printer.step(
        "Built",
        &format!("{} {} for {}", manifest.image, manifest.image_version, manifest.arch),
        took,
    );
    let size = |kind| {
        manifest
            .artifacts
            .iter()
            .find(|artifact| artifact.kind == kind)
            .map_or(0, |found| found.len_bytes)
    };
    let data: u64 = manifest.ranges.iter().map(|range| range.len_bytes).sum();
    printer.say(&format!(
        "  {} to write to a disk, {} to download, root hash {}",
        printer::bytes(data),
        printer::bytes(size(ArtifactKind::RawZst)),
        manifest.root_hash
    ));
    printer.say(&format!("  next: skerry run {}", plan.spec.name));
}
