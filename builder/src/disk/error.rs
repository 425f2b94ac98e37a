//! What can go wrong with a disk image.

use std::ops::Range;
use std::path::PathBuf;

use crate::failure::Diagnose;
use crate::fat::FatError;
use crate::gpt::GptError;
use crate::mbr::MbrError;

/// Why a disk image cannot be planned or written.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The content is larger than its slot.
    #[error("{what} has {len_bytes} bytes, but its partition is planned with {slot_bytes} bytes")]
    SlotTooSmall {
        /// Which content.
        what: &'static str,
        /// Its length.
        len_bytes: u64,
        /// The size of the slot.
        slot_bytes: u64,
    },
    /// The partition table cannot hold it.
    #[error("the partition table cannot describe the image")]
    Table {
        /// Why.
        source: GptError,
    },
    /// The same of an MBR.
    #[error("the master boot record cannot describe the image")]
    Mbr {
        /// Why.
        source: MbrError,
    },
    /// A boot loader is not between the partition table and the first partition.
    #[error("the boot loader `{name}` takes bytes {} to {} of the disk; it has room from {} to {}", range.start, range.end, room.start, room.end)]
    LoaderPlace {
        /// Its name.
        name: String,
        /// Which bytes it takes.
        range: Range<u64>,
        /// Which bytes it could take.
        room: Range<u64>,
    },
    /// Two boot loaders share bytes.
    #[error("the boot loaders `{name}` and `{other}` overlap at byte {offset} of the disk")]
    LoaderOverlap {
        /// The earlier one.
        name: String,
        /// The later one.
        other: String,
        /// Where the later one begins.
        offset: u64,
    },
    /// A boot loader cannot be read.
    #[error("cannot read the boot loader `{name}`")]
    ReadLoader {
        /// Its name.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// The ESP cannot be written.
    #[error("the EFI system partition cannot be written")]
    Esp {
        /// Why.
        source: FatError,
    },
    /// A content file cannot be read.
    #[error("cannot read `{}` for partition `{label}`", path.display())]
    ReadSource {
        /// The partition's label.
        label: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A content file is shorter than planned.
    #[error("`{}` ended after {found_bytes} of the {expected_bytes} bytes planned for partition `{label}`", path.display())]
    ShortSource {
        /// The partition's label.
        label: String,
        /// The file.
        path: PathBuf,
        /// The planned length.
        expected_bytes: u64,
        /// What was there.
        found_bytes: u64,
    },
    /// The image cannot be written.
    #[error("cannot write {what} of the disk image `{}`", path.display())]
    Write {
        /// Which part.
        what: String,
        /// The image.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Diagnose for DiskError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::SlotTooSmall { what, len_bytes, .. } => vec![format!(
                "plan at least {} MiB for {what}, with room for future versions",
                len_bytes.div_ceil(1 << 20)
            )],
            Self::Table { source } => source.hints(),
            Self::Esp { source } => source.hints(),
            Self::LoaderPlace { range, .. } => vec![format!(
                "set the board's `first-partition` to at least {}M, and check the offset of the boot loader",
                range.end.div_ceil(1 << 20)
            )],
            Self::LoaderOverlap { .. } => vec!["check the offsets of the board's `loaders`".to_owned()],
            Self::ShortSource { path, .. } => {
                vec![format!("`{}` changed during the build; build again", path.display())]
            }
            Self::Write { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                vec!["free some space, or choose another folder with `--out`".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}
