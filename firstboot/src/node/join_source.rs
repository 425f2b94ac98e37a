//! Where a join file may lie, in the order in which the places are asked.

use std::fmt;
use std::path::{Path, PathBuf};

/// A place that holds a join file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinSource {
    /// `join.toml` on the EFI system partition.
    EfiPartition(PathBuf),
    /// A USB stick with this label.
    UsbStick(PathBuf),
    /// A credential of the service (systemd.exec(5), "Credentials").
    Credential(PathBuf),
}

/// The label of a stick that carries a join file.
const STICK_LABEL: &str = "SKERRY-JOIN";
/// The credential's name.
const CREDENTIAL: &str = "skerry.join";

/// What [`find`] looks at, in words.
pub const PLACES: &str = "join.toml on the EFI partition, a USB stick labelled SKERRY-JOIN, the credential skerry.join";

/// The first place below `root` that holds a join file; `credentials` is the service's folder of credentials.
pub fn find(root: &Path, credentials: Option<&Path>) -> Option<JoinSource> {
    let on_esp = root.join("efi/join.toml");
    if on_esp.is_file() {
        return Some(JoinSource::EfiPartition(on_esp));
    }
    let stick = root.join("dev/disk/by-label").join(STICK_LABEL);
    if stick.exists() {
        return Some(JoinSource::UsbStick(stick));
    }
    let credential = credentials?.join(CREDENTIAL);
    credential.is_file().then_some(JoinSource::Credential(credential))
}

impl fmt::Display for JoinSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EfiPartition(_) => "join.toml on the EFI partition",
            Self::UsbStick(_) => "the USB stick labelled SKERRY-JOIN",
            Self::Credential(_) => "the credential skerry.join",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_efi_partition_comes_before_the_stick_and_the_stick_before_the_credential() {
        let root = tempfile::tempdir().unwrap();
        let make = |path: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "version = 1").unwrap();
            path
        };
        let credentials = root.path().join("credentials");
        let look = || find(root.path(), Some(&credentials));
        assert_eq!(look(), None);
        let credential = make("credentials/skerry.join");
        assert_eq!(look(), Some(JoinSource::Credential(credential)));
        let stick = make("dev/disk/by-label/SKERRY-JOIN");
        assert_eq!(look(), Some(JoinSource::UsbStick(stick)));
        let on_esp = make("efi/join.toml");
        assert_eq!(look(), Some(JoinSource::EfiPartition(on_esp)));
    }
}
