//! The folder of artifacts: filled beside, then made visible as a whole.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::artifacts::manifest::{self, Manifest};
use crate::artifacts::sums::FILE_NAME as SUMS;
use crate::disk::staged_folder::StagedFolder;
use crate::failure::{Failure, FailureKind};

const STAMP: &str = ".stamp";

/// The file that says which build the artifacts are of.
pub fn stamp_path(out: &Path) -> PathBuf {
    out.join(STAMP)
}

/// A folder inside the output folder in which artifacts grow; emptied at the start, gone at the end.
#[derive(Debug)]
pub struct Staging {
    out: PathBuf,
    folder: StagedFolder,
    image: String,
}

impl Staging {
    /// Opens the staging folder in `out`; waits for another build that writes there.
    pub fn open(out: &Path, image: &str) -> Result<Self, Failure> {
        let failed = |doing: &'static str, path: &Path| {
            let path = path.to_owned();
            move |error: io::Error| write_failed(doing, &path, &error)
        };
        fs::create_dir_all(out).map_err(failed("make", out))?;
        let lock_path = out.join(".lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(failed("open", &lock_path))?;
        let folder = StagedFolder::open(lock, &lock_path, out.join(".partial"));
        Ok(Self {
            out: out.to_owned(),
            folder: folder.map_err(|failed| write_failed(failed.doing, &failed.path, &failed.source))?,
            image: image.to_owned(),
        })
    }

    /// Where the artifact with this ending grows.
    pub fn path(&self, ending: &str) -> PathBuf {
        self.folder.path().join(format!("{}.{ending}", self.image))
    }

    /// Where the manifest grows.
    pub fn manifest_path(&self) -> PathBuf {
        self.folder.path().join(manifest::FILE_NAME)
    }

    /// Where the sums grow.
    pub fn sums_path(&self) -> PathBuf {
        self.folder.path().join(SUMS)
    }

    /// A new file for an artifact.
    pub fn create(&self, ending: &str) -> Result<File, Failure> {
        let path = self.path(ending);
        File::create_new(&path).map_err(|error| write_failed("make", &path, &error))
    }

    /// An artifact that was written before.
    pub fn open_file(&self, ending: &str) -> Result<File, Failure> {
        let path = self.path(ending);
        File::open(&path).map_err(|error| write_failed("open", &path, &error))
    }

    /// Makes everything visible: the old manifest goes first, the new one comes last, so that a folder with a manifest is
    /// always whole.
    pub fn commit(self, manifest: &Manifest) -> Result<(), Failure> {
        for stale in [STAMP, manifest::FILE_NAME] {
            match fs::remove_file(self.out.join(stale)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(write_failed("replace", &self.out.join(stale), &error));
                }
                _ => {}
            }
        }
        let files = manifest.artifacts.iter().map(|artifact| artifact.file.as_str());
        for name in files.chain([SUMS, manifest::FILE_NAME]) {
            let target = self.out.join(name);
            fs::rename(self.folder.path().join(name), &target)
                .map_err(|error| write_failed("write", &target, &error))?;
        }
        Ok(())
    }
}

/// Marks the artifacts as those of the build with this digest.
pub fn stamp(out: &Path, digest: &crate::digest::Sha256) -> Result<(), Failure> {
    let path = stamp_path(out);
    fs::write(&path, format!("{digest}\n")).map_err(|error| write_failed("write", &path, &error))
}

fn write_failed(doing: &str, path: &Path, error: &io::Error) -> Failure {
    let failure = Failure::new(
        FailureKind::Request,
        format!("cannot {doing} {}: {error}", path.display()),
    );
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            failure.hint("choose a folder that you may write to with `--out DIR`")
        }
        io::ErrorKind::StorageFull => failure.hint("make room there, or choose another disk with `--out DIR`"),
        _ => failure,
    }
}
