//! The validated definition: nothing optional, nothing to search, every value within its bounds.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::board::{self, BoardSpec, Chooser};
use super::layers::{self, Layers};
use super::preload;
use super::{ArchiveDefinition, Definition, DefinitionError, DiskDefinition, KernelDefinition, Size};
use crate::arch::Arch;
use crate::component::ComponentSpec;
use crate::digest::Sha256;
use crate::disk::{ALIGNMENT_BYTES, TableKind};
use crate::oci::Reference;

/// Everything that decides an image, but for the lock and the contents of overlays and programs.
#[derive(Debug, Clone, Serialize)]
pub struct ImageSpec {
    /// The image's name: the definition's file name without `.toml`.
    pub name: String,
    /// The machine architecture.
    pub architecture: Arch,
    /// The board, if its firmware is no UEFI. Left out of the digest where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub board: Option<BoardSpec>,
    /// The mirror that the definition names.
    pub mirror: Option<String>,
    /// Where packages come from.
    pub archives: Vec<ArchiveDefinition>,
    /// The packages asked for, sorted.
    pub packages: Vec<String>,
    /// Packages that must not come in, sorted.
    pub without: Vec<String>,
    /// The kernel.
    pub kernel: KernelSpec,
    /// Programs from elsewhere, sorted by name.
    pub components: Vec<ComponentSpec>,
    /// Container images to bring along, sorted by name.
    pub preload: Vec<PreloadSpec>,
    /// Overlays in their order.
    pub overlays: Vec<String>,
    /// Glob patterns of paths to leave out.
    pub exclude: Vec<String>,
    /// Units to enable.
    pub enable: Vec<String>,
    /// Units to mask.
    pub mask: Vec<String>,
    /// The target to boot into.
    pub default_target: String,
    /// `PRETTY_NAME` of os-release(5), if it is not the default.
    pub pretty_name: Option<String>,
    /// Squashfs block size in bytes.
    pub block_size: u32,
    /// Zstandard level.
    pub compression_level: i32,
    /// Size of the EFI system partition.
    pub esp_size: Size,
    /// Size of a root slot.
    pub slot_size: Size,
    /// Allowed lint findings.
    pub allow: Vec<String>,
    /// The folder that holds the definition; keys are found from here.
    #[serde(skip)]
    pub folder: PathBuf,
    /// The definition's file.
    #[serde(skip)]
    pub file: PathBuf,
}

/// The kernel package and what stays of it.
#[derive(Debug, Clone, Serialize)]
pub struct KernelSpec {
    /// The Debian package.
    pub package: String,
    /// Glob patterns of modules to keep.
    pub modules: Vec<String>,
    /// Modules of the initrd.
    pub initrd_modules: Vec<String>,
    /// More words of the kernel command line.
    pub command_line: Vec<String>,
}

/// A container image in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreloadSpec {
    /// Its name in the definition.
    pub name: String,
    /// The archive, relative to the definition's folder.
    pub file: String,
    /// Digest of the archive.
    pub sha256: Sha256,
    /// The name that the image gets, if it is not that of the archive.
    pub reference: Option<Reference>,
}

const DEFAULT_BLOCK_SIZE: Size = Size::from_bytes(128 << 10);
const DEFAULT_LEVEL: i32 = 9;
const DEFAULT_ESP: Size = Size::from_mib(64);
const DEFAULT_SLOT: Size = Size::from_mib(256);
/// Below this a FAT32 volume of 512-byte sectors has fewer clusters than the format asks for.
const SMALLEST_ESP: Size = Size::from_mib(36);
const SMALLEST_SLOT: Size = Size::from_mib(16);

/// Reads, merges and checks the definition at `path`.
pub fn load(path: &Path) -> Result<ImageSpec, DefinitionError> {
    validate(path, layers::load(path)?)
}

/// Checks merged definitions.
pub fn validate(path: &Path, layers: Layers) -> Result<ImageSpec, DefinitionError> {
    let Definition {
        architecture,
        mut archives,
        kernel,
        units,
        file_system,
        disk,
        ..
    } = layers.merged.clone();
    let definition = layers.merged;
    let missing = |key: &str| invalid(path, format!("`{key}` is not set"), None);
    let architecture = architecture.ok_or_else(|| missing("architecture"))?;
    if archives.is_empty() {
        return Err(missing("archives"));
    }
    let board = choose_board(path, &definition, architecture)?;
    if definition.non_free_firmware.unwrap_or_default() {
        archives.iter_mut().for_each(admit_firmware);
    }
    let of_board = board.iter().flat_map(|board| &board.packages).cloned();
    let packages = sorted(definition.packages.into_iter().chain(of_board).collect());
    let components: Result<Vec<_>, _> = definition
        .components
        .into_iter()
        .map(|(name, component)| component.validate(&name))
        .collect();
    let components = components.map_err(|error| invalid(path, error.to_string(), None))?;
    let kernel = validate_kernel(path, kernel, architecture, board.as_ref())?;
    let (esp_size, slot_size) = checked_sizes(path, &disk)?;
    let spec = ImageSpec {
        name: checked_name(path)?,
        architecture,
        board,
        mirror: definition.mirror,
        archives,
        packages,
        without: sorted(definition.without),
        kernel,
        components,
        preload: preload::validate(path, definition.preload)?,
        overlays: definition.overlays,
        exclude: definition.exclude,
        enable: units.enable,
        mask: units.mask,
        default_target: units.default_target.unwrap_or_else(|| "multi-user.target".to_owned()),
        pretty_name: checked_pretty_name(path, definition.os_release.pretty_name)?,
        block_size: checked_block_size(path, file_system.block_size.unwrap_or(DEFAULT_BLOCK_SIZE))?,
        compression_level: checked_level(path, file_system.compression_level.unwrap_or(DEFAULT_LEVEL))?,
        esp_size,
        slot_size,
        allow: definition.allow,
        folder: path.parent().unwrap_or(Path::new("")).to_owned(),
        file: path.to_owned(),
    };
    check_words(path, &spec)?;
    Ok(spec)
}

impl ImageSpec {
    /// The digest of what decides the lock: when it changes, the lock is stale.
    pub fn lock_digest(&self) -> Sha256 {
        let decides = (
            self.architecture,
            &self.archives,
            &self.packages,
            &self.without,
            &self.kernel.package,
            self.components
                .iter()
                .map(|component| (&component.name, component.recipe(self.architecture)))
                .collect::<Vec<_>>(),
        );
        Sha256::of(&serde_json::to_vec(&decides).expect("a specification is plain JSON"))
    }

    /// The digest of the whole specification.
    pub fn digest(&self) -> Sha256 {
        Sha256::of(&serde_json::to_vec(self).expect("a specification is plain JSON"))
    }

    /// The kind of partition table, and where the first partition begins, in bytes.
    pub fn partitioning(&self) -> (TableKind, u64) {
        let board = self.board.as_ref();
        board.map_or((TableKind::Gpt, ALIGNMENT_BYTES), |board| {
            (board.partition_table, board.first_partition)
        })
    }

    /// The folder that holds `images/` and `overlays/`.
    pub fn project(&self) -> PathBuf {
        self.folder.join("..")
    }

    /// The lock file beside the definition.
    pub fn lock_path(&self) -> PathBuf {
        self.file.with_extension("lock")
    }
}

pub(super) fn invalid(path: &Path, message: String, hint: Option<&str>) -> DefinitionError {
    DefinitionError::Invalid {
        path: path.to_owned(),
        message,
        hint: hint.map(str::to_owned),
    }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    names
}

/// Debian has had firmware without source in a component of its own since release 12.
fn admit_firmware(archive: &mut ArchiveDefinition) {
    let component = "non-free-firmware".to_owned();
    if archive.components.iter().any(|name| name == "main") && !archive.components.contains(&component) {
        archive.components.push(component);
    }
}

fn choose_board(
    path: &Path,
    definition: &Definition,
    architecture: Arch,
) -> Result<Option<BoardSpec>, DefinitionError> {
    let chooser = Chooser {
        path,
        architecture,
        non_free_firmware: definition.non_free_firmware.unwrap_or_default(),
    };
    let board = definition.board.as_deref().map(|name| board::load(name, chooser));
    board.transpose()
}

fn validate_kernel(
    path: &Path,
    kernel: KernelDefinition,
    arch: Arch,
    board: Option<&BoardSpec>,
) -> Result<KernelSpec, DefinitionError> {
    let mut spec = KernelSpec {
        package: kernel
            .package
            .ok_or_else(|| invalid(path, "`kernel.package` is not set".to_owned(), None))?,
        modules: kernel.modules,
        initrd_modules: default_if_empty(kernel.initrd_modules, arch),
        command_line: kernel.command_line,
    };
    if let Some(board) = board {
        spec.initrd_modules.extend(board.initrd_modules.iter().cloned());
        spec.command_line.extend(board.command_line.iter().cloned());
    }
    Ok(spec)
}

/// What a boot disk of a small machine or a virtual one may need.
fn default_if_empty(modules: Vec<String>, arch: Arch) -> Vec<String> {
    match modules.is_empty() {
        true => crate::initrd::modules::usual(arch).map(str::to_owned).collect(),
        false => modules,
    }
}

/// The name becomes a file name, a systemd-boot entry and the start of a partition's label: letters, digits, `-` and `_`. With
/// version and `_verity` behind it, it has to fit the 36 characters of a label.
fn checked_name(path: &Path) -> Result<String, DefinitionError> {
    let name = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default()
        .to_owned();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    if (1..=16).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(name);
    }
    let hint = "rename the file: 1 to 16 lower-case letters, digits, `-` or `_`";
    Err(invalid(path, format!("`{name}` cannot be an image's name"), Some(hint)))
}

/// One line that people read; os-release(5) and kubelet's report take any text.
fn checked_pretty_name(path: &Path, name: Option<String>) -> Result<Option<String>, DefinitionError> {
    match name {
        Some(name) if name.trim() != name || !(1..=120).contains(&name.len()) || name.chars().any(char::is_control) => {
            let message = format!("`os-release.pretty-name = {name:?}` is no line of 1 to 120 bytes");
            Err(invalid(path, message, None))
        }
        name => Ok(name),
    }
}

fn checked_block_size(path: &Path, size: Size) -> Result<u32, DefinitionError> {
    let bytes = size.bytes();
    match u32::try_from(bytes) {
        Ok(bytes) if (4096..=1 << 20).contains(&bytes) && bytes.is_power_of_two() => Ok(bytes),
        _ => Err(invalid(
            path,
            format!("`file-system.block-size = \"{size}\"` is no power of two from 4K to 1M"),
            None,
        )),
    }
}

fn checked_level(path: &Path, level: i32) -> Result<i32, DefinitionError> {
    let message = || format!("`file-system.compression-level = {level}` is not between 1 and 22");
    (1..=22)
        .contains(&level)
        .then_some(level)
        .ok_or_else(|| invalid(path, message(), None))
}

fn checked_partition(path: &Path, key: &str, size: Size, smallest: Size) -> Result<Size, DefinitionError> {
    if size < smallest || !size.bytes().is_multiple_of(1 << 20) || size > Size::from_mib(64 << 10) {
        let message = format!("`{key} = \"{size}\"` is not a whole number of MiB from {smallest} to 64G");
        return Err(invalid(path, message, None));
    }
    Ok(size)
}

/// Sizes of the EFI system partition and of a slot.
fn checked_sizes(path: &Path, disk: &DiskDefinition) -> Result<(Size, Size), DefinitionError> {
    let (esp, slot) = (
        disk.esp_size.unwrap_or(DEFAULT_ESP),
        disk.slot_size.unwrap_or(DEFAULT_SLOT),
    );
    Ok((
        checked_partition(path, "disk.esp-size", esp, SMALLEST_ESP)?,
        checked_partition(path, "disk.slot-size", slot, SMALLEST_SLOT)?,
    ))
}

fn check_words(path: &Path, spec: &ImageSpec) -> Result<(), DefinitionError> {
    let bad_word = |word: &&String| !word.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    if let Some(word) = spec.kernel.command_line.iter().find(bad_word) {
        let hint = "write one word per list entry, in plain ASCII";
        return Err(invalid(
            path,
            format!("`kernel.command-line` has the word {word:?}"),
            Some(hint),
        ));
    }
    let owned = ["roothash=", "usrhash=", "root=", "init="];
    if let Some(word) = spec
        .kernel
        .command_line
        .iter()
        .find(|word| owned.iter().any(|prefix| word.starts_with(prefix)))
    {
        return Err(invalid(
            path,
            format!("`kernel.command-line` sets `{word}`, which the builder decides"),
            None,
        ));
    }
    let bad_overlay = |name: &&String| name.is_empty() || name.contains('/') || name.starts_with('.');
    if let Some(name) = spec.overlays.iter().find(bad_overlay) {
        return Err(invalid(
            path,
            format!("overlay {name:?} is no folder name below `overlays/`"),
            None,
        ));
    }
    Ok(())
}
