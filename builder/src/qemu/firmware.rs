//! UEFI firmware by the host's firmware descriptors (QEMU, docs/interop/firmware.json).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::arch::Arch;

/// Folders with descriptors, the most important first; a file hides those of the same name in later folders.
const FOLDERS: [&str; 2] = ["etc/qemu/firmware", "usr/share/qemu/firmware"];

/// Firmware in two flash chips.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firmware {
    /// The code, read only.
    pub code: PathBuf,
    /// What the variables start from.
    pub variables: PathBuf,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Descriptor {
    #[serde(default)]
    interface_types: Vec<String>,
    mapping: Mapping,
    #[serde(default)]
    targets: Vec<Target>,
    #[serde(default)]
    features: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Mapping {
    device: String,
    mode: Option<String>,
    executable: Option<Flash>,
    nvram_template: Option<Flash>,
}

#[derive(Deserialize)]
struct Flash {
    filename: PathBuf,
    format: String,
}

#[derive(Deserialize)]
struct Target {
    architecture: String,
}

/// The firmware for `arch` that the descriptors below `root` prefer. What demands Secure Boot or system management mode
/// is left out: an image is booted, not enrolled.
pub fn find(root: &Path, arch: Arch) -> Option<Firmware> {
    let mut descriptors = BTreeMap::new();
    for folder in FOLDERS {
        let entries = std::fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
        for path in entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
        {
            descriptors
                .entry(path.file_name().map(std::ffi::OsStr::to_owned))
                .or_insert(path);
        }
    }
    descriptors
        .into_values()
        .find_map(|path| suitable(&std::fs::read(path).ok()?, arch))
}

fn suitable(text: &[u8], arch: Arch) -> Option<Firmware> {
    let Descriptor {
        interface_types,
        mapping,
        targets,
        features,
    } = serde_json::from_slice(text).ok()?;
    let demanding = ["enrolled-keys", "requires-smm", "secure-boot"];
    let fits = interface_types.iter().any(|kind| kind == "uefi")
        && targets.iter().any(|target| target.architecture == arch.names().kernel)
        && !features
            .iter()
            .any(|feature| demanding.iter().any(|word| feature.starts_with(word)))
        && mapping.device == "flash"
        && mapping.mode.as_deref().unwrap_or("split") == "split";
    let (code, variables) = (mapping.executable?, mapping.nvram_template?);
    let raw = code.format == "raw" && variables.format == "raw";
    (fits && raw).then_some(Firmware {
        code: code.filename,
        variables: variables.filename,
    })
}
