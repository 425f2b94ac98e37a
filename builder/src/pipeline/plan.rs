//! What a build will do, decided before anything is written.

use std::path::{Path, PathBuf};

use crate::artifacts::manifest::{self, Manifest};
use crate::definition::ImageSpec;
use crate::digest::{HashingReader, Sha256};
use crate::failure::{Failure, FailureKind};
use crate::lock::{Lock, LockedPackage};
use crate::rootfs::overlay::{self, Overlay};
use crate::rootfs::repart::SlotSizes;

use super::output;
use super::programs::Programs;

/// A build whose outcome is decided by [`BuildPlan::digest`].
#[derive(Debug)]
pub struct BuildPlan {
    /// The definition.
    pub spec: ImageSpec,
    /// Its overlays, read.
    pub overlays: Vec<Overlay>,
    /// Skerry's programs for the image.
    pub programs: Programs,
    /// The folder for the artifacts.
    pub out: PathBuf,
    /// Decides every byte of the artifacts: definition, lock, overlays, programs and the builder itself.
    pub digest: Sha256,
    /// The digest with which the artifacts in the folder are marked.
    pub stamp: Sha256,
}

/// Reads what the build depends on beside its packages.
pub fn plan(spec: ImageSpec, lock: &Lock, out: PathBuf) -> Result<BuildPlan, Failure> {
    check_architectures(&spec, lock)?;
    let overlays_folder = spec.project().join("overlays");
    let overlays: Vec<Overlay> = spec
        .overlays
        .iter()
        .map(|name| overlay::load(&overlays_folder.join(name)))
        .collect::<Result<_, _>>()?;
    let programs = Programs::find(spec.architecture)?;
    let mut fields: Vec<[u8; 32]> = vec![
        *spec.digest().as_bytes(),
        *Sha256::of(lock.to_toml().as_bytes()).as_bytes(),
    ];
    fields.extend(overlays.iter().map(|overlay| *overlay.digest.as_bytes()));
    fields.extend([&programs.init, &programs.node, &programs.pause].map(|data| *data.sha256.as_bytes()));
    let digest = Sha256::of_fields(fields.iter().map(<[u8; 32]>::as_slice));
    let stamp = Sha256::of_fields([digest.as_bytes().as_slice(), own_digest()?.as_bytes()]);
    Ok(BuildPlan {
        spec,
        overlays,
        programs,
        out,
        digest,
        stamp,
    })
}

/// A lock can be edited; what is for another machine is refused before it is fetched.
fn check_architectures(spec: &ImageSpec, lock: &Lock) -> Result<(), Failure> {
    let own = spec.architecture.names().debian;
    let foreign = |package: &&LockedPackage| ![own, "all"].contains(&package.architecture.as_str());
    let Some(package) = lock.packages.iter().find(foreign) else {
        return Ok(());
    };
    let message = format!(
        "{}: package {} {} is for {}, the image for {own}",
        spec.lock_path().display(),
        package.name,
        package.version,
        package.architecture
    );
    let hint = format!("`skerry lock {} --update` writes a lock that fits", spec.name);
    Err(Failure::new(FailureKind::Request, message).hint(hint))
}

impl BuildPlan {
    /// The manifest of an earlier build with the same outcome whose artifacts are all still there.
    pub fn finished(&self) -> Option<Manifest> {
        let stamp = std::fs::read_to_string(output::stamp_path(&self.out)).ok()?;
        if stamp.trim_end() != self.stamp.to_string() {
            return None;
        }
        let text = std::fs::read_to_string(self.out.join(manifest::FILE_NAME)).ok()?;
        let manifest = Manifest::from_json(&text).ok()?;
        let stamped = std::fs::metadata(output::stamp_path(&self.out)).ok()?.modified().ok()?;
        let unchanged = manifest.artifacts.iter().all(|artifact| {
            let metadata = std::fs::metadata(self.out.join(&artifact.file));
            metadata.is_ok_and(|found| {
                found.len() == artifact.len_bytes && found.modified().is_ok_and(|time| time <= stamped)
            })
        });
        unchanged.then_some(manifest)
    }

    /// What `--dry-run` prints.
    pub fn describe(&self, lock: &Lock) -> String {
        let spec = &self.spec;
        let overlays = spec.overlays.join(", ");
        format!(
            "would build {} {} for {} from {} packages, {} components and the overlays {overlays}\nwould write {}\n",
            spec.name,
            image_version(lock),
            spec.architecture,
            lock.packages.len(),
            lock.components.len(),
            self.out.display(),
        )
    }
}

/// The digest of the running program: a newer builder may write other bytes.
fn own_digest() -> Result<Sha256, Failure> {
    let digest = |path: &Path| {
        let mut reader = HashingReader::new(std::fs::File::open(path)?);
        std::io::copy(&mut reader, &mut std::io::sink())?;
        Ok::<_, std::io::Error>(reader.finish().0)
    };
    let path = std::env::current_exe().unwrap_or_default();
    digest(&path)
        .map_err(|error| Failure::new(FailureKind::Request, format!("cannot read {}: {error}", path.display())))
}

/// The image's version: the lock's date in UTC as `YYYYMMDDhhmm`, so that later locks sort later.
pub fn image_version(lock: &Lock) -> String {
    let time = crate::fat::UtcTime::from_unix(lock.timestamp);
    format!(
        "{:04}{:02}{:02}{:02}{:02}",
        time.year, time.month, time.day, time.hour, time.minute
    )
}

/// What the partitions of a slot are made with.
pub const fn slot_sizes(spec: &ImageSpec) -> SlotSizes {
    let root = spec.slot_size.bytes();
    SlotSizes {
        root,
        verity: verity_slot_bytes(root),
    }
}

/// Room for the hash tree of a full slot: one 32-byte digest per 4 KiB, a 128th for each level above, the superblock,
/// rounded up to whole MiB.
const fn verity_slot_bytes(slot_bytes: u64) -> u64 {
    let mut total_blocks = 1;
    let mut blocks = slot_bytes / 4096;
    while blocks > 1 {
        blocks = blocks.div_ceil(128);
        total_blocks += blocks;
    }
    (total_blocks * 4096).next_multiple_of(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_for_another_machine_is_refused_before_anything_is_fetched() {
        let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images");
        let spec = crate::definition::spec::load(&images.join("edge-aarch64.toml")).unwrap();
        let mut lock = Lock::parse("lock", &std::fs::read_to_string(spec.lock_path()).unwrap()).unwrap();
        assert!(check_architectures(&spec, &lock).is_ok());
        let crun = lock.packages.iter_mut().find(|package| package.name == "crun").unwrap();
        crun.architecture = "amd64".to_owned();
        let (version, failure) = (crun.version.clone(), check_architectures(&spec, &lock).unwrap_err());
        let expected = format!(
            "{}: package crun {version} is for amd64, the image for arm64",
            spec.lock_path().display()
        );
        assert_eq!(failure.chain, [expected]);
        assert_eq!(
            failure.hints,
            ["`skerry lock edge-aarch64 --update` writes a lock that fits"]
        );
    }

    #[test]
    fn the_verity_slot_holds_the_tree_of_a_full_root_slot() {
        // 65,536 blocks: 512 + 4 + 1 blocks of digests and the superblock.
        assert_eq!(verity_slot_bytes(256 << 20), 3 << 20);
        assert!(verity_slot_bytes(256 << 20) >= (512 + 4 + 1 + 1) * 4096);
    }
}
