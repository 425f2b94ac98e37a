//! Takes the join file from the medium that it came from, when the machine has joined.
//!
//! The file is overwritten in place, so that its clusters hold zeros, then deleted; every step is on the medium before the
//! next one begins. A power cut between two steps leaves a file of zeros, which is no join file, and scrubbing again ends
//! it. Flash chips keep old copies of what was overwritten where only their controller can read: a token must expire all
//! the same.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::libc::{O_CLOEXEC, O_NOFOLLOW};
use zeroize::Zeroizing;

use crate::digest::Digest;
use crate::join_config::{AfterJoin, MAX_BYTES};
use crate::source::mounts::{Access, Mounts};
use crate::source::{Source, SourceError, Trace, efi_partition, is_erased, usb_stick};

/// No cluster of FAT and no block of ext4 is larger.
const MAX_CLUSTER: u64 = 64 * 1024;

/// What became of the join file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scrubbed {
    /// It is overwritten and deleted.
    Erased,
    /// It was not there any more.
    Gone,
    /// It is still there.
    Kept(Kept),
}

/// Why a join file is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It says `after-join = "keep"`.
    Asked,
    /// The medium cannot be written.
    ReadOnly,
    /// It is no file: a credential, or an answer of a server.
    NotAFile,
    /// Another join file lies in its place.
    Changed,
    /// The stick is not plugged in.
    Unplugged,
}

impl fmt::Display for Scrubbed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Erased => "the join file is erased",
            Self::Gone => "the join file is no longer there",
            Self::Kept(Kept::Asked) => "the join file stays, as it says itself",
            Self::Kept(Kept::ReadOnly) => {
                "the join file stays, because its medium cannot be written: let its token expire"
            }
            Self::Kept(Kept::NotAFile) => "whoever gave the join file still has it: let its token expire",
            Self::Kept(Kept::Changed) => "another join file lies in its place, and is left there",
            Self::Kept(Kept::Unplugged) => {
                "the stick with the join file is not plugged in: erase the file, or let its token expire"
            }
        })
    }
}

/// A join file that may still be there.
#[derive(Debug, thiserror::Error)]
pub enum ScrubError {
    /// A step on the file failed.
    #[error("cannot {step} {}", path.display())]
    File {
        /// `overwrite`, `delete`, …
        step: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The EFI partition cannot be made writable, or not read-only again.
    #[error("cannot mount the EFI partition {access}")]
    Remount {
        /// `for writing` or `read-only again`.
        access: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The stick cannot be mounted or unmounted.
    #[error(transparent)]
    Stick(#[from] SourceError),
}

impl ScrubError {
    /// What a person can do about it.
    pub fn advice(&self) -> &'static str {
        "delete the token in the cluster (`kubeadm token delete ID`), or let it expire; the node has joined all the same"
    }
}

/// Erases the join file that `trace` describes, if it is still the same one. Only to be called when the node has proved
/// that it can do without: until then nothing else could make it join again.
pub fn scrub(root: &Path, trace: &Trace, after_join: AfterJoin, mounts: &impl Mounts) -> Result<Scrubbed, ScrubError> {
    if after_join == AfterJoin::Keep {
        return Ok(Scrubbed::Kept(Kept::Asked));
    }
    let outcome = match &trace.source {
        Source::EfiPartition { path } => on_efi_partition(root, path, trace.digest, mounts),
        Source::UsbStick { file } => on_stick(root, file, trace.digest, mounts),
        Source::Credential | Source::Https { .. } => return Ok(Scrubbed::Kept(Kept::NotAFile)),
    };
    match outcome {
        Err(error) if cannot_be_written(&error) => Ok(Scrubbed::Kept(Kept::ReadOnly)),
        outcome => outcome,
    }
}

fn cannot_be_written(error: &ScrubError) -> bool {
    let source = match error {
        ScrubError::File { source, .. } | ScrubError::Remount { source, .. } => source,
        ScrubError::Stick(SourceError::Mount(source)) => source,
        ScrubError::Stick(_) => return false,
    };
    // EACCES: what mount(2) says of a write-protected device.
    matches!(source.kind(), io::ErrorKind::ReadOnlyFilesystem) || source.raw_os_error() == Some(nix::libc::EACCES)
}

fn on_efi_partition(root: &Path, path: &Path, digest: Digest, mounts: &impl Mounts) -> Result<Scrubbed, ScrubError> {
    let remount = |access, text| {
        let outcome = mounts.remount(&root.join(efi_partition::MOUNT_POINT), access);
        outcome.map_err(|source| ScrubError::Remount { access: text, source })
    };
    remount(Access::ReadWrite, "for writing")?;
    let outcome = erase(path, digest);
    let closed = remount(Access::ReadOnly, "read-only again");
    let scrubbed = outcome?;
    closed.map(|()| scrubbed)
}

fn on_stick(root: &Path, file: &str, digest: Digest, mounts: &impl Mounts) -> Result<Scrubbed, ScrubError> {
    let Some(device) = usb_stick::present(root) else {
        return Ok(Scrubbed::Kept(Kept::Unplugged));
    };
    usb_stick::with_mounted(root, &device, (mounts, Access::ReadWrite), |folder| {
        erase(&folder.join(file), digest)
    })
}

/// Overwrites and deletes the file at `path` if it is the one with this digest, or what is left of it.
fn erase(path: &Path, digest: Digest) -> Result<Scrubbed, ScrubError> {
    let failed = |step| {
        move |source| ScrubError::File {
            step,
            path: path.to_owned(),
            source,
        }
    };
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(O_NOFOLLOW | O_CLOEXEC)
        .open(path);
    let mut file = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Scrubbed::Gone),
        opened => opened.map_err(failed("open"))?,
    };
    let mut content = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
    (&file)
        .take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut content)
        .map_err(failed("read"))?;
    if Digest::of(&content) != digest && !is_erased(&content) {
        return Ok(Scrubbed::Kept(Kept::Changed));
    }
    overwrite(&mut file).map_err(failed("overwrite"))?;
    delete(path).map_err(failed("delete"))?;
    Ok(Scrubbed::Erased)
}

/// Zeros over the whole file, without letting go of its clusters, and over the rest of the last one, which may hold the
/// end of a longer file that lay there before.
fn overwrite(file: &mut File) -> io::Result<()> {
    let metadata = file.metadata()?;
    let zeros = |count: u64| io::repeat(0).take(count);
    file.seek(SeekFrom::Start(0))?;
    io::copy(&mut zeros(metadata.len()), file)?;
    file.flush()?;
    file.sync_all()?;
    let cluster = metadata.blksize().clamp(1, MAX_CLUSTER);
    let slack = metadata.len().next_multiple_of(cluster) - metadata.len();
    // What matters is gone by now.
    if io::copy(&mut zeros(slack), file).is_ok() {
        file.sync_all()?;
    }
    Ok(())
}

fn delete(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    let folder = File::open(path.parent().unwrap_or(Path::new("/")))?;
    folder.sync_all()?;
    // FAT keeps its table apart from the folder.
    Ok(nix::unistd::syncfs(&folder)?)
}

#[cfg(test)]
mod tests;
