//! `skerry build`: from the definition to a folder of artifacts.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::artifacts::ArtifactKind;
use crate::artifacts::manifest::Manifest;
use crate::cli::BuildArgs;
use crate::definition::ImageSpec;
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

/// Builds, unless what would be built is there already.
pub fn build(arguments: &BuildArgs, printer: &Printer) -> Result<(), Failure> {
    let start = Instant::now();
    if let Some(threads) = arguments.threads {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .build_global();
        pool.map_err(|error| Failure::new(FailureKind::Bug, error.to_string()))?;
    }
    let spec = load_image(&arguments.image)?;
    let store = cache::open(arguments.inputs.cache_dir.clone())?;
    let locked = fresh_lock(&spec, arguments, &store, printer)?;
    let out = arguments
        .out
        .clone()
        .unwrap_or_else(|| arguments.image.directory.join("out").join(&spec.name));
    let plan = plan::plan(spec, &locked, out)?;
    if arguments.dry_run {
        return printer.data(&plan.describe(&locked)).map_err(output_failed);
    }
    if let Some(manifest) = plan.finished().filter(|_| !arguments.no_block_cache) {
        printer.step("Unchanged", &plan.out.display().to_string(), start.elapsed());
        return answer(&plan, &manifest, arguments, printer);
    }
    let built = execute(&plan, &locked, arguments, &store, printer)?;
    summarize(&plan, &built, start.elapsed(), arguments, printer);
    answer(&plan, &built.manifest, arguments, printer)
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

fn answer(plan: &BuildPlan, manifest: &Manifest, arguments: &BuildArgs, printer: &Printer) -> Result<(), Failure> {
    let text = match arguments.json {
        true => manifest.to_json(),
        false => raw_path(plan, manifest).display().to_string(),
    };
    printer.data(&format!("{}\n", text.trim_end())).map_err(output_failed)
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
