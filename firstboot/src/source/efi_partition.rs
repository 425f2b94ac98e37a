//! The join file on the EFI system partition, where the host tool puts it when it flashes.

use std::path::Path;

use super::{Found, Source, SourceError, first_of, usual_names};

/// Where the partition is mounted, read-only.
pub(crate) const MOUNT_POINT: &str = "efi";

pub(super) fn find(root: &Path) -> Result<Option<Found>, SourceError> {
    let folder = root.join(MOUNT_POINT);
    let file = first_of(&folder, &usual_names(), "the EFI partition")?;
    Ok(file.map(|(name, content)| {
        let path = folder.join(name);
        Found::new(Source::EfiPartition { path }, content)
    }))
}
