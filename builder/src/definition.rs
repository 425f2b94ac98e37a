//! The definition of an image: one page of TOML, with inclusion by `base`.
//!
//! In: `images/NAME.toml` and the files it is based on. Out: an [`ImageSpec`], complete and checked. Three types for
//! three levels of trust: the text's [`Table`](toml::Table)s as written ([`layers`]), the merged [`Definition`], the
//! validated [`ImageSpec`]; only the last leaves this module. A definition names no file outside its project folder.

pub mod board;
pub mod discover;
pub mod error;
pub mod layers;
mod preload;
pub mod schema;
pub mod size;
pub mod spec;
pub mod starter;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::arch::Arch;
use crate::component::ComponentTable;

pub use board::{BoardFile, BoardSpec, DirectBoot, LoaderDefinition};
pub use error::DefinitionError;
pub use size::Size;
pub use spec::{ImageSpec, PreloadSpec};

/// What a definition is based on.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "`base` is the name of a file or a list of names")]
pub enum Base {
    /// One file.
    One(String),
    /// Several, merged in this order.
    Several(Vec<String>),
}

impl Base {
    fn names(self) -> Vec<String> {
        match self {
            Self::One(name) => vec![name],
            Self::Several(names) => names,
        }
    }
}

/// The definition of one image, as written. Lists of a `base` come first and are extended; single values replace those
/// of the `base`. A file that is reached twice counts once.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Definition {
    /// The version of this format; always 1.
    pub version: u32,
    /// Other definitions, relative to this file, whose values hold unless they are set here: a name, or a list of names of
    /// which the later win.
    pub base: Option<Base>,
    /// The machine architecture the image is for.
    pub architecture: Option<Arch>,
    /// The board that the image is for, if its firmware is no UEFI: the name of a file in `boards/` beside this one.
    pub board: Option<String>,
    /// Whether packages may come from Debian's `non-free-firmware`, which has no source; by default they may not.
    pub non_free_firmware: Option<bool>,
    /// Where the Debian archive is served from: a URL; by default the host's own mirror.
    pub mirror: Option<String>,
    /// The parts of the Debian archive that packages may come from.
    #[serde(default)]
    pub archives: Vec<ArchiveDefinition>,
    /// Debian packages to install; what they depend on follows by itself, what they recommend does not.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Packages that must not come in, even where another depends on them.
    #[serde(default)]
    pub without: Vec<String>,
    /// The kernel and which parts of it the image keeps.
    #[serde(default)]
    pub kernel: KernelDefinition,
    /// Programs that Debian does not have in the needed version, by name.
    #[serde(default)]
    pub components: BTreeMap<String, ComponentTable>,
    /// Container images that the image brings along, so that no node pulls them, by a name of your choice.
    #[serde(default)]
    pub preload: BTreeMap<String, PreloadDefinition>,
    /// Folders below `overlays/` whose files are laid over the packages, in this order.
    #[serde(default)]
    pub overlays: Vec<String>,
    /// Glob patterns of paths that are left out of the image.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// What the system says about itself.
    #[serde(default)]
    pub os_release: OsReleaseDefinition,
    /// What systemd starts.
    #[serde(default)]
    pub units: UnitsDefinition,
    /// The root file system.
    #[serde(default)]
    pub file_system: FileSystemDefinition,
    /// The disk image.
    #[serde(default)]
    pub disk: DiskDefinition,
    /// Findings of the checks on the finished tree that are wanted: `LINT:PATH`.
    #[serde(default)]
    pub allow: Vec<String>,
}

/// Suites of one Debian archive and the keys that sign them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ArchiveDefinition {
    /// The archive's folder below the mirror: `debian` or `debian-security`.
    pub archive: String,
    /// Suites, such as `trixie`.
    pub suites: Vec<String>,
    /// Components, such as `main`.
    pub components: Vec<String>,
    /// File with the armoured OpenPGP certificates that sign the suites, relative to the folder of the definition.
    pub keys: String,
    /// The fingerprints that the file must hold, and no others.
    pub fingerprints: Vec<String>,
    /// Patterns of the packages that may come from here (`linux-*`); by default all. For suites such as backports, from which
    /// an image wants a kernel and nothing else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// Whether an index past its Valid-Until date is refused. Set to false only for a frozen mirror.
    #[serde(default = "enforced")]
    pub check_valid_until: bool,
}

fn enforced() -> bool {
    true
}

/// The kernel package and what stays of it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KernelDefinition {
    /// The Debian package that brings the kernel, such as `linux-image-amd64`.
    pub package: Option<String>,
    /// Glob patterns, below `kernel/` of the kernel package, of the modules to keep; those they need are kept as well.
    #[serde(default)]
    pub modules: Vec<String>,
    /// Modules for the initrd: what the boot disk may need, by name or glob pattern; `-` in front: fine if the kernel has
    /// none, `+`: load it even if no device asks. By default disks, USB and watchdogs of small and of virtual machines.
    #[serde(default)]
    pub initrd_modules: Vec<String>,
    /// More words for the kernel command line.
    #[serde(default)]
    pub command_line: Vec<String>,
}

/// A container image in an archive, as `skopeo copy … oci-archive:FILE` or `docker save` writes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PreloadDefinition {
    /// The archive, relative to the folder of the definition; plain or compressed by gzip or zstd.
    pub file: String,
    /// Its SHA-256 digest: 64 hex digits.
    pub sha256: String,
    /// The image's full name, such as `registry.example/team/app:1.0`; by default the one that the archive gives it.
    pub reference: Option<String>,
}

/// What os-release(5) says.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OsReleaseDefinition {
    /// `PRETTY_NAME`, which kubelet reports as the node's OS image; by default `Skerry IMAGE (Debian NUMBER)`. Everything
    /// else in os-release stays as it is.
    pub pretty_name: Option<String>,
}

/// Units to enable and to mask.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct UnitsDefinition {
    /// Units to enable; all others that could be enabled are disabled.
    #[serde(default)]
    pub enable: Vec<String>,
    /// Units that must never start.
    #[serde(default)]
    pub mask: Vec<String>,
    /// What the machine boots into; by default `multi-user.target`.
    pub default_target: Option<String>,
}

/// How the root file system is written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FileSystemDefinition {
    /// Size of a compressed block, a power of two from `4K` to `1M`; by default `128K`.
    pub block_size: Option<Size>,
    /// Zstandard level, 1 to 22; by default 9.
    pub compression_level: Option<i32>,
}

/// Sizes on the disk.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DiskDefinition {
    /// Size of the EFI system partition; by default `64M`.
    pub esp_size: Option<Size>,
    /// Size of a slot for a root file system, now and after every later update; by default `256M`.
    pub slot_size: Option<Size>,
}

#[cfg(test)]
mod tests;
