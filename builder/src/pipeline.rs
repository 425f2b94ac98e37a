//! The whole build on one screen: a lock flows in, a folder of artifacts flows out.
//!
//! [`plan`] decides from digests whether there is anything to do. What is done reads only inputs that the lock pins, and
//! the finished artifacts appear together: the manifest goes first and comes last.

mod boot;
pub mod caches;
pub mod images;
pub mod inputs;
pub mod lints;
pub mod output;
pub mod plan;
pub mod programs;
pub mod report;

use std::io::BufWriter;
use std::time::{Duration, Instant};

use crate::artifacts::manifest::{Manifest, ManifestLoader, ManifestPartition};
use crate::artifacts::{self, Artifact, ArtifactKind, CompressInput, manifest, sbom, sums};
use crate::digest::Sha256;
use crate::disk::DiskLayout;
use crate::failure::Failure;
use crate::fetch::FetchOptions;
use crate::lock::Lock;
use crate::mirror::Mirror;
use crate::progress::Reporter;
use crate::rootfs::assemble::{Parts, RootFs, assemble};
use crate::rootfs::skeleton::ImageName;
use crate::squashfs::{self, FileRange, Settings};
use crate::store::Store;
use crate::verity;

use boot::{Uki, make_uki, write_disk};
use caches::{BlockCaching, StoreCache};
use inputs::Inputs;
use output::Staging;
use plan::BuildPlan;

/// Everything a build works with beside its plan.
#[expect(missing_debug_implementations, reason = "a view of other stages' types")]
#[derive(Clone, Copy)]
pub struct Workshop<'a> {
    /// Downloads and results of earlier builds.
    pub store: &'a Store,
    /// Where packages come from; none if nothing may be downloaded.
    pub mirror: Option<&'a Mirror>,
    /// Whether and how to use the network.
    pub fetch: FetchOptions,
    /// Whether compressed blocks are kept.
    pub blocks: BlockCaching,
    /// Hears how far the work is.
    pub reporter: &'a dyn Reporter,
}

/// What a build did.
#[derive(Debug)]
pub struct Built {
    /// What was built.
    pub manifest: Manifest,
    /// Name and duration of each stage, in their order.
    pub timings: Vec<(&'static str, Duration)>,
    /// What the user should know, one sentence each.
    pub warnings: Vec<String>,
}

/// Measures the stages of a build.
#[derive(Debug, Default)]
struct Clock(Vec<(&'static str, Duration)>);

impl Clock {
    fn time<T>(&mut self, stage: &'static str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let outcome = work();
        self.0.push((stage, start.elapsed()));
        outcome
    }
}

/// Carries out the plan: fetches, assembles, writes.
pub fn execute(plan: &BuildPlan, lock: &Lock, workshop: Workshop<'_>) -> Result<Built, Failure> {
    let spec = &plan.spec;
    let mut clock = Clock::default();
    let staging = Staging::open(&plan.out, &spec.name)?;
    let inputs = inputs::obtain(plan, lock, workshop, &mut |stage, took| clock.0.push((stage, took)))?;
    let version = plan::image_version(lock);
    let image = ImageName {
        name: &spec.name,
        version: &version,
        pretty_name: spec.pretty_name.as_deref(),
    };
    let cache = StoreCache::new(workshop.store, workshop.blocks);
    let versions = report::versions(lock);
    let parts = Parts {
        spec,
        image: &image,
        packages: &inputs.packages,
        programs: &inputs.programs,
        images: &inputs.images,
        overlays: &plan.overlays,
        versions: &versions,
        slots: plan::slot_sizes(spec),
        module_cache: &cache,
    };
    let root = clock.time("assemble", || assemble(parts))?;
    let mut warnings = root.warnings.clone();
    warnings.extend(clock.time("check", || lints::check(&root.tree, spec))?);
    let seed = plan.digest;
    let written = clock.time("file system", || write_root(&root, plan, lock, &cache, &staging))?;
    let verified = clock.time("verity", || write_verity(&written, seed, &staging))?;
    let uki = clock.time("kernel image", || make_uki(&root, &inputs, plan, lock, &verified))?;
    let layout = clock.time("disk", || {
        write_disk(&root, plan, lock, &staging, (&written, &verified, &uki))
    })?;
    let manifest = clock.time("artifacts", || {
        write_artifacts(
            &Finished {
                root: &root,
                inputs: &inputs,
                layout: &layout,
                verified: &verified,
                uki: &uki,
            },
            plan,
            lock,
            &staging,
        )
    })?;
    staging.commit(&manifest)?;
    Ok(Built {
        manifest,
        timings: clock.0,
        warnings,
    })
}

fn write_root(
    root: &RootFs,
    plan: &BuildPlan,
    lock: &Lock,
    cache: &StoreCache<'_>,
    staging: &Staging,
) -> Result<squashfs::FsImage, Failure> {
    let settings = Settings {
        block_size: plan.spec.block_size,
        level: plan.spec.compression_level,
        timestamp: u32::try_from(lock.timestamp).unwrap_or(u32::MAX),
    };
    let mut out = BufWriter::with_capacity(1 << 20, staging.create("root")?);
    Ok(squashfs::write(&root.tree, &settings, cache, &mut out)?)
}

fn write_verity(written: &squashfs::FsImage, seed: Sha256, staging: &Staging) -> Result<verity::Verity, Failure> {
    let salt = *Sha256::of_fields([b"verity salt".as_slice(), seed.as_bytes()]).as_bytes();
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&Sha256::of_fields([b"verity uuid".as_slice(), seed.as_bytes()]).as_bytes()[..16]);
    let root = staging.open_file("root")?;
    let mut out = BufWriter::new(staging.create("verity")?);
    Ok(verity::build(
        &FileRange::new(&root, 0, written.len_bytes),
        salt,
        uuid,
        &mut out,
    )?)
}

/// What the artifacts are made from.
#[derive(Clone, Copy)]
struct Finished<'a> {
    root: &'a RootFs,
    inputs: &'a Inputs,
    layout: &'a DiskLayout,
    verified: &'a verity::Verity,
    uki: &'a Uki,
}

fn write_artifacts(
    finished: &Finished<'_>,
    plan: &BuildPlan,
    lock: &Lock,
    staging: &Staging,
) -> Result<Manifest, Failure> {
    let spec = &plan.spec;
    let ranges = finished.layout.ranges();
    let (raw, zst) = (staging.path("raw"), staging.path("raw.zst"));
    let (compressed, digests) = rayon::join(
        || {
            artifacts::compress(&CompressInput {
                raw: &raw,
                zst: &zst,
                ranges: &ranges,
            })
        },
        || artifacts::digest_files(&[staging.path("root"), staging.path("verity")]),
    );
    let (compressed, digests) = (compressed?, digests?);
    let efi = artifacts::write_bytes(&staging.path("efi"), &finished.uki.bytes)?;
    let materials = report::sbom(plan, lock, finished.inputs)?;
    let spdx = artifacts::write_bytes(&staging.path("spdx.json"), sbom::spdx::to_json(&materials).as_bytes())?;
    let cdx = sbom::cyclonedx::to_json(&materials);
    let cdx = artifacts::write_bytes(&staging.path("cdx.json"), cdx.as_bytes())?;
    let artifact = |kind, ending: &str, digest: artifacts::FileDigest| Artifact {
        kind,
        file: format!("{}.{ending}", spec.name),
        len_bytes: digest.len_bytes,
        sha256: digest.sha256,
    };
    let artifacts = vec![
        artifact(ArtifactKind::Raw, "raw", compressed.raw),
        artifact(ArtifactKind::RawZst, "raw.zst", compressed.zst),
        artifact(ArtifactKind::Uki, "efi", efi),
        artifact(ArtifactKind::Root, "root", digests[0]),
        artifact(ArtifactKind::Verity, "verity", digests[1]),
        artifact(ArtifactKind::Sbom, "spdx.json", spdx),
        artifact(ArtifactKind::SbomCyclonedx, "cdx.json", cdx),
    ];
    let manifest = Manifest {
        version: manifest::VERSION,
        image: spec.name.clone(),
        image_version: plan::image_version(lock),
        arch: spec.architecture,
        timestamp: lock.timestamp,
        root_hash: Sha256::from_bytes(*finished.verified.root_hash.as_bytes()),
        kernel: finished.root.boot.kernel_release.clone(),
        command_line: finished.uki.command_line.clone(),
        artifacts,
        board: spec.board.as_ref().map(|board| board.name.clone()),
        loaders: ManifestLoader::list(&finished.layout.loaders),
        partitions: ManifestPartition::list(&finished.layout.partitions),
        ranges: compressed.ranges,
        packages: report::sizes(&finished.root.tree, lock),
    };
    let text = manifest.to_json();
    let own = artifacts::write_bytes(&staging.manifest_path(), text.as_bytes())?;
    let rows = manifest
        .artifacts
        .iter()
        .map(|artifact| (artifact.file.as_str(), artifact.sha256));
    let sums = sums::to_text(rows.chain([(manifest::FILE_NAME, own.sha256)]));
    artifacts::write_bytes(&staging.sums_path(), sums.as_bytes())?;
    Ok(manifest)
}
