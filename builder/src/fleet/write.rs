//! Writes the files of a fleet, all or none.
//!
//! They grow in a folder beside their places. When all are whole and on the disk, each is renamed to its place: a run that
//! ends early, by an error, a signal or a power cut, leaves no half file in any place, and before the first renaming nothing
//! has changed. What such a run leaves beside is removed by the next one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::disk::sparse::CopyMethod;
use crate::disk::staged_folder::StagedFolder;
use crate::progress::{Reporter, Work};

use super::error::FleetError;
use super::plan::{Plan, Planned, State};

/// Where files grow, in the folder that they are for.
const STAGING: &str = ".skerry-seed.partial";
/// Each file holds a secret.
const MODE: u32 = 0o600;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Files that are new or have other content now.
    pub written: usize,
    /// Files that were as they should be.
    pub unchanged: usize,
    /// How images were copied, if any were; the slowest way, should it differ.
    pub method: Option<CopyMethod>,
}

/// Carries out the plan.
pub fn execute(plan: &Plan, reporter: &dyn Reporter) -> Result<Written, FleetError> {
    let wanted: Vec<&Planned> = plan.files.iter().filter(|file| file.state != State::Same).collect();
    let mut written = Written {
        written: wanted.len(),
        unchanged: plan.files.len() - wanted.len(),
        method: None,
    };
    if wanted.is_empty() {
        return Ok(written);
    }
    let staging = Staging::open(&plan.out)?;
    let task = reporter.start("seeding", Work::Items(wanted.len() as u64));
    let methods = wanted.par_iter().map(|file| {
        let method = staging.write(plan, file);
        reporter.advance(task, 1);
        method
    });
    let methods: Result<Vec<Option<CopyMethod>>, FleetError> = methods.collect();
    reporter.finish(task);
    written.method = methods?.into_iter().flatten().max();
    staging.commit(&wanted)?;
    Ok(written)
}

/// The folder in which files grow; gone at the end.
struct Staging {
    out: PathBuf,
    folder: StagedFolder,
}

impl Staging {
    fn open(out: &Path) -> Result<Self, FleetError> {
        fs::create_dir_all(out).map_err(FleetError::io("make", out))?;
        let lock = File::open(out).map_err(FleetError::io("open", out))?;
        let folder = StagedFolder::open(lock, out, out.join(STAGING));
        Ok(Self {
            out: out.to_owned(),
            folder: folder.map_err(|failed| FleetError::io(failed.doing, &failed.path)(failed.source))?,
        })
    }

    fn write(&self, plan: &Plan, planned: &Planned) -> Result<Option<CopyMethod>, FleetError> {
        let path = self.folder.path().join(&planned.device.file_name);
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(MODE)
            .open(&path)
            .map_err(FleetError::io("make", &path))?;
        let written = match (&plan.image, &planned.patch) {
            (Some(image), Some(patch)) => image.write_copy(&file, patch).map(Some),
            _ => file
                .write_all(planned.device.join_file.text().as_bytes())
                .map(|()| None),
        };
        written.map_err(FleetError::io("write", &planned.place))
    }

    /// Brings every file to its place, when all of them are on the disk.
    fn commit(self, files: &[&Planned]) -> Result<(), FleetError> {
        let sync = |folder: &Path| -> io::Result<()> {
            // One flush for all: a thousand of them take a thousand times as long.
            Ok(rustix::fs::syncfs(File::open(folder)?)?)
        };
        sync(self.folder.path()).map_err(FleetError::io("flush", self.folder.path()))?;
        for planned in files {
            let from = self.folder.path().join(&planned.device.file_name);
            fs::rename(from, &planned.place).map_err(FleetError::io("write", &planned.place))?;
        }
        let folder = File::open(&self.out).and_then(|folder| folder.sync_all());
        folder.map_err(FleetError::io("flush", &self.out))
    }
}
