//! The join file on a USB stick: one for all machines, or one for each.

use std::path::{Path, PathBuf};

use super::mounts::{Access, Mounts};
use super::{Found, Source, SourceError, first_of, usual_names};
use crate::device::Device;

/// The label that a stick with join files bears.
const LABEL: &str = "dev/disk/by-label/SKERRY-JOIN";
/// Where it is mounted for as long as it is read.
const MOUNT_POINT: &str = "run/skerry/stick";
/// Ends of names for one machine, in the order in which they are tried.
const EXTENSIONS: [&str; 4] = ["toml", "yaml", "json", "txt"];

pub(super) fn find(root: &Path, device: &Device, mounts: &impl Mounts) -> Result<Option<Found>, SourceError> {
    let Some(stick) = present(root) else { return Ok(None) };
    let file = with_mounted(root, &stick, (mounts, Access::ReadOnly), |folder| {
        first_of(folder, &names(device), "the USB stick labelled SKERRY-JOIN")
    })?;
    Ok(file.map(|(name, content)| Found::new(Source::UsbStick { file: name }, content)))
}

/// The device of a stick that is plugged in.
pub(crate) fn present(root: &Path) -> Option<PathBuf> {
    std::fs::canonicalize(root.join(LABEL)).ok()
}

/// Does `work` in the stick's folder while it is mounted, and unmounts it whatever came of it.
pub(crate) fn with_mounted<T, E: From<SourceError>>(
    root: &Path,
    stick: &Path,
    (mounts, access): (&impl Mounts, Access),
    work: impl FnOnce(&Path) -> Result<T, E>,
) -> Result<T, E> {
    let folder = root.join(MOUNT_POINT);
    let mounted = std::fs::create_dir_all(&folder).and_then(|()| {
        // An earlier run may have been killed while it was mounted; mostly it is not, and that is no error.
        let _ = mounts.unmount(&folder);
        mounts.mount(stick, &folder, access)
    });
    mounted.map_err(SourceError::Mount)?;
    let outcome = work(&folder);
    let unmounted = mounts.unmount(&folder).map_err(SourceError::Unmount);
    let value = outcome?;
    unmounted?;
    Ok(value)
}

/// Names for this machine before names for all. FAT takes letters of either case for the same; ext4 does not.
fn names(device: &Device) -> Vec<String> {
    let mut stems: Vec<String> = Vec::new();
    if let Some(stem) = device.fill("join-{serial}") {
        stems.extend([
            stem.to_ascii_lowercase(),
            stem.to_ascii_uppercase().replacen("JOIN", "join", 1),
            stem,
        ]);
    }
    if let Some(mac) = device.mac {
        stems.extend([format!("join-{mac}"), format!("join-{}", mac.dashed())]);
    }
    let with_extension = |stem: &String| EXTENSIONS.map(|extension| format!("{stem}.{extension}"));
    let mut names: Vec<String> = stems.iter().flat_map(with_extension).collect();
    names.extend(usual_names());
    names
}
