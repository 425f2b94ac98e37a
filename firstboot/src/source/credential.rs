//! The join file as a credential of the service: SMBIOS, fw_cfg or a file beside the kernel image bring it (systemd,
//! docs/CREDENTIALS.md).

use std::path::Path;

use super::{Found, Source, SourceError, first_of};

/// The credential's name.
const NAME: &str = "skerry.join";

pub(super) fn find(folder: &Path) -> Result<Option<Found>, SourceError> {
    let file = first_of(folder, &[NAME.to_owned()], "the service's credentials")?;
    Ok(file.map(|(_, content)| Found::new(Source::Credential, content)))
}
