//! What can be verified about an image: its root by the verity tree, and a folder's files by their digests.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use super::raw::Slot;
use super::target::is_plain_name;
use super::{InspectError, finding};
use crate::artifacts::manifest::{self, Manifest};
use crate::artifacts::ranges::HashedRange;
use crate::artifacts::sums::{self, FILE_NAME as SUMS};
use crate::artifacts::{self, Artifact, ArtifactKind};
use crate::digest::Sha256;
use crate::squashfs::FileRange;
use crate::verity::{self, RootHash, VerityError};

/// The longest one that is read.
const MAX_SUMS_BYTES: u64 = 1 << 20;
/// Larger roots are not verified: their hash tree would be held in memory.
const MAX_VERIFIED_BYTES: u64 = 32 << 30;

/// Something that was verified, or could not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub subject: String,
    /// What came of it.
    pub outcome: Outcome,
    /// What is wrong and where, why it was not verified, or what was.
    pub detail: String,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is as it should be.
    Passed,
    /// It is not.
    Failed,
    /// There is nothing to verify it by.
    Skipped,
}

impl Check {
    pub(super) fn new(subject: impl Into<String>, outcome: Outcome, detail: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            outcome,
            detail: detail.into(),
        }
    }
}

/// Verifies every block of the root partition by the verity partition and the root hash.
pub(super) fn root(disk: &File, slots: &[Option<Slot>; 2], root_hash: Option<Sha256>) -> Check {
    const SUBJECT: &str = "root file system (verity)";
    let skipped = |why: &str| Check::new(SUBJECT, Outcome::Skipped, why);
    let [Some(data), Some(hash)] = slots else {
        return skipped("there is no root partition, or none with its hash tree");
    };
    let Some(root_hash) = root_hash else {
        return skipped("the kernel command line names no root hash");
    };
    let range = |slot: &Slot| FileRange::new(disk, slot.offset, slot.len_bytes);
    let (data_range, hash_range) = (range(data), range(hash));
    match verity::read_superblock(&hash_range) {
        Ok(superblock) if superblock.data_blocks > MAX_VERIFIED_BYTES / verity::BLOCK_LEN as u64 => {
            return skipped("it is larger than 32 GiB");
        }
        _ => {}
    }
    match verity::verify(&data_range, &hash_range, &RootHash::from_bytes(*root_hash.as_bytes())) {
        Ok(verified) => {
            let detail = format!("{} blocks match the root hash", verified.data_blocks);
            Check::new(SUBJECT, Outcome::Passed, detail)
        }
        Err(fault) => Check::new(SUBJECT, Outcome::Failed, root_fault(&fault, data, hash)),
    }
}

/// What is wrong, with the place on the disk.
fn root_fault(fault: &VerityError, data: &Slot, hash: &Slot) -> String {
    let place = match fault {
        VerityError::DataBlock { offset, .. } | VerityError::ReadData { offset, .. } => Some((data, *offset)),
        VerityError::TreeBlock { block, .. } => Some((hash, block.saturating_mul(verity::BLOCK_LEN as u64))),
        VerityError::ReadTree { offset, .. } => Some((hash, *offset)),
        _ => None,
    };
    let text = finding("the root does not match its root hash", fault);
    match place {
        Some((slot, offset)) => format!(
            "{text}; this is partition {}, byte {} of the disk",
            slot.number,
            slot.offset.saturating_add(offset)
        ),
        None => text,
    }
}

/// Verifies the files of a build's folder by `SHA256SUMS` and by the manifest.
pub(super) fn folder(folder: &Path, manifest: &Manifest) -> Result<Vec<Check>, InspectError> {
    let listed = read_sums(folder)?;
    let named = manifest
        .artifacts
        .iter()
        .map(|artifact| (artifact.file.clone(), artifact.sha256));
    let mut files: Vec<(String, Vec<(&str, Sha256)>)> = Vec::new();
    let mut add = |name: String, by, sha256| match files.iter_mut().find(|(own, _)| *own == name) {
        Some((_, expected)) => expected.push((by, sha256)),
        None => files.push((name, vec![(by, sha256)])),
    };
    let Sums { rows, check } = listed;
    rows.into_iter().for_each(|(name, sha256)| add(name, SUMS, sha256));
    named.for_each(|(name, sha256)| add(name, manifest::FILE_NAME, sha256));
    let checked: Result<Vec<Check>, InspectError> = files
        .par_iter()
        .map(|(name, expected)| check_file(folder, name, expected, manifest))
        .collect();
    let mut checks = checked?;
    checks.extend(check);
    Ok(checks)
}

/// What SHA256SUMS says, and what is to be said of itself.
#[derive(Default)]
struct Sums {
    rows: BTreeMap<String, Sha256>,
    check: Option<Check>,
}

fn read_sums(folder: &Path) -> Result<Sums, InspectError> {
    let path = folder.join(SUMS);
    let is_absent = fs::metadata(&path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    if is_absent {
        let check = Check::new(SUMS, Outcome::Skipped, "there is no such file");
        return Ok(Sums {
            check: Some(check),
            ..Sums::default()
        });
    }
    let failed = |source| InspectError::Check {
        path: path.clone(),
        source,
    };
    let mut text = String::new();
    let file = File::open(&path).map_err(failed)?;
    io::Read::read_to_string(&mut io::Read::take(file, MAX_SUMS_BYTES), &mut text).map_err(failed)?;
    Ok(match sums::parse(&text) {
        Ok(rows) => Sums {
            rows: rows.into_iter().collect(),
            check: None,
        },
        Err(line) => Sums {
            check: Some(Check::new(
                SUMS,
                Outcome::Failed,
                format!("line {line} is no digest with a file's name"),
            )),
            ..Sums::default()
        },
    })
}

fn check_file(
    folder: &Path,
    name: &str,
    expected: &[(&str, Sha256)],
    manifest: &Manifest,
) -> Result<Check, InspectError> {
    let by = expected.iter().map(|(by, _)| *by).collect::<Vec<_>>().join(" and ");
    if !is_plain_name(name) {
        let detail = format!("{by} names a file outside of the folder");
        return Ok(Check::new(name, Outcome::Failed, detail));
    }
    let path = folder.join(name);
    if !path.is_file() {
        return Ok(Check::new(
            name,
            Outcome::Failed,
            format!("{by} names it, but there is no such file"),
        ));
    }
    let digest = artifacts::digest_files(std::slice::from_ref(&path)).map_err(|error| InspectError::Check {
        path: path.clone(),
        source: io::Error::other(finding("its digest is not known", &error)),
    })?;
    let wrong: Vec<&str> = expected
        .iter()
        .filter(|(_, sha256)| digest.iter().any(|found| found.sha256 != *sha256))
        .map(|(by, _)| *by)
        .collect();
    if wrong.is_empty() {
        return Ok(Check::new(
            name,
            Outcome::Passed,
            format!("its SHA-256 is that of {by}"),
        ));
    }
    let mut detail = format!("its SHA-256 is not that of {}", wrong.join(" and "));
    let is_raw = |artifact: &&Artifact| artifact.kind == ArtifactKind::Raw && artifact.file == name;
    if manifest.artifacts.iter().find(is_raw).is_some() {
        detail.push_str(&first_difference(&path, &manifest.ranges));
    }
    Ok(Check::new(name, Outcome::Failed, detail))
}

/// Where the image begins to differ, as far as the manifest's ranges tell.
fn first_difference(path: &Path, ranges: &[HashedRange]) -> String {
    let Ok(file) = File::open(path) else {
        return String::new();
    };
    let differs = |range: &HashedRange| {
        // Ranges are cut; a longer one is not ours, and is not read into memory.
        if range.len_bytes > artifacts::ranges::CUT_BYTES {
            return false;
        }
        let mut bytes = vec![0; range.len_bytes as usize];
        file.read_exact_at(&mut bytes, range.offset).is_err() || Sha256::of(&bytes) != range.sha256
    };
    match ranges.iter().find(|range| differs(range)) {
        Some(range) => format!(
            "; the first range that differs is that of {} bytes at byte {}",
            range.len_bytes, range.offset
        ),
        None => "; all ranges that hold data are as they should be".to_owned(),
    }
}
