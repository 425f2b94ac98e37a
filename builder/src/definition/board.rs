//! Boards: what a machine's boot ROM needs that UEFI machines do not. A board is a file, `boards/NAME.toml` beside the
//! definition that chooses it by `board = "NAME"`.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::{check_version, closest};
use super::{DefinitionError, Size, spec::invalid};
use crate::arch::Arch;
use crate::disk::{ALIGNMENT_BYTES, TableKind};
use crate::gpt::SECTOR_BYTES;

/// The folder of the boards, beside the definitions.
const FOLDER: &str = "boards";
/// Where the first partition begins unless a board says otherwise.
const DEFAULT_FIRST_PARTITION: Size = Size::from_bytes(ALIGNMENT_BYTES);

/// A board, as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BoardDefinition {
    /// The version of this format; always 1.
    pub version: u32,
    /// The board's name as its maker writes it.
    pub title: String,
    /// Its processor.
    pub architecture: Arch,
    /// Debian packages that bring its boot loaders; what is in them stays out of the root file system.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Whether one of them is from `non-free-firmware`: the definition then has to opt in by the key of this name.
    #[serde(default)]
    pub non_free_firmware: bool,
    /// What its boot ROM reads: `gpt`, or `mbr` where it knows nothing else.
    #[serde(default)]
    pub partition_table: TableKind,
    /// Where the first partition begins; what is before it belongs to the boot loaders. By default `1M`.
    pub first_partition: Option<Size>,
    /// What the boot ROM reads outside of partitions.
    #[serde(default)]
    pub loaders: Vec<LoaderDefinition>,
    /// Files of the first partition, by path.
    #[serde(default)]
    pub files: BTreeMap<String, BoardFile>,
    /// Device trees of the kernel package, such as `rockchip/rk3328-rock64.dtb`. They travel in the unified kernel image
    /// (`.dtbauto`), so that an update switches kernel and device tree together; systemd-stub takes the one for the machine.
    #[serde(default)]
    pub device_trees: Vec<String>,
    /// Added to the definition's `kernel.initrd-modules`: what its boot disks hang on.
    #[serde(default)]
    pub initrd_modules: Vec<String>,
    /// Added to the definition's `kernel.command-line`, such as the serial line.
    #[serde(default)]
    pub command_line: Vec<String>,
}

/// A boot loader outside of partitions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LoaderDefinition {
    /// The file in one of the packages, such as `usr/lib/u-boot/rock64-rk3328/idbloader.img`.
    pub file: String,
    /// Where on the disk it begins, such as `32K`.
    pub offset: Size,
}

/// Where a file of the first partition comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum BoardFile {
    /// From one of the packages: the path there.
    File(String),
    /// The text itself.
    Text(String),
    /// A device tree of the kernel package.
    DeviceTree(String),
    /// The kernel, in gzip where its package has it unpacked (64-bit ARM).
    Kernel,
    /// The initrd.
    Initrd,
    /// The kernel command line: one line of text.
    CommandLine,
}

/// What firmware reads that starts Linux itself, without a boot loader, and how a board's file calls it.
const DIRECT: [(&str, BoardFile); 3] = [
    ("kernel", BoardFile::Kernel),
    ("initrd", BoardFile::Initrd),
    ("command-line", BoardFile::CommandLine),
];

/// Where on the first partition firmware finds Linux that starts it itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectBoot<'a> {
    /// The kernel's path.
    pub kernel: &'a str,
    /// The initrd's path.
    pub initrd: &'a str,
    /// The path of the file with the kernel command line.
    pub command_line: &'a str,
}

/// A board that can be built for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BoardSpec {
    /// Its name: that of its file.
    pub name: String,
    /// The name that its maker writes.
    pub title: String,
    /// Packages that bring its boot loaders.
    pub packages: Vec<String>,
    /// Its partition table.
    pub partition_table: TableKind,
    /// Where the first partition begins, in bytes; whole MiB.
    pub first_partition: u64,
    /// Boot loaders outside of partitions.
    pub loaders: Vec<LoaderDefinition>,
    /// Files of the first partition.
    pub files: BTreeMap<String, BoardFile>,
    /// Device trees in the unified kernel image.
    pub device_trees: Vec<String>,
    /// Modules of the initrd beside those of the definition.
    pub initrd_modules: Vec<String>,
    /// More words of the kernel command line.
    pub command_line: Vec<String>,
}

impl BoardSpec {
    /// Where the firmware finds Linux; none if it starts a boot loader.
    pub fn direct_boot(&self) -> Option<DirectBoot<'_>> {
        let path = |wanted: &BoardFile| {
            let found = self.files.iter().find(|(_, file)| *file == wanted);
            found.map(|(path, _)| path.as_str())
        };
        Some(DirectBoot {
            kernel: path(&BoardFile::Kernel)?,
            initrd: path(&BoardFile::Initrd)?,
            command_line: path(&BoardFile::CommandLine)?,
        })
    }
}

/// What the definition that chooses a board says otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chooser<'a> {
    /// The definition.
    pub path: &'a Path,
    /// Its architecture.
    pub architecture: Arch,
    /// Whether it opts in to firmware without source, by `non-free-firmware`.
    pub non_free_firmware: bool,
}

/// Reads and checks the board called `name`.
pub(super) fn load(name: &str, chooser: Chooser<'_>) -> Result<BoardSpec, DefinitionError> {
    let folder = chooser.path.parent().unwrap_or(Path::new("")).join(FOLDER);
    let known = names(&folder);
    if !known.iter().any(|known| known == name) {
        return Err(unknown(name, &known, chooser.path));
    }
    let path = folder.join(format!("{name}.toml"));
    let text = std::fs::read_to_string(&path).map_err(|source| DefinitionError::Read {
        path: path.clone(),
        source,
    })?;
    let board: BoardDefinition =
        toml::from_str(&text).map_err(|error| DefinitionError::from_toml(&path, &text, &error))?;
    check_choice(&board, name, chooser)?;
    check(&path, &board)?;
    Ok(BoardSpec {
        name: name.to_owned(),
        title: board.title,
        packages: board.packages,
        partition_table: board.partition_table,
        first_partition: board.first_partition.unwrap_or(DEFAULT_FIRST_PARTITION).bytes(),
        loaders: board.loaders,
        files: board.files,
        device_trees: board.device_trees,
        initrd_modules: board.initrd_modules,
        command_line: board.command_line,
    })
}

/// The names of the boards in `folder`, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

fn unknown(name: &str, known: &[String], path: &Path) -> DefinitionError {
    let list = match known {
        [] => format!("there is none: write one as `{FOLDER}/{name}.toml` beside the definition"),
        _ => known.join(", "),
    };
    let hint = match closest(name, known.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean `{meant}`? boards are: {list}"),
        None => format!("boards are: {list}"),
    };
    invalid(path, format!("there is no board `{name}`"), Some(&hint))
}

/// Whether the definition may have this board.
fn check_choice(board: &BoardDefinition, name: &str, chooser: Chooser<'_>) -> Result<(), DefinitionError> {
    if board.architecture != chooser.architecture {
        let message = format!(
            "board `{name}` is for {}, the image for {}",
            board.architecture, chooser.architecture
        );
        return Err(invalid(chooser.path, message, None));
    }
    if board.non_free_firmware && !chooser.non_free_firmware {
        let message = format!("board `{name}` does not start without firmware that has no source");
        let hint = "`non-free-firmware = true` lets the image have it; Debian's licences of it are in the SBOM";
        return Err(invalid(chooser.path, message, Some(hint)));
    }
    Ok(())
}

/// What of a board can be seen to be wrong before anything is fetched.
fn check(path: &Path, board: &BoardDefinition) -> Result<(), DefinitionError> {
    check_version(path, board.version)?;
    let bad = |message: String, hint: &str| Err(invalid(path, message, Some(hint)));
    let first = board.first_partition.unwrap_or(DEFAULT_FIRST_PARTITION);
    if first.bytes() == 0 || !first.bytes().is_multiple_of(ALIGNMENT_BYTES) || first > Size::from_mib(1024) {
        return bad(
            format!("`first-partition = \"{first}\"` is not a whole number of MiB from 1M to 1G"),
            "boot loaders end below it; 16M is what U-Boot's documentation uses",
        );
    }
    for LoaderDefinition { file, offset } in &board.loaders {
        if offset.bytes() == 0 || !offset.bytes().is_multiple_of(SECTOR_BYTES) || *offset >= first {
            return bad(
                format!("the boot loader `{file}` at \"{offset}\" is not between the partition table and \"{first}\""),
                "`offset` is a multiple of 512 below `first-partition`",
            );
        }
    }
    check_direct(path, board)
}

/// Firmware that starts Linux itself needs all three of kernel, initrd and command line, and has no use for a second one.
fn check_direct(path: &Path, board: &BoardDefinition) -> Result<(), DefinitionError> {
    let count = |wanted: &BoardFile| board.files.values().filter(|file| *file == wanted).count();
    let counts = DIRECT.map(|(name, file)| (name, count(&file)));
    if counts.iter().all(|(_, count)| *count == 0) {
        return Ok(());
    }
    let named = |is_meant: fn(usize) -> bool| {
        let names = counts.iter().filter(|(_, count)| is_meant(*count));
        names
            .map(|(name, _)| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(" and no ")
    };
    let (missing, repeated) = (named(|count| count == 0), named(|count| count > 1));
    let message = match (missing.as_str(), repeated.as_str()) {
        ("", "") => return Ok(()),
        ("", _) => format!("`files` has more than one {repeated}"),
        _ => format!("`files` has no {missing}"),
    };
    let hint = "firmware that starts Linux itself reads `kernel`, `initrd` and `command-line`, one of each";
    Err(invalid(path, message, Some(hint)))
}

#[cfg(test)]
mod tests;
